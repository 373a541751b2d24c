//! The one table of error codes. A code, once released, is never reused or renumbered; its page under
//! `docs/errors/` is generated from its row here.

use std::fmt;

/// What the caller must do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the request: the same request will never succeed.
    Invalid,
    /// Fix the request: a stated limit is exceeded.
    Limit,
    /// The thing that the request names is not there.
    NotFound,
    /// The state of the database contradicts the request: read again, decide again.
    Conflict,
    /// Retry later, unchanged: nothing was done.
    Busy,
    /// Call an operator: the machine or the disk refuses (full, read-only, locked, failing).
    Unavailable,
    /// Call an operator: stored bytes are not what was written. Restore from a copy.
    Corruption,
    /// Use a newer version of AgentDB, or a part that this build has not.
    Unsupported,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [ErrorKind; 8] = [
        ErrorKind::Invalid,
        ErrorKind::Limit,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
        ErrorKind::Busy,
        ErrorKind::Unavailable,
        ErrorKind::Corruption,
        ErrorKind::Unsupported,
    ];

    /// The stable name, as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "invalid",
            ErrorKind::Limit => "limit",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Busy => "busy",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Corruption => "corruption",
            ErrorKind::Unsupported => "unsupported",
        }
    }

    /// What the caller must do, in a sentence.
    pub fn advice(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "Fix the request: sent again unchanged, it will fail again.",
            ErrorKind::Limit => "Make the request smaller, or raise the limit where it can be raised.",
            ErrorKind::NotFound => "Check the name; create the thing first if it should be there.",
            ErrorKind::Conflict => "Read the current state, decide again, and send a new request.",
            ErrorKind::Busy => "Retry the same request later, with a growing pause.",
            ErrorKind::Unavailable => "An operator must act on the machine, the disk or the configuration.",
            ErrorKind::Corruption => {
                "An operator must restore the named file from a copy; do not write to it."
            }
            ErrorKind::Unsupported => "Use a version or a build that has it.",
        }
    }

    /// The exit code of the command line tool for errors of this kind. 0 is success, 1 a failed check and 2 a
    /// mistake on the command line itself.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Invalid => 10,
            ErrorKind::Limit => 11,
            ErrorKind::NotFound => 12,
            ErrorKind::Conflict => 13,
            ErrorKind::Busy => 14,
            ErrorKind::Unavailable => 15,
            ErrorKind::Corruption => 16,
            ErrorKind::Unsupported => 17,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! codes {
    ($($number:literal $variant:ident $kind:ident $name:literal $template:literal $cause:literal $action:literal;)*) => {
        /// A stable error code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $cause] $variant,)*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable number.
            pub fn number(self) -> u32 {
                match self { $(Code::$variant => $number,)* }
            }

            /// The code of this number, if this version knows it.
            pub fn from_number(number: u32) -> Option<Code> {
                match number { $($number => Some(Code::$variant),)* _ => None }
            }

            /// What the caller must do.
            pub fn kind(self) -> ErrorKind {
                match self { $(Code::$variant => ErrorKind::$kind,)* }
            }

            /// The stable name, as on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The message, with the names of values in braces.
            pub fn template(self) -> &'static str {
                match self { $(Code::$variant => $template,)* }
            }

            /// What causes it, for the page of the code.
            pub fn cause(self) -> &'static str {
                match self { $(Code::$variant => $cause,)* }
            }

            /// What to do about it, for the page of the code.
            pub fn action(self) -> &'static str {
                match self { $(Code::$variant => $action,)* }
            }
        }
    };
}

