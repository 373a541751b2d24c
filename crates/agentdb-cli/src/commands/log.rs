//! `agentdb log read`.

use agentdb::modules::database::ReadLog;
use agentdb::{Result, Value, decode};

use crate::context::Context;
use crate::output;

pub(super) fn read(context: &Context, request: Value) -> Result<()> {
    let from = decode::<ReadLog>(request)?.from;
    let db = context.open(false)?;
    db.read_log(from, &mut |entry| {
        let value = serde_json::to_value(&entry).unwrap_or_default();
        if context.json {
            output::line(&value.to_string())?;
        } else {
            let mutations = value["mutations"].as_array().cloned().unwrap_or_default();
            let kinds: Vec<String> = mutations
                .iter()
                .map(|m| {
                    format!("{} {}", m["kind"].as_str().unwrap_or(""), m["table"].as_str().unwrap_or(""))
                })
                .collect();
            let lsn = &value["lsn"];
            let (time, operation) =
                (value["time"].as_str().unwrap_or(""), value["operation"].as_str().unwrap_or(""));
            output::line(&format!("{lsn:>8}  {time}  {operation}  {}", kinds.join(", ")))?;
        }
        Ok(true)
    })
}
