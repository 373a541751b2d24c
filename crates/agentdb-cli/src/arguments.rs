//! A request's fields as arguments: from the JSON schema of the operation to flags, and back to a JSON request.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use agentdb::{Code, Error, Operation, Result, Shape, Value, limits, strict_json};
use agentdb_env::{Env, File, OpenMode};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use serde_json::Map;

use crate::tree;

/// Bytes of JSON that are read at most: twice the largest batch, for what escapes and blanks add.
pub(crate) const INPUT_BYTES: usize = 2 * limits::BATCH_BYTES;

/// What a field's argument holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Boolean,
    Integer,
    Duration,
    /// An LSN or a time.
    Point,
    Json,
}

struct Field {
    name: String,
    kind: Kind,
    required: bool,
    /// Whether null takes the value away, which leaving the field out does not.
    clears: bool,
    help: String,
}

impl Field {
    /// The name of the argument within the command: none of the tool's own begin so.
    fn id(&self) -> String {
        format!("field.{}", self.name)
    }

    /// The flag: the name, behind the noun if an option of every command has it already.
    fn flag(&self, operation: &Operation) -> String {
        let flag = self.name.trim_end_matches("_us").replace('_', "-");
        if tree::globals().iter().any(|global| global.get_long() == Some(&flag)) {
            return format!("{}-{flag}", tree::noun(operation));
        }
        flag
    }

    fn value_name(&self) -> String {
        match self.kind {
            Kind::Json => "JSON".to_owned(),
            Kind::Duration => "DURATION".to_owned(),
            Kind::Point => "LSN|TIME".to_owned(),
            _ => self.name.to_uppercase(),
        }
    }
}

fn kind(name: &str, schema: &Value) -> Kind {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect(),
        _ => vec![],
    };
    match types[..] {
        ["string"] => Kind::Text,
        ["boolean"] => Kind::Boolean,
        ["integer"] if name.ends_with("_us") => Kind::Duration,
        ["integer"] => Kind::Integer,
        ["integer", "string"] => Kind::Point,
        _ if schema["anyOf"][0]["enum"].is_array() || schema["enum"].is_array() => Kind::Text,
        _ if are_names(&schema["anyOf"][0]["oneOf"]) || are_names(&schema["oneOf"]) => Kind::Text,
        _ => Kind::Json,
    }
}

/// Whether each of some schemas is that of a name, and not of an object that has one.
fn are_names(schemas: &Value) -> bool {
    let is_name = |schema: &Value| schema["type"] == "string" || schema["const"].is_string();
    schemas.as_array().is_some_and(|schemas| schemas.iter().all(is_name))
}

/// The fields, those that name the resource first, then the other required ones.
fn fields(operation: &Operation) -> Vec<Field> {
    let (schema, _) = operation.schemas();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut fields: Vec<Field> = properties
        .iter()
        .map(|(name, schema)| {
            let description = schema["description"].as_str().unwrap_or_default();
            let kind = kind(name, schema);
            Field {
                name: name.clone(),
                kind,
                required: required.contains(&name.as_str()),
                clears: description.contains("null to have none"),
                help: help(kind, description),
            }
        })
        .collect();
    let rank = |field: &Field| {
        let resource = operation.about.resource.iter().position(|r| *r == field.name);
        (!field.required, resource.unwrap_or(usize::MAX), required.iter().position(|r| *r == field.name))
    };
    fields.sort_by_key(rank);
    fields
}

/// What a field's argument is for. Requests count microseconds, the command line takes units.
fn help(kind: Kind, description: &str) -> String {
    let description = description.replace('\n', " ");
    match kind {
        Kind::Duration => {
            let description =
                description.replacen("Microseconds", "Time", 1).replace(", in microseconds", "");
            format!("{description} Like 90s, 1h30m, 7d or 2w")
        }
        _ => description,
    }
}

