//! A filter as the planner takes it: what is asked of each field, negations apart, ranges of one field joined.

use std::cmp::Ordering;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use agentdb_types::Timestamp;
use serde_json::Value;

use super::super::{Filter, Operand, Shape, Test};
use super::number::Num;
use super::ordered::Ends;

/// A filter, or a part of it.
#[derive(Clone, Debug)]
pub(super) enum Term<'a> {
    All(Vec<Term<'a>>),
    Any(Vec<Term<'a>>),
    Not(Box<Term<'a>>),
    /// What is asked of the field at a path.
    Ask(&'a [String], Ask<'a>),
}

/// What is asked of one field; an absent one never has it.
#[derive(Clone, Debug)]
pub(super) enum Ask<'a> {
    Exists,
    /// Equal to one of these.
    Equal(Vec<&'a Operand>),
    /// Whether false will do, and whether true will.
    Truths([bool; 2]),
    Numbers(Ends<Num>),
    Times(Ends<Num>),
    Texts(Ends<&'a str>),
    Contains(&'a Operand),
    ContainsAny(&'a [Operand]),
    ContainsAll(&'a [Operand]),
    StartsWith(&'a str),
    GeoWithin(&'a Shape),
}

impl<'a> Term<'a> {
    pub(super) fn of(filter: &'a Filter) -> Term<'a> {
        match filter {
            Filter::All(parts) => {
                let mut terms = Vec::new();
                parts.iter().for_each(|part| Term::of(part).join(&mut terms));
                match terms.len() {
                    1 => terms.swap_remove(0),
                    _ => Term::All(terms),
                }
            }
            Filter::Any(parts) => Term::Any(parts.iter().map(Term::of).collect()),
            Filter::Not(part) => Term::Not(Box::new(Term::of(part))),
            Filter::Field(path, test) => Term::of_test(path, test),
        }
    }

    fn of_test(path: &'a [String], test: &'a Test) -> Term<'a> {
        let ask = |ask| Term::Ask(path, ask);
        let not = |ask| Term::Not(Box::new(Term::Ask(path, ask)));
        match test {
            Test::Equal(value) => ask(Ask::Equal(vec![value])),
            Test::NotEqual(value) => not(Ask::Equal(vec![value])),
            Test::In(values) => ask(Ask::Equal(values.iter().collect())),
            Test::NotIn(values) => not(Ask::Equal(values.iter().collect())),
            Test::Exists(true) => ask(Ask::Exists),
            Test::Exists(false) => not(Ask::Exists),
            Test::Compare(orders, value) => ask(Ask::of_range(orders, value)),
            Test::Contains(value) => ask(Ask::Contains(value)),
            Test::ContainsAny(values) => ask(Ask::ContainsAny(values)),
            Test::ContainsAll(values) => ask(Ask::ContainsAll(values)),
            Test::StartsWith(prefix) => ask(Ask::StartsWith(prefix)),
            Test::GeoWithin(shape) => ask(Ask::GeoWithin(shape)),
        }
    }

    /// Adds itself to the terms of a conjunction: those of a conjunction one by one, a range to another one of the same field and
    /// type. A field has one number, time or text at most, so that one in both ranges is one in what they share.
    fn join(self, terms: &mut Vec<Term<'a>>) {
        let (path, ask) = match self {
            Term::All(parts) => return parts.into_iter().for_each(|p| p.join(terms)),
            Term::Ask(path, ask) => (path, ask),
            other => return terms.push(other),
        };
        let joined = terms.iter_mut().any(|term| match (term, &ask) {
            (Term::Ask(p, Ask::Numbers(a)), Ask::Numbers(b)) if *p == path => narrow(a, *b),
            (Term::Ask(p, Ask::Times(a)), Ask::Times(b)) if *p == path => narrow(a, *b),
            (Term::Ask(p, Ask::Texts(a)), Ask::Texts(b)) if *p == path => narrow(a, *b),
            _ => false,
        });
        if !joined {
            terms.push(Term::Ask(path, ask));
        }
    }
}

impl<'a> Ask<'a> {
    fn of_range(orders: &[Ordering], operand: &'a Operand) -> Ask<'a> {
        match operand {
            Operand::Json(Value::Number(number)) => Ask::Numbers(ends(orders, Num::new(number))),
            Operand::Json(Value::String(text)) => Ask::Texts(ends(orders, text.as_str())),
            Operand::Json(Value::Bool(truth)) => {
                Ask::Truths([false, true].map(|t| orders.contains(&t.cmp(truth))))
            }
            Operand::Time(time) => Ask::Times(ends(orders, Num::time(*time))),
            // Nothing else has an order.
            Operand::Json(_) | Operand::Times(_) => Ask::Truths([false, false]),
        }
    }

    /// The name of the test, for plans.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Ask::Exists => "exists",
            Ask::Equal(values) if values.len() == 1 => "equal",
            Ask::Equal(_) => "in",
            Ask::Truths(_) | Ask::Numbers(_) | Ask::Times(_) | Ask::Texts(_) => "range",
            Ask::Contains(_) => "contains",
            Ask::ContainsAny(_) => "contains_any",
            Ask::ContainsAll(_) => "contains_all",
            Ask::StartsWith(_) => "starts_with",
            Ask::GeoWithin(_) => "geo_within",
        }
    }
}

/// The range of one time.
pub(super) fn at(time: Timestamp) -> Ends<Num> {
    (Included(Num::time(time)), Included(Num::time(time)))
}

fn ends<T>(orders: &[Ordering], value: T) -> Ends<T> {
    let equal = orders.contains(&Ordering::Equal);
    if orders.contains(&Ordering::Greater) {
        (if equal { Included(value) } else { Excluded(value) }, Unbounded)
    } else {
        (Unbounded, if equal { Included(value) } else { Excluded(value) })
    }
}

fn narrow<T: Ord + Copy>(a: &mut Ends<T>, b: Ends<T>) -> bool {
    a.0 = tighter(a.0, b.0, Ordering::Greater);
    a.1 = tighter(a.1, b.1, Ordering::Less);
    true
}

fn tighter<T: Ord + Copy>(a: Bound<T>, b: Bound<T>, wins: Ordering) -> Bound<T> {
    match (a, b) {
        (Unbounded, other) | (other, Unbounded) => other,
        (Included(x) | Excluded(x), Included(y) | Excluded(y)) if x != y => {
            if x.cmp(&y) == wins {
                a
            } else {
                b
            }
        }
        (Excluded(_), _) => a,
        _ => b,
    }
}
