//! `tool_call.list`.

use agentdb_types::{Code, Error, Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::get::Entry;
use super::{Place, State, index};
use crate::key::Key;
use crate::modules::{Paging, page_between};
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;
use crate::{Row, Snapshot, Table};

/// Lists calls: all, or those of an owner, in a state, of a tool.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Only this owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Only keys that start so, of one owner.
    #[serde(default)]
    pub prefix: String,
    /// Only those in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Only those of this tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// How many at most; 100 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the last to the first.
    #[serde(default)]
    pub reverse: bool,
}

/// The answer to [`List`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The calls.
    pub items: Vec<Entry>,
    /// Where the next page starts; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

impl Request for List {
    type Response = Listed;
    const ABOUT: About = About {
        name: "tool_call.list",
        doc: "Lists tool calls page by page. An owner’s, and those of a tool, are in the byte order of owner and key. Those in a state are in the order of time: claimed and unknown ones by the end of their lease, the others by when they came into it. The cost is that of the owner’s calls if one is given, else of those in the state, else of the tool’s.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "tool_call.read",
        resource: &["owner"],
        sensitive: &["items"],
        errors: &[Code::PageTooLarge, Code::InvalidCursor],
    };
}

/// Where the keys of a list lie, and how many components of theirs stand before owner and key.
struct Walk {
    prefix: Key,
    from: Key,
    to: Option<Key>,
    /// What stands before: a state and a time, a tool, or nothing.
    head: Head,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Head {
    Nothing,
    State,
    Tool,
}

impl ReadRequest for List {
    fn read(&self, snapshot: &Snapshot) -> Result<Listed> {
        let walk = self.walk(snapshot)?;
        let paging = Paging {
            prefix: &walk.prefix,
            limit: self.limit,
            cursor: self.cursor.as_deref(),
            backward: self.reverse,
        };
        let (items, cursor) =
            page_between(snapshot, &paging, walk.from.clone(), walk.to.clone(), &mut |key, row| {
                self.entry(snapshot, walk.head, &key, row)
            })?;
        Ok(Listed { items, cursor })
    }
}

impl List {
    /// The way through the fewest keys.
    fn walk(&self, snapshot: &Snapshot) -> Result<Walk> {
        if let Some(tool) = &self.tool {
            Id::check("tool", tool)?;
        }
        let whole = |prefix: Key, head| {
            let (from, to) = (prefix.clone(), prefix.after_prefix());
            Walk { prefix, from, to, head }
        };
        match (&self.owner, self.state, &self.tool) {
            (Some(owner), ..) => {
                Id::check("owner", owner)?;
                let prefix = snapshot.key(Table::ToolCall).text(owner).text_prefix(&self.prefix);
                Ok(whole(prefix, Head::Nothing))
            }
            (None, ..) if !self.prefix.is_empty() => Err(Error::new(Code::InvalidValue)
                .with("field", "prefix")
                .with("reason", "a prefix is of the keys of one owner, and none is given")),
            (None, Some(state), _) => {
                let mut walk = whole(index::of_state(snapshot, state), Head::State);
                // A lease that ends now has ended.
                let ended = walk.prefix.clone().u64(snapshot.now().micros().unsigned_abs() + 1);
                match state {
                    State::Unknown => walk.to = Some(ended),
                    State::Claimed => walk.from = ended,
                    State::Retryable | State::Completed | State::Failed => {}
                }
                Ok(walk)
            }
            (None, None, Some(tool)) => Ok(whole(index::of_tool(snapshot, tool), Head::Tool)),
            (None, None, None) => Ok(whole(snapshot.key(Table::ToolCall), Head::Nothing)),
        }
    }

    /// The call of a key of the list, if it is one that is asked for.
    fn entry(&self, snapshot: &Snapshot, head: Head, key: &Key, row: Row) -> Result<Option<Entry>> {
        let mut parts = key.components();
        let mut time = None;
        match head {
            Head::Nothing => {}
            Head::State => {
                parts.u64()?;
                time = Some(parts.u64()?);
            }
            Head::Tool => drop(parts.text()?),
        }
        let (owner, key) = (parts.text()?, parts.text()?);
        let place = Place { owner: &owner, key: &key };
        let row = if head == Head::Nothing { Some(row) } else { snapshot.get(&place.row(snapshot))? };
        let Some(row) = row else { return Ok(None) };
        let found = Entry::of(place, &row, snapshot.now())?;
        // The index may hold what the row does not say any more: a sealed row goes with its subject's key, its index stays.
        let stands_for = |entry: &Entry| {
            let now = entry.lease_end.unwrap_or(entry.updated).micros().unsigned_abs();
            time.is_none_or(|time| time == now)
        };
        let asked = |entry: &Entry| {
            stands_for(entry)
                && self.state.is_none_or(|state| state == entry.state)
                && self.tool.as_ref().is_none_or(|tool| *tool == entry.tool)
        };
        Ok(found.filter(asked))
    }
}
