//! ONNX Runtime: loaded once in a process, and what every session is opened with.

use std::path::{Path, absolute};
use std::sync::{Mutex, PoisonError};

use agentdb_types::{Code, Error, Result};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use crate::ModelDir;

/// ONNX Runtime allows one environment in a process, for ever: it is made by the first encoder and kept. A failed
/// attempt leaves nothing, so that the next one may name another library.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The environment of this process. Only the first call loads a library; later ones use that, wherever it is from.
pub(crate) fn environment(encoder: &str, models: &ModelDir) -> Result<Environment> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*environment {
        return Ok(environment.clone());
    }
    let library = models.runtime_library()?;
    // A path with a directory is made absolute: ort looks for a relative one beside the executable first.
    let library = match library.parent() {
        Some(parent) if parent != Path::new("") => absolute(&library).map_err(|e| failed(encoder, e))?,
        _ => library,
    };
    let made = ort::init_from(&library)
        .map_err(|e| failed(encoder, e))?
        .with_name("agentdb")
        .with_telemetry(false)
        .build()
        .map_err(|e| failed(encoder, e))?;
    Ok(environment.insert(made).clone())
}

/// A session of the model in this file, whose operators use `intra_threads` threads each.
pub(crate) fn session(environment: &Environment, model: &Path, intra_threads: usize) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(intra_threads)?
        // Idle threads sleep: a database shares its cores with its users.
        .with_intra_op_spinning(false)?
        // Every batch has another shape; a memory plan for each of them would be kept for ever.
        .with_memory_pattern(false)?
        .commit_from_file(model)
}

/// The error of an encoder whose model could not be loaded or run.
pub(crate) fn failed(encoder: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::EncoderFailed).with("encoder", encoder).with("reason", reason)
}
