//! Points of a field, by cells of a grid.

use std::collections::{BTreeMap, BTreeSet};

use super::super::geo::Plain;
use super::super::{Point, Shape};
use super::set::Gather;

/// Points with their ordinals, sorted by cells of a tenth of a degree, row by row from the south. A shape looks at the cells of
/// the boxes around it and then at each point in them. Some 40 bytes a point.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    /// Cell, ordinal, bits of the latitude and of the longitude.
    sorted: BTreeSet<(u32, u32, u64, u64)>,
    /// How many points there are in each cell of a coarse grid, for estimates.
    coarse: BTreeMap<u32, u64>,
}

const FINE: Grid = Grid { per_degree: 10.0, columns: 3_601 };
const COARSE: Grid = Grid { per_degree: 0.2, columns: 73 };

struct Grid {
    per_degree: f64,
    columns: u32,
}

impl Grid {
    /// The row and the column of a point.
    fn at(&self, lat: f64, lon: f64) -> (u32, u32) {
        (((lat + 90.0) * self.per_degree) as u32, ((lon + 180.0) * self.per_degree) as u32)
    }

    fn cell(&self, point: Point) -> u32 {
        let (row, column) = self.at(point.lat, point.lon);
        row * self.columns + column
    }

    /// The first and the last cell of each row of a box.
    fn rows(&self, plain: Plain) -> impl Iterator<Item = (u32, u32)> {
        let (first, west) = self.at(plain.south, plain.west);
        let (last, east) = self.at(plain.north, plain.east);
        let columns = self.columns;
        // A box as wide as the earth is one row.
        let whole = west == 0 && east == columns - 1;
        let rows = if whole { first..=first } else { first..=last };
        rows.map(move |row| (row * columns + west, if whole { last } else { row } * columns + east))
    }
}

impl Points {
    pub(super) fn insert(&mut self, ordinal: u32, point: Point) {
        if self.sorted.insert(entry(ordinal, point)) {
            *self.coarse.entry(COARSE.cell(point)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, ordinal: u32, point: Point) {
        if !self.sorted.remove(&entry(ordinal, point)) {
            return;
        }
        let cell = COARSE.cell(point);
        if let Some(count) = self.coarse.get_mut(&cell) {
            *count -= 1;
            if *count == 0 {
                self.coarse.remove(&cell);
            }
        }
    }

    /// Adds the ordinals with a point in the shape.
    pub(super) fn within(&self, shape: &Shape, into: &mut Gather) {
        for (first, last) in shape.boxes().into_iter().flat_map(|b| FINE.rows(b)) {
            for (_, ordinal, lat, lon) in
                self.sorted.range((first, 0, 0, 0)..=(last, u32::MAX, u64::MAX, u64::MAX))
            {
                let point = Point { lat: f64::from_bits(*lat), lon: f64::from_bits(*lon) };
                if shape.contains(point) {
                    into.add(&[*ordinal]);
                }
            }
        }
    }

    /// At least as many points as lie in the shape.
    pub(super) fn most_within(&self, shape: &Shape) -> u64 {
        let rows = shape.boxes().into_iter().flat_map(|b| COARSE.rows(b));
        let count = |(first, last)| self.coarse.range(first..=last).map(|(_, n)| n).sum::<u64>();
        rows.map(count).sum::<u64>().min(self.sorted.len() as u64)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Bytes on the heap, about: nodes of a tree are three quarters full.
    pub(super) fn bytes(&self) -> usize {
        self.sorted.len() * size_of::<(u32, u32, u64, u64)>() * 4 / 3 + self.coarse.len() * 24
    }
}

fn entry(ordinal: u32, point: Point) -> (u32, u32, u64, u64) {
    (FINE.cell(point), ordinal, point.lat.to_bits(), point.lon.to_bits())
}
