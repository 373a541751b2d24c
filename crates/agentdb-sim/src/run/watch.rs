//! Change feeds beside the load: with filters of all kinds, left and taken up again at random and across crashes. What they
//! give must be what the model says to have changed, LSN by LSN: nothing left out, nothing twice, nothing too soon.

use agentdb_engine::modules::watch::{Event, Feed, Noun, Watch};
use agentdb_engine::{Engine, NamespaceId};
use agentdb_types::{Code, Error, Lsn};
use serde_json::{Value, json};

use super::Sim;
use crate::check::Check;
use crate::model::{Namespace, changes};

/// Feeds that are watched at a time.
const WATCHERS: usize = 5;

/// A consumer of a feed, which keeps how far it came.
pub(super) struct Watcher {
    number: u64,
    watch: Watch,
    feed: Option<Feed>,
    /// Everything up to here was given or passed over, as the feed said and the model found right.
    position: u64,
    /// The same, as it was at the last event.
    told: u64,
    /// Whether it started where it was told to, and not at the beginning of what there is.
    started: bool,
}

impl Sim {
    /// Watches on, with feeds that go on, that are taken up again, and new ones.
    pub(super) fn watch(&mut self) -> Check {
        let engine = self.engine()?;
        self.look_at_the_clock(&engine)?;
        if self.watchers.len() < WATCHERS && self.dice.chance(1, 2) {
            let watcher = self.new_watcher();
            self.watchers.push(watcher);
        }
        self.refused_feed(&engine)?;
        for mut watcher in std::mem::take(&mut self.watchers) {
            let looks = self.dice.chance(2, 3);
            let at_most = if self.dice.chance(1, 2) { u64::MAX } else { self.dice.below(6) };
            let goes_on = if looks { self.look(&engine, &mut watcher, at_most)? } else { true };
            if self.dice.chance(1, 3) {
                watcher.feed = None;
            }
            // Some are never taken up again.
            if goes_on && !self.dice.chance(1, 40) {
                self.watchers.push(watcher);
            }
            if self.broken {
                break;
            }
        }
        Ok(())
    }

    /// A feed reads the clock only for the sake of values: here engine and model read it together, whatever is watched.
    pub(super) fn look_at_the_clock(&mut self, engine: &Engine) -> Check {
        self.advance()?;
        engine.snapshot(NamespaceId::DEFAULT).map_err(|err| format!("a snapshot: {err}"))?;
        self.learn_names(engine)
    }

    fn new_watcher(&mut self) -> Watcher {
        let alive: Vec<u64> = self.alive(&self.model).collect();
        let number = alive[self.dice.below(alive.len() as u64) as usize];
        let mut watch = Watch { values: self.dice.chance(1, 2), ..Watch::default() };
        if self.dice.chance(1, 2) {
            watch.nouns = Noun::ALL.into_iter().filter(|_| self.dice.chance(1, 3)).collect();
        }
        if self.dice.chance(1, 3) {
            let first = ["ann", "an", "s1", "s\u{0}", "docs", "t1", "\u{4e2d}"];
            watch.key.push(first[self.dice.below(first.len() as u64) as usize].to_owned());
        }
        if self.dice.chance(1, 3) {
            let start = ["a", "s", "t", "d", "c", "\u{0}", "m"];
            start[self.dice.below(start.len() as u64) as usize].clone_into(&mut watch.prefix);
        }
        if self.dice.chance(1, 4) {
            watch.progress = Some(1 + self.dice.below(5));
        }
        let from = self.dice.below(self.model.lsn + 1);
        watch.from = if self.dice.chance(1, 2) { Some(Lsn(from)) } else { None };
        let position = watch.from.map_or(0, |from| from.0.saturating_sub(1));
        Watcher { number, watch, feed: None, position, told: position, started: false }
    }

    /// A feed from where the log has not been.
    fn refused_feed(&mut self, engine: &Engine) -> Check {
        let from = Lsn(self.model.lsn + 2);
        match engine.watch(NamespaceId::DEFAULT, &Watch::from_lsn(from)).map(drop) {
            Err(err) if err.code() == Code::LsnAhead => {
                self.report.count("refused change.watch", 1);
                Ok(())
            }
            Err(err) => self.excuse("a feed", &err),
            Ok(()) => Err(format!("LSN {from} is watched from, and the last one is {}", self.model.lsn)),
        }
    }

