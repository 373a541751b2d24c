//! This database, embedded.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use agentdb::modules::record::SubQuery;
use agentdb::{Ack, Collection, Database, Namespace, Query, json};
use anyhow::Result;

use super::data::{DIMENSION, Data, Record};
use super::system::{Alternated, Answers, BATCH, Search, System, each_query, timed};

pub struct Ours {
    data: Rc<Data>,
    dir: PathBuf,
    db: Database,
    /// Where records go whose writes are answered before they are on the disk.
    written: Option<Namespace>,
}

impl Ours {
    pub fn open(dir: &Path, data: &Rc<Data>) -> Result<Self> {
        let (db, _) = opened(&dir.join("ours"))?;
        Ok(Ours { data: data.clone(), dir: dir.to_owned(), db, written: None })
    }

    fn docs(&self) -> Result<Collection> {
        Ok(self.db.namespace("default")?.collection("docs"))
    }
}

fn opened(dir: &Path) -> Result<(Database, Namespace)> {
    let db = Database::open(dir)?;
    let namespace = db.namespace("default")?;
    namespace.collection("docs").create().dimension(DIMENSION).wait()?;
    Ok((db, namespace))
}

impl System for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn load(&mut self, range: Range<usize>, durable: bool) -> Result<Option<u64>> {
        let namespace = match (durable, &self.written) {
            (true, _) => self.db.namespace("default")?,
            (false, Some(written)) => written.clone(),
            (false, None) => self.written.insert(opened(&self.dir.join("ours-written"))?.1).clone(),
        };
        let docs = namespace.collection("docs");
        let mut took = 0;
        for records in self.data.records[range].chunks(BATCH) {
            let mut batch = namespace.batch().ack(if durable { Ack::Durable } else { Ack::Written });
            for Record { id, text, vector, payload } in records {
                let put = docs.put(&id[..]).vector(vector.clone()).text(&text[..]).payload(payload.clone());
                batch = batch.push(put);
            }
            took += timed(|| Ok(batch.wait()?))?.0;
        }
        Ok(Some(took))
    }

    /// Indexes are made by the first searches.
    fn index(&mut self) -> Result<u64> {
        self.written = None;
        let docs = self.docs()?;
        let vector = self.data.queries[0].vector.clone();
        let first = || {
            docs.search(Query::words("w1"))?;
            Ok(docs.search(Query::vector(vector).filter(json!({"price": {"$lt": 10}})))?)
        };
        Ok(timed(first)?.0)
    }

    fn index_bytes(&self) -> Result<Option<u64>> {
        Ok(Some(self.db.stats()?.record_index_bytes))
    }

    fn search(&mut self, search: &Search) -> Result<Option<Answers>> {
        let docs = self.docs()?;
        let answers = each_query(&self.data, |query| {
            let words = || &query.words[..];
            let vector = query.vector.clone();
            let asked = match search {
                Search::Words => Query::words(words()).ids_only(),
                Search::Records => Query::words(words()),
                Search::Vector(filter) => Query::vector(vector).filter(filter.clone()),
                Search::Hybrid(filter) => {
                    Query::several([SubQuery::words(words()), SubQuery::vector(vector)])
                        .filter(filter.clone())
                }
            };
            Ok(docs.search(asked)?)
        });
        Ok(Some(answers?.map(|hits| hits.into_iter().map(|hit| hit.record).collect())))
    }

    fn alternate(&mut self, count: usize) -> Result<Option<Alternated>> {
        let docs = self.docs()?;
        let payload = || json!({"category": "new", "user": "u0", "price": 0.0, "tags": ["t0", "t1"]});
        let put = |id: &str, text: String| {
            docs.put(id).vector(vec![1.0; DIMENSION]).text(text).payload(payload()).wait()?;
            Ok(())
        };
        let find = |word: &str| {
            let hits = docs.search(Query::words(word).filter(json!({"category": "new"})))?;
            Ok(hits.into_iter().next().map(|hit| hit.record))
        };
        Ok(Some(Alternated::run(count, put, find)?))
    }
}
