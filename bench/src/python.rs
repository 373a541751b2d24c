//! Peers that are Python packages: installed beside the database's directory in pinned versions, and run as processes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Packages of one peer.
pub struct Packages(PathBuf);

impl Packages {
    /// Installs what a file of requirements says in a directory of this name beside `dir`; what is there already, of the same
    /// requirements, is kept.
    pub fn installed(dir: &Path, name: &str, requirements: &str) -> Result<Self> {
        let wanted = std::fs::read_to_string(requirements).with_context(|| requirements.to_owned())?;
        let packages = Packages(dir.with_file_name(name));
        let mark = packages.0.join("installed");
        if std::fs::read_to_string(&mark).ok().as_deref() != Some(&wanted) {
            let _ = std::fs::remove_dir_all(&packages.0);
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            output(
                Command::new("python3").args(pip).args(["-r", requirements, "--target"]).arg(&packages.0),
            )?;
            std::fs::write(mark, wanted)?;
        }
        Ok(packages)
    }

    /// A script, or the main script of a directory, with these packages.
    pub fn script(&self, script: &str) -> Command {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.0).env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
        python
    }
}

/// What a command that must succeed writes.
pub fn output(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("{command:?}"))?;
    if !done.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(String::from_utf8(done.stdout)?)
}
