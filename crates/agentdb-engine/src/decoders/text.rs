//! Decoders of text.

use std::path::Path;

use agentdb_env::sim::World;
use agentdb_types::{ErrorKind, Id, Result, Timestamp, json as strict};
use serde_json::{Value, json as value};

use crate::filter::Filter;
use crate::format::{self, Format};
use crate::key::{Key, NamespaceId};
use crate::modules::transfer::{Existing, Export, Import};
use crate::{Engine, Table, WriteOptions, cursor};

/// JSON from outside.
pub(super) fn json(bytes: &[u8]) -> bool {
    let Ok(parsed) = strict::parse("input", bytes) else { return false };
    assert!(strict::check_depth("input", &parsed).is_ok());
    assert_eq!(strict::parse("input", parsed.to_string().as_bytes()), Ok(parsed));
    true
}

/// RFC 3339.
pub(super) fn timestamp(bytes: &[u8]) -> bool {
    let parsed = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Timestamp>().ok());
    let Some(time) = parsed else { return false };
    assert_eq!(time.to_string().parse(), Ok(time));
    assert_eq!(Timestamp::from_micros(time.micros()), Ok(time));
    true
}

/// An id.
pub(super) fn id(bytes: &[u8]) -> bool {
    let Ok(id) = Id::from_utf8("input", bytes) else { return false };
    assert_eq!(id.as_str().as_bytes(), bytes);
    true
}

/// `FORMAT`, as read and with its checksum set right.
pub(super) fn format_file(bytes: &[u8]) -> bool {
    let decodes = |bytes: &[u8]| {
        let Ok(format) = Format::decode(bytes, Path::new("FORMAT")) else { return false };
        assert!((1..=format::VERSION).contains(&format.agentdb) && !format.id.is_empty());
        let again = format.encode().expect("a format has a JSON form");
        assert_eq!(Format::decode(again.as_bytes(), Path::new("FORMAT")), Ok(format));
        true
    };
    let repaired = std::str::from_utf8(bytes).ok().map(|text| {
        let line = text.lines().next().unwrap_or_default();
        decodes(format!("{line}\n{}\n", format::checksum(line)).as_bytes())
    });
    decodes(bytes) || repaired == Some(true)
}

/// A page cursor, as given and as made of these bytes.
pub(super) fn cursor(bytes: &[u8]) -> bool {
    let prefix = Key::new(NamespaceId::DEFAULT, Table::State).text("ann");
    let made = cursor::encode(&prefix, &prefix.clone().raw(bytes));
    assert_eq!(cursor::decode(&prefix, &made), Ok(prefix.clone().raw(bytes)));
    // Another list refuses it.
    assert!(cursor::decode(&Key::new(NamespaceId::DEFAULT, Table::State).text("bob"), &made).is_err());
    let decoded = std::str::from_utf8(bytes).ok().and_then(|text| cursor::decode(&prefix, text).ok());
    let Some(key) = decoded else { return false };
    assert_eq!(cursor::decode(&prefix, &cursor::encode(&prefix, &key)), Ok(key));
    true
}

/// Lines of an import, on a small database of their own. Whatever they are: all of them are imported or a typed error comes;
/// what is imported is exported so that it is imported again to the same; the database is whole.
pub(super) fn import(bytes: &[u8]) -> bool {
    let engine = super::requests::open(&World::new(1));
    let imported = transfer(&engine, "a", bytes);
    if let Err(err) = &imported {
        assert!(!err.message().contains("(not given)"), "{err:?}");
        let damage = err.kind() == ErrorKind::Corruption;
        assert!(!damage, "{err:?}");
    }
    if engine.namespace("a").is_ok() {
        let nouns = export(&engine, "a");
        let again = [&b"{\"noun\":\"export\",\"format\":1}\n"[..], &nouns, b"{\"noun\":\"end\"}"].concat();
        transfer(&engine, "b", &again).expect("what is exported is imported");
        assert_eq!(String::from_utf8(export(&engine, "b")), String::from_utf8(nouns));
    }
    let report = engine.verify(&mut |_| {}).expect("the handle works");
    assert_eq!(report.problems, []);
    imported.is_ok()
}

fn transfer(engine: &Engine, name: &str, lines: &[u8]) -> Result<()> {
    let import = Import { name: name.to_owned(), existing: Existing::Refuse };
    let mut job = engine.begin_import(&import, Box::new(lines), WriteOptions::default())?;
    while job.step()?.is_none() {}
    Ok(())
}

/// An export of what the default namespace holds.
#[cfg(test)]
pub(super) fn exported(engine: &Engine) -> Vec<u8> {
    let job = engine.begin_export(&Export { name: "default".into(), versions: true }).expect("it is there");
    job.map(|piece| piece.expect("rows are whole")).collect::<Vec<_>>().concat()
}

/// The lines of nouns that a namespace holds.
fn export(engine: &Engine, name: &str) -> Vec<u8> {
    let job = engine.begin_export(&Export { name: name.to_owned(), versions: false }).expect("it is there");
    let pieces: Vec<Vec<u8>> = job.map(|piece| piece.expect("rows are whole")).collect();
    let all = pieces.concat();
    let own = |line: &&[u8]| {
        ["export", "check", "end"]
            .iter()
            .any(|noun| line.starts_with(format!("{{\"noun\":\"{noun}\"").as_bytes()))
    };
    all.split_inclusive(|b| *b == b'\n').filter(|line| !own(line)).collect::<Vec<_>>().concat()
}

/// A filter on the first line, a payload on the second.
pub(super) fn filter(bytes: &[u8]) -> bool {
    let mut lines = bytes.splitn(2, |b| *b == b'\n');
    let mut line = || strict::parse("input", lines.next().unwrap_or_default()).ok();
    let (Some(json), payload) = (line(), line().unwrap_or_default()) else { return false };
    let Ok(filter) = Filter::parse(&json) else { return false };
    let matches = filter.matches(&payload);
    // What the text says, not how it is put, decides.
    let same = |json: &Value, expected: bool| {
        if let Ok(filter) = Filter::parse(json) {
            assert_eq!(filter.matches(&payload), expected, "{json}");
        }
    };
    same(&value!({"$not": json}), !matches);
    same(&value!({"$and": [json]}), matches);
    same(&value!({"$or": [json, json]}), matches);
    true
}
