//! Points on the earth, and shapes that they lie in. The earth is a sphere of the mean radius R1 of the International Union of
//! Geodesy and Geophysics (Moritz, Geodetic Reference System 1980).

use serde_json::Value;

/// Metres of the earth's radius.
const RADIUS_M: f64 = 6_371_008.8;

/// A point, in degrees: latitude -90 to 90, longitude -180 to 180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) lat: f64,
    pub(crate) lon: f64,
}

/// A part of the surface.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// All points at most so many metres from the centre.
    Circle { center: Point, radius_m: f64 },
    /// All points between two latitudes and two longitudes, from west to east, edges included. It crosses the date line if west
    /// is greater than east.
    Box { south: f64, north: f64, west: f64, east: f64 },
    /// What the ring of vertices encloses, edges included.
    Polygon(Ring),
}

/// A closed line through vertices, straight in latitude and longitude, going the shorter way round the earth from each to the
/// next. Longitudes are unwrapped: they go on beyond 180 where the line crosses the date line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ring {
    vertices: Vec<Point>,
    /// The box around it, unwrapped as the vertices are.
    around: Plain,
}

/// A box that does not cross the date line, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plain {
    pub(super) south: f64,
    pub(super) north: f64,
    pub(super) west: f64,
    pub(super) east: f64,
}

impl Point {
    /// The point that a JSON value tells: an object with the numbers `lat` and `lon`, both within their range.
    pub(crate) fn of(value: &Value) -> Option<Point> {
        let object = value.as_object()?;
        Point::new(object.get("lat")?.as_f64()?, object.get("lon")?.as_f64()?)
    }

    /// A point; `None` outside of the ranges.
    pub(crate) fn new(lat: f64, lon: f64) -> Option<Point> {
        let inside = (-90.0..=90.0).contains(&lat) && (-180.0..=180.0).contains(&lon);
        // No negative zeros: equal points are then equal bits.
        inside.then_some(Point { lat: lat + 0.0, lon: lon + 0.0 })
    }

    /// Metres to another point along a great circle, by the haversine formula (Sinnott, Virtues of the Haversine, 1984).
    fn distance_m(self, other: Point) -> f64 {
        let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
        let cosines = self.lat.to_radians().cos() * other.lat.to_radians().cos();
        let h = half(self.lat, other.lat) + cosines * half(self.lon, other.lon);
        2.0 * RADIUS_M * h.sqrt().min(1.0).asin()
    }
}

impl Shape {
    /// Whether a point lies in it.
    pub(crate) fn contains(&self, point: Point) -> bool {
        match self {
            Shape::Circle { center, radius_m } => center.distance_m(point) <= *radius_m,
            Shape::Box { south, north, west, east } => {
                (*south..=*north).contains(&point.lat) && between(*west, *east, point.lon)
            }
            Shape::Polygon(ring) => {
                [-360.0, 0.0, 360.0].iter().any(|turn| ring.encloses(point.lat, point.lon + turn))
            }
        }
    }

    /// Boxes that together hold every point of it, and some more.
    pub(super) fn boxes(&self) -> Vec<Plain> {
        match self {
            Shape::Circle { center, radius_m } => circle_boxes(*center, *radius_m),
            Shape::Box { south, north, west, east } => {
                let east = if west <= east { *east } else { *east + 360.0 };
                wrapped(*south, *north, *west, east)
            }
            Shape::Polygon(Ring { around: Plain { south, north, west, east }, .. }) => {
                wrapped(*south, *north, *west, *east)
            }
        }
    }
}

/// Whether a longitude lies on the way from `west` eastwards to `east`.
fn between(west: f64, east: f64, lon: f64) -> bool {
    let width = if west <= east { east - west } else { (east - west).rem_euclid(360.0) };
    width >= 360.0 || (lon - west).rem_euclid(360.0) <= width
}

/// The boxes around a circle. The widest longitude is where a meridian touches it (Bronstein, spherical triangles: the sine of
/// the angle at the pole is that of the radius by the cosine of the centre's latitude).
fn circle_boxes(center: Point, radius_m: f64) -> Vec<Plain> {
    // Degrees that outweigh every rounding of the haversine.
    const MARGIN: f64 = 1e-5;
    let radius = radius_m / RADIUS_M;
    let (south, north) =
        (center.lat - radius.to_degrees() - MARGIN, center.lat + radius.to_degrees() + MARGIN);
    let sine = radius.min(std::f64::consts::FRAC_PI_2).sin() / center.lat.to_radians().cos();
    if south <= -90.0 || north >= 90.0 || sine >= 1.0 - 1e-9 {
        return wrapped(south, north, -180.0, 180.0);
    }
    let half = sine.asin().to_degrees() + MARGIN;
    wrapped(south, north, center.lon - half, center.lon + half)
}

/// A box of unwrapped longitudes, cut at the date line. A longitude of 180 is the one of -180.
fn wrapped(south: f64, north: f64, west: f64, east: f64) -> Vec<Plain> {
    // Degrees that outweigh the rounding of unwrapped longitudes.
    const MARGIN: f64 = 1e-9;
    let (south, north) = ((south - MARGIN).max(-90.0), (north + MARGIN).min(90.0));
    let (west, east) = (west - MARGIN, east + MARGIN);
    if east - west >= 360.0 {
        return vec![Plain { south, north, west: -180.0, east: 180.0 }];
    }
    let mut boxes = Vec::new();
    for turn in [-360.0, 0.0, 360.0] {
        let (west, east) = ((west + turn).max(-180.0), (east + turn).min(180.0));
        if west <= east {
            boxes.push(Plain { south, north, west, east });
        }
    }
    boxes
}