/// How an operation's command is used: by its fields, or with the whole request.
pub(crate) fn usage(operation: &Operation, command: &str) -> String {
    let required =
        fields(operation).into_iter().filter(|field| field.required && field.kind != Kind::Boolean);
    let names: Vec<String> = required.map(|field| format!(" <{}>", field.value_name())).collect();
    let file = match (operation.about.name, operation.shape) {
        ("collection.load" | "namespace.export" | "namespace.import", _) => " [FILE]",
        (_, Shape::Upload) => " <FILE>",
        _ => "",
    };
    format!("{command} [OPTIONS]{}{file}\n       {command} [OPTIONS] --request <JSON>{file}", names.concat())
}

/// The arguments of an operation: required fields by position, the others as flags.
pub(crate) fn of(operation: &Operation) -> Vec<Arg> {
    let to_arg = |field: Field| {
        let arg = Arg::new(field.id()).help(field.help.clone());
        let value_name = field.value_name();
        let flag = field.flag(operation);
        // Not any hyphen: a flag that stands before a value must stay one.
        let arg = arg.allow_negative_numbers(matches!(field.kind, Kind::Integer | Kind::Json));
        match (field.required && field.kind != Kind::Boolean, field.kind) {
            (true, _) => arg.value_name(value_name).required_unless_present("request"),
            (false, Kind::Boolean) => arg.long(flag).action(ArgAction::SetTrue),
            (false, _) => arg.long(flag).value_name(value_name),
        }
    };
    fields(operation).into_iter().map(to_arg).collect()
}

/// The request that the arguments make.
pub(crate) fn request(operation: &Operation, matches: &ArgMatches) -> Result<Value> {
    if let Some(whole) = matches.get_one::<String>("request") {
        let said = |field: &Field| matches.value_source(&field.id()) == Some(ValueSource::CommandLine);
        if let Some(field) = fields(operation).into_iter().find(said) {
            let reason =
                format_args!("--request holds the whole request, and {} is given besides", field.name);
            return Err(Error::new(Code::InvalidValue).with("field", "--request").with("reason", reason));
        }
        return json_around("request", whole, 1);
    }
    let mut request = Map::new();
    for field in fields(operation) {
        let invalid =
            |reason: String| Error::new(Code::InvalidValue).with("field", &field.name).with("reason", reason);
        if field.kind == Kind::Boolean {
            if matches.get_flag(&field.id()) {
                request.insert(field.name, Value::Bool(true));
            }
            continue;
        }
        let Some(text) = matches.get_one::<String>(&field.id()) else { continue };
        let value = match field.kind {
            Kind::Text | Kind::Integer if field.clears && text == "null" => Value::Null,
            Kind::Text => Value::String(text.clone()),
            Kind::Integer => match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(n), _) => n.into(),
                (_, Ok(n)) => n.into(),
                _ => return Err(invalid(format!("{text:?} is not an integer of 64 bits"))),
            },
            Kind::Duration => match duration_us(text) {
                Some(us) => us,
                None => return Err(invalid(format!("{text:?} is not a duration like 90s, 1h30m, 7d or 2w"))),
            },
            Kind::Point => match text.parse::<u64>() {
                Ok(lsn) => lsn.into(),
                Err(_) => Value::String(text.clone()),
            },
            Kind::Json | Kind::Boolean => json(&field.name, text)?,
        };
        request.insert(field.name, value);
    }
    Ok(Value::Object(request))
}

