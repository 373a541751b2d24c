//! `collection.alter`.

use std::collections::BTreeMap;

use agentdb_types::{Code, Error, Result};
use agentdb_vector::Dimension;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vectors::{self, VectorSettings};
use super::{Head, SparseSettings, TextSettings, find, key, schema, sparse, texts};
use crate::filter::Fields;
use crate::modules::namespace::check_name;
use crate::modules::{check_inline, record};
use crate::operation::{About, Effect, Request, Scope, WriteRequest};
use crate::row_json;
use crate::tx::Tx;

/// Changes what a collection is. What is not given stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alter {
    /// The name.
    pub collection: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Named vectors to add, or with null to drop. Those that are there stay as they are: to change one, drop it first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<String, Option<VectorSettings>>,
    /// Sparse vectors to add, or with null to drop. What records have under a name that is dropped is gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse: BTreeMap<String, Option<SparseSettings>>,
    /// Fields of payloads to declare, by path, or to index, or to index no longer. A field that has a type keeps it. All
    /// records are read, and refuse it if they have other values there.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
    /// All texts that are searched by words: `text`, the record's own, and fields of the payload, by path. The next search makes
    /// their index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<BTreeMap<String, TextSettings>>,
}

/// The answer to [`Alter`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Altered {
    /// The number under which its rows are kept.
    pub number: u64,
}

impl Alter {
    /// A change of a collection that changes nothing yet.
    pub fn new(collection: impl Into<String>) -> Self {
        Alter { collection: collection.into(), ..Self::default() }
    }
}

impl Request for Alter {
    type Response = Altered;
    const ABOUT: About = About {
        name: "collection.alter",
        doc: "Changes what a collection is, while it is used: its description, its named vectors, the fields of payloads, which texts are searched by words. What is not given stays. A named vector that is dropped is gone from all records at once; its rows are deleted in the background.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "collection.manage",
        resource: &["collection"],
        sensitive: &["description"],
        errors: &[
            Code::CollectionNotFound,
            Code::DimensionOutOfRange,
            Code::InvalidName,
            Code::TooManyVectors,
            Code::VectorExists,
            Code::VectorUnknown,
            Code::FieldDeclared,
            Code::FieldTypeMismatch,
            Code::TooManyFields,
        ],
    };
}

impl WriteRequest for Alter {
    fn decide(&self, tx: &mut Tx<'_>) -> Result<Altered> {
        let mut head = find(tx, &self.collection)?;
        if let Some(description) = &self.description {
            check_inline("description", description.len())?;
            head.description.clone_from(description);
        }
        for (name, settings) in &self.vectors {
            self.alter_vector(tx, &mut head, name, *settings)?;
        }
        vectors::check_count(head.vectors.len())?;
        sparse::alter(tx, &mut head, &self.collection, &self.sparse)?;
        self.alter_fields(tx, &mut head)?;
        if let Some(texts) = self.texts.as_ref().filter(|texts| **texts != head.texts) {
            texts::check(texts, &head.fields)?;
            head.texts.clone_from(texts);
            head.indexed_since = tx.lsn();
        }
        tx.put_bookkeeping(key(tx, &self.collection)?, row_json::encode(&head)?)?;
        Ok(Altered { number: head.number })
    }

    fn weight(&self) -> usize {
        256 + self.description.as_ref().map_or(0, String::len) + 64 * (self.vectors.len() + self.sparse.len())
    }
}

impl Alter {
    fn alter_fields(&self, tx: &Tx<'_>, head: &mut Head) -> Result<()> {
        let mut declared = false;
        for (path, field) in self.fields.iter() {
            match head.fields.get(path) {
                Some(there) if there.kind != field.kind => {
                    return Err(Error::new(Code::FieldDeclared)
                        .with("field", path)
                        .with("actual", there.kind)
                        .with("expected", field.kind));
                }
                Some(there) if there == field => continue,
                None if head.fields.any_below(path) => {
                    return Err(Error::new(Code::FieldDeclared)
                        .with("field", path)
                        .with("actual", "object with fields of its own")
                        .with("expected", field.kind));
                }
                _ => {}
            }
            head.fields.declare(path, field)?;
            head.indexed_since = tx.lsn();
            declared = true;
        }
        schema::check(&head.fields)?;
        if declared { record::check_fields(tx, head) } else { Ok(()) }
    }

    fn alter_vector(
        &self,
        tx: &mut Tx<'_>,
        head: &mut Head,
        name: &str,
        settings: Option<VectorSettings>,
    ) -> Result<()> {
        check_name("vectors", name)?;
        let Some(settings) = settings else {
            let space = *vectors::named(&head.vectors, &self.collection, name)?;
            head.vectors.remove(name);
            return vectors::discard(tx, space);
        };
        Dimension::new(settings.dimension)?;
        match head.vectors.get(name) {
            None => {
                head.vectors.insert(name.to_owned(), vectors::allot(tx, settings)?);
                Ok(())
            }
            Some(space) if space.settings() == settings => Ok(()),
            Some(_) => {
                Err(Error::new(Code::VectorExists).with("collection", &self.collection).with("name", name))
            }
        }
    }
}
