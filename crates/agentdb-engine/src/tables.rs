//! The tables of rows: every number once. A number, once released, keeps its meaning. 0xff is the base's own.

macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// A table of rows: the component of a key behind the namespace.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Table { $($(#[$doc])* $name = $number,)* }

        impl Table {
            /// Every table.
            pub const ALL: &'static [Table] = &[$(Table::$name),*];

            /// The table of this number.
            pub fn from_number(number: u8) -> Option<Table> {
                match number { $($number => Some(Table::$name),)* _ => None }
            }

            /// The name, for messages and the inspector.
            pub fn name(self) -> &'static str {
                match self { $(Table::$name => $text,)* }
            }
        }
    };
}

tables! {
    /// Counters: (name) to an `i64`.
    Counter = 1 "counter",
    /// Namespaces, in the system namespace: (name) to its head.
    Namespace = 2 "namespace",
    /// Numbers of deleted namespaces, sessions, collections, threads and nodes whose rows are still to be swept.
    Garbage = 3 "garbage",
    /// Outcomes of writes with an idempotency key: (key).
    Idempotency = 4 "idempotency",
    /// What expires when: (time, key of the row).
    Expiry = 5 "expiry",
    /// Names of the numbers of sessions, collections and threads: (kind, number) to the name.
    Name = 6 "name",
    /// Forks of namespaces: in the system namespace those under way, in a fork what it came from: (number of the source).
    Fork = 7 "fork",
    /// In a fork under way: rows of blobs whose files it does not share yet: (address).
    ForkBlob = 8 "fork_blob",
    /// State: (owner, key).
    State = 16 "state",
    /// Sessions: (session).
    Session = 24 "session",
    /// Sessions by owner: (owner, session).
    SessionByOwner = 25 "session_by_owner",
    /// Messages: (layer, sequence).
    Message = 26 "message",
    /// Messages by id: (layer, message) to the sequence.
    MessageById = 27 "message_by_id",
    /// What changes with every message of a session: (session number).
    SessionTally = 28 "session_tally",
    /// What a layer of messages lies on: (layer).
    MessageLayer = 29 "message_layer",
    /// Who lies on a layer of messages: (layer, layer that lies on it); and whether its session has left it: (layer, 0).
    MessageLayerUse = 30 "message_layer_use",
    /// Blobs: (address).
    Blob = 32 "blob",
    /// Blobs that nothing refers to any more: (time, address).
    BlobGarbage = 33 "blob_garbage",
    /// When the file of a deleted blob may go: (address) to the time of its note, `u64` microseconds.
    BlobDue = 34 "blob_due",
    /// Collections: (name).
    Collection = 40 "collection",
    /// Records: (collection number, record).
    Record = 41 "record",
    /// Vectors: (collection number, slot) to the record's id and the vector.
    Vector = 42 "vector",
    /// How far a load into a collection has come: (collection number, source).
    Load = 43 "load",
    /// Threads: (thread).
    Thread = 48 "thread",
    /// Checkpoints: (thread number, namespace, checkpoint).
    Checkpoint = 49 "checkpoint",
    /// Checkpoints by run: (run, thread number, namespace, checkpoint).
    CheckpointByRun = 50 "checkpoint_by_run",
    /// Writes behind checkpoints: (thread number, namespace, checkpoint, task, index).
    CheckpointWrite = 51 "checkpoint_write",
    /// Versions of channels: (thread number, namespace, channel, version) to a content.
    ChannelVersion = 52 "channel_version",
    /// Contents of channels: (number of the first thread, hash).
    ChannelContent = 53 "channel_content",
    /// How often a content is referred to: (number of the first thread, hash) to an `i64`.
    ChannelContentCount = 54 "channel_content_count",
    /// Items: (segments of the path, an empty text, key).
    Item = 56 "item",
    /// When items expire that do, and how long they live: by the keys of [`Table::Item`].
    ItemExpiry = 57 "item_expiry",
    /// How items are searched for: (name of the index).
    ItemIndex = 58 "item_index",
    /// Tool calls: (owner, key).
    ToolCall = 64 "tool_call",
    /// Tool calls by state: (number of the state, end of the lease or time of the change, owner, key).
    ToolCallByState = 65 "tool_call_by_state",
    /// Tool calls by tool: (tool, owner, key).
    ToolCallByTool = 66 "tool_call_by_tool",
    /// Nodes, the ends of links, of records that have one: (collection number, record) to the node.
    Node = 67 "node",
    /// Links: (node that it goes from, type, number of the collection, record, and node that it goes to).
    Link = 68 "link",
    /// The same from the other end: (node that it goes to, type, number of the collection, record, and node that it goes from).
    LinkBack = 69 "link_back",
    /// Versions that ended: (table, components of the row's own key, LSN that ended it).
    History = 72 "history",
    /// How long versions are kept: (noun).
    Retention = 73 "retention",
    /// Which time belongs to which LSN, in the system namespace: (LSN of the chunk's first moment).
    Moment = 74 "moment",
    /// How long things themselves are kept: (noun).
    Policy = 76 "policy",
    /// How far an unfinished import has come: (hash of its first line).
    Import = 79 "import",
    /// Jobs, in the system namespace: (LSN at which it was begun).
    Job = 80 "job",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for &table in Table::ALL {
            assert_eq!(Table::from_number(table as u8), Some(table));
        }
    }
}
