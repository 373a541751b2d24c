//! `item.index`, and the settings that it makes.

use agentdb_types::{Code, Error, Result, Timestamp};
use agentdb_vector::{Dimension, Metric};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields;
use crate::encoder::dimension_with;
use crate::key::Key;
use crate::operation::{About, Effect, Request, Scope, WriteRequest, encode_json};
use crate::read::Read;
use crate::tx::Tx;
use crate::{Engine, Table, row_json};

/// Sets up how the items of the namespace are found by vectors and texts.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The id of the text encoder that makes vectors of items' texts, and of queries. If the handle has an encoder it must be
    /// that one, and the dimension may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Components of the vectors, 1 to 8,192. Needed without an encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<usize>,
    /// How vectors are compared; the cosine if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Which texts of a value are encoded, a vector each, where a put does not say: paths such as `title`, `a.b`, `c[*].d`; the
    /// whole value, `$`, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    /// Whether items are encoded where a put does not say; true if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

/// How the items of a namespace are found by vectors and texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// The number under which the vectors are kept.
    pub number: u64,
    /// Components of the vectors.
    pub dimension: Dimension,
    /// How vectors are compared.
    pub metric: Metric,
    /// The text encoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Which texts of a value are encoded where a put does not say.
    pub fields: Vec<String>,
    /// Whether items are encoded where a put does not say.
    pub default: bool,
    /// When the index was set up.
    pub created: Timestamp,
}

/// The key of the settings. There is one index; a name leaves room for more.
pub(super) fn key(rows: &dyn Read) -> Key {
    rows.key(Table::ItemIndex).text("default")
}

/// The settings, if there is an index.
pub(super) fn find(rows: &dyn Read) -> Result<Option<Settings>> {
    rows.get(&key(rows))?.map(|row| row_json::decode(&row)).transpose()
}

/// A number for a new index: vectors of collections and of items lie in one table.
pub(super) fn new_number(tx: &mut Tx<'_>) -> Result<u64> {
    Ok(tx.add(tx.counter("collections"), 1)?.unsigned_abs())
}

pub(super) fn not_indexed(reason: &str) -> Error {
    Error::new(Code::ItemsNotIndexed).with("reason", reason)
}

impl Index {
    /// The settings of a new index, but for its number.
    fn settings(&self, created: Timestamp) -> Result<Settings> {
        let missing = || {
            Error::new(Code::InvalidValue)
                .with("field", "dimension")
                .with("reason", "an index needs an encoder or a dimension")
        };
        let fields = self.fields.clone().unwrap_or_else(|| vec!["$".to_owned()]);
        fields::parse(&fields)?;
        Ok(Settings {
            number: 0,
            dimension: Dimension::new(self.dimension.ok_or_else(missing)?)?,
            metric: self.metric.unwrap_or(Metric::Cosine),
            encoder: self.encoder.clone(),
            fields,
            default: self.default.unwrap_or(true),
            created,
        })
    }
}

impl Request for Index {
    type Response = Settings;
    const ABOUT: About = About {
        name: "item.index",
        doc: "Sets up how the items of the namespace are found by vectors and texts: those that are put from then on. For an index that is there it changes the fields and the default, and refuses anything else.",
        effect: Effect::Batchable,
        scope: Scope::Namespace,
        permission: "item.manage",
        resource: &[],
        sensitive: &[],
        errors: &[
            Code::ItemIndexMismatch,
            Code::DimensionOutOfRange,
            Code::NoEncoder,
            Code::TooManyVectors,
            Code::IdEmpty,
            Code::IdTooLong,
        ],
    };
}

impl WriteRequest for Index {
    fn prepare(&mut self, engine: &Engine) -> Result<()> {
        self.dimension = dimension_with(engine, self.encoder.as_deref(), self.dimension)?;
        Ok(())
    }

    fn decide(&self, tx: &mut Tx<'_>) -> Result<Settings> {
        let mut settings = self.settings(tx.now())?;
        match find(tx)? {
            Some(before) => {
                let Settings { dimension, metric, encoder, .. } = &before;
                if (dimension, metric, encoder) != (&settings.dimension, &settings.metric, &settings.encoder)
                {
                    let reason = format_args!(
                        "it has dimension {dimension}, metric {} and encoder {}",
                        encode_json(metric)?,
                        encoder.as_deref().unwrap_or("none")
                    );
                    return Err(Error::new(Code::ItemIndexMismatch).with("reason", reason));
                }
                settings = Settings { fields: settings.fields, default: settings.default, ..before };
            }
            None => settings.number = new_number(tx)?,
        }
        tx.put_bookkeeping(key(tx), row_json::encode(&settings)?)?;
        Ok(settings)
    }

    fn weight(&self) -> usize {
        256 + self.fields.iter().flatten().map(|field| 32 + field.len()).sum::<usize>()
    }
}