codes! {
    1001 IdEmpty Invalid "id_empty"
        "{field} is empty: give at least one byte"
        "An id, a name or a key of zero bytes was given."
        "Give an id of 1 to 512 bytes of UTF-8, or leave the field out where the database can make one.";
    1002 IdTooLong Limit "id_too_long"
        "{field} has {actual} bytes, the limit is {limit}"
        "An id, a name or a key is longer than the limit."
        "Shorten it; ids are kept exactly and never cut.";
    1003 InvalidUtf8 Invalid "invalid_utf8"
        "{field} is not valid UTF-8 at byte {offset}"
        "A text, an id or a name holds bytes that are not UTF-8."
        "Convert the text to UTF-8. Bytes that are not text belong in a blob.";
    1004 InvalidName Invalid "invalid_name"
        "{field} {value} is not a valid name: {reason}"
        "A namespace or collection name has a character outside letters, digits, `_`, `-` and `.`, or starts with a dot."
        "Choose a name of letters, digits, `_`, `-` and `.`.";
    1005 UnknownField Invalid "unknown_field"
        "{operation} has no field {field}; it has {known}"
        "A request in JSON form has a field that the operation does not know."
        "Correct the spelling. Unknown fields are refused, so that a mistyped option is never silently ignored.";
    1006 MissingField Invalid "missing_field"
        "{operation} needs the field {field}"
        "A request in JSON form lacks a field that the operation needs, or a line of an import one of its noun."
        "Add the field; the operation reference lists it, or docs/export.md.";
    1007 InvalidValue Invalid "invalid_value"
        "{field}: {reason}"
        "A field has the wrong type or a value outside its range."
        "Correct the value as the message says.";
    1008 InvalidJson Invalid "invalid_json"
        "{field} is not valid JSON: {reason}"
        "The text is not JSON, has a duplicate key, an integer that does not fit into 64 bits, or a number beyond the range of a 64-bit float. Fractions are kept as the nearest 64-bit float."
        "Correct the text. Large integers that exceed 64 bits must be given as strings.";
    1009 DepthExceeded Limit "depth_exceeded"
        "{field} is nested {actual} deep or more, the limit is {limit}"
        "A JSON value is nested deeper than the limit."
        "Flatten the value, or store it as text or as a blob.";
    1010 ValueTooLarge Limit "value_too_large"
        "{field} has {actual} bytes, the limit for an inline value is {limit}: store it as a blob"
        "An inline value is larger than the limit."
        "Store the bytes with blob.put and keep the blob's id in the value.";
    1011 BatchTooLarge Limit "batch_too_large"
        "the batch has {actual} {unit}, the limit is {limit}"
        "A batch has too many mutations or too many bytes."
        "Split the batch where its parts need not be atomic together.";
    1012 PageTooLarge Limit "page_too_large"
        "a page of {actual} was asked for; it must be between 1 and {limit}"
        "A list operation was asked for more rows than one page may hold, or for none."
        "Ask for a page within the limit and follow its cursor.";
    1013 InvalidCursor Invalid "invalid_cursor"
        "the cursor is not one that this list returned: {reason}"
        "A page cursor was altered, or belongs to another list."
        "Start the list again without a cursor.";
    1014 UnknownOperation Invalid "unknown_operation"
        "there is no operation {name}"
        "The name is in no module's operation table."
        "`agentdb operations` lists every operation.";
    1015 NotBatchable Invalid "not_batchable"
        "{operation} cannot be part of a batch"
        "A read, an upload or an operation across namespaces was put into a batch."
        "Call it by itself.";
    1016 DimensionMismatch Invalid "dimension_mismatch"
        "the vector has {actual} dimensions, the collection has {expected}"
        "A vector's length differs from the collection's dimension."
        "Use the encoder that the collection was made for, or create another collection.";
    1017 DimensionOutOfRange Limit "dimension_out_of_range"
        "a dimension of {actual} was asked for; it must be between 1 and {limit}"
        "A collection was to be created with a dimension of zero, or beyond the limit."
        "Choose a dimension within the limit.";
    1018 VectorNotFinite Invalid "vector_not_finite"
        "component {index} of the vector is {value}: every component must be a finite number"
        "A vector holds NaN or an infinity."
        "Look at the encoder's output: such a vector has no meaningful distance to any other.";
    1019 VectorZero Invalid "vector_zero"
        "the vector has no length, and the cosine to it is undefined"
        "A vector of zeros, or one whose length underflows to zero, was given to a collection with the cosine metric."
        "Leave the vector out, or use the dot product or the Euclidean distance.";
    1020 TtlOutOfRange Invalid "ttl_out_of_range"
        "a time to live of {actual} microseconds was given; it must be between 1 and {limit}"
        "A time to live is zero, negative, or ends beyond the range of times."
        "Give a positive duration; leave it out for a value that does not expire.";
    1021 InvalidPatch Invalid "invalid_patch"
        "the patch cannot be applied: {reason}"
        "A patch meets a value that is not a JSON object, or an increment one that is not an integer, or it would overflow."
        "Read the value and send a whole one with state.put.";
    1022 InvalidTime Invalid "invalid_time"
        "{field} {value} is not a time: {reason}"
        "A time is not RFC 3339, or lies outside the years 1970 to 9999."
        "Write times as 2026-01-31T12:00:00Z.";
    1023 SearchNeedsVector Invalid "search_needs_vector"
        "a search, and each of several queries, has exactly one of vector, text, words and sparse; a search may have queries instead"
        "A search gives nothing to search for, or more than one thing, or words with the name of a vector."
        "Give exactly one; to search by several, give each as one of `queries`.";
    1024 SessionMismatch Invalid "session_mismatch"
        "session {session} belongs to owner {owner}"
        "A session's id was used with another owner than the one who created it."
        "Use the owner that the message names, or another session id.";
    1025 BlobTooLarge Limit "blob_too_large"
        "the blob has more than {limit} bytes"
        "An upload has more bytes than a blob may have."
        "Split the bytes into several blobs.";
    1026 CollectionWithoutEncoder Invalid "collection_without_encoder"
        "collection {collection} has no encoder, so that no text can be searched for in it: search with a vector"
        "A collection that was created without an encoder was searched by text."
        "Search with a vector, or keep the records in a collection that is created with an encoder (`collection.create`).";
    1027 NotUnary Invalid "not_unary"
        "{operation} cannot be called with a request alone: {reason}"
        "An upload, a stream or a job was called in JSON form: by `call`, or by a line of `agentdb pipe`."
        "Use its own command (`agentdb blob put`, `agentdb blob get`, `agentdb log read`, `agentdb watch`, `agentdb verify`) or its method in Rust.";
    1030 ItemsNotIndexed Invalid "items_not_indexed"
        "the items of this namespace cannot be found by vectors or texts: {reason}"
        "Items were searched by a query, or put with vectors or fields to index, and the namespace has no index for items, or one without an encoder."
        "Set an index up with item.index, or leave query, vectors and fields out.";
    1031 PathLength Limit "path_length"
        "{field} has {actual} segments, from {least} to {limit} are allowed"
        "The path of an item is empty, or has more segments than the limit."
        "Give an item a path of 1 to 32 segments.";
    1032 TooManyVectors Limit "too_many_vectors"
        "{actual} texts or vectors were given, the limit is {limit}"
        "The fields to index select more texts of a value than an item may have vectors, or a collection was to have more named vectors than it may."
        "Index fewer fields, put the parts as items of their own, or drop named vectors that nobody searches.";
    1035 NotRepeatable Invalid "not_repeatable"
        "{operation} cannot have an idempotency key: its answer gives leave to act once, and a retry would give it again"
        "A request with an idempotency key, or a batch with one, holds an operation whose first answer must not be given twice."
        "Leave the idempotency key out. The tool call's own key is what makes a retry safe: a claim that was answered and lost is told as running, then as unknown.";
    1040 BackupKey Invalid "backup_key"
        "the store of backups {store}: {reason}"
        "The key of a store of backups is missing or wrong, or a key was given for a store that is not sealed."
        "Give the file with the key that the first backup there was taken with; a store is sealed, or not, for good.";
    1041 BackupPlace Invalid "backup_place"
        "{store} is no place for backups: {reason}"
        "The place is neither a directory nor a URL that this build knows, or what the environment says of it is not enough."
        "Give a directory, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`, with credentials in the environment.";
    1042 RestoreNotEmpty Invalid "restore_not_empty"
        "{path} is not empty"
        "A restore was to write into a directory that holds something."
        "Restore into a new directory; the database may be moved afterwards.";
    1045 BackupPlaceTaken Invalid "backup_place_taken"
        "{path} cannot be used: {reason}"
        "A database and a store of backups would lie in one another, or a restored database in another one. A new database in a store is refused, too."
        "Give a directory outside of the database, or outside of the store.";
    1050 LogTrimmed Invalid "log_trimmed"
        "the log cannot be read from LSN {from} on: it begins at LSN {earliest}, what was before is trimmed"
        "A change feed or a reader of the log started, or fell, behind what the log still keeps."
        "Read what there is now, then start at `earliest` or at the end. If readers are to be away for longer, let the log keep more.";
    1051 LsnAhead Invalid "lsn_ahead"
        "the log cannot be watched from LSN {from} on: it ends at LSN {head}, and has never told of anything beyond"
        "The LSN comes from another database, or from a time after the copy that this one was restored from."
        "Read what there is now, and start at the LSN behind that of the snapshot.";
    1055 ImportLine Invalid "import_line"
        "line {line} of the import: {reason}"
        "A line of an import is not what docs/export.md describes: no JSON object, of no known noun, or at a place where it cannot stand."
        "Look at the line and put it right. Nothing of its batch was imported; begun again with the same first line, the import goes on from there.";
    1056 ImportDamaged Invalid "import_damaged"
        "what precedes line {line} of the import is not what was exported: {reason}"
        "The lines do not add up to the hash or the numbers that the export was written with: it was damaged on its way, or edited."
        "Get the file again. If it was edited on purpose, leave out its `check` lines, and `blake3`, `lines` and `counts` of the last one.";
    1057 ImportTruncated Invalid "import_truncated"
        "the import ends behind line {line}, before its last line, `end`"
        "The file was cut off, or whoever wrote it was stopped."
        "Get the whole file and import it: with the same first line, the import goes on where it ended.";
    1058 ImportChanged Invalid "import_changed"
        "the first {line} lines of the import are not those of which the import had come so far: {reason}"
        "An import that was begun before goes on with the same lines; these begin like the others and are not the same."
        "Go on with the file that the import was begun with. To begin anew, change the first line (its `time`, say) or import into another namespace.";
    1060 HistoryTrimmed Invalid "history_trimmed"
        "the history of {noun} reaches back to LSN {earliest}, the request asked for {actual}"
        "A read as of an earlier point asked for one whose history is not kept any more."
        "Ask for a later point, or keep history longer (`retention.set`): what is gone stays gone. A backup may reach further back.";
    1061 NoHistory Invalid "no_history"
        "{noun} keeps no history, so that nothing of it can be read as of an earlier point"
        "The namespace keeps no history of the noun (`retention.set` with a `history_us` of 0)."
        "Read it as it is now, and let history be kept from now on if it is needed.";
    1065 RetentionNotApplicable Invalid "retention_not_applicable"
        "the retention of {noun} has no {field}: it has {known}"
        "A retention was set by a field that means nothing for the noun."
        "Leave the field out. `keep_latest` is for what is part of something (messages, checkpoints), `history_us` for states and sessions.";
    1066 PointAhead Invalid "point_ahead"
        "{field} {expected} lies ahead: the newest batch is LSN {head}, and it is {now}"
        "A read as of an earlier point, a comparison, a restore or a fork named an LSN or a time that is still to come."
        "Give an LSN or a time that has been. To wait until another handle's write is there, read with `min_lsn` instead.";
    1067 NoPast Invalid "no_past"
        "{operation} cannot be answered as of an earlier point: states, sessions and their messages can be read so, nothing else"
        "An operation of a noun without a history, or one that tells of history itself, was asked as of an earlier point."
        "Ask it without one. Checkpoints have a history of their own, which `checkpoint.list` shows; versions of a value are listed by `state.history`.";
    1070 TextQueryInvalid Invalid "text_query_invalid"
        "the text query is not valid at {path}: {reason}"
        "A text query has an unknown kind, field or option, a value outside its range, or a syntax that cannot be read."
        "Correct what the path names.";
    1071 TextQueryTooLarge Limit "text_query_too_large"
        "the text query has {actual} {unit} at {path}, the limit is {limit}"
        "A text query has too many terms, is nested too deep, or is too long."
        "Make the query smaller, or send its parts one by one.";
    1072 TextExpansion Limit "text_expansion"
        "{term} at {path} stands for more than {limit} terms of the index"
        "A prefix or a fuzzy term matches more of the terms that are in the index than one query may look for."
        "Give a longer prefix, a smaller distance, or a `prefix_length` for fuzzy terms.";
    1073 TextCompacted Invalid "text_compacted"
        "the text index cannot be read at LSN {actual}: it reaches back to LSN {earliest}"
        "A search asked for a point whose dead entries the index has let go."
        "Search at a later point.";
    1080 FieldTypeMismatch Invalid "field_type_mismatch"
        "the field {field} is a {expected}, declared or by its first value, and its value is {found}: {value}"
        "A payload has a value of another type than its field is declared to have, or than the first value had."
        "Give a value of that type, null, or a list of such values; a time is RFC 3339 with up to six digits of a second, 1970 to 9999, or an integer of microseconds, a point `{\"lat\": 52.5, \"lon\": 13.4}` in degrees.";
    1081 FilterTypeMismatch Invalid "filter_type_mismatch"
        "{field}: the field {path} is declared as {expected} and can never compare so with {value}"
        "A filter compares a declared field with a value, or by an operator, of another type."
        "Compare it with a value of its type (docs/filters.md); nothing would ever match.";
    1082 HistogramBuckets Limit "histogram_buckets"
        "the histogram of {field} has more than {limit} buckets"
        "The interval is small compared with how far apart the values are."
        "Ask for a larger interval, or of fewer records.";
    1083 FieldNotIndexed Invalid "field_not_indexed"
        "the field {field} is not indexed: its values can be neither counted nor sorted by"
        "A facet, a statistic, a histogram or an order was asked for of a field that is declared not to be indexed, or of a part of one or of a point."
        "Index it with collection.alter. Filters work without.";
    1084 TooManyFields Limit "too_many_fields"
        "the collection would have {actual} declared fields, the limit is {limit}"
        "Payloads have had so many different fields that their types are kept for no more, or so many were declared."
        "Keep what has arbitrary names in a list of `{name, value}` objects, or create the collection with `undeclared: allow`.";
    1085 FieldUndeclared Invalid "field_undeclared"
        "the field {field} is not declared, and the collection refuses such fields"
        "A payload has a field that the collection, which was created with `undeclared: refuse`, does not have."
        "Correct the name, or declare the field with collection.alter.";
    1086 TextTooLong Limit "text_too_long"
        "the field {field} has strings of more than {limit} bytes in these records: they can be neither counted nor sorted by"
        "A facet, a statistic or an order was asked for of a field with strings that are too long for the index over payloads."
        "Ask for another field, or exclude such records by a filter. To find records by long texts, use filters or a search.";
    1160 SearchCursorExpired Invalid "search_cursor_expired"
        "the cursor of this search, as of LSN {lsn}, is not kept any more: search again without it"
        "The next page of a search was asked for more than a minute after the one before, or after many other searches by pages, or of a handle that was closed."
        "Begin the search anew, without the cursor; its pages are then as of a newer LSN.";
    1161 CandidatesOutOfRange Limit "candidates_out_of_range"
        "{field} is {actual}; it must be between 1 and {limit}"
        "The second stage of a search, or its choice of diverse hits, was to look at no records, or at more than the limit."
        "Give a number within the limit.";
    1162 RerankNeedsOne Invalid "rerank_needs_one"
        "the second stage of a search scores by exactly one of vector, text, words, sparse and formula; using is for vectors, dense and sparse"
        "`rerank` gives nothing to score by, or more than one thing, or the name of a vector beside words or a formula."
        "Give exactly one.";
    1163 ScoreNotFinite Invalid "score_not_finite"
        "the search gives record {record} the score {value}, which is no finite number of 32 bits"
        "A formula, a weight or a product of sparse vectors leaves the range of numbers for a record: the logarithm of a negative number, or a very large product."
        "Bound the formula, by `min` and `max` say, give smaller weights or components, or leave the record out by a filter.";
    1170 LoadRow Invalid "load_row"
        "row {row} of the load, column {column}: {reason}"
        "A cell of a file that is loaded holds what a record cannot have, or is not what its column is: a null, empty or repeated id, a decimal, bytes, a number that is not finite, a time without a zone, a cell of another type."
        "Put the row right, or say what is to become of such values (`convert`, `types` and `skip` of collection.load). Nothing of its segment was loaded; begun again, the load goes on behind the rows that were.";
    1171 LoadSource Invalid "load_source"
        "{source} cannot be loaded: {reason}"
        "The file is empty, cut off, damaged or not of its format, or its columns are not those that the load names."
        "Get the whole file again, or name its format and its columns. What was loaded before stays; begun again, the load goes on behind it.";
    1172 LoadChanged Invalid "load_changed"
        "the load {source} into collection {collection} has come to row {row}, and these rows are not the same: {reason}"
        "A load that was begun before goes on with the same rows, mapped the same way. The file was changed before the row that the load has come to, or it is another one; or a load that is done was begun again with more rows or other ones."
        "Go on with the file that the load was begun with. To load this one from its first row, give it another name (`source`), or begin `anew`: what was loaded stays until a row replaces it.";

    2001 NamespaceNotFound NotFound "namespace_not_found"
        "there is no namespace {name}: create it with namespace.create"
        "The namespace was never created, or was deleted."
        "Create it with namespace.create, or correct the name.";
    2002 StateNotFound NotFound "state_not_found"
        "owner {owner} has no state {key}"
        "The state is absent, deleted, or its time to live has passed."
        "Put it first, or use an operation that creates.";
    2003 SessionNotFound NotFound "session_not_found"
        "there is no session {session}"
        "The session was never created, was deleted, or its time to live has passed."
        "Create it with session.create.";
    2004 MessageNotFound NotFound "message_not_found"
        "session {session} has no message {message}"
        "The message was never appended, or was deleted."
        "List the session's messages.";
    2005 BlobNotFound NotFound "blob_not_found"
        "there is no blob {blob}"
        "No bytes with this content address are referenced in the namespace."
        "Upload the bytes with blob.put.";
    2006 CollectionNotFound NotFound "collection_not_found"
        "there is no collection {collection}"
        "The collection was never created, or was deleted."
        "Create it with collection.create.";
    2007 RecordNotFound NotFound "record_not_found"
        "collection {collection} has no record {record}"
        "The record was never put, or was deleted."
        "Put it first.";
    2008 DatabaseNotFound NotFound "database_not_found"
        "there is no database at {path}"
        "The directory does not exist, or holds no database, and creating one was not asked for."
        "Correct the path, or open with creation allowed.";
    2009 ModelNotFound NotFound "model_not_found"
        "there is no model at {path}: {reason}"
        "An encoder's files are not where they were looked for."
        "Run `make models`, or set AGENTDB_MODELS to a model directory.";
    2010 CheckpointNotFound NotFound "checkpoint_not_found"
        "thread {thread} has no checkpoint {checkpoint} in its namespace `{namespace}`"
        "The checkpoint, its thread, or that part of the thread was never put, or was deleted or pruned."
        "List the thread's checkpoints with checkpoint.list.";
    2011 ThreadNotFound NotFound "thread_not_found"
        "there is no thread {thread}"
        "No checkpoint or write of the thread was ever put, or it was deleted."
        "List threads with thread.list.";
    2012 ItemNotFound NotFound "item_not_found"
        "there is no item {key} under the path {path}"
        "The item was never put, was deleted, or its time to live has passed."
        "Put it first, or list the paths with item.list_paths.";
    2013 ToolCallNotFound NotFound "tool_call_not_found"
        "owner {owner} has no tool call {key}"
        "The key was never claimed, or the call was deleted, or finished so long ago that it is not kept any more."
        "Claim it first with tool_call.claim, or list the owner's calls with tool_call.list.";
    2014 BackupNotFound NotFound "backup_not_found"
        "there is no backup {backup} in {store}"
        "The backup was never finished, was deleted, or is in another store."
        "List the backups with backup.list.";
    2015 RestorePointNotFound NotFound "restore_point_not_found"
        "no backup in {store} leads to {target}; they lead to: {reached}"
        "The LSN or the time lies before the first backup, after the last one, or in a stretch whose log was trimmed before the next backup was taken."
        "Choose one that the message names.";
    2018 BackupStoreNotFound NotFound "backup_store_not_found"
        "there are no backups at {store}"
        "No backup was ever taken there, or the place is misspelt."
        "Correct the place; `backup.create` makes it with the first backup.";
    2019 ArchiveGap NotFound "archive_gap"
        "nothing in {store} leads to where the log of this database begins, at LSN {first}"
        "An archive goes on from a backup or an archive of the same database, and the log was trimmed beyond the last one, or there is none."
        "Take a backup with backup.create; then archive. With `hold`, the log waits for the archive.";
    2023 JobNotFound NotFound "job_not_found"
        "there is no job {job}"
        "The job was never begun, or ended so long ago that it is not kept any more."
        "List the jobs with job.list.";
    2024 VectorUnknown NotFound "vector_unknown"
        "the records of collection {collection} have no vectors named {name}"
        "A vector was given, dropped or searched for under a name that the collection does not have."
        "collection.get lists the names; collection.alter adds one.";
    2025 LinkNotFound NotFound "link_not_found"
        "no link of type {type} goes from record {record} of collection {collection} to record {to} of collection {to_collection}"
        "The link was never put, was deleted, or one of its records was deleted or has expired."
        "Put it with link.put, or list the record's links with link.list.";

    3001 NamespaceExists Conflict "namespace_exists"
        "there is a namespace {name} already"
        "namespace.create met an existing namespace."
        "Use the existing one, or choose another name.";
    3002 VersionMismatch Conflict "version_mismatch"
        "{key} is at version {actual}, the request expected {expected}"
        "A compare-and-set met another version than the one it named: someone else wrote in between."
        "Read the value and its version, decide again, send again.";
    3003 SessionExists Conflict "session_exists"
        "there is a session {session} already"
        "session.create met an existing session."
        "Append to the existing one, or leave the id out to get a new one.";
    3004 CollectionExists Conflict "collection_exists"
        "there is a collection {collection} already"
        "collection.create met an existing collection."
        "Use the existing one if its dimension and metric fit, or choose another name.";
    3005 IdempotencyConflict Conflict "idempotency_conflict"
        "the idempotency key {key} was used for a different request"
        "A key came back with another request than the first time."
        "Use a new key for a new request.";
    3006 MessageExists Conflict "message_exists"
        "session {session} has a message {message} already"
        "session.append gave an id that another message of the session has."
        "Leave the id out, or use an idempotency key to make a retry safe.";
    3007 BlobMismatch Conflict "blob_mismatch"
        "the bytes hash to {actual}, the request said {expected}"
        "An upload named a content address that its bytes do not have."
        "Send the bytes again; they were altered on the way.";
    3008 ThreadExists Conflict "thread_exists"
        "there is a thread {thread} already"
        "thread.copy met an existing thread under the name of the copy."
        "Choose another name, or delete that thread first.";
    3009 ItemIndexMismatch Conflict "item_index_mismatch"
        "the index of items is another one: {reason}"
        "item.index met an index of another dimension, metric or encoder; or the index was changed while a put was on its way, after its texts had been encoded."
        "Send the put again; for another dimension, metric or encoder, drop the index first with item.unindex.";
    3010 ToolCallRunning Conflict "tool_call_running"
        "tool call {key} of {owner} is running under epoch {epoch}, claimed until {until}"
        "A call that someone has claimed, and whose lease has not ended, was claimed again, resolved or deleted."
        "Do not run the tool. Ask again after the time that the message names: the call is finished then, claimed for longer, or unknown.";
    3011 ToolCallUnknown Conflict "tool_call_unknown"
        "tool call {key} of {owner} is unknown since {since}: the claim of epoch {epoch} ended without telling what became of it"
        "The claim of a call ended and nobody told its outcome, so that its side effect may have happened or not; and the tool was not declared idempotent, or its attempts are used up."
        "Do not run the tool. Find out what happened, and tell it with tool_call.resolve: completed, failed, or to be run again.";
    3012 ToolCallMismatch Conflict "tool_call_mismatch"
        "tool call {key} of {owner} came back, but not with the same {field} as before"
        "A key was claimed for another tool, or with other arguments, than before."
        "Use a key of its own for each call, made of what does not change when the agent runs again: the run and the step.";
    3013 ToolCallFenced Conflict "tool_call_fenced"
        "tool call {key} of {owner} is at epoch {actual}, the request has {expected}: {reason}"
        "An outcome, a renewal or a resolution came with the epoch of a claim that is over, or of one that never was."
        "If the epoch is one that a claim told, do not go on: what was done under the older epoch is not recorded. Read the call, and compensate for the side effect if it happened twice.";
    3014 ToolCallFinished Conflict "tool_call_finished"
        "tool call {key} of {owner} is {state} already"
        "A call whose outcome was told was told another one, or was renewed or resolved."
        "Read the outcome that is recorded; it stays.";
    3020 JobEnded Conflict "job_ended"
        "job {job} is {state} already"
        "A job that has ended was to rest, to go on or to be given up."
        "Begin a new one if there is more to do.";
    3021 JobCancelled Conflict "job_cancelled"
        "job {job} was cancelled"
        "Someone gave the job up with job.cancel while it was done or waited for."
        "Begin it again if it is wanted after all.";
    3022 JobFailed Conflict "job_failed"
        "job {job} failed: {reason}"
        "A job that was waited for ended with an error."
        "Mend what the message names, and begin a new one.";
    3025 ImportExists Conflict "import_exists"
        "{what} is there already"
        "An import came to something of a name that the namespace has already, and was to refuse that."
        "Import into an empty namespace, or say what to do with what is there: `skip` leaves it as it is, `replace` puts what is imported in its place. The import goes on where it ended. If there is a value `completed_lsn`, an import with the same first line came to its end before, at that LSN and the time `completed`, and some of what it brought is gone since: `skip` brings back what is gone.";
    3026 ImportMoved Conflict "import_moved"
        "somebody else imports the same: they have come to line {actual}, and this one stands at line {expected}"
        "The same file is imported into the namespace twice at the same time, and the other one was faster."
        "Leave it to the other one. Nothing was imported twice.";
    3028 ForkRunning Conflict "fork_running"
        "a fork of the namespace {name} to {to} is under way: job {job}"
        "A namespace is forked to one other at a time."
        "Wait for the job that the message names, or cancel it.";
    3029 ForkBehind Conflict "fork_behind"
        "the batch changes {actual} bytes of rows that a fork of the namespace has not copied yet, the limit is {limit}"
        "While a namespace is forked, whoever changes a row that is not copied yet puts the old one aside, and a batch puts aside so much at most."
        "Write in smaller batches, or once the fork is done.";
    3031 VectorExists Conflict "vector_exists"
        "the records of collection {collection} have vectors named {name} already, of another dimension or metric"
        "collection.alter was to add named vectors under a name that is in use."
        "Choose another name, or drop the old ones first with null.";
    3032 FieldDeclared Conflict "field_declared"
        "the field {field} is a {actual} already, and cannot become a {expected}"
        "collection.alter was to give a field another type than it was declared to have, or than the first value had."
        "Keep the type, or write into a field of another name.";
    3035 LoadMoved Conflict "load_moved"
        "the load {source} into collection {collection} is at version {actual}, and this one expected {expected}: somebody else goes on with it, or the collection was emptied or deleted"
        "The same load is done twice at the same time, and the other one was faster; or its collection was truncated, or deleted and created again, meanwhile."
        "Leave it to the other one, or begin again: nothing was loaded twice.";
    3036 RecordExists Conflict "record_exists"
        "collection {collection} has a record {record} already"
        "A load that is to refuse what is there came to the id of a record that the collection has."
        "Let it `replace` such records, or `skip` their rows. The load goes on where it ended.";

    4001 QueueFull Busy "queue_full"
        "{actual} requests or bytes are waiting to be written, the limit is {limit}"
        "Requests arrive faster than the disk takes them."
        "Retry with a growing pause; fewer or larger batches help.";
    4002 RowsBehind Busy "rows_behind"
        "{actual} bytes of rows wait to be moved to the disk, the limit is {limit}"
        "The background drain into the runs on the disk is behind, and memory for it is bounded."
        "Retry with a growing pause.";
    4003 SnapshotNotReached Busy "snapshot_not_reached"
        "this handle is at LSN {actual}, the read asked for {expected}"
        "A read asked for a later LSN (`min_lsn`) than this handle has."
        "Retry; the LSN comes from a write that this handle has not seen yet.";
    4020 BackupsBusy Busy "backups_busy"
        "the store of backups {store} is in use: {reason}"
        "A backup is taken while chunks are collected (backup.delete, backup.prune), or the other way round; or one of them was killed a short time ago."
        "Retry later; what a killed process holds ends after 15 minutes.";

    5001 Poisoned Unavailable "poisoned"
        "the database handle has stopped after a failed write: {reason}"
        "A write or an fsync failed, or a thread of the engine panicked. What is durable is unknown until the log is read again."
        "Mend the disk, close the handle and open the database again. Unanswered requests may or may not be in the log.";
    5002 DiskFull Unavailable "disk_full"
        "the disk is full: {operation} of {path} failed"
        "The file system has no room for the log, the rows or a blob."
        "Free space, then open the database again.";
    5003 Io Unavailable "io"
        "{operation} of {path} failed: {reason}"
        "The operating system refused or failed a file operation."
        "Read the reason; mend permissions or the disk.";
    5004 ReadOnly Unavailable "read_only"
        "{path} cannot be written: {reason}"
        "The directory is on a read-only mount, or permissions forbid writing."
        "Mount it writable or correct the permissions: reading needs it too, for the lock and for what a crash left. `agentdb log verify` checks a log without writing; for the rows, open a copy of the directory.";
    5005 Locked Unavailable "locked"
        "{path} is in use by another handle, of this process or of another one"
        "Another process has the database open, or another handle in this process has."
        "Close the other one. Never remove the lock file: the handle that holds it would stop, and its writes in flight be lost. Sharing one directory between processes is not built yet.";
    5006 ClockJump Unavailable "clock_jump"
        "the clock jumped by {actual} microseconds, the limit is {limit}"
        "The machine's clock moved far more than the time that passed; log time would carry the mistake for ever."
        "Correct the clock, then retry; if the new time is the right one, open the database again.";
    5007 Closed Unavailable "closed"
        "the database handle is closed"
        "The handle was closed while, or before, the request came."
        "Open the database again.";
    5008 OutcomeUnknown Unavailable "outcome_unknown"
        "the log stopped before the answer: {reason}"
        "The write was handed to the log and a failure followed; whether it survived is known after the next open."
        "Open again and look, or send the request again with the same idempotency key.";
    5009 EncoderFailed Unavailable "encoder_failed"
        "the encoder {encoder} failed: {reason}"
        "A model file could not be loaded or run."
        "Fetch the models again with `make models`, which verifies them.";
    5010 BackupStore Unavailable "backup_store"
        "the store of backups {store} failed at {operation} of {object}: {reason}"
        "An object store cannot be reached, or refuses."
        "Look at the network, the address, the credentials and the rights of the account; then do the same again.";

    6001 LogCorrupt Corruption "log_corrupt"
        "log segment {segment} is damaged at offset {offset}, LSN {lsn}: {reason}"
        "Bytes of the log that had been synced are not what was written."
        "Restore the segment from a copy. The database refuses to open, so that nothing acknowledged is lost silently.";
    6002 RowsCorrupt Corruption "rows_corrupt"
        "the row store is damaged: {reason}"
        "A checksum of a run of rows, or of a row in it, does not hold."
        "Stop, keep a copy, delete the rows directory if the log reaches back to the beginning, and open again to rebuild it.";
    6003 FormatCorrupt Corruption "format_corrupt"
        "{path} is damaged: {reason}"
        "A small file of the directory (FORMAT, a key, a segment's header) fails its checksum."
        "Restore the file from a copy.";
    6004 BlobCorrupt Corruption "blob_corrupt"
        "blob {blob} is damaged: {reason}"
        "The file of a blob was altered, or is gone."
        "Upload the same bytes again: that replaces the damaged file.";
    6005 ViewAhead Corruption "view_ahead"
        "the row store is at LSN {rows} with chain {rows_chain}, which the log does not contain: {reason}"
        "The row store belongs to another log, or the log lost its end."
        "Restore log and rows from the same copy.";
    6006 KeyMissing Corruption "key_missing"
        "{path}, the key of subject {subject}, is missing, and was not destroyed by an erasure"
        "A file under keys/ is gone: what the log seals with it, and the rows do not hold yet, cannot be read. A restore between backups, or from an archive, was given no `keys`, or a directory that does not have it."
        "Restore keys/ from its own copy. Begin a restore again with `keys`, a directory that has the key.";
    6007 DigestMismatch Corruption "digest_mismatch"
        "namespace {namespace}: the rows' digest is {actual}, the stored one {expected}"
        "The rows are not the ones that the log led to."
        "Keep a copy, and rebuild the rows from the log.";
    6008 BackupCorrupt Corruption "backup_corrupt"
        "the store of backups {store}: {object} is damaged: {reason}"
        "An object in a store of backups is missing, or is not what was written."
        "Take a backup with `full`, which sends every chunk again; use an older backup, or a copy of the store, if the database is lost.";
    6009 RestoreUnfinished Corruption "restore_unfinished"
        "{path} holds a restore that was not finished"
        "A restore into the directory was interrupted, or failed."
        "Restore into it again, or remove it.";
    6010 TextCorrupt Corruption "text_corrupt"
        "a segment of a text index is damaged: {reason}"
        "The bytes of a segment of a text index are not what was written."
        "Let the index be built again from the rows.";

    7001 FormatTooNew Unsupported "format_too_new"
        "{path} has format version {actual}, this build reads up to {supported}"
        "The file was written by a newer version of AgentDB."
        "Open it with that version or a newer one.";
    7002 UnknownCritical Unsupported "unknown_critical"
        "{what} holds a critical field {field} that this build does not know"
        "The log was written by a newer version with a feature that must not be ignored."
        "Open it with that version or a newer one.";
    7003 NoEncoder Unsupported "no_encoder"
        "the text encoder {encoder} is needed, and this handle has {actual}: give a vector, or open the database with that encoder"
        "A text is to be encoded, or a collection created, with an encoder that the handle does not have; its name may be misspelt."
        "Correct the name, or open with that encoder (`make models` fetches minilm-l6-int8), or send vectors.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_round_trip() {
        let numbers: BTreeSet<_> = Code::ALL.iter().map(|c| c.number()).collect();
        let names: BTreeSet<_> = Code::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(numbers.len(), Code::ALL.len());
        assert_eq!(names.len(), Code::ALL.len());
        for &code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
        assert_eq!(Code::from_number(0), None);
    }

    #[test]
    fn kinds_follow_the_thousands() {
        for &code in Code::ALL {
            let expected: &[ErrorKind] = match code.number() / 1000 {
                1 => &[ErrorKind::Invalid, ErrorKind::Limit],
                2 => &[ErrorKind::NotFound],
                3 => &[ErrorKind::Conflict],
                4 => &[ErrorKind::Busy],
                5 => &[ErrorKind::Unavailable],
                6 => &[ErrorKind::Corruption],
                _ => &[ErrorKind::Unsupported],
            };
            assert!(expected.contains(&code.kind()), "{code}");
        }
    }
}
