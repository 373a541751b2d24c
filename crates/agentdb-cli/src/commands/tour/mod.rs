//! `agentdb tour`: the main job on real documents. It stores them as records beside an agent's state and a conversation,
//! asks questions, kills a writer in the middle, and shows that everything acknowledged is there.

mod ask;
mod crash;
mod ingest;
mod sources;

use std::path::PathBuf;
use std::sync::Arc;

use agentdb::modules::{collection, session};
use agentdb::{Code, Database, Namespace, Result};
use agentdb_models::{MiniLm, ModelDir, Options, TextEncoder};
use clap::ArgMatches;

use crate::context::Context;
use crate::output::line;

pub(super) const COLLECTION: &str = "passages";
pub(super) const AGENT: &str = "guide";
pub(super) const SESSION: &str = "tour";

pub(super) fn run(context: &Context, matches: &ArgMatches) -> Result<()> {
    if matches.get_flag("crash") {
        return crash::write_until_killed(context);
    }
    let docs = matches.get_one::<String>("docs").filter(|d| !d.is_empty()).map(PathBuf::from);
    let sources = sources::find(docs.as_deref())?;
    line(&format!("{} documents, from {}", sources.documents.len(), sources.origin))?;
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    line(&format!("loading the text encoder on {cores} cores"))?;
    let encoder = MiniLm::open(&ModelDir::locate()?, Options { sessions: cores, ..Options::default() })?;
    let encoder: Arc<MiniLm> = Arc::new(encoder);
    {
        let db = context.open(true)?;
        let namespace = prepare(context, &db, &*encoder)?;
        ingest::run(&namespace, &encoder, &sources.documents)?;
        ask::run(&namespace, &encoder, docs.is_none())?;
        db.close()?;
    }
    crash::run(context)?;
    line(&format!("\nthe database is in {}: try `agentdb --db {0} inspect`", context.path.display()))
}

/// The collection and the conversation, created on the first run.
fn prepare(context: &Context, db: &Database, encoder: &dyn TextEncoder) -> Result<Namespace> {
    let namespace = context.namespace(db)?;
    let create = collection::Create {
        collection: COLLECTION.to_owned(),
        dimension: Some(encoder.dimension()),
        metric: None,
        encoder: Some(encoder.id().to_owned()),
        description: "passages of documents".to_owned(),
        ..collection::Create::default()
    };
    exists_already(namespace.write(create).wait().map(drop), Code::CollectionExists)?;
    let create = session::Create { session: Some(SESSION.to_owned()), ..session::Create::new(AGENT) };
    exists_already(namespace.write(create).wait().map(drop), Code::SessionExists)?;
    Ok(namespace)
}

fn exists_already(result: Result<()>, code: Code) -> Result<()> {
    match result {
        Err(err) if err.code() == code => Ok(()),
        other => other,
    }
}
