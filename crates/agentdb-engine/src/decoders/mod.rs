//! Every function that decodes bytes from outside or from a disk, once, for tests that feed them anything.
//!
//! A decoder tells whether the bytes were what it decodes. It panics if what it decoded does not hold: what decodes
//! encodes to the same bytes, or where several forms stand for one value, decodes again to the same value.

#[cfg(test)]
mod corpus;
mod log;
mod requests;
mod rows;
mod text;

use agentdb_log::decoders as frames;

use crate::modules::backup::decoders as backup;

pub use crate::rows::decoders::rewrite_run;

/// A decoder: whether the bytes were what it decodes.
pub type Decoder = fn(&[u8]) -> bool;

/// All of them, by name. Each has a corpus of this name.
pub fn all() -> &'static [(&'static str, Decoder)] {
    &[
        ("backup_index", backup::piece),
        ("backup_lease", backup::lease),
        ("backup_manifest", backup::manifest),
        ("backup_object", backup::object),
        ("backup_store", backup::head),
        ("blob_row", rows::blob),
        ("block", crate::rows::decoders::block),
        ("change", log::change),
        ("channel_content_row", rows::channel_content),
        ("channel_version_row", rows::channel_version),
        ("checkpoint_row", rows::checkpoint),
        ("checkpoint_write_row", rows::checkpoint_write),
        ("collection_row", rows::collection),
        ("cursor", text::cursor),
        ("entries", log::entries),
        ("filter", text::filter),
        ("fork_row", rows::fork),
        ("format_file", text::format_file),
        ("frame", frames::frame),
        ("hold_file", backup::hold),
        ("id", text::id),
        ("idempotency_row", rows::idempotency),
        ("import", text::import),
        ("import_row", rows::import),
        ("item_expiry_row", rows::item_expiry),
        ("item_index_row", rows::item_index),
        ("item_row", rows::item),
        ("job_row", rows::job),
        ("json", text::json),
        ("kept_words", rows::kept_words),
        ("key", rows::key),
        ("key_file", log::key_file),
        ("link_row", rows::link),
        ("load_row", rows::load),
        ("manifest", crate::rows::decoders::manifest),
        ("message_layer_row", rows::message_layer),
        ("message_row", rows::message),
        ("moments_row", rows::moments),
        ("namespace_row", rows::namespace),
        ("node_note", rows::node_note),
        ("packed_block", crate::rows::decoders::packed),
        ("policy_row", rows::policy),
        ("record_row", rows::record),
        ("requests", requests::requests),
        ("retention_row", rows::retention),
        ("run", crate::rows::decoders::run),
        ("sealed", log::sealed),
        ("segment_header", frames::segment_header),
        ("session_row", rows::session),
        ("session_tally_row", rows::session_tally),
        ("set_hash", rows::set_hash),
        ("state_row", rows::state),
        ("thread_row", rows::thread),
        ("timestamp", text::timestamp),
        ("tool_call_row", rows::tool_call),
        ("vector_row", rows::vector),
        ("version_row", rows::version),
    ]
}

/// The decoder of this name.
pub fn by_name(name: &str) -> Option<Decoder> {
    all().iter().find(|(known, _)| *known == name).map(|(_, decoder)| *decoder)
}
