//! The bytes of a file as copy-on-write pages: copies share them, holes cost nothing, and zeros share one page.

use std::sync::{Arc, LazyLock};

pub(super) const PAGE: usize = 4096;

type Page = Arc<[u8; PAGE]>;

static ZERO: LazyLock<Page> = LazyLock::new(|| Arc::new([0; PAGE]));

/// Invariant: there are exactly as many pages as `len` needs, and bytes of the last page beyond `len` are zero.
#[derive(Clone, Default)]
pub(super) struct Pages {
    /// `None` is a hole: zeros that occupy no space on the disk.
    pages: Vec<Option<Page>>,
    len: u64,
}

impl Pages {
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.grow(offset, bytes.len() as u64);
        let mut rest = bytes;
        for (page, from, count) in parts(offset, bytes.len() as u64) {
            let (part, after) = rest.split_at(count);
            rest = after;
            let page = self.pages[page].get_or_insert_with(|| ZERO.clone());
            Arc::make_mut(page)[from..from + count].copy_from_slice(part);
        }
    }

    pub(super) fn write_zeros(&mut self, offset: u64, len: u64) {
        self.grow(offset, len);
        for (page, from, count) in parts(offset, len) {
            match &mut self.pages[page] {
                Some(page) if count < PAGE => {
                    if !Arc::ptr_eq(page, &ZERO) {
                        Arc::make_mut(page)[from..from + count].fill(0);
                    }
                }
                page => *page = Some(ZERO.clone()),
            }
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.pages.resize(len.div_ceil(PAGE as u64) as usize, None);
        let kept = (len % PAGE as u64) as usize;
        if len < self.len
            && kept > 0
            && let Some(Some(last)) = self.pages.last_mut()
            && !Arc::ptr_eq(last, &ZERO)
        {
            Arc::make_mut(last)[kept..].fill(0);
        }
        self.len = len;
    }

    /// Makes the file at least so long.
    pub(super) fn extend_to(&mut self, len: u64) {
        if len > self.len {
            self.set_len(len);
        }
    }

    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let count = self.len.saturating_sub(offset).min(out.len() as u64);
        let mut rest = &mut out[..count as usize];
        for (page, from, count) in parts(offset, count) {
            let (part, after) = rest.split_at_mut(count);
            rest = after;
            match &self.pages[page] {
                Some(page) => part.copy_from_slice(&page[from..from + count]),
                None => part.fill(0),
            }
        }
        count as usize
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut out = vec![0; self.len as usize];
        self.read(0, &mut out);
        out
    }

    /// Inverts one bit; false if the file does not reach so far.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) -> bool {
        let mut byte = [0];
        if self.read(offset, &mut byte) == 0 {
            return false;
        }
        self.write(offset, &[byte[0] ^ (1 << (bit & 7))]);
        true
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// How many pages occupy space.
    pub(super) fn allocated(&self) -> u64 {
        self.pages.iter().flatten().count() as u64
    }

    /// How many bytes of a write find room if only so many pages are free.
    pub(super) fn fitting(&self, offset: u64, len: u64, free_pages: u64) -> u64 {
        let mut free = free_pages;
        let mut fits = 0;
        for (page, _, count) in parts(offset, len) {
            if !matches!(self.pages.get(page), Some(Some(_))) {
                if free == 0 {
                    break;
                }
                free -= 1;
            }
            fits += count as u64;
        }
        fits
    }

    fn grow(&mut self, offset: u64, len: u64) {
        if len > 0 {
            self.extend_to(offset + len);
        }
    }
}

/// The pieces of a range that each lie in one page: the page, where in it, and how many bytes.
fn parts(offset: u64, len: u64) -> impl Iterator<Item = (usize, usize, usize)> {
    let end = offset + len;
    let mut at = offset;
    std::iter::from_fn(move || {
        let from = (at % PAGE as u64) as usize;
        let count = (end - at).min((PAGE - from) as u64) as usize;
        let part = ((at / PAGE as u64) as usize, from, count);
        at += count as u64;
        (count > 0).then_some(part)
    })
}

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(PAGE).all(|chunk| *chunk == ZERO[..chunk.len()])
}
