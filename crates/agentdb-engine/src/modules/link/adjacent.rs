//! The links of a node, in the order in which they are told: those that go out before those that come in, then by type, then by
//! the collection of the record at the other end, the oldest first, and by its id.

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ends, LinkRow, Place, corrupt, key};
use crate::key::Key;
use crate::read::{Page, Read};
use crate::{Row, Table, cursor, row_json};

/// Which links of a record are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Those that go from it.
    #[default]
    Out,
    /// Those that go to it.
    In,
    /// All of them; one from the record to itself is told both ways.
    Both,
}

/// Which way a link goes, seen from one of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// From it.
    Out,
    /// To it.
    In,
}

impl Side {
    fn table(self) -> Table {
        match self {
            Side::Out => Table::Link,
            Side::In => Table::LinkBack,
        }
    }
}

/// A link, seen from one of its nodes.
pub(super) struct Adjacent {
    pub(super) side: Side,
    pub(super) link_type: String,
    /// The other end.
    pub(super) other: Place,
    /// The row of the link, if it goes out.
    row: Option<Row>,
    /// The components of its key behind the node.
    rest: Vec<u8>,
}

impl Adjacent {
    /// The link's version and row, if it is one of this record.
    pub(super) fn load(&self, rows: &dyn Read, of: &Place) -> Result<(Lsn, LinkRow)> {
        let row = match &self.row {
            Some(row) => row.clone(),
            None => rows
                .get(&key(rows, self.other.node, &self.link_type, of))?
                .ok_or_else(|| corrupt("a link is known at one of its ends only"))?,
        };
        Ok((row.lsn, row_json::decode(&row)?))
    }

    /// The cursor of a page that ends with this link of a node.
    pub(super) fn cursor(&self, rows: &dyn Read, node: u64) -> String {
        let side = match self.side {
            Side::Out => 0,
            Side::In => 1,
        };
        let prefix = list_prefix(rows, node);
        cursor::encode(&prefix, &prefix.clone().raw(&[side]).raw(&self.rest))
    }
}

/// Where a page ended.
pub(super) struct Position {
    side: u8,
    /// The components behind the node.
    rest: Vec<u8>,
}

impl Position {
    pub(super) fn decode(rows: &dyn Read, node: u64, text: &str) -> Result<Self> {
        let prefix = list_prefix(rows, node);
        let key = cursor::decode(&prefix, text)?;
        match key.as_bytes()[prefix.as_bytes().len()..].split_first() {
            Some((&side @ (0 | 1), rest)) => Ok(Position { side, rest: rest.to_vec() }),
            _ => Err(Error::new(Code::InvalidCursor).with("reason", "it names no link")),
        }
    }
}

fn list_prefix(rows: &dyn Read, node: u64) -> Key {
    rows.key(Table::Link).u64(node)
}

/// Which links of a node.
pub(super) struct Selection<'a> {
    pub(super) direction: Direction,
    /// In their order; all if there are none.
    pub(super) types: Vec<&'a str>,
}

impl Selection<'_> {
    fn sides(&self) -> &'static [(u8, Side)] {
        match self.direction {
            Direction::Out => &[(0, Side::Out)],
            Direction::In => &[(1, Side::In)],
            Direction::Both => &[(0, Side::Out), (1, Side::In)],
        }
    }

    /// Calls `visit` with the links behind a position until it returns false.
    pub(super) fn scan(
        &self,
        rows: &dyn Read,
        node: u64,
        after: Option<&Position>,
        visit: &mut dyn FnMut(Adjacent) -> Result<bool>,
    ) -> Result<()> {
        let mut goes_on = true;
        for &(number, side) in self.sides() {
            let all = rows.key(side.table()).u64(node);
            let start = match after {
                Some(after) if after.side > number => continue,
                // Keys are self-delimiting: nothing lies between.
                Some(after) if after.side == number => Some(all.clone().raw(&after.rest).raw(&[0])),
                _ => None,
            };
            let of_types = self.types.iter().map(|link_type| all.clone().text(link_type));
            let whole = self.types.is_empty().then(|| all.clone());
            for prefix in whole.into_iter().chain(of_types) {
                let from = start.clone().map_or(prefix.clone(), |start| start.max(prefix.clone()));
                rows.scan(&from, prefix.after_prefix().as_ref(), Page::Forward, &mut |key, row| {
                    let Ends { link_type, other, .. } = Ends::of(&key)?;
                    let rest = key.as_bytes()[all.as_bytes().len()..].to_vec();
                    let row = (side == Side::Out).then_some(row);
                    goes_on = visit(Adjacent { side, link_type, other, row, rest })?;
                    Ok(goes_on)
                })?;
                if !goes_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
