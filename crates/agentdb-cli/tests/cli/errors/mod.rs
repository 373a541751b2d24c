//! Every error code is provoked for real, tells its values, and leaves everything as it was.

mod backups;
mod collections;
mod damage;
mod forks;
mod jobs;
mod loads;
mod machine;
mod mounts;
mod newer;
mod requests;
mod searches;
mod simulated;
mod tool_calls;
mod transfers;

use std::path::Path;

use agentdb::{Code, Error, Value};

/// The wire form of an error that must carry these values.
fn told(err: &Error, values: &[(&str, &str)]) -> Value {
    for (name, expected) in values {
        let found = err.value(name).unwrap_or_else(|| panic!("no value {name}: {err:?}"));
        assert!(found.contains(expected), "{name} is {found}, not {expected}: {err}");
    }
    serde_json::to_value(err).unwrap()
}

/// The error that the command line tool tells.
fn told_by_tool(dir: &Path, arguments: &[&str]) -> Value {
    let output = super::agentdb(dir)
        .env("AGENTDB_MODELS", dir.join("no models"))
        .env_remove("ORT_DYLIB_PATH")
        .arg("--json")
        .args(arguments)
        .output()
        .unwrap();
    let mut told: Value = serde_json::from_slice(&output.stderr)
        .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    let error = told["error"].take();
    let kind = Code::from_number(error["code"].as_u64().unwrap() as u32).unwrap().kind();
    assert_eq!(output.status.code(), Some(i32::from(kind.exit_code())), "{error}");
    error
}

