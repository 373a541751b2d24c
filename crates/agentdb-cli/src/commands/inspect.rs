//! `agentdb inspect`: what a database is and holds.

use agentdb::{Lsn, Result, Value, WriteOptions};
use serde_json::json;

use crate::context::Context;
use crate::output;

pub(super) fn run(context: &Context) -> Result<()> {
    let db = context.open(false)?;
    let namespace = context.namespace(&db)?;
    let call = |operation: &str, request: Value| {
        namespace.call(operation, request, WriteOptions::default(), Lsn(0)).map(|a| a.response)
    };
    let info = call("database.info", json!({}))?;
    let mut namespaces = Vec::new();
    let mut request = json!({});
    loop {
        let mut page = call("namespace.list", request)?;
        if let Value::Array(items) = page["items"].take() {
            namespaces.extend(items);
        }
        if page["cursor"].is_null() {
            break;
        }
        request = json!({"cursor": page["cursor"]});
    }
    let rows = namespace.count_rows()?;
    if context.json {
        return output::answer(
            &json!({
                "database": info,
                "namespaces": namespaces,
                "rows": rows,
                "segments": db.segments()?,
                "files": db.files()?,
            }),
            true,
        );
    }
    output::answer(&info, false)?;
    output::answer(&json!({ "items": namespaces }), false)?;
    output::line("files:")?;
    output::answer(&json!({ "items": db.files()? }), false)?;
    output::line("segments of the log:")?;
    output::answer(&json!({ "items": db.segments()? }), false)?;
    output::line(&format!("rows of namespace {}:", context.namespace))?;
    output::answer(&serde_json::to_value(&rows).unwrap_or_default(), false)
}
