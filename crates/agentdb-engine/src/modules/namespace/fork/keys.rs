//! Where a row of the source lies in the fork.

use agentdb_types::{Code, Error, Result};

use crate::Table;
use crate::history::HistoryNoun;
use crate::key::{Key, NamespaceId};

/// The key under which a fork has the row of `key`; `None` if it does not have it.
///
/// It has what has a history ([`HistoryNoun::of`]). What is bound to the source alone stays there: what retries are answered,
/// versions that ended, files to be removed.
pub(crate) fn translate(key: &[u8], target: NamespaceId) -> Result<Option<Key>> {
    let Some(table) = Key::table_of(key).and_then(Table::from_number) else {
        return Err(Error::new(Code::FormatTooNew)
            .with("path", "a row")
            .with("actual", format_args!("a table of number {:?}", Key::table_of(key)))
            .with("supported", "those that it knows"));
    };
    let key = Key::from_bytes(key.to_vec());
    Ok(match table {
        Table::Blob => Some(key.in_namespace(target).in_table(Table::ForkBlob)),
        Table::Expiry => expiry(&key, target)?,
        // How long histories are kept has none of its own.
        Table::Retention => Some(key.in_namespace(target)),
        table => HistoryNoun::of(table).map(|_| key.in_namespace(target)),
    })
}

/// The note of an expiry names the whole key of the row that expires.
fn expiry(note: &Key, target: NamespaceId) -> Result<Option<Key>> {
    let mut parts = note.components();
    let at = parts.u64()?;
    let Some(row) = translate(parts.rest(), target)? else { return Ok(None) };
    Ok(Some(Key::new(target, Table::Expiry).u64(at).raw(row.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(key: Key) -> Option<Key> {
        translate(key.as_bytes(), NamespaceId(7)).unwrap()
    }

    #[test]
    fn the_namespace_is_replaced_wherever_a_key_has_it() {
        let (source, target) = (NamespaceId::DEFAULT, NamespaceId(7));
        let state = |namespace| Key::new(namespace, Table::State).text("ann").text("plan");
        assert_eq!(translated(state(source)), Some(state(target)));
        let note = |namespace| Key::new(namespace, Table::Expiry).u64(5).raw(state(namespace).as_bytes());
        assert_eq!(translated(note(source)), Some(note(target)));
        let blob = |namespace, table| Key::new(namespace, table).text("af");
        assert_eq!(translated(blob(source, Table::Blob)), Some(blob(target, Table::ForkBlob)));
    }

    #[test]
    fn what_is_the_sources_alone_stays_there() {
        let remembered = Key::new(NamespaceId::DEFAULT, Table::Idempotency).text("once");
        assert_eq!(translated(remembered.clone()), None);
        let note = Key::new(NamespaceId::DEFAULT, Table::Expiry).u64(5).raw(remembered.as_bytes());
        assert_eq!(translated(note), None);
        assert_eq!(translated(Key::new(NamespaceId::DEFAULT, Table::History).u64(1)), None);
    }
}
