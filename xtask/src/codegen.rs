//! The generated documentation: the operation table and the pages of errors.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use agentdb_engine::{Engine, Operation, Shape};
use agentdb_types::{Code, ErrorKind};
use serde_json::Value;

/// What each generated file must hold, by its path from the root.
pub(crate) fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
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
            Shape::Job => ", a job",
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
    let Some(properties) = schema["properties"].as_object().filter(|p| !p.is_empty()) else { return };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let _ = writeln!(out, "\n| {title} | type | |\n| --- | --- | --- |");
    for (name, field) in properties {
        let star = if title == "Request" && required.contains(&name.as_str()) { " (required)" } else { "" };
        let text = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(out, "| `{name}`{star} | {} | {text} |", type_of(field));
    }
}

fn type_of(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(several) => {
            let names: Vec<&str> =
                several.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect();
            names.join(" or ")
        }
        _ if schema["anyOf"].is_array() => type_of(&schema["anyOf"][0]),
        _ => "any JSON".to_owned(),
    }
}

/// Writes the generated files, and removes pages of errors that are no more.
pub(crate) fn write(root: &Path) -> Vec<String> {
    let files = files();
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
