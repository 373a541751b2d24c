//! Backups in a bucket, through the crate `object_store`.
//!
//! The runtime that it needs belongs to the store, and works only while a caller waits in here: there is no thread that has
//! to be ended. Objects that are put are sent several at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentdb_engine::modules::backup::Store;
use agentdb_types::{Code, Error, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::not_a_place;

/// Requests that are under way at a time.
const AT_ONCE: usize = 8;
/// For how long a request is tried again.
const RETRIED: Duration = Duration::from_secs(60);

/// Backups in a bucket.
pub(super) struct BucketStore {
    place: String,
    prefix: Path,
    bucket: Arc<dyn ObjectStore>,
    work: Mutex<Work>,
}

struct Work {
    runtime: Runtime,
    /// Objects that are being put.
    puts: JoinSet<Result<()>>,
}

impl BucketStore {
    /// The bucket of a URL, with what the environment says of the account.
    pub(super) fn open(place: &str, scheme: &str, rest: &str) -> Result<Self> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let invalid = |reason: &dyn std::fmt::Display| not_a_place(place, reason);
        if bucket.is_empty() {
            return Err(invalid(&"it names no bucket"));
        }
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|e| invalid(&e))?;
        let retry = || RetryConfig { max_retries: 5, retry_timeout: RETRIED, ..RetryConfig::default() };
        let bucket: Arc<dyn ObjectStore> = match scheme {
            "s3" => {
                let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry());
                Arc::new(builder.build().map_err(|e| invalid(&e))?)
            }
            "gs" => {
                let builder =
                    GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry());
                Arc::new(builder.build().map_err(|e| invalid(&e))?)
            }
            "az" => {
                let builder =
                    MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(retry());
                Arc::new(builder.build().map_err(|e| invalid(&e))?)
            }
            other => return Err(invalid(&format_args!("{other}:// is none of s3://, gs://, az://"))),
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| invalid(&e))?;
        let work = Mutex::new(Work { runtime, puts: JoinSet::new() });
        Ok(BucketStore { place: place.to_owned(), prefix, bucket, work })
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.work().runtime.block_on(future)
    }

    fn failed(&self, operation: &str, object: &str, reason: &StoreError) -> Error {
        failed(&self.place, operation, object, reason)
    }
}

fn failed(place: &str, operation: &str, object: &str, reason: impl std::fmt::Display) -> Error {
    Error::new(Code::BackupStore)
        .with("store", place)
        .with("operation", operation)
        .with("object", object)
        .with("reason", reason)
}

impl Work {
    /// Waits until no more than so many objects are being put.
    fn wait(&mut self, place: &str, left: usize) -> Result<()> {
        while self.puts.len() > left {
            if let Some(done) = self.runtime.block_on(self.puts.join_next()) {
                done.map_err(|reason| failed(place, "put", "a chunk", reason))??;
            }
        }
        Ok(())
    }
}

impl Store for BucketStore {
    fn place(&self) -> &str {
        &self.place
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.run(self.bucket.put_opts(&self.path(name), bytes.to_vec().into(), options));
        match put {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. }) => Ok(false),
            Err(err) => Err(self.failed("put", name, &err)),
        }
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let mut work = self.work();
        work.wait(&self.place, AT_ONCE - 1)?;
        let (bucket, path) = (self.bucket.clone(), self.path(name));
        let (place, name) = (self.place.clone(), name.to_owned());
        let put = async move {
            let put = bucket.put(&path, bytes.into()).await;
            put.map(drop).map_err(|err| failed(&place, "put", &name, err))
        };
        let Work { runtime, puts } = &mut *work;
        puts.spawn_on(put, runtime.handle());
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.work().wait(&self.place, 0)
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name);
        let got = self.run(async { self.bucket.get(&path).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(err) => Err(self.failed("get", name, &err)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let path = self.path(prefix.trim_end_matches('/'));
        let found = self.run(self.bucket.list(Some(&path)).try_collect::<Vec<_>>());
        let found = found.map_err(|err| self.failed("list", prefix, &err))?;
        let start = if self.prefix.as_ref().is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let name = |path: &Path| path.as_ref().strip_prefix(&start).map(str::to_owned);
        let mut names: Vec<String> = found.iter().filter_map(|meta| name(&meta.location)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, names: &[String]) -> Result<()> {
        self.flush()?;
        let deletions = names.iter().map(|name| async move {
            match self.bucket.delete(&self.path(name)).await {
                Err(err) if !matches!(err, StoreError::NotFound { .. }) => {
                    Err(self.failed("delete", name, &err))
                }
                _ => Ok(()),
            }
        });
        self.run(stream::iter(deletions).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>()).map(drop)
    }
}
