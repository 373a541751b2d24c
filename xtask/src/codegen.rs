//! The generated documentation: the operation table and the pages of errors.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use agentdb_engine::{Engine, Operation, Shape};
use agentdb_types::{Code, ErrorKind};
use serde_json::Value;

/// What each generated file must hold, by its path from the root.
pub(crate) fn files(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    files.insert("docs/benchmarks.md".to_owned(), benchmarks(root));
    let table: Vec<Value> = Engine::operations().iter().map(Operation::to_json).collect();
    let json = serde_json::to_string_pretty(&table).unwrap_or_default();
    files.insert("docs/operations.json".to_owned(), json + "\n");
    files.insert("docs/operations.md".to_owned(), reference());
    let mut index =
        String::from("# Errors\n\nEvery error has a stable code, and a kind that says what to do.\n");
    for kind in ErrorKind::ALL {
        let _ = write!(index, "\n## {kind} (exit code {})\n\n{}\n\n", kind.exit_code(), kind.advice());
        for code in Code::ALL.iter().filter(|c| c.kind() == kind) {
            let number = code.number();
            let _ = writeln!(index, "- [E{number}](E{number}.md) `{}`", code.name());
        }
    }
    files.insert("docs/errors/README.md".to_owned(), index);
    for code in Code::ALL {
        let kind = code.kind();
        let page = format!(
            "# E{}: {}\n\nKind: `{kind}`. {}\n\n> {}\n\n## Cause\n\n{}\n\n## What to do\n\n{}\n",
            code.number(),
            code.name(),
            kind.advice(),
            code.template(),
            code.cause(),
            code.action()
        );
        files.insert(format!("docs/errors/E{}.md", code.number()), page);
    }
    files
}

/// The results of the benchmarks as tables, with the notes on what bounds them.
fn benchmarks(root: &Path) -> String {
    let mut out = String::from(
        "# Benchmarks\n\nGenerated from `bench/results`. Medians over rounds in which the systems took turns; the spread is in \
         the result files. Figures of different machines do not compare; the ratios within one run do.\n",
    );
    let mut results: Vec<_> = std::fs::read_dir(root.join("bench/results"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    results.sort();
    for path in results {
        let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Ok(result) = serde_json::from_str::<Value>(&text) else { continue };
        let field = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        let _ =
            write!(out, "\n## {name}\n\n`{}`, {}, {}\n\n", field("command"), field("machine"), field("date"));
        let _ = writeln!(out, "| case | metric | better | ours | peers |\n| --- | --- | --- | --- | --- |");
        for row in result["rows"].as_array().into_iter().flatten() {
            let peers: Vec<String> = row["peers"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(peer, v)| format!("{peer} {v}"))
                .collect();
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            let (case, metric, better) = (text("case"), text("metric"), text("better"));
            let ours = row["ours"].as_f64().map(|_| row["ours"].to_string()).unwrap_or_default();
            let _ = writeln!(out, "| {case} | {metric} | {better} | {ours} | {} |", peers.join(", "));
        }
        let notes = root.join("bench/notes").join(format!("{name}.md"));
        if let Ok(notes) = std::fs::read_to_string(notes) {
            let _ = write!(out, "\n{}", notes);
        }
    }
    out
}

fn reference() -> String {
    let mut out = String::from(
        "# Operations\n\nGenerated from the operation table. The same names serve the command line (`agentdb NOUN VERB`), \
         the JSON form (`{\"op\": NAME, \"request\": {…}}`) and the Rust API (`agentdb::modules::NOUN`).\n",
    );
    for operation in Engine::operations() {
        let about = &operation.about;
        let (request, response) = operation.schemas();
        let shape = match operation.shape {
            Shape::Unary => "",
            Shape::Stream => ", a stream",
            Shape::Upload => ", an upload",
            Shape::Long => ", long",
        };
        let effect = format!("{:?}", about.effect).to_lowercase();
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\nEffect: {effect}{shape}. Permission: `{}`.\n",
            about.name, about.doc, about.permission
        );
        fields(&mut out, "Request", request.as_value());
        fields(&mut out, "Response", response.as_value());
        if !about.errors.is_empty() {
            let links: Vec<String> =
                about.errors.iter().map(|c| format!("[{}](errors/E{}.md)", c.name(), c.number())).collect();
            let _ = writeln!(out, "\nErrors of its own: {}.", links.join(", "));
        }
    }
    out
}

fn fields(out: &mut String, title: &str, schema: &Value) {
    // One of several is told one after another.
    schema["oneOf"].as_array().into_iter().flatten().for_each(|variant| fields(out, title, variant));
    let Some(properties) = schema["properties"].as_object().filter(|p| !p.is_empty()) else { return };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = writeln!(out, "\n| {title} | type | |\n| --- | --- | --- |");
    for (name, field) in properties {
        let star = if title == "Request" && required.contains(&name.as_str()) { " (required)" } else { "" };
        // What tells a variant from the others says what the variant is.
        let of = if field["const"].is_null() { field } else { schema };
        let text = of["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(out, "| `{name}`{star} | {} | {text} |", type_of(field));
    }
}

fn type_of(schema: &Value) -> String {
    let variants = schema["oneOf"].as_array().into_iter().flatten().chain([schema]);
    let consts: Vec<String> =
        variants.filter_map(|v| v["const"].as_str()).map(|name| format!("`{name}`")).collect();
    if !consts.is_empty() {
        return consts.join(", ");
    }
    match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(several) => {
            let names: Vec<&str> =
                several.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect();
            names.join(" or ")
        }
        _ => match schema["anyOf"].as_array() {
            Some(several) => {
                let given = several.iter().filter(|one| one["type"] != "null");
                given.map(type_of).collect::<Vec<_>>().join(" or ")
            }
            None => "any JSON".to_owned(),
        },
    }
}

/// Writes the generated files, and removes pages of errors that are no more.
pub(crate) fn write(root: &Path) -> Vec<String> {
    let files = files(root);
    let mut problems = Vec::new();
    for (name, text) in &files {
        let path = root.join(name);
        let written =
            path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        problems.extend(written.err().map(|e| format!("{name}: {e}")));
    }
    for entry in std::fs::read_dir(root.join("docs/errors")).into_iter().flatten().flatten() {
        let name = format!("docs/errors/{}", entry.file_name().to_string_lossy());
        if !files.contains_key(&name) {
            problems.extend(std::fs::remove_file(entry.path()).err().map(|e| format!("{name}: {e}")));
        }
    }
    problems
}
