//! `record.search`.

mod answer;
mod diversity;
mod feedback;
mod formula;
mod fuse;
mod group;
mod highlight;
mod page;
mod plan;
mod query;
mod ranking;
mod rerank;
mod searcher;
mod stages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use agentdb_text::Query as Words;
use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use answer::{Found, Hit, Share};
pub use diversity::{Diverse, Diversity};
pub use feedback::Feedback;
pub use formula::{Decay, FieldValue, Formula, Shape};
pub use fuse::{Fusion, Normalize};
pub use group::{GroupBy, Missing};
pub use highlight::Highlight;
pub use plan::{Method, QueryPlan, RecordPlan, SearchPlan};
pub use query::SubQuery;
pub use rerank::{Rerank, Stages};

use highlight::Highlighter;
use page::Page;
use query::Part;
use ranking::{Candidate, First, Ranking, Several};
use searcher::Searcher;
use stages::{Outcome, Pipeline, Window};

use super::{select, vector};
use crate::modules::{check_page, collection};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::{Snapshot, SparseVector};

/// Hits of a page if the request does not say.
const LIMIT_DEFAULT: usize = 10;

/// Finds the records that are nearest to a vector or a text, or that have the words of a query, or both.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// The collection.
    pub collection: String,
    /// The vector to search for. Of vector, text, words, sparse and queries exactly one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// The text to search for, encoded by the collection's encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The words to search the collection's texts for, by BM25: a text, or a query with phrases, prefixes and more
    /// (docs/search.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// The sparse vector to search for: the greatest dot products with those of the name that `using` tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<SparseVector>,
    /// Several queries whose rankings become one: up to 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<SubQuery>,
    /// How they become one; by reciprocal ranks if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<Fusion>,
    /// Whether several queries search twice, the second time for the best records of the first, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Feedback>,
    /// Which of the named vectors to compare with; the one without a name if not given. Texts are encoded for that one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// How many hits at most; 10 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only records whose payload matches (docs/filters.md); filtered inside the search, so that the limit counts matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Only hits at least this good: a least score, or for Euclidean vectors a greatest distance. Of two stages, the score of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Whether to give back the vectors.
    #[serde(default)]
    pub include_vector: bool,
    /// Which fields of the payload to give back, by their paths; all if not given, none of an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Whether to leave out the text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub omit_text: bool,
    /// By which field of the payload to group: the limit counts groups then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<GroupBy>,
    /// How to choose hits that are not all alike, if not the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversity: Option<Diversity>,
    /// How to score the best anew, in a second stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerank: Option<Rerank>,
    /// Which pieces of the texts to show in which words were found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highlight: Option<Highlight>,
    /// Whether to tell how the search is answered, and what scores by words are made of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
    /// Whether more pages may be asked for: the answer has a cursor then if there are more hits, and the snapshot is kept for a
    /// minute after each page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pages: bool,
    /// Where the page before ended: the next hits as of the same LSN. All else is as it was for that page; only the limit may
    /// differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Search {
    /// A search of a collection, for nothing yet.
    pub fn new(collection: impl Into<String>) -> Self {
        Search {
            collection: collection.into(),
            vector: None,
            text: None,
            words: None,
            sparse: None,
            queries: Vec::new(),
            fusion: None,
            feedback: None,
            using: None,
            limit: None,
            filter: None,
            threshold: None,
            include_vector: false,
            fields: None,
            omit_text: false,
            group_by: None,
            diversity: None,
            rerank: None,
            highlight: None,
            explain: false,
            pages: false,
            cursor: None,
        }
    }

    /// The one query that it is, unless it is several.
    fn part(&self) -> Result<Part<'_>> {
        let using = self.using.as_deref();
        match (&self.vector, &self.text, &self.words, &self.sparse, &self.queries[..]) {
            (Some(vector), None, None, None, []) => Ok(Part::Vector(vector, using)),
            (None, Some(text), None, None, []) => Ok(Part::Text(text, using)),
            (None, None, Some(words), None, []) if using.is_none() => Ok(Part::Words(words)),
            (None, None, None, Some(vector), []) => Ok(Part::Sparse(vector, using)),
            (None, None, Some(_), None, []) => Err(Error::new(Code::InvalidValue)
                .with("field", "using")
                .with("reason", "words are not compared with vectors")),
            _ => Err(Error::new(Code::SearchNeedsVector)),
        }
    }
}

impl Request for Search {
    type Response = Found;
    const ABOUT: About = About {
        name: "record.search",
        doc: "Finds the records whose vectors are nearest to a vector or to a text, exactly, by comparing all of them; or that have the words of a query, by BM25; or whose sparse vectors have the greatest products with one; or all of these, several rankings becoming one.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "record.read",
        resource: &["collection"],
        sensitive: &["vector", "text", "words", "sparse", "queries", "filter", "rerank", "hits", "plan"],
        errors: &[
            Code::CollectionNotFound,
            Code::SearchNeedsVector,
            Code::DimensionMismatch,
            Code::VectorNotFinite,
            Code::VectorZero,
            Code::NoEncoder,
            Code::CollectionWithoutEncoder,
            Code::PageTooLarge,
            Code::InvalidCursor,
            Code::SearchCursorExpired,
            Code::CandidatesOutOfRange,
            Code::RerankNeedsOne,
            Code::ScoreNotFinite,
            Code::VectorUnknown,
            Code::FilterTypeMismatch,
            Code::TextQueryInvalid,
            Code::TextQueryTooLarge,
            Code::TextExpansion,
        ],
    };
}

