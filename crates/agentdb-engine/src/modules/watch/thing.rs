//! What a change is about.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A noun that can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// An owner’s keyed values.
    State,
    /// Sessions.
    Session,
    /// Messages of sessions.
    Message,
    /// What is known of blobs.
    Blob,
    /// Items.
    Item,
    /// Tool calls.
    ToolCall,
    /// Collections.
    Collection,
    /// Records of collections.
    Record,
    /// Links between records.
    Link,
    /// Threads.
    Thread,
    /// Checkpoints of threads.
    Checkpoint,
    /// Writes of tasks behind checkpoints.
    CheckpointWrite,
}

impl Noun {
    /// Every noun.
    pub const ALL: [Noun; 12] = [
        Noun::State,
        Noun::Session,
        Noun::Message,
        Noun::Blob,
        Noun::Item,
        Noun::ToolCall,
        Noun::Collection,
        Noun::Record,
        Noun::Link,
        Noun::Thread,
        Noun::Checkpoint,
        Noun::CheckpointWrite,
    ];
}

/// What changed: its noun and its key, in the words of the operations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "noun", rename_all = "snake_case")]
pub enum Thing {
    /// The namespace itself with everything in it; only ever deleted, and the end of the feed.
    Namespace,
    /// A value.
    State {
        /// Its owner.
        owner: String,
        /// Its key.
        key: String,
    },
    /// A session. Deleting it deletes its messages.
    Session {
        /// The session.
        session: String,
    },
    /// All messages of a session that goes on; only ever deleted.
    Messages {
        /// The session.
        session: String,
    },
    /// A message.
    Message {
        /// The session.
        session: String,
        /// The message.
        message: String,
        /// Its place in the session.
        sequence: u64,
    },
    /// What is known of a blob.
    Blob {
        /// Its address.
        blob: String,
    },
    /// An item.
    Item {
        /// Its path.
        path: Vec<String>,
        /// Its key.
        key: String,
    },
    /// A tool call.
    ToolCall {
        /// Its owner.
        owner: String,
        /// Its key.
        key: String,
    },
    /// A collection. Deleting it deletes its records, and all links from and to them.
    Collection {
        /// The collection.
        collection: String,
    },
    /// All records of a collection that was truncated, or deleted and created again in one batch, and all links from and to them; only
    /// ever deleted.
    Records {
        /// The collection.
        collection: String,
    },
    /// A record. What is told of its links when it goes is apart.
    Record {
        /// The collection.
        collection: String,
        /// The record.
        record: String,
    },
    /// A link.
    Link {
        /// The collection of the record that it goes from.
        collection: String,
        /// That record.
        record: String,
        /// The type.
        #[serde(rename = "type")]
        link_type: String,
        /// The collection of the record that it goes to.
        to_collection: String,
        /// That record.
        to: String,
    },
    /// All links from and to a record that is gone; only ever deleted.
    Links {
        /// The collection.
        collection: String,
        /// The record.
        record: String,
    },
    /// A thread. Deleting it deletes its checkpoints and writes.
    Thread {
        /// The thread.
        thread: String,
    },
    /// All checkpoints and writes of a thread that was deleted and begun again in one batch; only ever deleted.
    Checkpoints {
        /// The thread.
        thread: String,
    },
    /// A checkpoint.
    Checkpoint {
        /// The thread.
        thread: String,
        /// The part of the thread; empty is the root.
        namespace: String,
        /// The checkpoint.
        checkpoint: String,
    },
    /// A write of a task behind a checkpoint.
    CheckpointWrite {
        /// The thread.
        thread: String,
        /// The part of the thread; empty is the root.
        namespace: String,
        /// The checkpoint.
        checkpoint: String,
        /// The task.
        task: String,
        /// The write's place among those of the task.
        index: i64,
    },
}

