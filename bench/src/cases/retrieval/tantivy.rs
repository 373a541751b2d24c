//! tantivy, bare: texts alone, a commit a batch.

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use tantivy::collector::TopDocs;
use tantivy::merge_policy::NoMergePolicy;
use tantivy::query::QueryParser;
use tantivy::schema::{
    IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _,
};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, doc};

use super::data::Data;
use super::system::{Alternated, Answers, BATCH, Search, System, each_query, timed};

pub struct Tantivy {
    data: Rc<Data>,
    index: Index,
    writer: Option<IndexWriter>,
    reader: IndexReader,
    parser: QueryParser,
}

impl Tantivy {
    pub fn open(dir: &Path, data: &Rc<Data>) -> Result<Self> {
        let dir = dir.join("tantivy");
        std::fs::create_dir_all(&dir)?;
        let mut schema = Schema::builder();
        schema.add_text_field("id", STRING | STORED);
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("default")
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing));
        let index = Index::create_in_dir(dir, schema.build())?;
        let writer: IndexWriter = index.writer_with_num_threads(1, 64 << 20)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let parser = QueryParser::for_index(&index, vec![text]);
        Ok(Tantivy { data: data.clone(), index, writer: Some(writer), reader, parser })
    }

    fn found(&self, words: &str) -> Result<Vec<String>> {
        let searcher = self.reader.searcher();
        let id = self.index.schema().get_field("id")?;
        let hits =
            searcher.search(&self.parser.parse_query(words)?, &TopDocs::with_limit(10).order_by_score())?;
        let found = hits.into_iter().map(|(_, address)| {
            let document: TantivyDocument = searcher.doc(address)?;
            let found = document.get_first(id).and_then(|value| value.as_str().map(str::to_owned));
            found.context("a document without an id")
        });
        found.collect()
    }
}

impl System for Tantivy {
    fn name(&self) -> &'static str {
        "tantivy"
    }

    fn load(&mut self, range: Range<usize>, durable: bool) -> Result<Option<u64>> {
        let Some(writer) = self.writer.as_mut().filter(|_| durable) else { return Ok(None) };
        let schema = self.index.schema();
        let (id, text) = (schema.get_field("id")?, schema.get_field("text")?);
        let mut took = 0;
        for records in self.data.records[range].chunks(BATCH) {
            let documents =
                records.iter().map(|record| doc!(id => record.id.clone(), text => record.text.clone()));
            let documents: Vec<TantivyDocument> = documents.collect();
            let put = || {
                for document in documents {
                    writer.add_document(document)?;
                }
                Ok(writer.commit()?)
            };
            took += timed(put)?.0;
        }
        Ok(Some(took))
    }

    /// Its best: one segment.
    fn index(&mut self) -> Result<u64> {
        let mut writer = self.writer.take().context("it is indexed")?;
        let merge = || {
            writer.merge(&self.index.searchable_segment_ids()?).wait()?;
            writer.wait_merging_threads()?;
            Ok(self.reader.reload()?)
        };
        Ok(timed(merge)?.0)
    }

    fn search(&mut self, search: &Search) -> Result<Option<Answers>> {
        match search {
            Search::Words => each_query(&self.data, |query| self.found(&query.words)).map(Some),
            _ => Ok(None),
        }
    }

    fn alternate(&mut self, _count: usize) -> Result<Option<Alternated>> {
        Ok(None)
    }
}