impl Plain {
    /// The least box around points.
    fn around(points: &[Point]) -> Plain {
        let (most, least) = (f64::INFINITY, f64::NEG_INFINITY);
        let none = Plain { south: most, north: least, west: most, east: least };
        points.iter().fold(none, |b, p| Plain {
            south: b.south.min(p.lat),
            north: b.north.max(p.lat),
            west: b.west.min(p.lon),
            east: b.east.max(p.lon),
        })
    }
}

impl Ring {
    /// A ring through these vertices; the last is joined to the first.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn new(vertices: &[Point]) -> Result<Ring, &'static str> {
        let mut turns = 0.0;
        let mut before = *vertices.first().ok_or("a polygon has at least three different vertices")?;
        let mut ring = Vec::with_capacity(vertices.len());
        for (i, vertex) in vertices.iter().chain(vertices.first()).enumerate() {
            let step = vertex.lon - before.lon;
            if step > 180.0 {
                turns -= 1.0;
            } else if step < -180.0 {
                turns += 1.0;
            }
            if i < vertices.len() {
                ring.push(Point { lat: vertex.lat, lon: vertex.lon + 360.0 * turns });
            }
            before = *vertex;
        }
        if turns != 0.0 {
            return Err("a polygon does not go around a pole");
        }
        let different = ring.iter().enumerate().filter(|(i, p)| !ring[..*i].contains(p)).take(3).count();
        if different < 3 {
            return Err("a polygon has at least three different vertices");
        }
        let around = Plain::around(&ring);
        if around.east - around.west > 360.0 {
            return Err("a polygon is at most 360 degrees wide");
        }
        Ok(Ring { vertices: ring, around })
    }

    /// Whether it encloses a point, by counting the edges that its parallel crosses on the way east (the even-odd rule;
    /// Shimrat, Algorithm 112, 1962). A point on an edge is enclosed.
    fn encloses(&self, lat: f64, lon: f64) -> bool {
        let Plain { south, north, west, east } = self.around;
        if !(south..=north).contains(&lat) || !(west..=east).contains(&lon) {
            return false;
        }
        let mut inside = false;
        for (i, a) in self.vertices.iter().enumerate() {
            let b = &self.vertices[(i + 1) % self.vertices.len()];
            let cross = (b.lon - a.lon) * (lat - a.lat) - (b.lat - a.lat) * (lon - a.lon);
            let beside = |v: f64, one: f64, other: f64| (one.min(other)..=one.max(other)).contains(&v);
            if cross == 0.0 && beside(lat, a.lat, b.lat) && beside(lon, a.lon, b.lon) {
                return true;
            }
            if (a.lat > lat) != (b.lat > lat) && (cross > 0.0) == (b.lat > a.lat) {
                inside = !inside;
            }
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The point at a distance in radians and a bearing from another one.
    fn from(center: Point, distance: f64, bearing: f64) -> Point {
        let (lat, lon) = (center.lat.to_radians(), center.lon.to_radians());
        let sine = lat.sin() * distance.cos() + lat.cos() * distance.sin() * bearing.cos();
        let east = (bearing.sin() * distance.sin() * lat.cos()).atan2(distance.cos() - lat.sin() * sine);
        let degrees = ((lon + east).to_degrees() + 540.0).rem_euclid(360.0) - 180.0;
        Point::new(sine.clamp(-1.0, 1.0).asin().to_degrees(), degrees.clamp(-180.0, 180.0)).unwrap()
    }

    fn in_boxes(shape: &Shape, point: Point) -> bool {
        let holds =
            |b: &Plain| (b.south..=b.north).contains(&point.lat) && (b.west..=b.east).contains(&point.lon);
        shape.boxes().iter().any(holds)
    }

    proptest! {
        #[test]
        fn the_boxes_of_a_circle_hold_its_edge(
            lat in prop_oneof![-90.0..90.0f64, 80.0..90.0f64, -90.0..-89.9f64],
            lon in prop_oneof![-180.0..180.0f64, 179.0..180.0f64],
            radius in prop_oneof![0.0..3.2f64, 0.0..0.2f64, 0.0..1e-4f64],
            bearing in 0.0..std::f64::consts::TAU,
        ) {
            let center = Point::new(lat, lon).unwrap();
            let shape = Shape::Circle { center, radius_m: radius * RADIUS_M };
            let edge = from(center, radius * (1.0 - 1e-9), bearing);
            prop_assert!(!shape.contains(edge) || in_boxes(&shape, edge));
            prop_assert!(in_boxes(&shape, from(center, radius * 0.999, bearing)));
            let (inside, outside) = (from(center, radius * 0.99, bearing), from(center, radius * 1.01, bearing));
            prop_assert!(shape.contains(inside) || radius < 1e-7);
            // Half way round and further, what is beyond the edge may be nearer.
            prop_assert!(!shape.contains(outside) || !(1e-7..=3.1).contains(&radius));
        }

        #[test]
        fn the_boxes_of_a_ring_hold_what_it_encloses(
            vertices in proptest::collection::vec((-90.0..90.0f64, -180.0..180.0f64), 3..6),
            lat in -90.0..90.0f64,
            lon in -180.0..180.0f64,
        ) {
            let vertices: Vec<_> = vertices.iter().map(|(lat, lon)| Point::new(*lat, *lon).unwrap()).collect();
            if let Ok(ring) = Ring::new(&vertices) {
                let (shape, point) = (Shape::Polygon(ring), Point::new(lat, lon).unwrap());
                prop_assert!(!shape.contains(point) || in_boxes(&shape, point));
            }
        }
    }
}
