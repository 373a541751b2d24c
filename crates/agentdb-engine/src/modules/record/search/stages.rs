//! The stages of a search behind the first: scoring anew, a threshold, diversity, groups.

use agentdb_types::Result;

use super::Search;
use super::group::{Group, Grouper};
use super::ranking::{Candidate, First, Ranking};
use super::rerank::Reranker;
use super::searcher::{Scale, Searcher};

/// What becomes of the ranking of the first stage.
pub(super) struct Pipeline<'a> {
    search: &'a Search,
    reranker: Option<Reranker<'a>>,
}

/// Which hits, or groups, are wanted.
pub(super) struct Window {
    /// From this one on, counted from 0.
    pub(super) start: usize,
    /// Below this one.
    pub(super) end: usize,
    /// Whether it is to be told if there are more.
    pub(super) tells_more: bool,
    /// Whether several queries may find more than they did at first.
    pub(super) deepens: bool,
}

/// What a search finds, in order.
pub(super) struct Outcome<'a> {
    /// Hits, those of a group together.
    pub(super) hits: Vec<Candidate>,
    /// Whether there are more behind them, if that was to be told.
    pub(super) more: bool,
    pub(super) ranking: Ranking<'a>,
}

impl<'a> Pipeline<'a> {
    /// Refuses stages that cannot be.
    pub(super) fn of(search: &'a Search, searcher: &Searcher<'_>, limit: usize) -> Result<Self> {
        let reranker = search.rerank.as_ref().map(|rerank| rerank.ready(searcher)).transpose();
        let reranker = reranker.map_err(|err| err.in_part("rerank"))?;
        search.diversity.as_ref().map_or(Ok(()), |diversity| diversity.check())?;
        search.group_by.as_ref().map_or(Ok(()), |by| by.check(limit))?;
        Ok(Pipeline { search, reranker })
    }

    /// The hits, or the hits of the groups, of a window.
    pub(super) fn run<'f>(
        &self,
        searcher: &Searcher<'_>,
        first: &mut First<'f>,
        window: &Window,
    ) -> Result<Outcome<'f>> {
        let Window { start, end, .. } = *window;
        // One more tells whether there are more.
        let wanted = end.saturating_add(usize::from(window.tells_more));
        let Some(by) = &self.search.group_by else {
            let (mut ranking, _) = self.ranked(searcher, first, wanted)?;
            let more = ranking.candidates.len() > end;
            let hits = ranking.candidates.drain(..).take(end).skip(start).collect();
            return Ok(Outcome { hits, more, ranking });
        };
        let mut grouper = Grouper::of(by, searcher);
        let mut depth = wanted.saturating_mul(by.size()).max(GROUPED);
        loop {
            let (mut ranking, is_final) = self.ranked(searcher, first, depth)?;
            let ranked = std::mem::take(&mut ranking.candidates);
            ranking.plan.grouped = Some(ranked.len());
            let (groups, is_whole) = grouper.group(searcher, ranked, wanted)?;
            let can_deepen = window.deepens || matches!(first, First::One(..));
            if is_final || is_whole || !can_deepen {
                let more = groups.len() > end;
                let hits = groups.into_iter().take(end).skip(start).flat_map(Group::into_members).collect();
                return Ok(Outcome { hits, more, ranking });
            }
            depth = depth.saturating_mul(4);
            first.deepen();
        }
    }

    /// A ranking so deep, scored anew, good enough and diverse; and whether a deeper one has no more.
    fn ranked<'f>(
        &self,
        searcher: &Searcher<'_>,
        first: &First<'f>,
        depth: usize,
    ) -> Result<(Ranking<'f>, bool)> {
        let diversity = self.search.diversity.as_ref();
        let pool = match (&self.reranker, diversity) {
            (Some(reranker), _) => Some(reranker.candidates()),
            (None, Some(diversity)) => Some(diversity.candidates()),
            (None, None) => None,
        };
        let mut ranking = first.rank(searcher, pool.unwrap_or(depth))?;
        let (mut found, mut scale) = (std::mem::take(&mut ranking.candidates), ranking.scale);
        if let Some(reranker) = &self.reranker {
            found.truncate(reranker.candidates());
            ranking.plan.reranked = Some(found.len());
            found = reranker.rerank(searcher, found, scale).map_err(|err| err.in_part("rerank"))?;
            scale = Scale::Ascending;
        }
        let before = found.len();
        found.retain(|found| scale.is_good(found.score, self.search.threshold));
        let is_final = pool.is_some() || !ranking.is_cut || found.len() < before;
        if let Some(diversity) = diversity {
            found.truncate(diversity.candidates());
            ranking.plan.diversified = Some(found.len());
            // A group may need any of them.
            let take = if self.search.group_by.is_some() { usize::MAX } else { depth };
            found = diversity.order(searcher, found, scale, first.using(), take)?;
        }
        ranking.candidates = found;
        Ok((ranking, is_final))
    }
}

/// Records that are grouped at first, at least.
const GROUPED: usize = 100;
