//! The first stage of a search: one query, or several whose rankings become one.

use std::collections::HashMap;

use agentdb_text::Explanation;
use agentdb_types::{Code, Error, Result};
use agentdb_vector::Metric;
use serde_json::Value;

use super::answer::Share;
use super::diversity::Diverse;
use super::feedback::Feedback;
use super::fuse::{self, Fusion, fuse};
use super::plan::{QueryPlan, SearchPlan};
use super::query::SubQuery;
use super::rerank::Stages;
use super::searcher::{Explainer, Ranked, Ready, Scale, Searcher, in_32_bits};
use crate::filter::Filter;
use crate::modules::check_page;

/// Queries of one search, at most.
const QUERIES: usize = 16;
/// Records that a query of several finds for the ranking of all, at least, if it does not say.
const CANDIDATES: usize = 100;

/// What ranks records first.
pub(super) enum First<'a> {
    One(Ready<'a>, Option<Filter>),
    Several(Several<'a>),
}

/// Several queries.
pub(super) struct Several<'a> {
    queries: Vec<One<'a>>,
    fusion: Fusion,
    /// How many records a query finds that does not say.
    pool: usize,
    feedback: Option<Feedback>,
}

/// One of several queries, and what it finds at most.
struct One<'a> {
    ready: Ready<'a>,
    weight: f64,
    filter: Option<Filter>,
    limit: Option<usize>,
}

/// A record in the ranking.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) record: String,
    pub(super) score: f32,
    pub(super) shares: Vec<Share>,
    pub(super) stages: Option<Stages>,
    pub(super) diversity: Option<Diverse>,
    pub(super) group: Option<Value>,
}

impl Candidate {
    fn new(record: String, score: f32, shares: Vec<Share>) -> Self {
        Candidate { record, score, shares, stages: None, diversity: None, group: None }
    }
}

/// Records, best first.
pub(super) struct Ranking<'a> {
    pub(super) candidates: Vec<Candidate>,
    pub(super) scale: Scale,
    pub(super) plan: SearchPlan,
    /// Whether a deeper ranking may have more.
    pub(super) is_cut: bool,
    /// What explains scores by words, of the one query or of each of several.
    explainers: HashMap<usize, Explainer<'a>>,
    several: bool,
}

impl Ranking<'_> {
    /// Explains a score, as far as it is by words: the explanation of the one query; of several, those in the shares.
    pub(super) fn explain(&self, record: &str, shares: &mut [Share]) -> Result<Option<Explanation>> {
        let explain = |query: usize| match self.explainers.get(&query) {
            Some(explainer) => explainer.explain(record),
            None => Ok(None),
        };
        if !self.several {
            return explain(0);
        }
        for share in shares {
            share.explanation = explain(share.query)?;
        }
        Ok(None)
    }
}

