//! `checkpoint.put_writes`.

use agentdb_types::{Code, Error, Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::{Content, Encoded};
use super::rows::{Place, Write, check_namespace};
use super::thread;
use crate::modules::weigh;
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Places of writes to channels of which a task has one, which it may replace.
const SPECIAL: [(&str, i64); 4] =
    [("__error__", -1), ("__scheduled__", -2), ("__interrupt__", -3), ("__resume__", -4)];

/// Stores what a task wrote behind a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutWrites {
    /// The thread. It is created if it does not exist.
    pub thread: String,
    /// The part of the thread; empty is the root.
    #[serde(default)]
    pub namespace: String,
    /// The checkpoint behind which the task ran.
    pub checkpoint: String,
    /// The task's id: 1 to 512 bytes.
    pub task: String,
    /// The task's path, by which writes of several tasks are ordered: up to 512 bytes.
    #[serde(default)]
    pub path: String,
    /// The writes, in their order.
    pub writes: Vec<ChannelWrite>,
}

/// A write to a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelWrite {
    /// The channel: 1 to 512 bytes.
    pub channel: String,
    /// The value: any JSON up to 1 MiB and 32 deep.
    #[serde(default)]
    pub value: Value,
    /// The value in a serializer's form, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded: Option<Encoded>,
    /// The write's place among those of the task: its place in the list if not given, and −1 to −4 for the channels
    /// `__error__`, `__scheduled__`, `__interrupt__` and `__resume__`. A write at a place from 0 on that is taken is left
    /// out, so that a task that runs again changes nothing; one below replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<i64>,
}

/// The answer to [`PutWrites`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WritesStored {
    /// How many writes were stored; the others were there.
    pub stored: u64,
}

impl Request for PutWrites {
    type Response = WritesStored;
    const ABOUT: About = About {
        name: "checkpoint.put_writes",
        doc: "Stores what a task wrote behind a checkpoint, which need not be there yet. The same writes again change nothing.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "checkpoint.write",
        resource: &["thread"],
        sensitive: &["writes"],
        errors: &[Code::ValueTooLarge, Code::DepthExceeded],
    };
}

impl WriteRequest for PutWrites {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<WritesStored> {
        check_namespace(&self.namespace)?;
        Id::check("checkpoint", &self.checkpoint)?;
        Id::check("task", &self.task)?;
        if !self.path.is_empty() {
            Id::check("path", &self.path)?;
        }
        let mut writes = Vec::new();
        for (place, write) in self.writes.iter().enumerate() {
            Id::check("channel", &write.channel)?;
            let special = SPECIAL.iter().find(|(channel, _)| *channel == write.channel);
            let index = write.index.or(special.map(|(_, index)| *index)).unwrap_or(place as i64);
            let (task, path) = (self.task.clone(), self.path.clone());
            let content = Content::given(&write.value, write.encoded.as_ref())?;
            let (channel, created) = (write.channel.clone(), tx.now());
            writes.push(Write { task, path, index, channel, content, created });
        }
        if writes.is_empty() {
            return Err(Error::new(Code::InvalidValue)
                .with("field", "writes")
                .with("reason", "there is nothing to write"));
        }
        let thread = thread::ensure(tx, &self.thread)?;
        let place = Place { number: thread.number, namespace: &self.namespace, checkpoint: &self.checkpoint };
        let mut stored = 0;
        for write in writes {
            let key = Write::key(place, tx, &write.task, write.index);
            if write.index < 0 || tx.get(&key)?.is_none() {
                tx.put(key, write.encode()?)?;
                stored += 1;
            }
        }
        Ok(WritesStored { stored })
    }

    fn weight(&self) -> usize {
        let writes = self.writes.iter();
        let bytes = writes.map(|w| 128 + weigh(&w.value) + w.encoded.as_ref().map_or(0, |e| e.data.len()));
        256 + bytes.sum::<usize>()
    }
}
