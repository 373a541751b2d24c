//! How near two vectors are, and which of two scores is the better one.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the nearness of two vectors is measured, and what a score means.
///
/// | metric | score | range | better |
/// | --- | --- | --- | --- |
/// | `cosine` | cosine of the angle between the vectors | -1 to 1 | higher |
/// | `dot` | inner product | finite; beyond `f32` it saturates at `±f32::MAX` | higher |
/// | `euclidean` | L2 distance, *not* squared | 0 and up; saturates at `f32::MAX` | **lower** |
///
/// A score is never NaN, infinite or `-0.0`. Use [`Metric::compare`] to rank, never `<` on bare scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine of the angle between the vectors: 1 is the same direction. Vectors of zeros are refused.
    Cosine,
    /// The inner product: higher is nearer.
    Dot,
    /// The Euclidean (L2) distance: 0 is the same point, lower is nearer.
    Euclidean,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::Euclidean];

    /// The stable name, as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::Dot => "dot",
            Metric::Euclidean => "euclidean",
        }
    }

    /// Whether a higher score is a nearer vector: true for all but the Euclidean distance.
    pub fn higher_is_better(self) -> bool {
        self != Metric::Euclidean
    }

    /// Orders two scores of this metric, the better one first: sorting with it puts the nearest at the front.
    pub fn compare(self, a: f32, b: f32) -> Ordering {
        if self.higher_is_better() { b.total_cmp(&a) } else { a.total_cmp(&b) }
    }

    /// Whether score `a` is strictly nearer than score `b`.
    pub fn better(self, a: f32, b: f32) -> bool {
        self.compare(a, b) == Ordering::Less
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_better_when_lower_and_similarities_when_higher() {
        assert!(Metric::Cosine.better(0.9, 0.1) && Metric::Dot.better(-1.0, -2.0));
        assert!(Metric::Euclidean.better(0.1, 0.9));
        assert!(Metric::ALL.iter().all(|m| !m.better(1.0, 1.0)));
    }

    #[test]
    fn the_wire_form_is_the_name() {
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
    }
}