impl<'a> Several<'a> {
    /// Reads queries; the filter holds for all. `pool` is what the first page decided, `limit` how many hits it has.
    ///
    /// # Errors
    /// Those of one query, with its place in the request.
    pub(super) fn of(
        searcher: &Searcher<'_>,
        queries: &'a [SubQuery],
        (fusion, feedback): (Fusion, Option<Feedback>),
        filter: Option<&Filter>,
        (pool, limit): (Option<usize>, usize),
    ) -> Result<Self> {
        fusion.check()?;
        feedback.map_or(Ok(()), |feedback| feedback.check())?;
        if queries.len() > QUERIES {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "queries")
                .with("reason", format_args!("there are {}, the limit is {QUERIES}", queries.len())));
        }
        let one = |(n, query): (usize, &'a SubQuery)| {
            let one = One::of(searcher, query, filter);
            one.map_err(|err| err.in_part(format_args!("queries[{n}]")))
        };
        let queries = queries.iter().enumerate().map(one).collect::<Result<_>>()?;
        Ok(Several { queries, fusion, feedback, pool: pool.unwrap_or_else(|| limit.max(CANDIDATES)) })
    }

    /// How many records a query finds that does not say.
    fn pool(&self) -> usize {
        self.pool
    }

    /// All that the queries find; with feedback, the second time.
    fn rank(&self, searcher: &Searcher<'_>) -> Result<Ranking<'a>> {
        let given = || self.queries.iter().enumerate().map(|(query, one)| Run::of(query, one));
        let first = self.rank_all(searcher, &given().collect::<Vec<_>>())?;
        let Some(feedback) = &self.feedback else { return Ok(first) };
        let fed = feedback.of(searcher, &mut self.queries.iter().map(|one| &one.ready), &first.candidates)?;
        let mut runs: Vec<Run<'_, 'a>> = given().collect();
        for fed in &fed {
            let given = self.queries[fed.query].weight;
            runs[fed.query].weight -= given * fed.part;
            let more = Run {
                ready: &fed.ready,
                weight: given * fed.part,
                fed: Some(&fed.record),
                ..runs[fed.query]
            };
            runs.push(more);
        }
        // Rounding may leave next to nothing of a weight that was given away whole.
        runs.retain(|run| run.fed.is_some() || run.weight > self.queries[run.query].weight * 1e-9);
        self.rank_all(searcher, &runs)
    }

    fn rank_all(&self, searcher: &Searcher<'_>, runs: &[Run<'_, 'a>]) -> Result<Ranking<'a>> {
        let (mut ids, mut numbers) = (Vec::new(), HashMap::new());
        let (mut rankings, mut plans, mut explainers) = (Vec::new(), Vec::new(), HashMap::new());
        for run in runs {
            let n = run.query;
            let wanted = run.limit.unwrap_or(self.pool);
            let ranked = searcher.rank(run.ready, wanted, run.filter);
            let ranked = ranked.map_err(|err| err.in_part(format_args!("queries[{n}]")))?;
            let Ranked { hits, scale, plan, words } = ranked;
            plans.push(plan);
            explainers.extend(words.map(|words| (n, words)));
            let mut number = |id: String| {
                *numbers.entry(id.clone()).or_insert_with(|| {
                    ids.push(id);
                    ids.len() as u32 - 1
                })
            };
            let hits = hits.into_iter().map(|(id, score)| (number(id), score)).collect();
            let descends = matches!(scale, Scale::Vectors(Metric::Euclidean));
            rankings.push(fuse::Ranking { weight: run.weight, descends, hits });
        }
        let id = |number: u32| &ids[number as usize];
        let fused = fuse(self.fusion, &rankings, &|a, b| id(a).cmp(id(b)));
        let share = |part: fuse::Part| Share {
            query: runs[part.query].query,
            feedback: runs[part.query].fed.map(str::to_owned),
            rank: part.rank,
            score: part.score,
            share: part.share,
            explanation: None,
        };
        let candidate = |found: fuse::Fused| {
            let shares = found.parts.into_iter().map(share).collect();
            let (record, score) = in_32_bits(id(found.ordinal).clone(), found.score)?;
            Ok(Candidate::new(record, score, shares))
        };
        let candidates = fused.into_iter().map(candidate).collect::<Result<_>>()?;
        let cut = |(run, plan): (&Run<'_, 'a>, &QueryPlan)| run.limit.is_none() && plan.found == self.pool;
        let is_cut = runs.iter().zip(&plans).any(cut);
        let plan = SearchPlan::of(plans);
        Ok(Ranking { candidates, scale: Scale::Ascending, plan, is_cut, explainers, several: true })
    }
}

/// A query, or a record that is searched for in its stead, with what it counts.
#[derive(Clone, Copy)]
struct Run<'r, 'a> {
    query: usize,
    ready: &'r Ready<'a>,
    weight: f64,
    filter: Option<&'r Filter>,
    limit: Option<usize>,
    fed: Option<&'r str>,
}

impl<'r, 'a> Run<'r, 'a> {
    fn of(query: usize, one: &'r One<'a>) -> Self {
        let One { ready, weight, filter, limit } = one;
        Run { query, ready, weight: *weight, filter: filter.as_ref(), limit: *limit, fed: None }
    }
}

impl<'a> One<'a> {
    fn of(searcher: &Searcher<'_>, query: &'a SubQuery, filter: Option<&Filter>) -> Result<Self> {
        let (ready, weight) = (searcher.ready(query.part()?)?, query.weight()?);
        query.limit.map_or(Ok(()), check_page).map_err(|err| err.in_part("limit"))?;
        let own = searcher.filter(query.filter.as_ref())?;
        let filters: Vec<Filter> = own.into_iter().chain(filter.cloned()).collect();
        let filter = (!filters.is_empty()).then_some(Filter::All(filters));
        Ok(One { ready, weight, filter, limit: query.limit })
    }
}

impl<'a> First<'a> {
    /// The best records: so many, if it is one query; of several, all that they find.
    pub(super) fn rank(&self, searcher: &Searcher<'_>, depth: usize) -> Result<Ranking<'a>> {
        match self {
            First::One(ready, filter) => {
                let Ranked { hits, scale, plan, words } = searcher.rank(ready, depth, filter.as_ref())?;
                let candidate = |(record, score)| Candidate::new(record, score, Vec::new());
                let candidates = hits.into_iter().map(candidate).collect();
                let is_cut = plan.found == depth;
                let plan = SearchPlan::of(vec![plan]);
                Ok(Ranking {
                    candidates,
                    scale,
                    plan,
                    is_cut,
                    explainers: words.into_iter().map(|words| (0, words)).collect(),
                    several: false,
                })
            }
            First::Several(several) => several.rank(searcher),
        }
    }

    /// How many records each of several queries finds that does not say.
    pub(super) fn pool(&self) -> usize {
        match self {
            First::One(..) => 0,
            First::Several(several) => several.pool(),
        }
    }

    /// Lets each of several queries find more that does not say how many.
    pub(super) fn deepen(&mut self) {
        if let First::Several(several) = self {
            several.pool = several.pool.saturating_mul(4);
        }
    }

    /// The name of the vectors that the one query compares with.
    pub(super) fn using(&self) -> Option<&str> {
        match self {
            First::One(ready, _) => ready.using(),
            First::Several(_) => None,
        }
    }
}
