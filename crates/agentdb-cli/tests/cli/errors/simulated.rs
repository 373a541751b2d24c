//! A small database of everything on a simulated machine, and what may not change when something is refused.

use std::path::{Path, PathBuf};

use agentdb::modules::session::message::Append;
use agentdb::modules::{blob, collection, record, state};
use agentdb::{
    Committed, Digest, Engine, Error, Lsn, NamespaceId, ReadRequest, Result, Value, WriteOptions,
    WriteRequest, json,
};
use agentdb_engine::{Options, Task};
use agentdb_env::sim::World;

use super::told;

pub(super) const DIR: &str = "/db";
pub(super) const LOG: agentdb_log::Options =
    agentdb_log::Options { first_segment_bytes: 16 << 10, segment_bytes: 32 << 10 };

pub(super) struct Simulated {
    pub(super) world: World,
    engine: Option<Engine>,
}

/// What a refusal leaves as it is.
#[derive(Debug, PartialEq)]
pub(super) struct Content {
    lsn: Lsn,
    digests: Vec<Digest>,
}

pub(super) type Files = Vec<(PathBuf, Vec<u8>)>;

pub(super) fn open(world: &World) -> Result<Engine> {
    let options = Options { background: false, log: LOG, ..Options::default() };
    Engine::open(&world.env(), Path::new(DIR), options)
}

pub(super) fn content(engine: &Engine) -> Content {
    let namespaces = [NamespaceId::SYSTEM, NamespaceId::DEFAULT];
    Content { lsn: engine.lsn(), digests: namespaces.map(|n| engine.digest(n).unwrap().1).into() }
}

pub(super) fn files(world: &World) -> Files {
    world.list_all().into_iter().map(|p| (p.clone(), world.read_file(&p).unwrap())).collect()
}

/// Puts all files back as they were.
pub(super) fn restore(world: &World, saved: &Files) {
    for path in world.list_all() {
        if !saved.iter().any(|(p, _)| *p == path) {
            world.env().files.remove(&path).unwrap();
        }
    }
    saved.iter().for_each(|(path, bytes)| world.write_file(path, bytes).unwrap());
}

impl Simulated {
    pub(super) fn new() -> Self {
        Self::with_seed(1)
    }

    pub(super) fn with_seed(seed: u64) -> Self {
        let world = World::new(seed);
        let db = Simulated { engine: Some(open(&world).unwrap()), world };
        db.write(state::Put::new("ann", "plan", json!({"step": 1}))).unwrap();
        db.write(Append {
            owner: Some("ann".into()),
            message: Some("m".into()),
            ..Append::new("s", "user", "hi")
        })
        .unwrap();
        db.call("collection.create", json!({"collection": "docs", "dimension": 2})).unwrap();
        db.write(record::Put {
            record: Some("r".into()),
            vector: Some(vec![1.0, 0.0]),
            ..record::Put::new("docs")
        })
        .unwrap();
        db.call("collection.create", json!({"collection": "texts", "encoder": "other", "dimension": 2}))
            .unwrap();
        db.put_blob(b"bytes").unwrap();
        // A subject's data, sealed in the log.
        let options = WriteOptions { subject: Some("ann".into()), ..WriteOptions::default() };
        let secret = state::Put::new("ann", "secret", json!("sealed"));
        db.engine().write(NamespaceId::DEFAULT, secret, options).unwrap().wait().unwrap();
        db.write(state::Put::new("ann", "last", json!("x".repeat(100)))).unwrap();
        db
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(super) fn write<R: WriteRequest>(&self, request: R) -> Result<Committed<R::Response>> {
        self.engine().write(NamespaceId::DEFAULT, request, WriteOptions::default())?.wait()
    }

    pub(super) fn read<R: ReadRequest>(&self, request: R) -> Result<R::Response> {
        self.engine().read(&self.engine().snapshot(NamespaceId::DEFAULT)?, request)
    }

    pub(super) fn call(&self, operation: &str, request: Value) -> Result<Committed<Value>> {
        let options = WriteOptions::default();
        self.engine().call_json(NamespaceId::DEFAULT, operation, request, options, Lsn(0))
    }

    pub(super) fn put_blob(&self, bytes: &[u8]) -> Result<Committed<blob::Stored>> {
        let (namespace, options) = (NamespaceId::DEFAULT, WriteOptions::default());
        self.engine().put_blob(namespace, &mut &bytes[..], blob::Put::default(), options)
    }

    /// Moves everything into the base.
    pub(super) fn drain(&self) {
        self.engine().step(Task::Freeze).unwrap();
        while self.engine().step(Task::Drain).unwrap() {}
    }

    /// Ends the process, and with it the handle.
    pub(super) fn kill(&mut self) {
        self.world.process_kill();
        self.engine = None;
    }

    pub(super) fn reopen(&mut self) {
        self.kill();
        self.engine = Some(open(&self.world).unwrap());
    }

    /// Does what must be refused: nothing has changed then, in rows, log and files.
    pub(super) fn refuses<T>(&self, values: &[(&str, &str)], act: impl FnOnce(&Self) -> Result<T>) -> Value {
        let before = (content(self.engine()), files(&self.world));
        let err = act(self).err().unwrap_or_else(|| panic!("it was not refused, with {values:?}"));
        assert!((content(self.engine()), files(&self.world)) == before, "{err}: something changed");
        told(&err, values)
    }

    /// As [`Simulated::refuses`], for an operation in JSON form.
    pub(super) fn refuses_call(&self, values: &[(&str, &str)], operation: &str, request: Value) -> Value {
        self.refuses(values, |db| db.call(operation, request))
    }

    /// Damages files of the closed database: opening it fails. Once the files are back it holds what it held.
    pub(super) fn refuses_to_open(
        &mut self,
        values: &[(&str, &str)],
        damage: impl FnOnce(&World, &Files),
    ) -> Value {
        let before = content(self.engine());
        self.kill();
        let saved = files(&self.world);
        damage(&self.world, &saved);
        let err: Error = open(&self.world).err().unwrap_or_else(|| panic!("it opened, with {values:?}"));
        self.world.process_kill();
        self.world.faults().clear();
        restore(&self.world, &saved);
        self.engine = Some(open(&self.world).unwrap());
        assert_eq!(content(self.engine()), before, "{err}");
        told(&err, values)
    }
}

/// The path of the only file whose name holds `part`.
pub(super) fn path_of(files: &Files, part: &str) -> PathBuf {
    files.iter().map(|(p, _)| p).find(|p| p.to_string_lossy().contains(part)).unwrap().clone()
}

/// The bytes of a file.
pub(super) fn bytes_of(files: &Files, path: &Path) -> Vec<u8> {
    files.iter().find(|(p, _)| p == path).unwrap().1.clone()
}

/// A collection as created here.
pub(super) fn collection(name: &str, dimension: usize) -> collection::Create {
    collection::Create {
        collection: name.into(),
        dimension: Some(dimension),
        metric: None,
        encoder: None,
        description: String::new(),
        ..collection::Create::default()
    }
}
