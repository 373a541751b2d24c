//! Rows in words, for messages and the inspector.

use std::collections::BTreeMap;
use std::path::Path;

use agentdb_env::OpenMode;
use agentdb_log::Log;
use agentdb_types::{Lsn, Result};
use serde::Serialize;

use crate::key::{Key, NamespaceId};
use crate::read::{Page, Read};
use crate::{Engine, Table};

/// A key in words: namespace number, table, and the components as far as they are text.
pub fn describe(key: &[u8]) -> String {
    let namespace = Key::namespace_of(key).map_or("?".to_owned(), |n| n.number().to_string());
    let table = Key::table_of(key).and_then(Table::from_number).map_or("?", Table::name);
    let rest = key.get(9..).unwrap_or_default();
    format!("namespace {namespace} table {table} key {}", rest.escape_ascii())
}

/// A segment of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// The name of its file.
    pub file: String,
    /// Bytes of the file, filled or not.
    pub bytes: u64,
    /// The first LSN that it holds or will hold; absent for one that was made ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_lsn: Option<Lsn>,
    /// The last LSN that it holds; absent if it holds none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_lsn: Option<Lsn>,
}

/// A file of the database, or the files of blobs together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredFile {
    /// Its path from the database's directory; `blobs/` stands for all files below.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// How many files these are.
    pub files: u64,
}

impl Engine {
    /// The segments of the log, in order.
    ///
    /// # Errors
    /// Errors of files.
    pub fn segments(&self) -> Result<Vec<Segment>> {
        let dir = self.core.dir.join("log");
        // Segments come and go under this lock.
        let sequencer = self.core.lock_sequencer();
        let starts: Vec<Lsn> = sequencer.log.segment_starts().collect();
        let head = sequencer.log.head().lsn;
        let mut names = self.core.env.files.list(&dir)?;
        names.retain(|name| name.ends_with(".log"));
        let mut segments = Vec::new();
        for (i, file) in names.into_iter().enumerate() {
            let bytes = self.size(&dir.join(&file))?;
            let first_lsn = starts.get(i).copied();
            let end = starts.get(i + 1).map_or(head, |next| Lsn(next.0.saturating_sub(1)));
            let last_lsn = first_lsn.filter(|first| *first <= end).map(|_| end);
            segments.push(Segment { file, bytes, first_lsn, last_lsn });
        }
        Ok(segments)
    }

    /// The files of the database with their sizes, those of blobs counted together.
    ///
    /// # Errors
    /// Errors of files.
    pub fn files(&self) -> Result<Vec<StoredFile>> {
        let (files, dir) = (&self.core.env.files, &self.core.dir);
        let mut found = Vec::new();
        for path in ["FORMAT", "LOCK"] {
            found.push(StoredFile { path: path.to_owned(), bytes: self.size(&dir.join(path))?, files: 1 });
        }
        for part in ["log", "rows", "keys"] {
            for name in files.list(&dir.join(part))? {
                let path = format!("{part}/{name}");
                // It may be gone by now: the log lets go of segments, and finishes new ones, at any time.
                if files.exists(&dir.join(&path))? {
                    found.push(StoredFile { bytes: self.size(&dir.join(&path))?, path, files: 1 });
                }
            }
        }
        let (bytes, files) = self.blob_files()?;
        found.push(StoredFile { path: "blobs/".to_owned(), bytes, files });
        Ok(found)
    }

    fn size(&self, path: &Path) -> Result<u64> {
        self.core.env.files.open(path, OpenMode::Read)?.len()
    }

    /// Bytes and number of the files of blobs, by the layout that `modules::blob` describes.
    fn blob_files(&self) -> Result<(u64, u64)> {
        let files = &self.core.env.files;
        let blobs = self.core.dir.join("blobs");
        let (mut bytes, mut count) = (0, 0);
        let mut add = |path: &Path| -> Result<()> {
            if files.exists(path)? {
                bytes += self.size(path)?;
                count += 1;
            }
            Ok(())
        };
        for namespace in files.list(&blobs)? {
            let namespace = blobs.join(namespace);
            for name in files.list(&namespace)? {
                let path = namespace.join(name);
                if namespace.ends_with("new") {
                    add(&path)?;
                    continue;
                }
                for address in files.list(&path)? {
                    add(&path.join(address))?;
                }
            }
        }
        Ok((bytes, count))
    }

    /// How many rows each table of a namespace has, by the tables' names.
    ///
    /// # Errors
    /// [`NamespaceNotFound`](agentdb_types::Code::NamespaceNotFound), errors of rows and files.
    pub fn count_rows(&self, namespace: NamespaceId) -> Result<BTreeMap<&'static str, u64>> {
        let snapshot = self.snapshot(namespace)?;
        let mut counts = BTreeMap::new();
        for &table in Table::ALL {
            let mut count = 0;
            snapshot.scan_prefix(&snapshot.key(table), Page::Forward, &mut |_, _| {
                count += 1;
                Ok(true)
            })?;
            if count > 0 {
                counts.insert(table.name(), count);
            }
        }
        Ok(counts)
    }
}
