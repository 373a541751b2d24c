//! Which changes are watched.

use super::{Change, Kind, Noun, Thing, Watch};

/// What of a request selects changes.
pub(super) struct Filter {
    nouns: Vec<Noun>,
    key: Vec<String>,
    prefix: String,
}

impl Filter {
    pub(super) fn of(watch: &Watch) -> Self {
        Filter { nouns: watch.nouns.clone(), key: watch.key.clone(), prefix: watch.prefix.clone() }
    }

    pub(super) fn selects(&self, change: &Change) -> bool {
        let deleted = change.kind != Kind::Put;
        let nouns = change.thing.nouns(deleted);
        let watches_links = self.nouns.is_empty() || self.nouns.contains(&Noun::Link);
        if deleted && watches_links && change.thing.takes_links() {
            return true;
        }
        (self.nouns.is_empty() || nouns.iter().any(|noun| self.nouns.contains(noun)))
            && self.selects_key(&change.thing, deleted)
    }

    fn selects_key(&self, thing: &Thing, deleted: bool) -> bool {
        let key = thing.key();
        if !key.iter().zip(&self.key).all(|(has, wanted)| has == wanted) {
            return false;
        }
        match key.get(self.key.len()) {
            Some(next) => next.starts_with(&self.prefix),
            // What is watched lies inside of it, and goes when it goes; or it is all there is to the key.
            None if deleted && thing.holds_others() => true,
            None => key.len() == self.key.len() && self.prefix.is_empty(),
        }
    }
}
