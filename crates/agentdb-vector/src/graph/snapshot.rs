//! The bytes of a graph: written in one go, opened where they lie.
//!
//! # Format, version 1 (little-endian)
//!
//! | part | what |
//! | --- | --- |
//! | magic | `ADBGRAPH` |
//! | version, header's length | two u32; the length counts from the magic to the header's checksum, that included |
//! | dimension, metric, degree, links, ef | u32 each; metric: 0 cosine, 1 dot, 2 Euclidean |
//! | slack, step, greatest norm | f32 each |
//! | shift, nodes, living | u32 each; a chunk has `1 << shift` nodes |
//! | entry points | a count, then a u32 each |
//! | calibration | a count, then (u32 ef, f64 recall) each |
//! | centre | `dimension` f32 |
//! | chunks | a count, then for each the XXH3-64 of its codes, links, marks and tails |
//! | checksum | XXH3-64 of everything before it |
//! | chunks | from the next multiple of 4096: codes, links, marks (slot, born, died: u64) and tails (dot alone) of each, one after the other, each padded with zeros to 64 bytes. The last chunk has only the nodes in use |
//!
//! Opening reads the header and the last chunk; the other chunks are used where they lie, so that a file that is mapped is read as
//! searches come to it. Their checksums are checked by [`Graph::verify`], not at open: whatever the bytes are, a search of them is
//! safe, and finds wrong things at worst. The first change of an opened graph copies it into memory of its own.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use agentdb_types::{Code, Error, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::block::{Block, Bytes};
use super::nodes::{Chunk, NODES_MAX, Node, Shape, View};
use super::{Calibrated, Graph, GraphSettings};
use crate::codes::Quantizer;
use crate::{Dimension, Metric};

#[cfg(target_endian = "big")]
compile_error!("the snapshot of a graph is used where it lies, and is little-endian");

const MAGIC: &[u8; 8] = b"ADBGRAPH";
const VERSION: u32 = 1;
/// Magic, version and length.
const PREFIX: usize = 16;
const CHECKSUM: usize = 8;
/// What the chunks begin at a multiple of: a page, so that mapping keeps their alignment.
const PAGE: usize = 4096;
/// What a part of a chunk is padded to.
const PAD: usize = 64;
/// Nodes of a chunk, as powers of two.
const SHIFTS: std::ops::RangeInclusive<u32> = 7..=24;
/// The name of the bytes in errors; the caller knows their place.
const NAME: &str = "the snapshot of a vector graph";

