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
    /// Numbers of deleted namespaces, sessions, collections and threads whose rows are still to be swept.
    Garbage = 3 "garbage",
    /// Outcomes of writes with an idempotency key: (key).
    Idempotency = 4 "idempotency",
    /// What expires when: (time, key of the row).
    Expiry = 5 "expiry",
    /// Names of the numbers of sessions, collections and threads: (kind, number) to the name.
    Name = 6 "name",
    /// State: (owner, key).
    State = 16 "state",
    /// Sessions: (session).
    Session = 24 "session",
    /// Sessions by owner: (owner, session).
    SessionByOwner = 25 "session_by_owner",
    /// Messages: (session number, sequence).
    Message = 26 "message",
    /// Messages by id: (session number, message) to the sequence.
    MessageById = 27 "message_by_id",
    /// Counters of sessions: (session number, name) to an `i64`.
    SessionCounter = 28 "session_counter",
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
