//! Directories that a database and a store of backups must not share.

use std::path::{Component, Path};

use agentdb_env::Env;
use agentdb_types::{Code, Error, Result};

use super::directory;
use super::vault;

fn taken(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::BackupPlaceTaken).with("path", path.display()).with("reason", reason)
}

/// Refuses a store for the database in `database` that lies in a database, or in whose own directories that database lies.
pub(crate) fn check_store(env: &Env, store: &Path, database: &Path) -> Result<()> {
    if store == database {
        return Err(taken(store, "it is the database itself"));
    }
    if store.starts_with(database) {
        return Err(taken(store, format_args!("it lies in the database {} itself", database.display())));
    }
    if let Some(other) = database_above(env, store)? {
        return Err(taken(store, format_args!("it lies in the database {}", other.display())));
    }
    match database.strip_prefix(store).ok().and_then(|below| below.components().next()) {
        Some(Component::Normal(name)) if name.to_str().is_some_and(directory::is_own) => {
            let reason = format_args!("the database {} lies where backups would be", database.display());
            Err(taken(store, reason))
        }
        _ => Ok(()),
    }
}

/// Refuses a directory for a restored database that lies in another one, or in a store of backups.
pub(crate) fn check_restored(env: &Env, dir: &Path) -> Result<()> {
    check_new(env, dir)?;
    match dir.parent().map(|parent| database_above(env, parent)).transpose()?.flatten() {
        Some(other) => Err(taken(dir, format_args!("it lies in the database {}", other.display()))),
        None => Ok(()),
    }
}

/// Refuses a directory for a new database that is a store of backups, or lies in one.
pub(crate) fn check_new(env: &Env, dir: &Path) -> Result<()> {
    for above in dir.ancestors() {
        if vault::is_store(env, above)? {
            let reason = format_args!("it lies in the store of backups {}", above.display());
            return Err(taken(dir, reason));
        }
    }
    Ok(())
}

/// The database that a directory is, or lies in.
fn database_above<'a>(env: &Env, dir: &'a Path) -> Result<Option<&'a Path>> {
    for dir in dir.ancestors() {
        let mut parts = ["FORMAT", "log", "rows"].iter().map(|name| env.files.exists(&dir.join(name)));
        if parts.try_fold(true, |all, exists| exists.map(|exists| all && exists))? {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}
