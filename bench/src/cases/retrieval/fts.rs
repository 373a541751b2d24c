//! SQLite's FTS5: texts alone, a transaction a batch, WAL and `synchronous=FULL`.

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use anyhow::Result;
use rusqlite::Connection;

use super::data::Data;
use super::system::{Alternated, Answers, BATCH, Search, System, each_query, timed};

pub struct Fts {
    data: Rc<Data>,
    connection: Connection,
}

impl Fts {
    pub fn open(dir: &Path, data: &Rc<Data>) -> Result<Self> {
        let connection = Connection::open(dir.join("fts.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -262_144)?;
        connection.execute_batch("CREATE VIRTUAL TABLE docs USING fts5(id UNINDEXED, text)")?;
        Ok(Fts { data: data.clone(), connection })
    }

    fn put(&self, id: &str, text: &str) -> Result<()> {
        self.connection.prepare_cached("INSERT INTO docs VALUES (?1, ?2)")?.execute([id, text])?;
        Ok(())
    }

    fn found(&self, words: &str) -> Result<Vec<String>> {
        let any = words.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" OR ");
        let select = "SELECT id FROM docs WHERE docs MATCH ?1 ORDER BY rank LIMIT 10";
        let mut select = self.connection.prepare_cached(select)?;
        let ids = select.query_map([any], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(ids)
    }
}

impl System for Fts {
    fn name(&self) -> &'static str {
        "sqlite_fts5"
    }

    fn load(&mut self, range: Range<usize>, durable: bool) -> Result<Option<u64>> {
        if !durable {
            return Ok(None);
        }
        let mut took = 0;
        for records in self.data.records[range].chunks(BATCH) {
            let put = || {
                let transaction = self.connection.unchecked_transaction()?;
                for record in records {
                    self.put(&record.id, &record.text)?;
                }
                Ok(transaction.commit()?)
            };
            took += timed(put)?.0;
        }
        Ok(Some(took))
    }

    fn index(&mut self) -> Result<u64> {
        let optimize = || Ok(self.connection.execute_batch("INSERT INTO docs(docs) VALUES ('optimize')")?);
        Ok(timed(optimize)?.0)
    }

    fn search(&mut self, search: &Search) -> Result<Option<Answers>> {
        match search {
            Search::Words => each_query(&self.data, |query| self.found(&query.words)).map(Some),
            _ => Ok(None),
        }
    }

    fn alternate(&mut self, count: usize) -> Result<Option<Alternated>> {
        let put = |id: &str, text: String| self.put(id, &text);
        let find = |word: &str| Ok(self.found(word)?.into_iter().next());
        Alternated::run(count, put, find).map(Some)
    }
}
