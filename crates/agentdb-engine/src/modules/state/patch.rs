//! `state.patch`.

use agentdb_types::{Code, Error, Lsn, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Ttl, check_version, find, not_found, row_key, store};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::tx::Tx;

/// Merges a patch into a JSON object.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Whose state: 1 to 512 bytes. No agent of this name need be registered.
    pub owner: String,
    /// The key among the owner's: 1 to 512 bytes.
    pub key: String,
    /// The patch: a JSON object in the sense of JSON Merge Patch (RFC 7396). A field of null is removed.
    pub patch: Value,
    /// Whether an absent value counts as an empty object; otherwise it is an error.
    #[serde(default)]
    pub create: bool,
    /// The version that the value must have, 0 for absent; any if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<Lsn>,
}

/// The answer to [`Patch`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Patched {
    /// The value after the patch.
    pub value: Value,
    /// Its version.
    pub version: Lsn,
}

impl Request for Patch {
    type Response = Patched;
    const ABOUT: About = About {
        name: "state.patch",
        doc: "Merges a patch into a JSON object (RFC 7396): given fields are replaced, null removes one, the others stay. The time to live stays.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "state.write",
        resource: &["owner", "key"],
        sensitive: &["patch", "value"],
        errors: &[Code::StateNotFound, Code::InvalidPatch, Code::VersionMismatch, Code::ValueTooLarge],
    };
}

impl WriteRequest for Patch {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Patched> {
        let key = row_key(tx, &self.owner, &self.key)?;
        let before = find(tx, &key)?;
        check_version(&self.key, before.as_ref(), self.expected_version)?;
        let mut value = match &before {
            Some(state) => state.value.clone(),
            None if self.create => Value::Object(serde_json::Map::new()),
            None => return Err(not_found(&self.owner, &self.key)),
        };
        if !value.is_object() || !self.patch.is_object() {
            let reason = "value and patch must both be JSON objects";
            return Err(Error::new(Code::InvalidPatch).with("reason", reason));
        }
        agentdb_types::json::check_depth("patch", &self.patch)?;
        merge(&mut value, &self.patch);
        let stored = store(tx, key, before.as_ref(), &value, Ttl::Keep)?;
        Ok(Patched { value, version: stored.version })
    }

    fn weight(&self) -> usize {
        256 + crate::modules::weigh(&self.patch)
    }
}

/// RFC 7396, section 2.
pub(in crate::modules) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (target, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut value = target;
            merge(&mut value, &patch);
            assert_eq!(value, expected);
        }
    }
}
