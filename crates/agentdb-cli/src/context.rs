//! What every command needs: where the database is, and how to write.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use agentdb::modules::namespace::DEFAULT;
use agentdb::{Ack, Code, Database, Error, Lsn, Namespace, ReadAt, Result, WriteOptions};
use clap::ArgMatches;
use clap::parser::ValueSource;

/// The global arguments.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) path: PathBuf,
    pub(crate) namespace: String,
    pub(crate) json: bool,
    pub(crate) options: WriteOptions,
    min_lsn: Lsn,
    as_of: Option<String>,
    /// The database that stays open from one command to the next, once one has opened it.
    held: Option<Rc<RefCell<Option<Database>>>>,
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
            as_of: text("as-of"),
            held: None,
        }
    }

    /// The same, with a database that stays open.
    pub(crate) fn held(self) -> Self {
        Context { held: Some(Rc::default()), ..self }
    }

    /// What a command of a shell needs: what it says itself, and the shell's for the rest.
    pub(crate) fn within(&self, matches: &ArgMatches) -> Self {
        let said = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        let (own, shell) = (Context::new(matches), self.clone());
        Context {
            namespace: if said("namespace") { own.namespace } else { shell.namespace },
            json: own.json || shell.json,
            options: WriteOptions {
                ack: if said("ack") { own.options.ack } else { shell.options.ack },
                // A key is for one request.
                idempotency_key: own.options.idempotency_key,
                principal: own.options.principal.or(shell.options.principal),
                subject: own.options.subject.or(shell.options.subject),
            },
            min_lsn: own.min_lsn.max(shell.min_lsn),
            as_of: own.as_of.or(shell.as_of),
            path: shell.path,
            held: shell.held,
        }
    }

    /// At which point a read is answered.
    pub(crate) fn read_at(&self) -> Result<ReadAt> {
        match &self.as_of {
            None => Ok(ReadAt::Least(self.min_lsn)),
            Some(_) if self.min_lsn > Lsn::ZERO => Err(Error::new(Code::InvalidValue)
                .with("field", "--as-of")
                .with("reason", "it cannot go with --min-lsn")),
            Some(point) => point.parse().map(ReadAt::AsOf),
        }
    }

    /// Refuses an idempotency key where it would be that of every request.
    pub(crate) fn refuse_one_key(&self) -> Result<()> {
        match self.options.idempotency_key {
            None => Ok(()),
            Some(_) => Err(Error::new(Code::InvalidValue)
                .with("field", "--idempotency-key")
                .with("reason", "a key belongs to one request, and there may be many here")),
        }
    }

    /// Opens the database; `create` tells whether a new one may come into being.
    pub(crate) fn open(&self, create: bool) -> Result<Database> {
        // A new one has no other namespace.
        let create = create && self.namespace == DEFAULT;
        if let Some(db) = self.held.as_ref().and_then(|held| held.borrow().clone()) {
            return Ok(db);
        }
        let db = Database::options().create(create).open(Path::new(&self.path))?;
        if let Some(held) = &self.held {
            held.replace(Some(db.clone()));
        }
        Ok(db)
    }

    /// The namespace of the command line.
    pub(crate) fn namespace(&self, db: &Database) -> Result<Namespace> {
        db.namespace(&self.namespace)
    }
}
