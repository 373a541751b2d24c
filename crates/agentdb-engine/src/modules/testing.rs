//! A small engine over a simulated machine, for the tests of the modules.

use std::path::Path;

use agentdb_env::sim::World;
use agentdb_types::Result;

use crate::operation::{ReadRequest, WriteRequest};
use crate::read::{Page, Read};
use crate::{BaseOptions, Committed, Engine, NamespaceId, Options, Table, Task, WriteOptions};

pub(crate) struct TestDb {
    pub(crate) world: World,
    pub(crate) namespace: NamespaceId,
    engine: Option<Engine>,
}

pub(crate) const DIR: &str = "/db";

impl TestDb {
    pub(crate) fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let engine = Some(open(&world).unwrap());
        TestDb { world, namespace: NamespaceId::DEFAULT, engine }
    }

    /// The database of a machine whose last handle was killed.
    pub(crate) fn on(world: World) -> Self {
        let engine = Some(open(&world).unwrap());
        TestDb { world, namespace: NamespaceId::DEFAULT, engine }
    }

    /// A machine without a database yet: `reopen` makes it.
    pub(crate) fn absent(seed: u64) -> Self {
        TestDb { world: World::new(seed), namespace: NamespaceId::DEFAULT, engine: None }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn reopen(&mut self) -> Result<()> {
        self.engine = None;
        self.engine = Some(open(&self.world)?);
        Ok(())
    }

    pub(crate) fn run(&self, task: Task) {
        while self.engine().step(task).unwrap() && task != Task::Freeze {}
    }

    /// Moves everything into the base of the rows.
    pub(crate) fn drain(&self) {
        for task in [Task::Sync, Task::Freeze, Task::Drain] {
            self.run(task);
        }
    }

    pub(crate) fn write<R: WriteRequest>(&self, request: R) -> Result<Committed<R::Response>> {
        self.engine().write(self.namespace, request, WriteOptions::default())?.wait()
    }

    pub(crate) fn read<R: ReadRequest>(&self, request: R) -> Result<R::Response> {
        self.engine().read(&self.engine().snapshot(self.namespace)?, request)
    }

    pub(crate) fn rows(&self, table: Table) -> usize {
        let snapshot = self.engine().snapshot(self.namespace).unwrap();
        let mut rows = 0;
        let count = &mut |_, _| {
            rows += 1;
            Ok(true)
        };
        snapshot.scan_prefix(&snapshot.key(table), Page::Forward, count).unwrap();
        rows
    }
}

pub(crate) fn open(world: &World) -> Result<Engine> {
    let options = Options {
        background: false,
        rows: BaseOptions { cache_bytes: 1 << 20, ..BaseOptions::default() },
        log: agentdb_log::Options { first_segment_bytes: 64 << 10, segment_bytes: 256 << 10 },
        ..Options::default()
    };
    Engine::open(&world.env(), Path::new(DIR), options)
}
