//! `agentdb operations`: the operation table.

use agentdb::{Database, Operation, Result, Value};
use clap::ArgMatches;
use serde_json::json;

use crate::context::Context;
use crate::output;

pub(super) fn run(context: &Context, matches: &ArgMatches) -> Result<()> {
    if let Some(name) = matches.get_one::<String>("name") {
        return output::answer(&Operation::named(name)?.to_json(), context.json);
    }
    let all = Database::operations().iter();
    let items: Vec<Value> =
        if context.json { all.map(Operation::to_json).collect() } else { all.map(short).collect() };
    output::answer(&json!({ "items": items }), context.json)
}

fn short(operation: &Operation) -> Value {
    let about = &operation.about;
    json!({"name": about.name, "shape": operation.shape, "effect": about.effect, "what": about.doc})
}
