//! Where models are found on this machine.

use std::env;
use std::path::{Path, PathBuf};

use agentdb_types::{Code, Error, Result};

/// A directory of models: `lib/` holds ONNX Runtime, `text/<encoder id>/` the files of a text encoder.
///
/// `make models` fills one. Its files are checked against pinned hashes there, not again here.
///
/// ```
/// use agentdb_models::ModelDir;
///
/// let models = ModelDir::new("/nowhere");
/// let err = agentdb_models::MiniLm::open(&models, Default::default()).err().unwrap();
/// assert_eq!(err.code(), agentdb_types::Code::ModelNotFound);
/// assert!(err.message().contains("make models"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDir(PathBuf);

impl ModelDir {
    /// The model directory at this path, which is not looked at yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        ModelDir(path.into())
    }

    /// The model directory that `make models` fills by default: `$AGENTDB_MODELS`, else
    /// `$XDG_CACHE_HOME/agentdb/models`, else `~/.cache/agentdb/models`.
    ///
    /// ```
    /// println!("models are looked for in {}", agentdb_models::ModelDir::locate()?.path().display());
    /// # Ok::<(), agentdb_types::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `model_not_found` when none of the variables and no `HOME` is set.
    pub fn locate() -> Result<Self> {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        variable("AGENTDB_MODELS")
            .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("agentdb/models")))
            .or_else(|| variable("HOME").map(|home| home.join(".cache/agentdb/models")))
            .map(ModelDir)
            .ok_or_else(|| not_found(Path::new("(unknown)"), "set AGENTDB_MODELS to a model directory"))
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of a text encoder.
    pub(crate) fn text(&self, encoder: &str) -> PathBuf {
        self.0.join("text").join(encoder)
    }

    /// The library of ONNX Runtime: the one that `ORT_DYLIB_PATH` names, else the one in `lib/`.
    pub(crate) fn runtime_library(&self) -> Result<PathBuf> {
        const VARIABLE: &str = "ORT_DYLIB_PATH";
        match env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from) {
            // A bare name is the dynamic loader's to find.
            Some(named) if named.parent() == Some(Path::new("")) || named.is_file() => Ok(named),
            Some(named) => Err(not_found(&named, "ORT_DYLIB_PATH names it, and there is no such file")),
            None => {
                let name = format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
                existing(self.0.join("lib").join(name))
            }
        }
    }
}

/// The path, if a file is there.
pub(crate) fn existing(path: PathBuf) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    Err(not_found(
        &path,
        "no such file; `make models` fetches it, AGENTDB_MODELS names another model directory",
    ))
}

fn not_found(path: &Path, reason: &str) -> Error {
    Error::new(Code::ModelNotFound).with("path", path.display()).with("reason", reason)
}