    /// Takes events off a feed; returns whether the watcher goes on.
    fn look(&mut self, engine: &Engine, watcher: &mut Watcher, at_most: u64) -> Check<bool> {
        if watcher.feed.is_none() && !self.take_up(engine, watcher)? {
            return Ok(false);
        }
        for _ in 0..at_most {
            let Some(feed) = &mut watcher.feed else { break };
            let next = feed.try_next();
            let position = feed.position().0;
            match next {
                Ok(Some(event)) => {
                    let ends = event.changes.iter().any(|c| json!(c)["noun"] == "namespace");
                    self.check_event(engine, watcher, &event)?;
                    if position != event.lsn.0 {
                        return Err(format!("a feed stands at {position} after the event {event:?}"));
                    }
                    (watcher.position, watcher.told) = (position, position);
                    if ends {
                        return self.ended(watcher);
                    }
                }
                Ok(None) => {
                    self.check_quiet(watcher, watcher.told, position)?;
                    watcher.position = position;
                    self.report.count("watched to the end", 1);
                    // What was acknowledged as durable, or is durable since, is there.
                    if position < self.durable {
                        return Err(format!("a feed ends at {position}, and {} is durable", self.durable));
                    }
                    break;
                }
                Err(err) if err.code() == Code::LogTrimmed => {
                    self.check_quiet(watcher, watcher.told, position)?;
                    (watcher.position, watcher.feed) = (position, None);
                    return self.left_behind(watcher, &err).map(|()| true);
                }
                Err(err) => {
                    watcher.feed = None;
                    return self.excuse("watching", &err).map(|()| true);
                }
            }
        }
        Ok(true)
    }

    /// Opens the feed of a watcher where it stands; returns whether there is one.
    fn take_up(&mut self, engine: &Engine, watcher: &mut Watcher) -> Check<bool> {
        if watcher.started {
            watcher.watch.from = Some(Lsn(watcher.position + 1));
            self.report.count("watched on", 1);
        }
        // It was deleted, or lost, before the process ended.
        let Some(&handle) = self.handles.get(&watcher.number) else { return Ok(false) };
        match engine.watch(handle, &watcher.watch) {
            Ok(feed) => {
                if !watcher.started {
                    watcher.position = feed.position().0;
                    watcher.told = watcher.position;
                    watcher.started = true;
                }
                watcher.feed = Some(feed);
                Ok(true)
            }
            Err(err) if err.code() == Code::LogTrimmed => {
                self.left_behind(watcher, &err)?;
                self.take_up(engine, watcher)
            }
            Err(err) if err.code() == Code::NamespaceNotFound => {
                match self.visible_model(engine.lsn().0)?.namespaces.contains_key(&watcher.number) {
                    true => Err(format!("{} is there and cannot be watched: {err}", watcher.number)),
                    false => Ok(false),
                }
            }
            // It was to start at something that was decided and is not in the log, or is lost.
            Err(err) if err.code() == Code::LsnAhead && !watcher.started => Ok(false),
            Err(err) => self.excuse("a feed", &err).map(|()| false),
        }
    }