impl Thing {
    /// The nouns whose watchers must hear of it: its own, and those of what goes with it when it is deleted.
    pub(super) fn nouns(&self, deleted: bool) -> &'static [Noun] {
        let with_it: &'static [Noun] = match self {
            Thing::Namespace => &Noun::ALL,
            Thing::State { .. } => &[Noun::State],
            Thing::Session { .. } => &[Noun::Session, Noun::Message],
            Thing::Messages { .. } | Thing::Message { .. } => &[Noun::Message],
            Thing::Blob { .. } => &[Noun::Blob],
            Thing::Item { .. } => &[Noun::Item],
            Thing::ToolCall { .. } => &[Noun::ToolCall],
            Thing::Collection { .. } => &[Noun::Collection, Noun::Record, Noun::Link],
            Thing::Records { .. } => &[Noun::Record, Noun::Link],
            Thing::Record { .. } => &[Noun::Record],
            Thing::Link { .. } | Thing::Links { .. } => &[Noun::Link],
            Thing::Thread { .. } => &[Noun::Thread, Noun::Checkpoint, Noun::CheckpointWrite],
            Thing::Checkpoints { .. } => &[Noun::Checkpoint, Noun::CheckpointWrite],
            Thing::Checkpoint { .. } => &[Noun::Checkpoint],
            Thing::CheckpointWrite { .. } => &[Noun::CheckpointWrite],
        };
        if deleted { with_it } else { &with_it[..1] }
    }

    /// Whether other things go with it when it is deleted.
    pub(super) fn holds_others(&self) -> bool {
        match self {
            Thing::Namespace
            | Thing::Session { .. }
            | Thing::Messages { .. }
            | Thing::Collection { .. }
            | Thing::Records { .. }
            | Thing::Links { .. }
            | Thing::Thread { .. }
            | Thing::Checkpoints { .. } => true,
            Thing::State { .. }
            | Thing::Message { .. }
            | Thing::Blob { .. }
            | Thing::Item { .. }
            | Thing::ToolCall { .. }
            | Thing::Record { .. }
            | Thing::Link { .. }
            | Thing::Checkpoint { .. }
            | Thing::CheckpointWrite { .. } => false,
        }
    }

    /// Whether links go with it when it is deleted, whatever record they go from: the key of a link starts with that one.
    pub(super) fn takes_links(&self) -> bool {
        matches!(self, Thing::Collection { .. } | Thing::Records { .. } | Thing::Links { .. })
    }

    /// The components of the key, from the outside in.
    pub(super) fn key(&self) -> Vec<Cow<'_, str>> {
        match self {
            Thing::Namespace => vec![],
            Thing::State { owner, key } | Thing::ToolCall { owner, key } => vec![owner.into(), key.into()],
            Thing::Item { path, key } => path.iter().chain([key]).map(Cow::from).collect(),
            Thing::Session { session } | Thing::Messages { session } => vec![session.into()],
            Thing::Message { session, message, sequence } => {
                vec![session.into(), message.into(), sequence.to_string().into()]
            }
            Thing::Blob { blob } => vec![blob.into()],
            Thing::Collection { collection } | Thing::Records { collection } => vec![collection.into()],
            Thing::Record { collection, record } | Thing::Links { collection, record } => {
                vec![collection.into(), record.into()]
            }
            Thing::Link { collection, record, link_type, to_collection, to } => {
                [collection, record, link_type, to_collection, to].into_iter().map(Cow::from).collect()
            }
            Thing::Thread { thread } | Thing::Checkpoints { thread } => vec![thread.into()],
            Thing::Checkpoint { thread, namespace, checkpoint } => {
                vec![thread.into(), namespace.into(), checkpoint.into()]
            }
            Thing::CheckpointWrite { thread, namespace, checkpoint, task, index } => {
                vec![
                    thread.into(),
                    namespace.into(),
                    checkpoint.into(),
                    task.into(),
                    index.to_string().into(),
                ]
            }
        }
    }
}
