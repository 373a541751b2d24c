//! `state.owners`.

use agentdb_types::{Code, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::has_expired;
use crate::key::Key;
use crate::modules::check_page;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::{Page, Read};
use crate::{Snapshot, Table, cursor};

/// Lists the owners that have state.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Owners {
    /// Only owners that start so.
    #[serde(default)]
    pub prefix: String,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last owner to the first.
    #[serde(default)]
    pub reverse: bool,
}

/// An owner that has state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// The owner.
    pub owner: String,
}

/// The answer to [`Owners`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnersListed {
    /// The owners, in byte order.
    pub items: Vec<Owner>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for Owners {
    type Response = OwnersListed;
    const ABOUT: About = About {
        name: "state.owners",
        doc: "Lists the owners that have state in byte order, page by page, forwards or backwards. The cost is that of the owners, not of their values.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "state.read",
        resource: &[],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

impl ReadRequest for Owners {
    fn read(&self, snapshot: &Snapshot) -> Result<OwnersListed> {
        let limit = self.limit.unwrap_or(limits::PAGE_DEFAULT);
        check_page(limit)?;
        let prefix = snapshot.key(Table::State).text_prefix(&self.prefix);
        let mut walk = Walk { from: prefix.clone(), to: prefix.after_prefix(), reverse: self.reverse };
        if let Some(cursor) = &self.cursor {
            walk.leave(cursor::decode(&prefix, cursor)?);
        }
        let mut items: Vec<Owner> = Vec::new();
        while let Some(owner) = walk.next(snapshot)? {
            if items.len() == limit {
                let last = items.last().map(|last| snapshot.key(Table::State).text(&last.owner));
                return Ok(OwnersListed { items, cursor: last.map(|last| cursor::encode(&prefix, &last)) });
            }
            walk.leave(snapshot.key(Table::State).text(&owner));
            items.push(Owner { owner });
        }
        Ok(OwnersListed { items, cursor: None })
    }
}

/// The keys that are still to be walked.
struct Walk {
    from: Key,
    to: Option<Key>,
    reverse: bool,
}

impl Walk {
    /// The owner of the first row there is that has not expired.
    fn next(&self, snapshot: &Snapshot) -> Result<Option<String>> {
        let direction = if self.reverse { Page::Backward } else { Page::Forward };
        let mut found = None;
        snapshot.scan(&self.from, self.to.as_ref(), direction, &mut |key, row| {
            if !has_expired(&row, snapshot.now())? {
                found = Some(key.components().text()?);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Goes on behind all keys of an owner, whose start is given.
    fn leave(&mut self, owner: Key) {
        if self.reverse {
            self.to = Some(owner);
        } else {
            // Every key has an end, since no table has the last number.
            self.from = owner.after_prefix().unwrap_or(owner);
        }
    }
}