impl Graph {
    /// Writes the graph to `sink`, in pieces, from the beginning to the end. Writers wait until it is written; searches do not.
    ///
    /// The snapshot holds every change that was applied before. Changes that are applied again to a graph opened from it are
    /// harmless: a slot is replaced by itself, and a delete finds nothing.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn save(&self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        let nodes = self.growth().next as usize;
        let used = |chunk: usize| (nodes - (chunk << self.shape.shift)).min(self.shape.rows());
        let chunks = nodes.div_ceil(self.shape.rows());
        let mut header = self.header(&view, nodes);
        header.extend((chunks as u32).to_le_bytes());
        for (number, chunk) in view.chunks[..chunks].iter().enumerate() {
            for (part, len) in chunk.parts().into_iter().zip(self.shape.parts_of(used(number))) {
                // SAFETY: the part has at least `len` bytes, and writers are excluded by the gate.
                let bytes = unsafe { std::slice::from_raw_parts(part.start().as_ptr(), len) };
                header.extend(xxh3_64(bytes).to_le_bytes());
            }
        }
        let len = header.len() + CHECKSUM;
        header[12..PREFIX].copy_from_slice(&(len as u32).to_le_bytes());
        header.extend(xxh3_64(&header).to_le_bytes());
        header.resize(len.next_multiple_of(PAGE), 0);
        sink(&header)?;
        for (number, chunk) in view.chunks[..chunks].iter().enumerate() {
            for (part, len) in chunk.parts().into_iter().zip(self.shape.parts_of(used(number))) {
                // SAFETY: as above.
                sink(unsafe { std::slice::from_raw_parts(part.start().as_ptr(), len) })?;
                sink(&[0; PAD][..len.next_multiple_of(PAD) - len])?;
            }
        }
        Ok(())
    }

    /// The header up to the calibration and the centre, with the length left open.
    fn header(&self, view: &View, nodes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        let number = |out: &mut Vec<u8>, n: usize| out.extend((n as u32).to_le_bytes());
        let metric = Metric::ALL.iter().position(|m| *m == self.metric).unwrap_or_default();
        let GraphSettings { degree, links, ef, slack } = self.settings;
        out.extend(VERSION.to_le_bytes());
        for n in [0, self.dimension.get(), metric, degree, links, ef] {
            number(&mut out, n);
        }
        let (step, norm_max) = self.quantizer.step_and_norm_max();
        for x in [slack, step, norm_max] {
            out.extend(x.to_le_bytes());
        }
        for n in [self.shape.shift as usize, nodes, self.len(), view.entries.len()] {
            number(&mut out, n);
        }
        view.entries.iter().for_each(|entry| out.extend(entry.to_le_bytes()));
        let calibration = self.calibration();
        number(&mut out, calibration.len());
        for point in calibration.iter() {
            number(&mut out, point.ef);
            out.extend(point.recall.to_le_bytes());
        }
        self.quantizer.center().iter().for_each(|x| out.extend(x.to_le_bytes()));
        out
    }

    /// Opens a graph that was saved. The bytes are used where they lie, if they begin at a multiple of 8.
    ///
    /// # Errors
    /// `FormatTooNew` for a later version; `FormatCorrupt` for anything that is not a snapshot as a whole: a header whose checksum does not
    /// hold or whose numbers cannot be, bytes that are missing or too many.
    pub fn open(bytes: Arc<dyn Bytes>) -> Result<Graph> {
        let all = bytes.bytes();
        let header = Header::read(all)?;
        let Header { dimension, metric, settings, shape, nodes, .. } = header;
        let mut at = header.len.next_multiple_of(PAGE);
        let mut chunks = Vec::with_capacity(header.sums.len());
        for (number, sums) in header.sums.iter().enumerate() {
            let rows = (nodes - (number << shape.shift)).min(shape.rows());
            let parts = shape.parts_of(rows).map(|len| {
                let from = at;
                at = at.saturating_add(len.next_multiple_of(PAD));
                (from, len)
            });
            let [codes, links, marks, tails] = parts.map(|(from, len)| {
                all.get(from..from.saturating_add(len)).ok_or_else(|| corrupt("its end is missing"))
            });
            let slices = [codes?, links?, marks?, tails?];
            let lent = || {
                let [codes, links, marks, tails] = parts.map(|(from, len)| Block::lent(&bytes, from, len));
                Some(Chunk { codes: codes?, links: links?, marks: marks?, tails: tails? })
            };
            let chunk = if rows == shape.rows() { lent() } else { None };
            let chunk = match chunk {
                Some(chunk) => chunk,
                None if slices.map(xxh3_64) == *sums => Chunk::from_bytes(&shape, slices),
                None => return Err(corrupt("the checksum of a chunk does not hold")),
            };
            chunks.push(Arc::new(chunk));
        }
        if at.max(header.len.next_multiple_of(PAGE)) != all.len() {
            return Err(corrupt("its length is not the one that the header implies"));
        }
        let view = View::new(shape, chunks, header.entries.into());
        let graph = Graph::with_parts(dimension, metric, settings, header.quantizer, view);
        graph.growth().next = nodes as Node;
        graph.living.store(header.living, Ordering::Relaxed);
        graph.set_calibration(header.calibration.into());
        graph.freeze(header.sums);
        Ok(graph)
    }

    /// Checks the checksums of everything that the graph still uses where it was opened. It reads all of it.
    ///
    /// # Errors
    /// `FormatCorrupt` if one does not hold: the graph is to be built again then.
    pub fn verify(&self) -> Result<()> {
        let view = self.view();
        for (chunk, sums) in view.chunks.iter().zip(self.sums().iter()) {
            for (part, sum) in chunk.parts().into_iter().zip(sums).filter(|(part, _)| !part.is_owned()) {
                // SAFETY: a lent part is never written.
                let bytes = unsafe { std::slice::from_raw_parts(part.start().as_ptr(), part.len()) };
                if xxh3_64(bytes) != *sum {
                    return Err(corrupt("the checksum of a chunk does not hold"));
                }
            }
        }
        Ok(())
    }
}