impl ReadRequest for Search {
    fn read(&self, snapshot: &Snapshot) -> Result<Found> {
        let page = Page::of(self, snapshot)?;
        match self.page(&page) {
            // The index let go of what the snapshot needs meanwhile: another one is made of the rows.
            Err(err) if err.code() == Code::TextCompacted => self.page(&page),
            found => found,
        }
    }
}

impl Search {
    fn page(&self, page: &Page) -> Result<Found> {
        let snapshot = &page.snapshot;
        let head = collection::find(snapshot, &self.collection)?;
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        check_page(limit)?;
        select::check(self.fields.as_deref())?;
        if self.threshold.is_some_and(|t| !t.is_finite()) {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "threshold")
                .with("reason", "it is not a finite number"));
        }
        let (collection, explain) = (&*self.collection, self.explain);
        let searcher = Searcher { snapshot, head: &head, collection, explain };
        let mut first = self.first(&searcher, (page.pool, limit))?;
        let pipeline = Pipeline::of(self, &searcher, limit)?;
        let highlighter =
            self.highlight.as_ref().map(|of| Highlighter::of(of, &head, &self.all_words())).transpose()?;
        let has_pages = self.pages || self.cursor.is_some();
        let end = page.position.saturating_add(limit);
        let window =
            Window { start: page.position, end, tells_more: has_pages, deepens: page.pool.is_none() };
        let Outcome { hits, more, ranking } = pipeline.run(&searcher, &mut first, &window)?;
        let answer = Answer { search: self, searcher, ranking: &ranking, highlighter, using: first.using() };
        let hits = answer.hits(hits)?;
        let cursor = if has_pages && more { Some(page.next(self, end, first.pool())?) } else { None };
        let lsn = has_pages.then(|| snapshot.lsn());
        Ok(Found { hits, cursor, lsn, plan: explain.then_some(ranking.plan) })
    }

    /// Every query by words.
    fn all_words(&self) -> Vec<&Words> {
        self.words.iter().chain(self.queries.iter().filter_map(|query| query.words.as_ref())).collect()
    }

    /// What ranks records first.
    fn first(&self, searcher: &Searcher<'_>, (pool, limit): (Option<usize>, usize)) -> Result<First<'_>> {
        let filter = |of: &Option<Value>| searcher.filter(of.as_ref());
        let several =
            self.vector.is_none() && self.text.is_none() && self.words.is_none() && self.sparse.is_none();
        if self.queries.is_empty() || !several {
            let ready = searcher.ready(self.part()?)?;
            let of_several = [("feedback", self.feedback.is_some()), ("fusion", self.fusion.is_some())];
            if let Some((field, _)) = of_several.into_iter().find(|(_, given)| *given) {
                return Err(Error::new(Code::InvalidValue)
                    .with("field", field)
                    .with("reason", "it is for several queries: give the one as one of `queries`"));
            }
            return Ok(First::One(ready, filter(&self.filter)?));
        }
        if self.using.is_some() {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "using")
                .with("reason", "each of several queries says for itself which vectors it compares with"));
        }
        let (how, filter) = ((self.fusion.unwrap_or_default(), self.feedback), filter(&self.filter)?);
        Several::of(searcher, &self.queries, how, filter.as_ref(), (pool, limit)).map(First::Several)
    }
}

/// What hits are made with.
struct Answer<'a> {
    search: &'a Search,
    searcher: Searcher<'a>,
    ranking: &'a Ranking<'a>,
    highlighter: Option<Highlighter<'a>>,
    /// The name of the vectors that were compared.
    using: Option<&'a str>,
}

impl Answer<'_> {
    fn hits(&self, found: Vec<Candidate>) -> Result<Vec<Hit>> {
        if self.needs_nothing() {
            let versions = self.searcher.versions(found.iter().map(|found| &*found.record))?;
            return found
                .into_iter()
                .zip(versions)
                .map(|(found, version)| self.hit(found, version))
                .collect();
        }
        found.into_iter().map(|found| self.hit_with_record(found)).collect()
    }

    /// A hit without anything that its record's row holds.
    fn hit(&self, found: Candidate, version: Lsn) -> Result<Hit> {
        let Candidate { record, score, mut shares, stages, diversity, group } = found;
        let explanation = self.ranking.explain(&record, &mut shares)?;
        Ok(Hit {
            record,
            score,
            shares,
            stages,
            diversity,
            group,
            text: None,
            payload: Map::new(),
            vector: None,
            version,
            highlights: BTreeMap::new(),
            explanation,
        })
    }

    fn hit_with_record(&self, found: Candidate) -> Result<Hit> {
        let Searcher { snapshot, head, .. } = self.searcher;
        let (version, record) = self.searcher.record(&found.record)?;
        let mut hit = self.hit(found, version)?;
        let vector = match (self.search.include_vector, self.using) {
            (false, _) => None,
            (true, None) => vector(snapshot, head.number, record.slot)?,
            (true, Some(name)) => match record.named.get(name) {
                Some(place) => vector(snapshot, place.0, Some(place.1))?,
                None => None,
            },
        };
        hit.vector = vector.map(|row| row.vector);
        hit.highlights = match &self.highlighter {
            Some(of) => of.of_record(&record)?,
            None => BTreeMap::new(),
        };
        hit.text = record.text.filter(|_| !self.search.omit_text);
        hit.payload = select::select(record.payload, self.search.fields.as_deref());
        Ok(hit)
    }

    /// Whether hits have nothing of what their records' rows hold.
    fn needs_nothing(&self) -> bool {
        let Search { include_vector, fields, omit_text, .. } = self.search;
        let fields = fields.as_ref().is_none_or(|fields| !fields.is_empty());
        !(fields || *include_vector || !omit_text || self.highlighter.is_some())
    }
}
