//! Where rows come from: a file, or a stream; and how it is written.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentdb_engine::modules::load::Format;
use agentdb_env::{Env, File, OpenMode};
use agentdb_types::{Code, Error, Result};

use super::columns::source;

/// Bytes of a stream that are kept where a format is read from its end.
const MOST_KEPT: u64 = 1 << 30;
/// The first bytes of formats, and the last ones of a stream of Arrow.
const PARQUET: &[u8] = b"PAR1";
const ARROW_FILE: &[u8] = b"ARROW1";
const ARROW_STREAM: &[u8] = &[0xff; 4];
const ARROW_END: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file to load, or a stream of bytes: Arrow, Parquet, JSON lines or CSV.
pub struct LoadSource<'a> {
    name: String,
    bytes: Bytes<'a>,
}

enum Bytes<'a> {
    File(Arc<dyn File>, u64),
    Stream(Box<dyn Read + 'a>),
}

impl<'a> LoadSource<'a> {
    /// A file of the machine's.
    ///
    /// # Errors
    /// Those of opening a file.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # std::fs::write(dir.path().join("docs.csv"), "id,kind\na,note\n").unwrap();
    /// let source = agentdb::LoadSource::file(dir.path().join("docs.csv"))?;
    /// assert_eq!((source.name(), source.total()), ("docs.csv", Some(15)));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    pub fn file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self::opened(name, Env::real().files.open(path, OpenMode::Read)?)
    }

    /// A file that is open.
    ///
    /// # Errors
    /// Those of asking for its length.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # std::fs::write(dir.path().join("a"), "id\na\n").unwrap();
    /// let file = agentdb_env::Env::real().files.open(&dir.path().join("a"), agentdb_env::OpenMode::Read)?;
    /// assert_eq!(agentdb::LoadSource::opened("a.csv", file)?.name(), "a.csv");
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    #[doc(hidden)]
    pub fn opened(name: impl Into<String>, file: Arc<dyn File>) -> Result<Self> {
        let length = file.len()?;
        Ok(LoadSource { name: name.into(), bytes: Bytes::File(file, length) })
    }

    /// A stream, under the name that a load of it is known by.
    ///
    /// ```
    /// let source = agentdb::LoadSource::stream("docs", &b"id,kind\na,note\n"[..]);
    /// assert_eq!(source.total(), None);
    /// ```
    pub fn stream(name: impl Into<String>, stream: impl Read + 'a) -> Self {
        LoadSource { name: name.into(), bytes: Bytes::Stream(Box::new(stream)) }
    }

    /// The name that a load of it is known by.
    ///
    /// ```
    /// assert_eq!(agentdb::LoadSource::stream("docs", &b"id\na\n"[..]).name(), "docs");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes it has, if that is known.
    ///
    /// ```
    /// assert_eq!(agentdb::LoadSource::stream("docs", &b"id\na\n"[..]).total(), None);
    /// ```
    pub fn total(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::File(_, length) => Some(*length),
            Bytes::Stream(_) => None,
        }
    }

    /// Finds out how it is written, and makes it ready to be read so.
    pub(super) fn open(self, said: Option<Format>) -> Result<(String, Opened<'a>)> {
        let LoadSource { name, bytes } = self;
        let (mut input, file) = match bytes {
            Bytes::File(file, length) => {
                let region = Region { bytes: Stored::File(file, length), read: Arc::default() };
                (Input::new(Box::new(region.reader(0))), Some(region))
            }
            Bytes::Stream(stream) => (Input::new(stream), None),
        };
        let first = input.first(&name)?;
        let opened = match found(&name, &first, said)? {
            Kind::Parquet => Opened::Parquet(file.map_or_else(|| input.keep(&name), |f| Ok(f.afresh()))?),
            Kind::ArrowFile => Opened::ArrowFile(file.map_or_else(|| input.keep(&name), |f| Ok(f.afresh()))?),
            Kind::ArrowStream => Opened::ArrowStream(input),
            Kind::Jsonl => Opened::Jsonl(input),
            Kind::Csv => Opened::Csv(input),
        };
        Ok((name, opened))
    }
}

/// Bytes that are ready to be read as what they are.
pub(super) enum Opened<'a> {
    Parquet(Region),
    ArrowFile(Region),
    ArrowStream(Input<'a>),
    Jsonl(Input<'a>),
    Csv(Input<'a>),
}

enum Kind {
    Parquet,
    ArrowFile,
    ArrowStream,
    Jsonl,
    Csv,
}

/// What the bytes are: as it is said, as they begin, or as the name ends.
fn found(name: &str, first: &[u8], said: Option<Format>) -> Result<Kind> {
    let is_file = first.starts_with(ARROW_FILE);
    let arrow = if is_file { Kind::ArrowFile } else { Kind::ArrowStream };
    let begins = first.starts_with(PARQUET) || is_file || first.starts_with(ARROW_STREAM);
    Ok(match said {
        Some(Format::Parquet) => Kind::Parquet,
        Some(Format::Arrow) => arrow,
        Some(Format::Jsonl) => Kind::Jsonl,
        Some(Format::Csv) => Kind::Csv,
        None if first.starts_with(PARQUET) => Kind::Parquet,
        None if begins => arrow,
        None => match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("csv" | "tsv") => Kind::Csv,
            Some("jsonl" | "ndjson" | "json") => Kind::Jsonl,
            Some("parquet") => Kind::Parquet,
            Some("arrow" | "arrows" | "feather" | "ipc") => arrow,
            _ if first.starts_with(b"{") => Kind::Jsonl,
            _ => {
                let reason = "neither its first bytes nor the ending of its name tell how it is written: say so (`format`)";
                return Err(source(name, reason));
            }
        },
    })
}

/// An error of reading; a typed one inside it is passed on.
pub(super) fn read_failed(name: &str, err: io::Error) -> Error {
    match err.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(typed) => typed.clone(),
        None => Error::new(Code::Io).with("operation", "read").with("path", name).with("reason", err),
    }
}

