//! `checkpoint.put`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Id, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::{Content, Encoded};
use super::rows::{self, Head, Place, check_namespace};
use super::thread;
use crate::modules::{encode_fields, weigh_fields};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::read::Read;
use crate::tx::Tx;

/// Stores a checkpoint of a thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The thread: 1 to 512 bytes. It is created if it does not exist.
    pub thread: String,
    /// The part of the thread, such as a subgraph: up to 512 bytes; empty is the root.
    #[serde(default)]
    pub namespace: String,
    /// The checkpoint's id: 1 to 512 bytes, greater than those before it. A UUID version 7 if not given. One that is there
    /// is replaced; its writes stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The checkpoint that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The version, a text or a number, of each channel that the checkpoint has.
    #[serde(default)]
    pub versions: Map<String, Value>,
    /// Values of channels: any JSON up to 1 MiB and 32 deep. Those whose version was stored before may be left out.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// Values of channels in a serializer's form.
    #[serde(default)]
    pub encoded: BTreeMap<String, Encoded>,
    /// Channels that have a version and no value.
    #[serde(default)]
    pub empty: Vec<String>,
    /// What else the framework keeps in a checkpoint: a JSON object up to 1 MiB.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// What a list can be filtered by: a JSON object up to 1 MiB. `run_id` names the run, and
    /// `counters_since_delta_snapshot` the delta channels.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// The answer to [`Put`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// The thread.
    pub thread: String,
    /// The part of the thread.
    pub namespace: String,
    /// The checkpoint's id.
    pub checkpoint: String,
    /// Whether there was none of this id.
    pub created: bool,
    /// Its version.
    pub version: Lsn,
}

impl Put {
    /// A checkpoint of a thread's root without channels.
    pub fn new(thread: impl Into<String>) -> Self {
        Put { thread: thread.into(), ..Self::default() }
    }

    /// The contents to store, none for a channel that is empty.
    pub(super) fn contents(&self) -> Result<BTreeMap<&String, Option<Content>>> {
        let mut contents = BTreeMap::new();
        let mut add = |channel, content| match contents.insert(channel, content) {
            None => Ok(()),
            Some(_) => Err(Error::new(Code::InvalidValue)
                .with("field", channel)
                .with("reason", "a channel is in one of `values`, `encoded` and `empty`")),
        };
        for (channel, value) in &self.values {
            add(channel, Some(Content::json("values", value)?))?;
        }
        for (channel, encoded) in &self.encoded {
            add(channel, Some(Content::encoded(encoded)?))?;
        }
        self.empty.iter().try_for_each(|channel| add(channel, None))?;
        contents.keys().try_for_each(|channel| Id::check("channel", channel).map(drop))?;
        Ok(contents)
    }

    /// The checkpoint that it follows, if that is there.
    pub(super) fn parent_of<'a>(
        &'a self,
        tx: &Tx<'_>,
        place: Place<'a>,
    ) -> Result<Option<(Place<'a>, Head)>> {
        let Some(parent) = &self.parent else { return Ok(None) };
        Ok(place.at(parent).find(tx)?.map(|(head, _)| (place.at(parent), head)))
    }

    pub(super) fn check(&self) -> Result<()> {
        check_namespace(&self.namespace)?;
        for (field, id) in [("checkpoint", &self.checkpoint), ("parent", &self.parent)] {
            if let Some(id) = id {
                Id::check(field, id)?;
            }
        }
        for (channel, version) in &self.versions {
            check_version(channel, version)?;
        }
        encode_fields("data", &self.data)?;
        encode_fields("metadata", &self.metadata)?;
        Ok(())
    }
}

impl Request for Put {
    type Response = Stored;
    const ABOUT: About = About {
        name: "checkpoint.put",
        doc: "Stores a checkpoint of a thread. Values of channels are stored once: those whose version was stored before may be left out, and what repeats the value before costs what it adds.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "checkpoint.write",
        resource: &["thread"],
        sensitive: &["values", "encoded", "data", "metadata"],
        errors: &[Code::ValueTooLarge, Code::DepthExceeded],
    };
}

impl WriteRequest for Put {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Stored> {
        self.check()?;
        let contents = self.contents()?;
        let thread = thread::ensure(tx, &self.thread)?;
        let checkpoint = self.checkpoint.clone().unwrap_or_else(|| tx.new_id().into());
        let place = Place { number: thread.number, namespace: &self.namespace, checkpoint: &checkpoint };
        let before = place.find(tx)?;
        let parent = self.parent_of(tx, place)?;
        let mut head = Head {
            parent: self.parent.clone(),
            versions: self.versions.clone(),
            own: BTreeMap::new(),
            data: self.data.clone(),
            metadata: self.metadata.clone(),
            created: tx.now(),
            root: thread.root,
        };
        for (channel, content) in contents {
            let base = match &parent {
                Some((place, head)) => rows::channel(tx, *place, head, channel)?,
                None => None,
            };
            rows::set_channel(tx, place, &mut head, channel, content, base)?;
        }
        if let Some((before, _)) = &before {
            rows::unlink(tx, place, before)?;
        }
        rows::write(tx, place, &head)?;
        Ok(Stored {
            thread: self.thread.clone(),
            namespace: self.namespace.clone(),
            created: before.is_none(),
            version: tx.lsn(),
            checkpoint,
        })
    }

    fn weight(&self) -> usize {
        let encoded: usize = self.encoded.values().map(|encoded| encoded.data.len()).sum();
        let maps = [&self.versions, &self.values, &self.data, &self.metadata];
        512 + encoded + maps.into_iter().map(weigh_fields).sum::<usize>()
    }
}

/// Checks a channel and its version.
pub(super) fn check_version(channel: &str, version: &Value) -> Result<()> {
    Id::check("channel", channel)?;
    match version {
        Value::String(text) => Id::check("version", text),
        Value::Number(_) => Ok(()),
        _ => Err(Error::new(Code::InvalidValue)
            .with("field", "versions")
            .with("reason", "the version of a channel is a text or a number")),
    }
}
