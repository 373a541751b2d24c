//! The values of what was put, as far as they are still there.

use agentdb_types::{ErrorKind, Lsn, Result};
use serde_json::Value;

use super::Thing;
use super::changes::Found;
use crate::key::Key;
use crate::modules::{blob, checkpoint, collection, item, link, record, session, state, tool_call};
use crate::operation::{ReadRequest, encode_json};
use crate::planted::{self, Bug};
use crate::read::Read;
use crate::{Row, Snapshot};

/// What a change put at this version; none if it is not there any more as it was put.
pub(super) fn of(snapshot: &Snapshot, found: &Found, lsn: Lsn) -> Result<Option<Value>> {
    let Some(row) = snapshot.get(&Key::from_bytes(found.row.clone()))? else { return Ok(None) };
    if row.lsn != lsn && !planted::is(Bug::OtherVersionShown) {
        return Ok(None);
    }
    let mut value = match read(snapshot, found, &row) {
        Ok(value) => value,
        // It has expired, or what it was part of is gone.
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
    };
    // Its name may belong to another one by now, and its row wait to be swept.
    let another = value.get("version").and_then(Value::as_u64).is_some_and(|version| version != row.lsn.0);
    if let Value::Object(fields) = &mut value {
        unversioned(&found.told.thing).iter().for_each(|field| drop(fields.remove(*field)));
    }
    Ok(Some(value).filter(|value| !another && !value.is_null()))
}

/// What a get operation shows besides, and that changes without a new version.
fn unversioned(thing: &Thing) -> &'static [&'static str] {
    match thing {
        Thing::Session { .. } => &["updated", "expires", "messages", "last_sequence"],
        Thing::Collection { .. } => &["records"],
        Thing::Checkpoint { .. } => &["writes"],
        // A touch renews it.
        Thing::Item { .. } => &["expires"],
        // A lease ends by itself.
        Thing::ToolCall { .. } => &["state"],
        _ => &[],
    }
}

fn read(snapshot: &Snapshot, found: &Found, row: &Row) -> Result<Value> {
    fn shown<R: ReadRequest>(snapshot: &Snapshot, get: &R) -> Result<Value> {
        encode_json(&get.read(snapshot)?)
    }
    match found.told.thing.clone() {
        Thing::State { owner, key } => shown(snapshot, &state::Get::new(owner, key)),
        Thing::Session { session } => shown(snapshot, &session::Get { session }),
        Thing::Message { session, message, .. } => {
            shown(snapshot, &session::message::Get { session, message })
        }
        Thing::Item { path, key } => shown(snapshot, &item::Get { path, key }),
        Thing::ToolCall { owner, key } => shown(snapshot, &tool_call::Get { owner, key }),
        Thing::Blob { blob } => shown(snapshot, &blob::Stat { blob }),
        Thing::Collection { collection } => shown(snapshot, &collection::Get { collection }),
        Thing::Record { collection, record } => {
            shown(snapshot, &record::Get { collection, record, include_vector: true })
        }
        Thing::Link { collection, record, link_type, to_collection, to } => shown(
            snapshot,
            &link::Get { collection, record, link_type, to, to_collection: Some(to_collection) },
        ),
        Thing::Thread { thread } => encode_json(&checkpoint::thread::shown(thread, row)?),
        Thing::Checkpoint { thread, namespace, checkpoint } => {
            shown(snapshot, &checkpoint::Get { thread, namespace, checkpoint: Some(checkpoint) })
        }
        Thing::CheckpointWrite { thread, .. } => {
            let key = Key::from_bytes(found.row.clone());
            encode_json(&checkpoint::pending_write(snapshot, &thread, &key, row)?)
        }
        Thing::Namespace
        | Thing::Messages { .. }
        | Thing::Records { .. }
        | Thing::Links { .. }
        | Thing::Checkpoints { .. } => Ok(Value::Null),
    }
}