/// Bytes one after another, counted.
pub(super) struct Input<'a> {
    source: BufReader<Box<dyn Read + 'a>>,
    read: u64,
    /// The last bytes that were taken.
    last: [u8; 8],
}

impl<'a> Input<'a> {
    fn new(source: Box<dyn Read + 'a>) -> Self {
        Input { source: BufReader::with_capacity(256 << 10, source), read: 0, last: [0; 8] }
    }

    /// The first bytes, which stay. A byte order mark is passed over.
    fn first(&mut self, name: &str) -> Result<Vec<u8>> {
        // Pipes give little at a time.
        let failed = |err| read_failed(name, err);
        if self.source.fill_buf().map_err(failed)?.is_empty() {
            return Err(source(name, "it is empty"));
        }
        let mut first = self.source.buffer().to_vec();
        if first.len() < 8 {
            let mut rest = Vec::new();
            let stream = std::mem::replace(&mut self.source, BufReader::new(Box::new(io::empty())));
            let mut stream = stream.into_inner();
            while first.len() + rest.len() < 8 {
                let mut piece = [0; 8];
                match stream.read(&mut piece).map_err(failed)? {
                    0 => break,
                    read => rest.extend_from_slice(&piece[..read]),
                }
            }
            first.extend_from_slice(&rest);
            let whole = Box::new(io::Cursor::new(first.clone()).chain(stream));
            self.source = BufReader::with_capacity(256 << 10, whole);
        }
        if first.starts_with(BYTE_ORDER_MARK) {
            let mut mark = [0; BYTE_ORDER_MARK.len()];
            self.read_exact(&mut mark).map_err(failed)?;
            first.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(first)
    }

    /// All of it, for a format that is read from its end.
    fn keep(&mut self, name: &str) -> Result<Region> {
        let mut bytes = Vec::new();
        let read = self.take(MOST_KEPT + 1).read_to_end(&mut bytes).map_err(|e| read_failed(name, e))?;
        if read as u64 > MOST_KEPT {
            let reason =
                "it is read from its end, and as a stream it has more than 1 GiB: give the file itself";
            return Err(source(name, reason));
        }
        Ok(Region { bytes: Stored::Memory(bytes.into()), read: Arc::default() })
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Reads what is left; tells whether all of it ends as a stream of Arrow does.
    pub(super) fn ends_as_arrow(&mut self) -> io::Result<bool> {
        io::copy(self, &mut io::sink())?;
        Ok(self.last == ARROW_END)
    }

    fn note(&mut self, taken: &[u8]) {
        self.read += taken.len() as u64;
        let new = &taken[taken.len().saturating_sub(8)..];
        self.last.rotate_left(new.len());
        self.last[8 - new.len()..].copy_from_slice(new);
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(out)?;
        self.note(&out[..read]);
        Ok(read)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        let mut last = [0; 8];
        let kept = amount.min(last.len());
        last[..kept].copy_from_slice(&self.source.buffer()[amount - kept..amount]);
        self.note(&last[..kept]);
        self.read += (amount - kept) as u64;
        self.source.consume(amount);
    }
}

/// A file that is read from any place, or a stream of which all is in memory.
#[derive(Clone)]
pub(super) struct Region {
    bytes: Stored,
    /// Bytes that were read.
    read: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Stored {
    File(Arc<dyn File>, u64),
    Memory(bytes::Bytes),
}

impl Region {
    pub(super) fn len(&self) -> u64 {
        match &self.bytes {
            Stored::File(_, length) => *length,
            Stored::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The same with nothing read.
    fn afresh(self) -> Self {
        Region { read: Arc::default(), ..self }
    }

    /// A counter of the bytes that are read; no more than there are.
    pub(super) fn counter(&self) -> impl Fn() -> u64 + use<> {
        let (read, length) = (self.read.clone(), self.len());
        move || read.load(Ordering::Relaxed).min(length)
    }

    pub(super) fn reader(&self, at: u64) -> Positioned {
        let file = match &self.bytes {
            Stored::File(file, _) => Whole::File(file.clone()),
            Stored::Memory(bytes) => Whole::Memory(bytes.clone()),
        };
        Positioned { file, at, length: self.len(), read: self.read.clone() }
    }

    /// The bytes from `start` on.
    pub(super) fn bytes(&self, start: u64, length: usize) -> io::Result<bytes::Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.len());
        let Some(end) = end else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        match &self.bytes {
            Stored::Memory(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            Stored::File(file, _) => {
                let mut out = vec![0; length];
                let read = file.read_at(start, &mut out).map_err(io::Error::other)?;
                if read < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(out.into())
            }
        }
    }
}

enum Whole {
    File(Arc<dyn File>),
    Memory(bytes::Bytes),
}

/// A place in a file from which it is read on.
pub(super) struct Positioned {
    file: Whole,
    at: u64,
    length: u64,
    read: Arc<AtomicU64>,
}

impl Read for Positioned {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match &self.file {
            Whole::File(file) => file.read_at(self.at, out).map_err(io::Error::other)?,
            Whole::Memory(bytes) => {
                let rest = &bytes[usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len())..];
                let read = rest.len().min(out.len());
                out[..read].copy_from_slice(&rest[..read]);
                read
            }
        };
        self.at += read as u64;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
