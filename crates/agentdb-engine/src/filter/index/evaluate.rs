//! Answering filters: conjunctions from the most selective term on, with what each leaves over as the candidates of the next.
//!
//! Every part of a filter has two answers: the records that surely pass, and those that may. The former grow by union and
//! intersection as records that pass do, and a negation turns one into what is without the other; so the records that remain in
//! doubt are those of the whole filter alone, and each payload is looked at once.

use roaring::RoaringBitmap;

use super::answer::Asking;
use super::estimate::Count;
use super::paths::{Known, Node};
use super::plan::{How, PlanTerm};
use super::term::{Ask, Term};

/// The answer of a term, among the candidates.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    /// Records that pass.
    pub(super) sure: RoaringBitmap,
    /// Other records, that may pass.
    pub(super) maybe: RoaringBitmap,
}

/// The evaluation of a filter.
pub(super) struct Evaluation<'a> {
    pub(super) root: &'a Node,
    /// Every record.
    pub(super) all: &'a RoaringBitmap,
}

/// Nanoseconds that looking at a payload takes, about: it is read, and the filter evaluated.
const VERIFY_NS: u64 = 5_000;
/// How many times more gathering a record costs than looking at the value of a candidate saves.
const COLUMN_WORTH: u64 = 8;

impl Evaluation<'_> {
    /// The answer of a term among the candidates.
    pub(super) fn answer(&self, term: &Term<'_>, candidates: &RoaringBitmap) -> (Answer, PlanTerm) {
        let count = self.root.estimate(term, self.all.len());
        let (answer, how, terms) = match term {
            Term::All(terms) if terms.is_empty() => {
                (Answer { sure: candidates.clone(), maybe: RoaringBitmap::new() }, How::Constant, Vec::new())
            }
            Term::All(terms) => self.all_of(terms, candidates),
            Term::Any(terms) => self.any_of(terms, candidates),
            Term::Not(term) => {
                let (Answer { sure, maybe }, plan) = self.answer(term, candidates);
                (Answer { sure: candidates - sure - &maybe, maybe }, How::Combined, vec![plan])
            }
            Term::Ask(path, ask) => {
                let (answer, how) = self.ask(path, ask, count, candidates);
                (answer, how, Vec::new())
            }
        };
        let plan = PlanTerm {
            found: answer.sure.len(),
            unsure: answer.maybe.len(),
            terms,
            ..describe(term, how, count)
        };
        (answer, plan)
    }

    fn all_of(&self, terms: &[Term<'_>], candidates: &RoaringBitmap) -> (Answer, How, Vec<PlanTerm>) {
        let mut ordered: Vec<_> = terms.iter().map(|t| (self.root.estimate(t, self.all.len()), t)).collect();
        ordered.sort_by_key(|(count, _)| (count.high, count.low));
        let mut left = Answer { sure: candidates.clone(), maybe: RoaringBitmap::new() };
        let mut plans = Vec::with_capacity(terms.len());
        for (count, term) in ordered {
            let candidates = &left.sure | &left.maybe;
            if candidates.is_empty() {
                plans.push(describe(term, How::Skipped, count));
            } else if left.sure.len() * VERIFY_NS < self.cost(term, count, candidates.len()) {
                plans.push(PlanTerm { unsure: candidates.len(), ..describe(term, How::Verified, count) });
                left = Answer { sure: RoaringBitmap::new(), maybe: candidates };
            } else {
                let (answer, plan) = self.answer(term, &candidates);
                plans.push(plan);
                let sure = &left.sure & &answer.sure;
                left = Answer { maybe: (answer.sure | answer.maybe) - &sure, sure };
            }
        }
        (left, How::Combined, plans)
    }

    fn any_of(&self, terms: &[Term<'_>], candidates: &RoaringBitmap) -> (Answer, How, Vec<PlanTerm>) {
        let mut found = Answer::default();
        let mut plans = Vec::with_capacity(terms.len());
        for term in terms {
            let (answer, plan) = self.answer(term, candidates);
            plans.push(plan);
            found.sure |= answer.sure;
            found.maybe |= answer.maybe;
        }
        found.maybe -= &found.sure;
        (found, How::Combined, plans)
    }

    fn ask(&self, path: &[String], ask: &Ask<'_>, count: Count, candidates: &RoaringBitmap) -> (Answer, How) {
        let node = match self.root.find(path) {
            Known::Nowhere => return (Answer::default(), How::Constant),
            Known::Within(node) => {
                let found = Asking::new(node, None).ask(&Ask::Exists);
                let maybe = found.sure.finish() & candidates;
                return (Answer { sure: RoaringBitmap::new(), maybe }, How::Verified);
            }
            Known::Field(node) => node,
        };
        let scanned = match ask {
            Ask::Contains(_) => node.texts().max(count.high),
            _ => count.high,
        };
        let few = (candidates.len() * COLUMN_WORTH < scanned).then_some(candidates);
        let found = Asking::new(node, few).ask(ask);
        let by_column = found.by_column;
        let (mut sure, mut maybe) = (found.sure.finish(), found.maybe.finish());
        if candidates.len() < self.all.len() {
            sure &= candidates;
            maybe &= candidates;
        }
        maybe -= &sure;
        let how = match by_column {
            _ if !maybe.is_empty() => How::Verified,
            true => How::Column,
            false => How::Index,
        };
        (Answer { sure, maybe }, how)
    }

    /// Nanoseconds that a term takes, about.
    fn cost(&self, term: &Term<'_>, count: Count, candidates: u64) -> u64 {
        match term {
            Term::All(terms) | Term::Any(terms) => {
                let each = |t| self.cost(t, self.root.estimate(t, self.all.len()), candidates);
                terms.iter().map(each).sum()
            }
            Term::Not(term) => self.cost(term, self.root.estimate(term, self.all.len()), candidates),
            Term::Ask(path, ask) => {
                let Known::Field(node) = self.root.find(path) else { return 100 };
                match ask {
                    Ask::Exists | Ask::Equal(_) | Ask::Truths(_) => 500 + count.high / 8,
                    Ask::ContainsAny(_) | Ask::ContainsAll(_) => 500 + count.high / 8,
                    Ask::Numbers(_) | Ask::Times(_) | Ask::Texts(_) => {
                        500 + (count.high * 2).min(candidates * 20)
                    }
                    Ask::Contains(_) => 500 + (node.texts() * 40).min(candidates * 60),
                    Ask::StartsWith(_) => 500 + count.high * 3,
                    Ask::GeoWithin(_) => 2_000 + count.high * 60,
                }
            }
        }
    }
}

impl Node {
    /// How many texts a search for a part of one looks at.
    fn texts(&self) -> u64 {
        self.field.texts.as_ref().map_or(0, |t| t.dictionary.len() as u64)
    }
}

fn describe(term: &Term<'_>, how: How, count: Count) -> PlanTerm {
    let (test, field) = match term {
        Term::All(_) => ("and", None),
        Term::Any(_) => ("or", None),
        Term::Not(_) => ("not", None),
        Term::Ask(path, ask) => (ask.name(), Some(path.join("."))),
    };
    let (low, high) = (count.low, count.high);
    PlanTerm { test: test.to_owned(), field, how, low, high, found: 0, unsure: 0, terms: Vec::new() }
}