    /// What is told of a feed that the log left behind is where it can start.
    fn left_behind(&mut self, watcher: &mut Watcher, err: &Error) -> Check {
        self.report.count("watch log_trimmed", 1);
        self.say(format!("left behind: {err}"));
        let value = |name| err.value(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
        let (from, earliest) = (value("from"), value("earliest"));
        if from != watcher.position + 1 || earliest <= from {
            return Err(format!("a feed that stands at {} was told {err:?}", watcher.position));
        }
        watcher.position = earliest - 1;
        watcher.told = watcher.position;
        watcher.started = true;
        watcher.watch.from = Some(Lsn(earliest));
        Ok(())
    }

    fn ended(&mut self, watcher: &mut Watcher) -> Check<bool> {
        self.report.count("watched namespaces that end", 1);
        match watcher.feed.as_mut().map(Feed::try_next) {
            Some(Err(err)) if err.code() == Code::NamespaceNotFound => Ok(false),
            other => Err(format!("a feed of a namespace that is deleted goes on with {other:?}")),
        }
    }

    /// What the model says that a batch changed, as far as a watcher sees it.
    fn expected(&self, watcher: &Watcher, lsn: u64) -> Check<Vec<Value>> {
        let model = |lsn: u64| self.history.get(&lsn).map(|(model, _)| &model.namespaces);
        let (Some(before), Some(after)) = (model(lsn - 1), model(lsn)) else {
            return Err(format!("LSN {lsn} was watched and never decided"));
        };
        let Some(before) = before.get(&watcher.number) else { return Ok(Vec::new()) };
        let sweeps = self.maintained.contains(&lsn);
        let mut expected = changes::between(before, after.get(&watcher.number), sweeps);
        expected.retain(|change| selects(&watcher.watch, change));
        Ok(expected)
    }

    fn check_event(&mut self, engine: &Engine, watcher: &mut Watcher, event: &Event) -> Check {
        self.say(format!("watched {event:?}"));
        let lsn = event.lsn.0;
        if lsn <= watcher.told || lsn <= watcher.position && watcher.position > watcher.told {
            return Err(format!("a feed that stands at {} gave {event:?}", watcher.position));
        }
        self.check_quiet(watcher, watcher.told, lsn - 1)?;
        let expected = self.expected(watcher, lsn)?;
        let mut given: Vec<Value> = event.changes.iter().map(|change| json!(change)).collect();
        let values: Vec<(Value, bool)> = given.iter_mut().map(take_value).collect();
        let told: Vec<Value> = given.clone();
        given.sort_by_key(Value::to_string);
        if given != expected {
            return Err(format!("LSN {lsn} of {} was told as {told:?}, not {expected:?}", watcher.number));
        }
        for (change, (value, superseded)) in told.iter().zip(values) {
            self.check_value(engine, watcher, (lsn, change), value, superseded)?;
        }
        if expected.is_empty() && watcher.watch.progress.is_none() {
            return Err(format!("LSN {lsn} was told although nothing is watched in it"));
        }
        self.report.count("done change.watch", 1);
        self.report.count("watch progress", u64::from(expected.is_empty()));
        for change in &expected {
            let (noun, kind) = (&change["noun"], &change["kind"]);
            self.report.count(
                &format!("watch {} {}", kind.as_str().unwrap_or_default(), noun.as_str().unwrap_or_default()),
                1,
            );
        }
        Ok(())
    }

    /// A value is the one of the event, and missing only if it is not there any more.
    fn check_value(
        &mut self,
        engine: &Engine,
        watcher: &Watcher,
        (lsn, change): (u64, &Value),
        value: Value,
        superseded: bool,
    ) -> Check {
        if !watcher.watch.values || change["kind"] != "put" {
            return if value.is_null() && !superseded {
                Ok(())
            } else {
                Err(format!("a value of {change} was not asked for"))
            };
        }
        let visible = self.visible_model(engine.lsn().0)?.namespaces.get(&watcher.number);
        let expected = visible.and_then(|model| model.value(change, lsn, self.log_time));
        if visible.is_some()
            && (superseded != expected.is_none() || value != expected.clone().unwrap_or_default())
        {
            return Err(format!("the value of {change} at {lsn} is told as {value}, not {expected:?}"));
        }
        self.report.count(if superseded { "watch superseded" } else { "watch value" }, 1);
        Ok(())
    }

    /// Between these LSNs nothing is watched.
    fn check_quiet(&self, watcher: &Watcher, after: u64, up_to: u64) -> Check {
        for lsn in after + 1..=up_to {
            let missed = self.expected(watcher, lsn)?;
            if !missed.is_empty() {
                return Err(format!("LSN {lsn} of {} was passed over: {missed:?}", watcher.number));
            }
        }
        Ok(())
    }

    /// The process ends, and with it all feeds; those who watch keep where they stand.
    pub(super) fn leave_feeds(&mut self) {
        self.watchers.iter_mut().for_each(|watcher| watcher.feed = None);
    }

    /// Nothing that was ever told may be lost.
    pub(super) fn check_feeds_are_kept(&self, recovered: u64) -> Check {
        match self.watchers.iter().map(|watcher| watcher.position).max() {
            Some(position) if position > recovered => {
                Err(format!("LSN {position} was told to a watcher, and {recovered} was recovered"))
            }
            _ => Ok(()),
        }
    }

    /// Every watcher comes to the end, having seen everything.
    pub(super) fn watch_to_the_end(&mut self, engine: &Engine) -> Check {
        self.look_at_the_clock(engine)?;
        for mut watcher in std::mem::take(&mut self.watchers) {
            // Its feed may have been left behind by the log once more.
            while self.look(engine, &mut watcher, u64::MAX)? && watcher.position < self.model.lsn {}
        }
        Ok(())
    }

    /// Looks at what the engine swept behind an LSN, and lets the model forget it: it must have expired.
    pub(super) fn witness(&mut self, engine: &Engine, before: u64) -> Check {
        let reached = engine.lsn().0;
        let numbers: Vec<u64> = self.alive(&self.model).collect();
        for number in numbers.into_iter().filter(|_| reached > before) {
            let feed = engine.watch(self.handles[&number], &Watch::from_lsn(Lsn(before + 1)));
            let mut feed = feed.map_err(|err| format!("a feed of what was swept: {err}"))?;
            while let Some(event) = feed.try_next().map_err(|err| format!("watching what is swept: {err}"))? {
                let lsn = event.lsn.0;
                let now = self.history.get(&lsn).ok_or("a swept LSN that never was")?.1;
                if event.operation == "internal.retain" {
                    self.witness_retention(number, &event, now)?;
                    continue;
                }
                for change in event.changes.iter().map(|change| json!(change)) {
                    let later = self.history.range_mut(lsn..).map(|(_, (model, _))| model);
                    for model in later.chain([&mut self.model]) {
                        let namespace: Option<&mut Namespace> = model.namespaces.get_mut(&number);
                        if !namespace.is_some_and(|namespace| namespace.forget(&change, now)) {
                            return Err(format!(
                                "at LSN {lsn} {change} was swept in {number}, too soon or twice"
                            ));
                        }
                    }
                    self.report.count("swept and told", 1);
                }
            }
            if feed.position().0 != reached {
                return Err(format!("swept up to {reached}, and told up to {}", feed.position()));
            }
        }
        Ok(())
    }
}

impl Sim {
    /// Lets the model let go of what retention did: it must have been too old, or one too many.
    fn witness_retention(&mut self, number: u64, event: &Event, now: i64) -> Check {
        let lsn = event.lsn.0;
        let before = self.visible_model(lsn - 1)?.namespaces.get(&number);
        let outdated = before.map(|namespace| namespace.outdated(now, &self.history)).unwrap_or_default();
        for change in event.changes.iter().map(|change| json!(change)) {
            let mut thing = change.clone();
            let kind = thing.as_object_mut().and_then(|fields| fields.remove("kind"));
            if kind != Some(json!("expired")) || !outdated.contains(&thing.to_string()) {
                return Err(format!("at LSN {lsn} retention let {change} go in {number}, and was not to"));
            }
            let later = self.history.range_mut(lsn..).map(|(_, (model, _))| model);
            for model in later.chain([&mut self.model]) {
                if let Some(namespace) = model.namespaces.get_mut(&number) {
                    namespace.release(&change, lsn);
                }
            }
            let noun = change["noun"].as_str().unwrap_or_default();
            if noun == "tool_call" {
                self.ledger.let_go(number, &change, lsn);
            }
            self.report.count(&format!("retained no longer: {noun}"), 1);
        }
        Ok(())
    }
}

/// Takes the value off a change.
fn take_value(change: &mut Value) -> (Value, bool) {
    let Value::Object(fields) = change else { return Default::default() };
    let superseded = fields.remove("superseded").is_some_and(|superseded| superseded == true);
    (fields.remove("value").unwrap_or_default(), superseded)
}

/// Whether a watcher sees a change: one of its nouns, below its key. What is deleted takes along what lies below it.
fn selects(watch: &Watch, change: &Value) -> bool {
    let nouns = changes::nouns(change);
    let wanted = |noun: &Noun| nouns.contains(json!(noun).as_str().unwrap_or_default());
    if !watch.nouns.is_empty() && !watch.nouns.iter().any(wanted) {
        return false;
    }
    let takes_links = ["collection", "records", "links"].iter().any(|noun| change["noun"] == *noun);
    let watches_links = watch.nouns.is_empty() || watch.nouns.contains(&Noun::Link);
    if change["kind"] != "put" && takes_links && watches_links {
        return true;
    }
    let (key, depth) = (changes::key(change), watch.key.len());
    if key.iter().zip(&watch.key).any(|(has, wanted)| has != wanted) {
        return false;
    }
    let whole =
        ["namespace", "session", "messages", "collection", "records", "links", "thread", "checkpoints"];
    let takes_along = change["kind"] != "put" && whole.iter().any(|noun| change["noun"] == *noun);
    match key.get(depth) {
        Some(next) => next.starts_with(&watch.prefix),
        None => takes_along || (key.len() == depth && watch.prefix.is_empty()),
    }
}
