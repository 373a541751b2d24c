//! `checkpoint.history`: what the value of a delta channel adds up to.

use std::collections::{BTreeMap, BTreeSet};

use agentdb_types::{Code, Id, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::{self, Encoded};
use super::get::{PendingWrite, present};
use super::rows::{self, Head, Heads, Place, check_namespace, not_found};
use super::thread;
use crate::Snapshot;
use crate::operation::{About, Effect, ReadRequest, Request, Scope};
use crate::read::Read;

/// Reads the histories of channels up to a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The thread.
    pub thread: String,
    /// The part of the thread; empty is the root.
    #[serde(default)]
    pub namespace: String,
    /// The checkpoint; the latest if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// The channels.
    pub channels: Vec<String>,
}

/// The answer to [`History`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Histories {
    /// The history of each channel.
    pub channels: BTreeMap<String, ChannelHistory>,
}

/// What the value of a channel in a checkpoint adds up to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelHistory {
    /// The value that the nearest ancestor has.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub seed: Option<Value>,
    /// The same, if it was given in a serializer's form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded_seed: Option<Encoded>,
    /// The writes behind that ancestor and those that follow, up to the checkpoint's parent, oldest first. What is pending
    /// behind the checkpoint itself is not among them.
    pub writes: Vec<PendingWrite>,
}

impl Request for History {
    type Response = Histories;
    const ABOUT: About = About {
        name: "checkpoint.history",
        doc: "Reads what the values of channels in a checkpoint add up to: the value of the nearest ancestor that has one, and the writes since, oldest first. It follows parents, so that of a fork only its own line counts.",
        effect: Effect::Read,
        scope: Scope::Namespace,
        permission: "checkpoint.read",
        resource: &["thread"],
        sensitive: &["channels"],
        errors: &[Code::CheckpointNotFound],
    };
}

impl ReadRequest for History {
    fn read(&self, snapshot: &Snapshot) -> Result<Histories> {
        check_namespace(&self.namespace)?;
        self.channels.iter().try_for_each(|channel| Id::check("channel", channel).map(drop))?;
        let missing = || not_found(&self.thread, &self.namespace, self.checkpoint.as_deref());
        let thread = thread::find(snapshot, &self.thread)?.ok_or_else(missing)?;
        let target = match &self.checkpoint {
            Some(checkpoint) => checkpoint.clone(),
            None => rows::latest(snapshot, thread.number, &self.namespace)?.ok_or_else(missing)?,
        };
        let place = Place { number: thread.number, namespace: &self.namespace, checkpoint: &target };
        let (head, _) = place.find(snapshot)?.ok_or_else(missing)?;
        let mut channels: BTreeMap<String, ChannelHistory> =
            self.channels.iter().map(|channel| (channel.clone(), ChannelHistory::default())).collect();
        let mut open: BTreeSet<String> = channels.keys().cloned().collect();
        for (checkpoint, head) in Ancestors::new(snapshot, place, &head) {
            if open.is_empty() {
                break;
            }
            let (head, place) = (head?, place.at(&checkpoint));
            for write in rows::writes(snapshot, place)?.into_iter().rev() {
                if let Some(history) =
                    channels.get_mut(&write.channel).filter(|_| open.contains(&write.channel))
                {
                    history.writes.push(write.shown()?);
                }
            }
            for (channel, history) in channels.iter_mut().filter(|(channel, _)| open.contains(*channel)) {
                if let Some(hash) = rows::channel(snapshot, place, &head, channel)? {
                    let seed = content::load(snapshot, head.root, &hash)?;
                    (history.seed, history.encoded_seed) = seed.shown()?;
                }
            }
            open.retain(|channel| {
                channels[channel].seed.is_none() && channels[channel].encoded_seed.is_none()
            });
        }
        channels.values_mut().for_each(|history| history.writes.reverse());
        Ok(Histories { channels })
    }
}

/// The ancestors of a checkpoint that are there, nearest first. A line that meets itself ends.
pub(super) struct Ancestors<'a> {
    rows: &'a dyn Read,
    place: Place<'a>,
    next: Option<String>,
    seen: BTreeSet<String>,
}

impl<'a> Ancestors<'a> {
    pub(super) fn new(rows: &'a dyn Read, place: Place<'a>, head: &Head) -> Self {
        let seen = BTreeSet::from([place.checkpoint.to_owned()]);
        Ancestors { rows, place, next: head.parent.clone(), seen }
    }
}

impl Iterator for Ancestors<'_> {
    type Item = (String, Result<Head>);

    fn next(&mut self) -> Option<Self::Item> {
        let checkpoint = self.next.take().filter(|checkpoint| self.seen.insert(checkpoint.clone()))?;
        match self.place.at(&checkpoint).find(self.rows).transpose()? {
            Ok((head, _)) => {
                self.next = head.parent.clone();
                Some((checkpoint, Ok(head)))
            }
            Err(err) => Some((checkpoint, Err(err))),
        }
    }
}

/// These checkpoints of a part, and those that the values of their delta channels add up from, back to the nearest ancestor that
/// has a value. What stays for the sake of others alone need not add up itself: channels have their values at different
/// checkpoints, and would otherwise hold each other, back to the first.
pub(super) fn needed<'a>(
    rows: &dyn Read,
    place: Place<'_>,
    all: &'a Heads,
    roots: impl IntoIterator<Item = &'a String>,
) -> Result<BTreeSet<&'a String>> {
    let mut needed = BTreeSet::new();
    // Where the line of a channel was followed before, it was followed to its end.
    let mut followed = BTreeSet::new();
    for root in roots {
        let Some(head) = all.get(root) else { continue };
        needed.insert(root);
        for channel in head.delta_channels() {
            let (mut at, mut head) = (root, head);
            while rows::channel(rows, place.at(at), head, channel)?.is_none()
                && let Some(parent) = head.parent.as_ref().and_then(|parent| all.get_key_value(parent))
                && followed.insert((channel, parent.0))
            {
                (at, head) = parent;
                needed.insert(at);
            }
        }
    }
    Ok(needed)
}
