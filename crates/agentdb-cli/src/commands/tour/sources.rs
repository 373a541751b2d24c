//! The documents: the Markdown files of the project's dependencies, or a file or a directory of the user's.

use std::path::{Path, PathBuf};
use std::process::Command;

use agentdb::{Code, Error, Result};
use agentdb_env::Env;
use serde_json::Value;

use crate::arguments;

/// A document to store.
pub(super) struct Document {
    /// A name that stays the same from run to run.
    pub(super) name: String,
    pub(super) text: String,
}

pub(super) struct Sources {
    pub(super) documents: Vec<Document>,
    /// Where they come from, and what was seen there and left out, to be told.
    pub(super) origin: String,
}

/// The documents of a file or a directory, or those of the project's dependencies; there is at least one.
pub(super) fn find(docs: Option<&Path>) -> Result<Sources> {
    let mut found = Vec::new();
    match docs {
        Some(path) if path.is_dir() => walk(path, path, &mut found)?,
        Some(path) => {
            found.push((path.file_name().unwrap_or_default().display().to_string(), path.to_owned()))
        }
        None => dependencies(&mut found)?,
    }
    found.sort();
    let mut documents = Vec::new();
    let (mut changelogs, mut not_text) = (0, 0);
    for (name, path) in found {
        let base = name.rsplit('/').next().unwrap_or_default().to_lowercase();
        if docs.is_none()
            && ["change", "release", "history", "news"].iter().any(|start| base.starts_with(start))
        {
            changelogs += 1;
            continue;
        }
        match String::from_utf8(arguments::file(&path)?) {
            Ok(text) if !text.trim().is_empty() => documents.push(Document { name, text }),
            _ => not_text += 1,
        }
    }
    let mut origin = match docs {
        Some(path) => path.display().to_string(),
        None => "the packages that this workspace depends on".to_owned(),
    };
    if changelogs + not_text > 0 {
        origin += &format!(" (left out: {changelogs} changelogs, {not_text} empty or not UTF-8)");
    }
    if documents.is_empty() {
        let reason = format_args!("there is no Markdown or text file to read in {origin}");
        return Err(Error::new(Code::InvalidValue).with("field", "--docs").with("reason", reason));
    }
    Ok(Sources { documents, origin })
}

/// The Markdown files in the root of every package that this workspace depends on.
fn dependencies(found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let failed = |reason: String| {
        Error::new(Code::Io)
            .with("operation", "run")
            .with("path", "cargo metadata (give --docs PATH outside a Rust workspace)")
            .with("reason", reason)
    };
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = format!(
            "{}-{}",
            package["name"].as_str().unwrap_or("?"),
            package["version"].as_str().unwrap_or("?")
        );
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let Some(dir) = manifest.parent() else { continue };
        for file in Env::real().files.list(dir)?.into_iter().filter(|f| is_document(f)) {
            found.push((format!("{name}/{file}"), dir.join(file)));
        }
    }
    Ok(())
}

fn is_document(file: &str) -> bool {
    let lower = file.to_lowercase();
    lower.ends_with(".md")
        || lower.ends_with(".markdown")
        || lower.ends_with(".txt") && lower.starts_with("readme")
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    for name in Env::real().files.list(dir)? {
        let path = dir.join(&name);
        if path.is_dir() && !path.is_symlink() {
            walk(root, &path, found)?;
        } else if path.is_file() && (is_document(&name) || name.to_lowercase().ends_with(".txt")) {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            found.push((relative, path));
        }
    }
    Ok(())
}