/// Units of durations in microseconds, the longest first.
const UNITS: [(&str, i64); 7] = [
    ("w", 604_800_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// A duration in microseconds: digits and a unit, once or more often, the longer units first; `null` takes a time to live
/// away.
fn duration_us(text: &str) -> Option<Value> {
    match text {
        "null" => return Some(Value::Null),
        // Nothing is nothing in every unit.
        "0" => return Some(0.into()),
        _ => {}
    }
    let (mut rest, mut units, mut total) = (text, &UNITS[..], 0i64);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let at = units.iter().position(|(unit, _)| *unit == &rest[digits..end])?;
        let number: i64 = rest[..digits].parse().ok()?;
        total = total.checked_add(number.checked_mul(units[at].1)?)?;
        (rest, units) = (&rest[end..], &units[at + 1..]);
        if rest.is_empty() {
            return Some(total.into());
        }
    }
}

/// A JSON value: the text itself, `@file`, or `-` for standard input.
pub(crate) fn json(field: &str, text: &str) -> Result<Value> {
    json_around(field, text, 0)
}

/// The same of JSON in which the values of a request lie `envelope` deep.
fn json_around(field: &str, text: &str, envelope: usize) -> Result<Value> {
    let parse = |bytes: &[u8]| strict_json::parse_around(field, bytes, envelope);
    match text {
        "-" => parse(&standard_input()?),
        _ => match text.strip_prefix('@') {
            Some(path) => parse(&file(Path::new(path))?),
            None => parse(text.as_bytes()),
        },
    }
}

/// All of standard input.
pub(crate) fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut input = std::io::stdin().take(INPUT_BYTES as u64 + 1);
    input.read_to_end(&mut bytes).map_err(|e| {
        Error::new(Code::Io).with("operation", "read").with("path", "standard input").with("reason", e)
    })?;
    check_input("standard input", bytes.len())?;
    Ok(bytes)
}

/// A file that the command line names.
pub(crate) fn open(path: &Path) -> Result<Arc<dyn File>> {
    let files = Env::real().files;
    let refuse = |reason: &str| {
        Err(Error::new(Code::InvalidValue).with("field", path.display()).with("reason", reason))
    };
    if path.is_dir() {
        return refuse("it is a directory, not a file");
    }
    if !files.exists(path)? {
        return refuse("there is no such file");
    }
    files.open(path, OpenMode::Read)
}

/// Refuses a file to write if there is one.
pub(crate) fn check_new(path: &Path) -> Result<()> {
    if Env::real().files.exists(path)? {
        return Err(Error::new(Code::InvalidValue)
            .with("field", path.display())
            .with("reason", "it exists already, and is not written over"));
    }
    Ok(())
}

/// A new file that the command line names.
pub(crate) fn create(path: &Path) -> Result<Arc<dyn File>> {
    check_new(path)?;
    Env::real().files.open(path, OpenMode::CreateNew)
}

/// All of a file that the command line names.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>> {
    let file = open(path)?;
    // Its length says nothing of a file that the system makes up as it is read.
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = file.read_at(bytes.len() as u64, &mut piece)?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&piece[..read]);
        check_input(&path.display().to_string(), bytes.len())?;
    }
}

/// Refuses input that no request can need, before it fills the memory.
pub(crate) fn check_input(name: &str, bytes: usize) -> Result<()> {
    if bytes <= INPUT_BYTES {
        return Ok(());
    }
    let reason = format_args!("it has more than {INPUT_BYTES} bytes, and no request needs as many");
    Err(Error::new(Code::InvalidValue).with("field", name).with("reason", reason))
}

#[cfg(test)]
mod tests {
    use super::duration_us;

    #[test]
    fn durations_are_sums_of_units_the_longest_first() {
        for (text, us) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90_000_000),
            ("1h30m", 5_400_000_000),
            ("2w1d", 1_296_000_000_000),
            ("1s5ms7us", 1_005_007),
            ("9223372036854775807us", i64::MAX),
        ] {
            assert_eq!(duration_us(text), Some(us.into()), "{text}");
        }
        for text in [
            "",
            "90",
            "s",
            "1x",
            "1h 30m",
            "30m1h",
            "1h1h",
            "-1h",
            "1.5h",
            "9223372036854775807us1",
            "1h30",
            "99999999w",
        ] {
            assert_eq!(duration_us(text), None, "{text}");
        }
    }
}
