//! Refusals that no write of the schedule meets.

use std::path::Path;

use agentdb_engine::modules::{item, link, record, session, state, tool_call};
use agentdb_engine::{Engine, Options};
use agentdb_types::{Code, Error, Lsn, Result, limits};
use serde_json::json;

use super::{Check, View};

impl View<'_> {
    /// Reads that are refused whatever is stored, as long as there is the collection.
    pub(crate) fn refusals(&self) -> Check {
        let too_many = limits::PAGE + 1;
        self.refuses::<state::List>(&json!({"owner": "ann", "limit": too_many}), Code::PageTooLarge)?;
        self.refuses::<state::List>(&json!({"owner": "ann", "limit": 0}), Code::PageTooLarge)?;
        self.refuses::<state::List>(&json!({"owner": "ann", "cursor": "00112233"}), Code::InvalidCursor)?;
        self.refuses::<state::Owners>(&json!({"limit": too_many}), Code::PageTooLarge)?;
        self.refuses::<state::Owners>(&json!({"limit": 0}), Code::PageTooLarge)?;
        self.refuses::<state::Owners>(&json!({"cursor": "00112233"}), Code::InvalidCursor)?;
        self.refuses::<tool_call::List>(&json!({"limit": 0}), Code::PageTooLarge)?;
        self.refuses::<tool_call::List>(&json!({"prefix": "p"}), Code::InvalidValue)?;
        self.refuses::<session::List>(&json!({"cursor": "zz"}), Code::InvalidCursor)?;
        self.refuses::<state::Get>(&json!({"owner": "", "key": "a"}), Code::IdEmpty)?;
        self.refuses::<item::Search>(&json!({"path": [""]}), Code::IdEmpty)?;
        self.refuses::<item::Search>(&json!({"limit": 0}), Code::PageTooLarge)?;
        self.refuses::<item::ListPaths>(&json!({"max_depth": 0}), Code::InvalidValue)?;
        self.refuses::<item::ListPaths>(&json!({"cursor": "00112233"}), Code::InvalidCursor)?;
        self.refuses::<item::Get>(&json!({"path": [], "key": "k"}), Code::PathLength)?;
        if self.model.item_index.is_none() {
            self.refuses::<item::Search>(&json!({"query": "x"}), Code::ItemsNotIndexed)?;
        }
        let Some((name, collection)) = self.model.collections.iter().next() else { return Ok(()) };
        if let Some(dimension) = collection.dimension {
            // JSON has no such number: only a typed request can hold it.
            let vector = Some(vec![f32::NAN; dimension]);
            let search = record::Search { vector, ..record::Search::new(name.as_str()) };
            let found = self.engine.read(self.snapshot, search);
            refused("a search for no number", found, Code::VectorNotFinite)?;
        }
        self.refuses::<link::List>(&json!({"collection": name, "record": "nobody"}), Code::RecordNotFound)?;
        let traverse = json!({"collection": name, "records": ["nobody"], "depth": 0});
        self.refuses::<link::Traverse>(&traverse, Code::InvalidValue)?;
        let search = json!({"collection": name, "limit": 1});
        self.refuses::<record::Search>(&search, Code::SearchNeedsVector)?;
        for filter in [json!({"n": {"$near": 1}}), json!({"$or": []}), json!([])] {
            let list = json!({"collection": name, "filter": filter});
            self.refuses::<record::List>(&list, Code::InvalidValue)?;
        }
        Ok(())
    }
}

fn refused<T>(what: &str, result: Result<T>, code: Code) -> Check {
    match result.map_err(|err: Error| err.code()) {
        Err(found) if found == code => Ok(()),
        Err(found) => Err(format!("{what} was refused with {found}, not {code}")),
        Ok(_) => Err(format!("{what} was not refused with {code}")),
    }
}

/// Refusals of the handle itself.
pub(crate) fn of_the_handle(engine: &Engine, options: Options) -> Check {
    let (env, dir) = (engine.env(), engine.dir());
    refused("opening a second time", Engine::open(env, dir, options), Code::Locked)?;
    let missing = Options { create: false, ..options };
    let nowhere = Engine::open(env, Path::new("/data/nowhere"), missing);
    refused("opening nothing", nowhere, Code::DatabaseNotFound)?;
    let future = Lsn(engine.lsn().0 + 1);
    let snapshot = engine.snapshot_at_least(agentdb_engine::NamespaceId::DEFAULT, future);
    refused("a snapshot of the future", snapshot, Code::SnapshotNotReached)?;
    refused("a namespace that never was", engine.namespace("nobody"), Code::NamespaceNotFound)
}
