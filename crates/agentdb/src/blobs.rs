//! Blobs.

use std::io;

use agentdb_engine::modules::blob;
use agentdb_engine::{Committed, WriteOptions};
use agentdb_types::{Code, Result};
use serde_json::Value;

use crate::write::{object, options};
use crate::{Namespace, Page, Write, present};

/// The blobs of a namespace: bytes up to 5 GiB, addressed by their content.
#[derive(Clone)]
pub struct Blobs {
    namespace: Namespace,
}

impl Blobs {
    pub(crate) fn new(namespace: Namespace) -> Self {
        Blobs { namespace }
    }

    /// Stores the bytes that `source` gives. They are read on the thread that waits, so there is no future of it: an
    /// asynchronous program waits on a thread that may block.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let stored = ns.blobs().put(&b"bytes"[..]).media_type("text/plain").wait()?.response;
    /// assert_eq!((stored.bytes, stored.blob.len()), (5, 64));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn put<'a>(&self, source: impl io::Read + 'a) -> PutBlob<'a> {
        PutBlob {
            namespace: self.namespace.clone(),
            source: Box::new(source),
            about: Ok(blob::Put::default()),
            options: WriteOptions::default(),
        }
    }

    /// Opens a blob for reading. It stays readable when the blob is deleted.
    ///
    /// # Errors
    /// [`Code::BlobNotFound`]; [`Code::BlobCorrupt`]; [`Code::InvalidValue`] if `blob` is no address.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let blob = ns.blobs().put(&b"bytes"[..]).wait()?.response.blob;
    /// assert_eq!(ns.blobs().open(blob)?.read_all()?, b"bytes");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn open(&self, blob: impl AsRef<str>) -> Result<blob::BlobReader> {
        self.namespace.open_blob(&self.namespace.snapshot()?, blob.as_ref())
    }

    /// What is known of a blob, without its bytes; `None` if there is none.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] if `blob` is no address.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let blob = ns.blobs().put(&b"bytes"[..]).name("greeting").wait()?.response.blob;
    /// assert_eq!(ns.blobs().stat(blob)?.unwrap().name.as_deref(), Some("greeting"));
    /// assert!(ns.blobs().stat("0".repeat(64))?.is_none());
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn stat(&self, blob: impl Into<String>) -> Result<Option<blob::Entry>> {
        present(self.namespace.read(blob::Stat { blob: blob.into() }), Code::BlobNotFound)
    }

    /// A page of the blobs, in the order of their addresses.
    ///
    /// # Errors
    /// [`Code::PageTooLarge`], [`Code::InvalidCursor`].
    ///
    /// ```
    /// # use agentdb::Page;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// ns.blobs().put(&b"bytes"[..]).wait()?;
    /// assert_eq!(ns.blobs().list(Page::default())?.items[0].bytes, 5);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn list(&self, page: Page) -> Result<blob::Listed> {
        let Page { limit, cursor, reverse, prefix } = page;
        self.namespace.read(blob::List { prefix, limit, cursor, reverse })
    }

    /// Deletes a blob; it is no error if there is none.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let blob = ns.blobs().put(&b"bytes"[..]).wait()?.response.blob;
    /// assert!(ns.blobs().delete(blob).wait()?.response.deleted);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn delete(&self, blob: impl Into<String>) -> Write<blob::Delete> {
        self.namespace.write(blob::Delete { blob: blob.into() })
    }
}

/// Bytes on their way to become a blob.
#[must_use = "nothing is stored until it is waited for"]
pub struct PutBlob<'a> {
    namespace: Namespace,
    source: Box<dyn io::Read + 'a>,
    about: Result<blob::Put>,
    options: WriteOptions,
}

impl PutBlob<'_> {
    options!();

    fn with(mut self, change: impl FnOnce(&mut blob::Put) -> Result<()>) -> Self {
        self.about = self.about.and_then(|mut about| change(&mut about).map(|()| about));
        self
    }

    /// What the bytes are, such as `image/png`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let blob = ns.blobs().put(&b"# Title"[..]).media_type("text/markdown").wait()?.response.blob;
    /// assert_eq!(ns.blobs().stat(blob)?.unwrap().media_type.as_deref(), Some("text/markdown"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn media_type(self, media_type: impl Into<String>) -> Self {
        self.with(|about| {
            about.media_type = Some(media_type.into());
            Ok(())
        })
    }

    /// What people call it, such as a file name.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let blob = ns.blobs().put(&b"bytes"[..]).name("a.txt").wait()?.response.blob;
    /// assert_eq!(ns.blobs().stat(blob)?.unwrap().name.as_deref(), Some("a.txt"));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn name(self, name: impl Into<String>) -> Self {
        self.with(|about| {
            about.name = Some(name.into());
            Ok(())
        })
    }

    /// A JSON object to keep with it.
    ///
    /// ```
    /// # use agentdb::json;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let blob = ns.blobs().put(&b"bytes"[..]).metadata(json!({"page": 3})).wait()?.response.blob;
    /// assert_eq!(ns.blobs().stat(blob)?.unwrap().metadata["page"], 3);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn metadata(self, metadata: impl Into<Value>) -> Self {
        self.with(|about| object("metadata", metadata.into()).map(|map| about.metadata = Some(map)))
    }

    /// The address that the bytes must have; refused with [`Code::BlobMismatch`] otherwise.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// let wrong = ns.blobs().put(&b"bytes"[..]).address("0".repeat(64)).wait();
    /// assert_eq!(wrong.unwrap_err().code(), agentdb::Code::BlobMismatch);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn address(self, blob: impl Into<String>) -> Self {
        self.with(|about| {
            about.blob = Some(blob.into());
            Ok(())
        })
    }

    /// Reads the bytes, stores them, and blocks until they are durable and referenced.
    ///
    /// # Errors
    /// [`Code::BlobMismatch`], [`Code::BlobTooLarge`], [`Code::DiskFull`]; errors of the source; those of a write.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let ns = agentdb::Database::open(dir.path())?.namespace("default")?;
    /// assert!(ns.blobs().put(&b"bytes"[..]).wait()?.response.created);
    /// assert!(!ns.blobs().put(&b"bytes"[..]).wait()?.response.created);
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn wait(mut self) -> Result<Committed<blob::Stored>> {
        self.namespace.put_blob(&mut self.source, self.about?, self.options)
    }
}
