//! `agentdb search`: the friendly form of `record.search`.

use agentdb::modules::collection::Get;
use agentdb::{Database, Namespace, Result, Value};
use clap::ArgMatches;
use serde_json::json;

use crate::context::Context;
use crate::{arguments, output};

/// Fields of the request that are true or not.
const FLAGS: [&str; 2] = ["explain", "pages"];

/// Loads the local encoder if a request has a text to encode, for a collection that has an encoder, or names an encoder; nothing else pays for it. If its model
/// is not there, texts are stored and cannot be searched.
pub(super) fn load_encoder_for(
    db: &Database,
    namespace: &Namespace,
    operation: &str,
    request: &Value,
) -> Result<()> {
    let may = ["record.put", "record.patch", "record.search", "collection.create"].contains(&operation);
    let text = |query: &Value| query.get("text").is_some() && query.get("vector").is_none();
    let queries = request.get("queries").and_then(Value::as_array);
    let reranks = request.get("rerank").is_some_and(text);
    let text = text(request) || reranks || queries.is_some_and(|queries| queries.iter().any(text));
    if !may || !(text || request.get("encoder").is_some()) {
        return Ok(());
    }
    // One that is not there may come with the same batch.
    let collection = request.get("collection").and_then(Value::as_str).unwrap_or_default().to_owned();
    if text && namespace.read(Get { collection }).is_ok_and(|found| found.encoder.is_none()) {
        return Ok(());
    }
    load_encoder(db)
}

/// Loads the local encoder, if its model is there.
pub(super) fn load_encoder(db: &Database) -> Result<()> {
    match db.use_local_text_encoder(1) {
        Err(err) if err.code() == agentdb::Code::ModelNotFound => Ok(()),
        other => other,
    }
}

pub(super) fn run(context: &Context, matches: &ArgMatches) -> Result<()> {
    let collection = matches.get_one::<String>("collection").map_or("", String::as_str);
    let mut request = json!({ "collection": collection });
    let words: Vec<&str> =
        matches.get_many::<String>("text").into_iter().flatten().map(String::as_str).collect();
    let text = words.join(" ");
    let by = matches.get_one::<String>("by").map_or("", String::as_str);
    match by {
        _ if words.is_empty() => {}
        "words" => request["words"] = json!(text),
        "both" => request["queries"] = json!([{"words": text}, {"text": text}]),
        _ => request["text"] = json!(text),
    }
    for field in ["vector", "filter", "threshold", "highlight", "diversity", "rerank"] {
        if let Some(text) = matches.get_one::<String>(field) {
            request[field] = arguments::json(field, text)?;
        }
    }
    if let Some(limit) = matches.get_one::<u64>("limit") {
        request["limit"] = json!(limit);
    }
    if let Some(field) = matches.get_one::<String>("group-by") {
        request["group_by"] = json!({ "field": field });
    }
    if let Some(size) = matches.get_one::<u64>("group-size") {
        request["group_by"]["size"] = json!(size);
    }
    if let Some(cursor) = matches.get_one::<String>("cursor") {
        request["cursor"] = json!(cursor);
    }
    for flag in FLAGS {
        if matches.get_flag(flag) {
            request[flag] = json!(true);
        }
    }
    let db = context.open(false)?;
    let namespace = context.namespace(&db)?;
    // A collection without an encoder is told of as such, whether there is a model or not.
    let reranks = request["rerank"].get("text").is_some();
    let encodes = reranks || !words.is_empty() && by != "words";
    if encodes && namespace.read(Get { collection: collection.to_owned() })?.encoder.is_some() {
        db.use_local_text_encoder(1)?;
    }
    let answer = namespace.call("record.search", request, context.options.clone(), context.read_at()?)?;
    output::answer(&answer.response, context.json)
}
