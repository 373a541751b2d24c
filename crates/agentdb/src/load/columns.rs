//! Which column is what.

use agentdb_engine::modules::load::Load;
use agentdb_types::{Code, Error, Result};

/// What a column is to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Id,
    Vector,
    /// A further vector, by its name.
    Named(String),
    /// A sparse vector, by its name.
    Sparse(String),
    Text,
    /// The whole payload.
    Payload,
    /// A field of the payload.
    Field,
    Skipped,
}

/// Names that say what a column is where the load does not.
const IDS: [&str; 2] = ["id", "record"];
const VECTOR: &str = "vector";
const TEXT: &str = "text";

/// The columns of a file, by name.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    load: Load,
    file: String,
    /// The name of the column of ids, if the file has one.
    id: Option<String>,
}

impl Columns {
    /// Of a file that has these columns.
    ///
    /// # Errors
    /// [`Code::LoadSource`] if a column that the load names is not there, or is to be two things, if two have one name, or if
    /// there is none of ids.
    pub(super) fn new<'a>(load: &Load, file: &str, names: impl Iterator<Item = &'a str>) -> Result<Self> {
        let names: Vec<&str> = names.collect();
        let refuse = |reason: String| Err(source(file, reason));
        if let Some((at, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return refuse(format!(
                "the columns {} and {} have one name, {name:?}",
                first(&names, name) + 1,
                at + 1
            ));
        }
        let mut said: Vec<&str> = Vec::new();
        let one = [&load.id, &load.vector, &load.text, &load.payload].into_iter().flatten();
        for name in one.chain(load.vectors.values()).chain(load.sparse.values()).chain(&load.skip) {
            if !names.contains(&name.as_str()) {
                return refuse(format!("it has no column {name:?}; its columns are {}", listed(&names)));
            }
            if said.contains(&name.as_str()) {
                return refuse(format!("the column {name:?} is to be two things at once"));
            }
            said.push(name);
        }
        let by_default = IDS.into_iter().find(|name| names.contains(name) && !said.contains(name));
        let id = load.id.clone().or(by_default.map(str::to_owned));
        let columns = Columns { load: load.clone(), file: file.to_owned(), id };
        if columns.id.is_none() && !load.generate_ids {
            return refuse(format!(
                "it has no column `id` or `record`: name the column of ids (`id`), or let records get new ones \
                 (`generate_ids`); its columns are {}",
                listed(&names)
            ));
        }
        names.iter().try_for_each(|name| columns.role(name).map(drop))?;
        Ok(columns)
    }

    /// What the column of this name is.
    ///
    /// # Errors
    /// [`Code::LoadSource`] for one that is nothing.
    pub(super) fn role(&self, name: &str) -> Result<Role> {
        let load = &self.load;
        let is = |column: &Option<String>| column.as_deref() == Some(name);
        let by_name = |columns: &std::collections::BTreeMap<String, String>| {
            columns.iter().find(|(_, column)| *column == name).map(|(vector, _)| vector.clone())
        };
        Ok(if load.skip.contains(name) {
            Role::Skipped
        } else if is(&self.id) {
            Role::Id
        } else if is(&load.vector) {
            Role::Vector
        } else if is(&load.text) {
            Role::Text
        } else if is(&load.payload) {
            Role::Payload
        } else if let Some(vector) = by_name(&load.vectors) {
            Role::Named(vector)
        } else if let Some(vector) = by_name(&load.sparse) {
            Role::Sparse(vector)
        } else if load.vector.is_none() && name == VECTOR {
            Role::Vector
        } else if load.text.is_none() && name == TEXT {
            Role::Text
        } else if load.payload.is_some() {
            return Err(source(
                &self.file,
                format!(
                    "the column {name:?} is nothing of a record, whose payload is another one: `skip` it"
                ),
            ));
        } else {
            Role::Field
        })
    }

    /// The column of ids, for messages.
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or(IDS[0])
    }

    pub(super) fn load(&self) -> &Load {
        &self.load
    }
}

fn first(names: &[&str], name: &str) -> usize {
    names.iter().position(|other| *other == name).unwrap_or_default()
}

/// Names for a message.
fn listed(names: &[&str]) -> String {
    const MOST: usize = 20;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| format!("{name:?}")).collect();
    let more = if names.len() > MOST { ", …" } else { "" };
    shown.join(", ") + more
}

/// The error of a file that cannot be loaded.
pub(super) fn source(file: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::LoadSource).with("source", file).with("reason", reason)
}
