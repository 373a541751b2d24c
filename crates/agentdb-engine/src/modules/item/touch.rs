//! `item.touch`.

use agentdb_types::{Code, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::find;
use super::get::Entry;
use super::path::key_of;
use super::row::Expiry;
use crate::Table;
use crate::modules::check_page;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Where an item is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The path.
    pub path: Vec<String>,
    /// The key under the path.
    pub key: String,
}

/// Renews the time to live of items, and reads them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// The items, 10,000 at most.
    pub items: Vec<Place>,
}

/// The answer to [`Touch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Touched {
    /// The items in the order asked; null where there is none.
    pub items: Vec<Option<Entry>>,
}

impl Request for Touch {
    type Response = Touched;
    const ABOUT: About = About {
        name: "item.touch",
        doc: "Renews the time to live of items as if they were put now, and reads them. Their values and versions stay; those without a time to live are read only. It is what a get or a search does that renews.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "item.write",
        resource: &[],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::TtlOutOfRange, Code::PathLength],
    };
}

impl WriteRequest for Touch {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Touched> {
        check_page(self.items.len())?;
        let items = self.items.iter().map(|place| touch(tx, place)).collect::<Result<_>>()?;
        Ok(Touched { items })
    }

    fn weight(&self) -> usize {
        let place = |place: &Place| {
            64 + place.key.len() + place.path.iter().map(|segment| 32 + segment.len()).sum::<usize>()
        };
        256 + self.items.iter().map(place).sum::<usize>()
    }
}

fn touch(tx: &mut Tx<'_>, place: &Place) -> Result<Option<Entry>> {
    let key = key_of(tx, &place.path, &place.key)?;
    let Some(mut item) = find(tx, &key)? else { return Ok(None) };
    if let Some(expiry) = &mut item.expiry {
        let ends = tx.now().after(expiry.ttl)?;
        // Nothing is noted for the sweeper: it has a note of an earlier time, and notes this one when it comes to that.
        if ends != expiry.ends {
            *expiry = Expiry { ends, ..*expiry };
            tx.put_bookkeeping(key.in_table(Table::ItemExpiry), expiry.encode())?;
        }
    }
    Entry::new(&key, item, None).map(Some)
}
