//! Searches that are read page by page, while others write.

use agentdb_engine::{decode, modules::record::Search};
use agentdb_types::{Code, limits};
use serde_json::{Value, json};

use super::Sim;
use crate::check::{Check, same_hits};
use crate::generate;

/// Searches that are read by pages at a time.
const PAGINGS: usize = 4;

/// A search of which not all pages were read.
pub(super) struct Paging {
    number: u64,
    request: Value,
    /// The hits that are still to come.
    rest: Vec<Value>,
    /// When the last page was asked for.
    used_us: u64,
    /// Whether the handle that it was begun with is gone.
    lost: bool,
}

impl Sim {
    /// Goes on with searches by pages, and begins one now and then.
    pub(super) fn pages(&mut self) -> Check {
        if self.dice.chance(1, 6) {
            self.world.advance_us(limits::SEARCH_PIN_IDLE_US);
        }
        for mut paging in std::mem::take(&mut self.pagings) {
            if self.dice.chance(1, 2) || self.go_on(&mut paging)? {
                self.pagings.push(paging);
            }
        }
        if self.pagings.len() < PAGINGS { self.begin_pages() } else { Ok(()) }
    }

    /// The handle is gone: what was kept for further pages is.
    pub(super) fn lose_pages(&mut self) {
        self.pagings.iter_mut().for_each(|paging| paging.lost = true);
    }

    fn begin_pages(&mut self) -> Check {
        let engine = self.engine()?;
        let model = self.visible_model(engine.lsn().0)?.clone();
        let alive: Vec<u64> = self.alive(&model).collect();
        let number = alive[self.dice.below(alive.len() as u64) as usize];
        let namespace = &model.namespaces[&number];
        let names: Vec<&String> = namespace.collections.keys().collect();
        if names.is_empty() {
            return Ok(());
        }
        let name = names[self.dice.below(names.len() as u64) as usize];
        let collection = &namespace.collections[name];
        let search = generate::search(&mut self.dice, collection);
        let everything = crate::model::Search { limit: Some(limits::PAGE), ..search };
        let Some(handle) = self.handles.get(&number).copied() else { return Ok(()) };
        // The engine looks at the clock when it is asked for a snapshot.
        if let Err(err) = engine.snapshot(handle) {
            return self.excuse("a snapshot", &err);
        }
        self.advance()?;
        let Ok(rest) = collection.search(&everything, self.log_time) else { return Ok(()) };
        let mut request = everything.request(name);
        request["pages"] = json!(true);
        let used_us = self.env.clock.monotonic_us();
        let mut paging = Paging { number, request, rest, used_us, lost: false };
        if self.go_on(&mut paging)? {
            self.pagings.push(paging);
        }
        Ok(())
    }

    /// Reads a page as of whatever is newest; returns whether there is another one.
    fn go_on(&mut self, paging: &mut Paging) -> Check<bool> {
        let engine = self.engine()?;
        let Some(handle) = self.handles.get(&paging.number) else { return Ok(false) };
        let snapshot = match engine.snapshot(*handle) {
            Ok(snapshot) => snapshot,
            Err(err) if err.code() == Code::NamespaceNotFound => return Ok(false),
            Err(err) => return self.excuse("a page of a search", &err).map(|()| false),
        };
        // It has looked at the clock.
        self.advance()?;
        paging.request["limit"] = json!(1 + self.dice.below(4));
        let limit = paging.request["limit"].as_u64().unwrap_or(1) as usize;
        let search: Search = decode(paging.request.clone()).map_err(|err| err.to_string())?;
        let found = engine.read(&snapshot, search);
        let idle_us = self.env.clock.monotonic_us() - paging.used_us;
        let found = match found {
            Ok(found) if !paging.lost => found,
            Ok(found) => return Err(format!("a page of a handle that is gone was answered: {found:?}")),
            // Another handle may have pinned another snapshot under the number.
            Err(err)
                if [Code::SearchCursorExpired, Code::InvalidCursor].contains(&err.code()) && paging.lost =>
            {
                self.report.count("pages of a handle that is gone", 1);
                return Ok(false);
            }
            Err(err) if err.code() == Code::SearchCursorExpired && idle_us >= limits::SEARCH_PIN_IDLE_US => {
                self.report.count("pages that were asked for too late", 1);
                return Ok(false);
            }
            Err(err) => return self.excuse("a page of a search", &err).map(|()| false),
        };
        paging.used_us = self.env.clock.monotonic_us();
        self.report.count("pages of searches", 1);
        let hits = serde_json::to_value(&found.hits).map_err(|err| err.to_string())?;
        let expected: Vec<Value> = paging.rest.drain(..limit.min(paging.rest.len())).collect();
        let more = !paging.rest.is_empty();
        if !same_hits(&hits, &expected) || found.cursor.is_some() != more {
            let request = &paging.request;
            return Err(format!("{request} was answered\n    {found:?}, not\n    {}", json!(expected)));
        }
        paging.request["cursor"] = json!(found.cursor);
        Ok(more)
    }
}
