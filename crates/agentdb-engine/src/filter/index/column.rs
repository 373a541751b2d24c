//! Columns: from ordinals to values.

/// Values by ordinal, in chunks of 1,024 ordinals. A chunk with few values is a sorted list, so that a field that occurs rarely
/// takes little; the others are plain arrays.
#[derive(Clone, Debug)]
pub(super) struct Column<T> {
    /// By number of the chunk, in order.
    chunks: Vec<(u32, Chunk<T>)>,
}

#[derive(Clone, Debug)]
enum Chunk<T> {
    Sparse(Vec<(u16, T)>),
    Dense(Box<Dense<T>>),
}

#[derive(Clone, Debug)]
struct Dense<T> {
    values: [T; CHUNK],
    there: [u64; CHUNK / 64],
    len: usize,
}

const CHUNK: usize = 1 << SHIFT;
const SHIFT: u32 = 10;
/// Values beyond which a chunk is an array.
const SPARSE: usize = CHUNK / 4;

impl<T> Default for Column<T> {
    fn default() -> Self {
        Column { chunks: Vec::new() }
    }
}

impl<T: Copy + Default> Column<T> {
    /// Sets the value of an ordinal.
    pub(super) fn set(&mut self, ordinal: u32, value: T) {
        let number = ordinal >> SHIFT;
        let at = self.find(number).unwrap_or_else(|at| {
            self.chunks.insert(at, (number, Chunk::Sparse(Vec::new())));
            at
        });
        self.chunks[at].1.set(place(ordinal), value);
    }

    /// Takes the value of an ordinal out.
    pub(super) fn unset(&mut self, ordinal: u32) -> Option<T> {
        let at = self.find(ordinal >> SHIFT).ok()?;
        let value = self.chunks[at].1.unset(place(ordinal));
        if matches!(&self.chunks[at].1, Chunk::Sparse(list) if list.is_empty()) {
            self.chunks.remove(at);
        }
        value
    }

    /// The value of an ordinal.
    pub(super) fn get(&self, ordinal: u32) -> Option<T> {
        self.chunks[self.find(ordinal >> SHIFT).ok()?].1.get(place(ordinal))
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let each = |(_, chunk): &(u32, Chunk<T>)| match chunk {
            Chunk::Sparse(list) => list.capacity() * size_of::<(u16, T)>(),
            Chunk::Dense(_) => size_of::<Dense<T>>(),
        };
        self.chunks.capacity() * size_of::<(u32, Chunk<T>)>() + self.chunks.iter().map(each).sum::<usize>()
    }

    fn find(&self, number: u32) -> Result<usize, usize> {
        // Where no chunk is missing, each lies at its number.
        match self.chunks.get(number as usize) {
            Some((n, _)) if *n == number => Ok(number as usize),
            _ => self.chunks.binary_search_by_key(&number, |(n, _)| *n),
        }
    }
}

fn place(ordinal: u32) -> u16 {
    (ordinal & (CHUNK as u32 - 1)) as u16
}

impl<T: Copy + Default> Chunk<T> {
    fn set(&mut self, place: u16, value: T) {
        match self {
            Chunk::Sparse(list) => {
                match list.binary_search_by_key(&place, |(p, _)| *p) {
                    Ok(at) => list[at].1 = value,
                    Err(at) => list.insert(at, (place, value)),
                }
                if list.len() > SPARSE {
                    let mut dense = Dense { values: [T::default(); CHUNK], there: [0; CHUNK / 64], len: 0 };
                    list.iter().for_each(|(place, value)| dense.set(*place, *value));
                    *self = Chunk::Dense(Box::new(dense));
                }
            }
            Chunk::Dense(dense) => dense.set(place, value),
        }
    }

    fn unset(&mut self, place: u16) -> Option<T> {
        match self {
            Chunk::Sparse(list) => {
                let at = list.binary_search_by_key(&place, |(p, _)| *p).ok()?;
                Some(list.remove(at).1)
            }
            Chunk::Dense(dense) => {
                let value = dense.get(place)?;
                dense.there[usize::from(place) / 64] &= !(1 << (place % 64));
                dense.len -= 1;
                if dense.len < SPARSE / 2 {
                    let all = (0..CHUNK as u16).filter_map(|p| Some((p, dense.get(p)?)));
                    *self = Chunk::Sparse(all.collect());
                }
                Some(value)
            }
        }
    }

    fn get(&self, place: u16) -> Option<T> {
        match self {
            Chunk::Sparse(list) => list.binary_search_by_key(&place, |(p, _)| *p).ok().map(|at| list[at].1),
            Chunk::Dense(dense) => dense.get(place),
        }
    }
}

impl<T: Copy> Dense<T> {
    fn set(&mut self, place: u16, value: T) {
        let (word, bit) = (usize::from(place) / 64, 1 << (place % 64));
        self.len += usize::from(self.there[word] & bit == 0);
        self.there[word] |= bit;
        self.values[usize::from(place)] = value;
    }

    fn get(&self, place: u16) -> Option<T> {
        let there = self.there[usize::from(place) / 64] >> (place % 64) & 1 == 1;
        there.then(|| self.values[usize::from(place)])
    }
}