/// Provokes a code in each way that is known: an error each.
fn provoke(code: Code) -> Vec<Value> {
    match code {
        Code::IdEmpty => requests::id_empty(),
        Code::IdTooLong => requests::id_too_long(),
        Code::InvalidUtf8 => requests::invalid_utf8(),
        Code::InvalidName => requests::invalid_name(),
        Code::UnknownField => requests::unknown_field(),
        Code::MissingField => requests::missing_field(),
        Code::InvalidValue => requests::invalid_value(),
        Code::InvalidJson => requests::invalid_json(),
        Code::DepthExceeded => requests::depth_exceeded(),
        Code::ValueTooLarge => requests::value_too_large(),
        Code::BatchTooLarge => requests::batch_too_large(),
        Code::PageTooLarge => requests::page_too_large(),
        Code::InvalidCursor => requests::invalid_cursor(),
        Code::UnknownOperation => requests::unknown_operation(),
        Code::NotBatchable => requests::not_batchable(),
        Code::DimensionMismatch => requests::dimension_mismatch(),
        Code::DimensionOutOfRange => requests::dimension_out_of_range(),
        Code::VectorNotFinite => requests::vector_not_finite(),
        Code::VectorZero => requests::vector_zero(),
        Code::TtlOutOfRange => requests::ttl_out_of_range(),
        Code::InvalidPatch => requests::invalid_patch(),
        Code::InvalidTime => requests::invalid_time(),
        Code::SearchNeedsVector => requests::search_needs_vector(),
        Code::SessionMismatch => requests::session_mismatch(),
        Code::BlobTooLarge => requests::blob_too_large(),
        Code::CollectionWithoutEncoder => requests::collection_without_encoder(),
        Code::NotUnary => requests::not_unary(),
        Code::NotRepeatable => tool_calls::not_repeatable(),
        Code::ItemsNotIndexed => requests::items_not_indexed(),
        Code::PathLength => requests::path_length(),
        Code::TooManyVectors => requests::too_many_vectors(),
        Code::LogTrimmed => requests::log_trimmed(),
        Code::LsnAhead => requests::lsn_ahead(),
        Code::RetentionNotApplicable => requests::retention_not_applicable(),
        Code::PointAhead => requests::point_ahead(),
        Code::NoPast => requests::no_past(),
        Code::NamespaceNotFound => requests::namespace_not_found(),
        Code::StateNotFound => requests::state_not_found(),
        Code::SessionNotFound => requests::session_not_found(),
        Code::MessageNotFound => requests::message_not_found(),
        Code::BlobNotFound => requests::blob_not_found(),
        Code::CollectionNotFound => requests::collection_not_found(),
        Code::RecordNotFound => requests::record_not_found(),
        Code::LinkNotFound => collections::link_not_found(),
        Code::DatabaseNotFound => machine::database_not_found(),
        Code::ModelNotFound => machine::model_not_found(),
        Code::CheckpointNotFound => requests::checkpoint_not_found(),
        Code::ThreadNotFound => requests::thread_not_found(),
        Code::ToolCallNotFound => tool_calls::not_found(),
        Code::ItemNotFound => requests::item_not_found(),
        Code::NamespaceExists => requests::namespace_exists(),
        Code::VersionMismatch => requests::version_mismatch(),
        Code::SessionExists => requests::session_exists(),
        Code::CollectionExists => requests::collection_exists(),
        Code::IdempotencyConflict => requests::idempotency_conflict(),
        Code::MessageExists => requests::message_exists(),
        Code::BlobMismatch => requests::blob_mismatch(),
        Code::ThreadExists => requests::thread_exists(),
        Code::FieldTypeMismatch => collections::field_type_mismatch(),
        Code::FilterTypeMismatch => collections::filter_type_mismatch(),
        Code::HistogramBuckets => collections::histogram_buckets(),
        Code::FieldNotIndexed => collections::field_not_indexed(),
        Code::TextQueryInvalid => collections::text_query_invalid(),
        Code::TextQueryTooLarge => collections::text_query_too_large(),
        Code::TextExpansion => collections::text_expansion(),
        Code::TextCompacted => collections::text_compacted(),
        Code::TextCorrupt => collections::text_corrupt(),
        Code::TextTooLong => collections::text_too_long(),
        Code::SearchCursorExpired => searches::cursor_expired(),
        Code::CandidatesOutOfRange => searches::candidates_out_of_range(),
        Code::RerankNeedsOne => searches::rerank_needs_one(),
        Code::ScoreNotFinite => searches::score_not_finite(),
        Code::TooManyFields => collections::too_many_fields(),
        Code::FieldUndeclared => collections::field_undeclared(),
        Code::FieldDeclared => collections::field_declared(),
        Code::VectorUnknown => collections::vector_unknown(),
        Code::VectorExists => collections::vector_exists(),
        Code::ForkRunning => forks::running(),
        Code::ForkBehind => forks::behind(),
        Code::HistoryTrimmed => requests::history_trimmed(),
        Code::NoHistory => requests::no_history(),
        Code::ToolCallRunning => tool_calls::running(),
        Code::ToolCallUnknown => tool_calls::unknown(),
        Code::ToolCallMismatch => tool_calls::mismatch(),
        Code::ToolCallFenced => tool_calls::fenced(),
        Code::ToolCallFinished => tool_calls::finished(),
        Code::JobNotFound => jobs::not_found(),
        Code::JobEnded => jobs::ended(),
        Code::JobCancelled => jobs::cancelled(),
        Code::JobFailed => jobs::failed(),
        Code::ItemIndexMismatch => requests::item_index_mismatch(),
        Code::QueueFull => machine::queue_full(),
        Code::RowsBehind => machine::rows_behind(),
        Code::SnapshotNotReached => requests::snapshot_not_reached(),
        Code::Poisoned => machine::poisoned(),
        Code::DiskFull => machine::disk_full(),
        Code::Io => machine::io(),
        Code::ReadOnly => machine::read_only(),
        Code::Locked => machine::locked(),
        Code::ClockJump => machine::clock_jump(),
        Code::Closed => machine::closed(),
        Code::OutcomeUnknown => machine::outcome_unknown(),
        Code::EncoderFailed => requests::encoder_failed(),
        Code::LogCorrupt => damage::log_corrupt(),
        Code::RowsCorrupt => damage::rows_corrupt(),
        Code::FormatCorrupt => damage::format_corrupt(),
        Code::BlobCorrupt => damage::blob_corrupt(),
        Code::ViewAhead => damage::view_ahead(),
        Code::KeyMissing => damage::key_missing(),
        Code::DigestMismatch => damage::digest_mismatch(),
        Code::FormatTooNew => newer::format_too_new(),
        Code::UnknownCritical => newer::unknown_critical(),
        Code::NoEncoder => requests::no_encoder(),
        Code::ImportLine => transfers::import_line(),
        Code::ImportDamaged => transfers::import_damaged(),
        Code::ImportTruncated => transfers::import_truncated(),
        Code::ImportChanged => transfers::import_changed(),
        Code::ImportExists => transfers::import_exists(),
        Code::ImportMoved => transfers::import_moved(),
        Code::LoadRow => loads::load_row(),
        Code::LoadSource => loads::load_source(),
        Code::LoadChanged => loads::load_changed(),
        Code::LoadMoved => loads::load_moved(),
        Code::RecordExists => loads::record_exists(),
        Code::BackupKey => backups::backup_key(),
        Code::BackupPlace => backups::backup_place(),
        Code::RestoreNotEmpty => backups::restore_not_empty(),
        Code::BackupPlaceTaken => backups::backup_place_taken(),
        Code::BackupStoreNotFound => backups::backup_store_not_found(),
        Code::ArchiveGap => backups::archive_gap(),
        Code::BackupNotFound => backups::backup_not_found(),
        Code::RestorePointNotFound => backups::restore_point_not_found(),
        Code::BackupsBusy => backups::backups_busy(),
        Code::BackupStore => backups::backup_store(),
        Code::BackupCorrupt => backups::backup_corrupt(),
        Code::RestoreUnfinished => backups::restore_unfinished(),
        other => panic!("nothing provokes {other}: add a provocation, or remove the code"),
    }
}

fn check(code: Code) {
    let errors = provoke(code);
    assert!(!errors.is_empty(), "nothing provokes {code}");
    for error in errors {
        assert_eq!(error["code"], code.number(), "{error}");
        assert_eq!(error["name"], code.name(), "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.contains("(not given)"), "{error}");
        for part in code.template().split('{').skip(1) {
            let name = part.split('}').next().unwrap();
            let value = error["values"][name].as_str().unwrap_or_else(|| panic!("no {name}: {error}"));
            assert!(message.contains(value), "{error}");
        }
    }
}

#[test]
fn every_code_is_provoked_tells_its_values_and_changes_nothing() {
    // All that fail are told, not the first alone.
    let fails = |code: &&Code| std::panic::catch_unwind(|| check(**code)).is_err();
    let failed: Vec<&Code> = Code::ALL.iter().filter(fails).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