struct Header {
    len: usize,
    dimension: Dimension,
    metric: Metric,
    settings: GraphSettings,
    shape: Shape,
    quantizer: Quantizer,
    nodes: usize,
    living: usize,
    entries: Vec<Node>,
    calibration: Vec<Calibrated>,
    sums: Vec<[u64; 4]>,
}

impl Header {
    fn read(all: &[u8]) -> Result<Header> {
        let mut fields = Fields(all.get(..PREFIX).ok_or_else(|| corrupt("its beginning is missing"))?);
        if fields.take::<8>()? != *MAGIC {
            return Err(corrupt("it does not begin as one"));
        }
        let version = fields.u32()?;
        if version > VERSION {
            let err = Error::new(Code::FormatTooNew).with("path", NAME).with("actual", version);
            return Err(err.with("supported", VERSION));
        }
        let len = fields.u32()? as usize;
        let header = all.get(..len).filter(|header| version == VERSION && header.len() > PREFIX + CHECKSUM);
        let header = header.ok_or_else(|| corrupt("its header is not whole"))?;
        let (content, sum) = header.split_at(len - CHECKSUM);
        if xxh3_64(content).to_le_bytes() != *sum {
            return Err(corrupt("the checksum of its header does not hold"));
        }
        Self::parse(len, Fields(&content[PREFIX..]))
    }

    fn parse(len: usize, mut fields: Fields<'_>) -> Result<Header> {
        let dimension = Dimension::new(fields.u32()? as usize).map_err(|_| corrupt("no such dimension"))?;
        let metric = *Metric::ALL.get(fields.u32()? as usize).ok_or_else(|| corrupt("no such metric"))?;
        let (degree, links) = (fields.u32()? as usize, fields.u32()? as usize);
        let (ef, slack) = (fields.u32()? as usize, fields.f32()?);
        let settings = GraphSettings { degree, links, ef, slack };
        settings.check().map_err(|_| corrupt("no such settings"))?;
        let (step, norm_max) = (fields.f32()?, fields.f32()?);
        let (shift, nodes, living) = (fields.u32()?, fields.u32()? as usize, fields.u32()? as usize);
        if !SHIFTS.contains(&shift) || nodes > NODES_MAX || living > nodes {
            return Err(corrupt("its sizes cannot be"));
        }
        let shape = Shape { shift, ..Shape::new(dimension, metric, degree) };
        let entries = (0..fields.u32()?).map(|_| fields.u32()).collect::<Result<Vec<Node>>>()?;
        if entries.iter().any(|entry| *entry as usize >= nodes) {
            return Err(corrupt("an entry point is no node"));
        }
        let points = (0..fields.u32()?).map(|_| {
            let (ef, recall) = (fields.u32()? as usize, f64::from_le_bytes(fields.take()?));
            Ok(Calibrated { ef, recall })
        });
        let calibration = points.collect::<Result<Vec<Calibrated>>>()?;
        let center = (0..dimension.get()).map(|_| fields.f32()).collect::<Result<Box<[f32]>>>()?;
        let quantizer = Quantizer::from_parts(dimension, metric, center, step, norm_max);
        let quantizer = quantizer.ok_or_else(|| corrupt("its codes cannot be"))?;
        let mut sums = Vec::new();
        for _ in 0..fields.u32()? {
            sums.push([fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?]);
        }
        if sums.len() != nodes.div_ceil(shape.rows()) || !fields.0.is_empty() {
            return Err(corrupt("its header has another length than its numbers imply"));
        }
        Ok(Header {
            len,
            dimension,
            metric,
            settings,
            shape,
            quantizer,
            nodes,
            living,
            entries,
            calibration,
            sums,
        })
    }
}

/// What is left of a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(|| corrupt("its header ends early"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32> {
        self.take().map(f32::from_le_bytes)
    }
}

fn corrupt(reason: &str) -> Error {
    Error::new(Code::FormatCorrupt).with("path", NAME).with("reason", reason)
}
