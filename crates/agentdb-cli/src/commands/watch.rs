//! `agentdb watch`: the friendly form of `change.watch`.

use agentdb::modules::watch::Watch;
use agentdb::{Result, Value, decode};
use clap::ArgMatches;
use serde_json::json;

use crate::context::Context;
use crate::output;

pub(super) fn run(context: &Context, matches: &ArgMatches) -> Result<()> {
    let all = |name: &str| -> Vec<&String> { matches.get_many(name).into_iter().flatten().collect() };
    let mut request = json!({"nouns": all("noun"), "key": all("key"), "values": matches.get_flag("values")});
    for name in ["from", "progress"] {
        if let Some(number) = matches.get_one::<u64>(name) {
            request[name] = json!(number);
        }
    }
    if let Some(prefix) = matches.get_one::<String>("prefix") {
        request["prefix"] = json!(prefix);
    }
    print(context, request)
}

/// Prints what changed up to now.
pub(super) fn print(context: &Context, request: Value) -> Result<()> {
    let watch = decode::<Watch>(request)?;
    let db = context.open(false)?;
    let namespace = context.namespace(&db)?;
    let mut feed = namespace.engine().watch(namespace.id(), &watch)?;
    while let Some(event) = feed.try_next()? {
        let value = serde_json::to_value(&event).unwrap_or_default();
        if context.json {
            output::line(&value.to_string())?;
            continue;
        }
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let (lsn, time, operation) = (event.lsn, text("time"), text("operation"));
        output::line(&format!("{lsn:>8}  {time}  {operation}"))?;
        for change in value["changes"].as_array().into_iter().flatten() {
            output::line(&format!("          {}", in_words(change)))?;
        }
    }
    Ok(())
}

/// A change in a line: what happened, to what, and what was put.
fn in_words(change: &Value) -> String {
    let text = |name: &str| change[name].as_str().unwrap_or_default();
    let own = ["noun", "kind", "value", "superseded"];
    let fields = change.as_object().into_iter().flatten().filter(|(name, _)| !own.contains(&name.as_str()));
    let key: Vec<String> = fields.map(|(name, value)| format!("{name} {value}")).collect();
    let more = match (change.get("value"), change.get("superseded")) {
        (Some(value), _) => format!("  {value}"),
        (None, Some(_)) => "  (superseded)".to_owned(),
        (None, None) => String::new(),
    };
    format!("{} {} {}{more}", text("kind"), text("noun"), key.join(" ")).trim_end().to_owned()
}
