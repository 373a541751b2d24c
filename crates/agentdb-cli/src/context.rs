//! What every command needs: where the database is, and how to write.

use std::path::{Path, PathBuf};

use agentdb::{Ack, Database, Lsn, Namespace, Result, WriteOptions};
use clap::ArgMatches;

/// The global arguments.
pub(crate) struct Context {
    pub(crate) path: PathBuf,
    pub(crate) namespace: String,
    pub(crate) json: bool,
    pub(crate) options: WriteOptions,
    pub(crate) min_lsn: Lsn,
}

impl Context {
    pub(crate) fn new(matches: &ArgMatches) -> Self {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let written = text("ack").as_deref() == Some("written");
        Context {
            path: text("db").unwrap_or_default().into(),
            namespace: text("namespace").unwrap_or_default(),
            json: matches.get_flag("json"),
            options: WriteOptions {
                ack: if written { Ack::Written } else { Ack::Durable },
                idempotency_key: text("idempotency-key"),
                principal: text("principal"),
                subject: text("subject"),
            },
            min_lsn: Lsn(matches.get_one::<u64>("min-lsn").copied().unwrap_or_default()),
        }
    }

    /// Opens the database; `create` tells whether a new one may come into being.
    pub(crate) fn open(&self, create: bool) -> Result<Database> {
        Database::options().create(create).open(Path::new(&self.path))
    }

    /// The namespace of the command line.
    pub(crate) fn namespace(&self, db: &Database) -> Result<Namespace> {
        db.namespace(&self.namespace)
    }
}
