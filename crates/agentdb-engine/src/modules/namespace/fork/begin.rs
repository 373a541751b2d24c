//! Beginning a fork.

use agentdb_types::{Code, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{DEFAULT, allot, check_name, head, not_found};
use super::{Fork, Row, key, of_source, past};
use crate::key::{Key, NamespaceId};
use crate::modules::job::{Begin, Begun, Kind};
use crate::operation::{About, Request, WriteRequest, encode_json};
use crate::row_json;
use crate::sweep::internal;
use crate::tx::Tx;

/// Allots the number, and begins the job.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct BeginFork(pub(crate) Fork);

impl Request for BeginFork {
    type Response = Begun;
    const ABOUT: About = internal("internal.begin_fork");
}

impl WriteRequest for BeginFork {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Begun> {
        let Fork { name: namespace, to, at } = &self.0;
        check_name("to", to)?;
        let source = if namespace == DEFAULT {
            NamespaceId::DEFAULT
        } else {
            check_name("name", namespace)?;
            NamespaceId(head(tx, namespace)?.ok_or_else(|| not_found(namespace))?.number)
        };
        if to == DEFAULT || head(tx, to)?.is_some() {
            return Err(Error::new(Code::NamespaceExists).with("name", to));
        }
        if let Some(other) = of_source(tx, source)? {
            return Err(Error::new(Code::ForkRunning)
                .with("name", namespace)
                .with("to", other.name)
                .with("job", other.job));
        }
        let past = at.map(|point| past::at(tx, source, point)).transpose()?;
        let (name, request) = (Some(namespace.clone()), encode_json(&self.0)?);
        let begun = Begin { kind: Kind::Fork, namespace: name, request }.decide(tx)?;
        let (lsn, number) = (tx.lsn(), allot(tx)?);
        let (job, name, lsn) = (begun.job.0, to.clone(), past.unwrap_or(lsn));
        let mut row = Row { job, number, name, lsn, past: past.is_some(), rows: 0, cursor: None };
        row.set_cursor(source, Some(&Key::namespace(source)));
        tx.put_bookkeeping(key(source), row_json::encode(&row)?)?;
        Ok(begun)
    }
}
