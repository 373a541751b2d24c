//! Writes of links: between records that are there, mostly.

use agentdb_env::sim::Random;
use serde_json::{Value, json};

use super::record::payload;
use super::{Scene, any, bad_id, pick, too_large};
use crate::model::Namespace;

/// Types of links.
pub(crate) const TYPES: [&str; 3] = ["cites", "\u{4e2d}\0", "c"];

/// A record of any collection, one that is there if any is.
fn record(dice: &mut Random, scene: &Scene<'_>, namespace: &Namespace) -> (String, String) {
    let live: Vec<(String, String)> = namespace
        .collections
        .iter()
        .flat_map(|(name, of)| of.live(scene.now).map(|(id, _)| (name.clone(), id.clone())))
        .collect();
    match any(dice, live.iter()) {
        Some(found) if dice.chance(31, 32) => found.clone(),
        _ => (pick(dice, &["docs", "none", "."]).to_owned(), pick(dice, &["r1", "nobody"]).to_owned()),
    }
}

/// A write of a link.
pub(super) fn operation(
    dice: &mut Random,
    scene: &Scene<'_>,
    namespace: &Namespace,
) -> (&'static str, Value) {
    let nodes = namespace.live_nodes(scene.now);
    let links: Vec<_> = namespace.links_among(&nodes).map(|(key, _)| key).collect();
    let deletes = dice.chance(1, 4);
    let mut fields = match any(dice, links.iter()) {
        Some((from, link_type, to)) if dice.chance(1, if deletes { 2 } else { 6 }) => {
            let (from, to) = (nodes[from], nodes[to]);
            json!({
                "collection": from.collection, "record": from.id, "type": link_type,
                "to_collection": to.collection, "to": to.id,
            })
        }
        _ => {
            let ((collection, record), (to_collection, to)) =
                (record(dice, scene, namespace), record(dice, scene, namespace));
            let mut fields =
                json!({"collection": collection, "record": record, "type": pick(dice, &TYPES), "to": to});
            if to_collection != collection || dice.chance(1, 2) {
                fields["to_collection"] = json!(to_collection);
            }
            fields
        }
    };
    match dice.below(150) {
        0 => fields["type"] = json!(bad_id(dice)),
        1 => fields["to"] = json!(bad_id(dice)),
        2 => fields["record"] = json!(bad_id(dice)),
        3 => fields["to_collection"] = json!("none"),
        _ => {}
    }
    if deletes {
        return ("link.delete", fields);
    }
    match dice.below(100) {
        0 => fields["payload"] = json!({"text": too_large()}),
        1..=60 => fields["payload"] = payload(dice),
        _ => {}
    }
    ("link.put", fields)
}
