//! What a store holds: the manifests that can be read, and those that cannot.

use agentdb_types::{Error, ErrorKind, Result};

use super::manifest::Manifest;
use super::vault::Vault;

/// The manifests of a store.
pub(crate) struct Survey {
    /// Those that are whole, oldest first.
    pub(crate) whole: Vec<Manifest>,
    /// Those that are damaged, or of a newer version: their names, oldest first, and what is wrong.
    pub(crate) damaged: Vec<(String, Error)>,
}

impl Survey {
    pub(crate) fn of(vault: &Vault) -> Result<Survey> {
        let mut survey = Survey { whole: Vec::new(), damaged: Vec::new() };
        for name in Manifest::names(vault)?.into_iter().rev() {
            match Manifest::read(vault, &name) {
                Ok(manifest) => survey.whole.extend(manifest),
                Err(err) if is_unreadable(&err) => survey.damaged.push((name, err)),
                Err(err) => return Err(err),
            }
        }
        survey.whole.sort_by(|a, b| {
            let of = |m: &Manifest| (m.backup.taken, m.backup.lsn);
            of(a).cmp(&of(b)).then_with(|| a.backup.name.cmp(&b.backup.name))
        });
        Ok(survey)
    }

    /// The whole manifest of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Manifest> {
        self.whole.iter().find(|m| m.backup.name == name)
    }

    pub(crate) fn is_damaged(&self, name: &str) -> bool {
        self.damaged.iter().any(|(damaged, _)| damaged == name)
    }
}

/// Whether an error says that an object cannot be read for what it holds, and not for what keeps it.
pub(crate) fn is_unreadable(err: &Error) -> bool {
    matches!(err.kind(), ErrorKind::Corruption | ErrorKind::Unsupported)
}
