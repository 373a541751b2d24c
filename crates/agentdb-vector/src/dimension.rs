//! The number of components of a collection's vectors, and the check that every vector passes at the boundary.

use std::fmt;

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Kernel, Metric};

/// How many components a vector has: 1 to [`limits::DIMENSION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "usize", into = "usize")]
pub struct Dimension(usize);

impl Dimension {
    /// A dimension of `value` components.
    ///
    /// # Errors
    /// `DimensionOutOfRange` for 0 and beyond [`limits::DIMENSION`].
    pub fn new(value: usize) -> Result<Self> {
        if (1..=limits::DIMENSION).contains(&value) {
            return Ok(Dimension(value));
        }
        Err(Error::new(Code::DimensionOutOfRange).with("actual", value).with("limit", limits::DIMENSION))
    }

    /// The number of components.
    pub fn get(self) -> usize {
        self.0
    }

    /// Checks that `vector` can be stored or searched for under `metric`.
    ///
    /// # Errors
    /// `DimensionMismatch` for another length, `VectorNotFinite` for NaN or an infinity (the first one is named),
    /// `VectorZero` for a vector without length under the cosine metric. The length is computed in `f64`, where no
    /// finite `f32` vector overflows and none but a vector of zeros underflows.
    pub fn check(self, vector: &[f32], metric: Metric) -> Result<()> {
        self.measure(vector, metric).map(|_| ())
    }

    /// Checks as [`Dimension::check`] does, and returns the vector's L2 norm.
    pub(crate) fn measure(self, vector: &[f32], metric: Metric) -> Result<f64> {
        if vector.len() != self.0 {
            let err = Error::new(Code::DimensionMismatch);
            return Err(err.with("expected", self.0).with("actual", vector.len()));
        }
        let norm = Kernel::best().norm(vector);
        if !norm.is_finite()
            && let Some((index, value)) = vector.iter().enumerate().find(|(_, x)| !x.is_finite())
        {
            return Err(Error::new(Code::VectorNotFinite).with("index", index).with("value", value));
        }
        if metric == Metric::Cosine && norm == 0.0 {
            return Err(Error::new(Code::VectorZero));
        }
        Ok(norm)
    }

    /// Floats from one stored row to the next: whole 64-byte lines.
    pub(crate) fn stride(self) -> usize {
        self.0.next_multiple_of(crate::rows::LINE)
    }
}

impl TryFrom<usize> for Dimension {
    type Error = Error;

    fn try_from(value: usize) -> Result<Self> {
        Dimension::new(value)
    }
}

impl From<Dimension> for usize {
    fn from(dimension: Dimension) -> usize {
        dimension.0
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(vector: &[f32], metric: Metric) -> Option<Code> {
        Dimension::new(3).unwrap().check(vector, metric).err().map(|e| e.code())
    }

    #[test]
    fn the_range_is_checked_once() {
        assert_eq!(Dimension::new(0).unwrap_err().code(), Code::DimensionOutOfRange);
        assert_eq!(Dimension::new(limits::DIMENSION + 1).unwrap_err().code(), Code::DimensionOutOfRange);
        assert_eq!(Dimension::new(limits::DIMENSION).unwrap().get(), 8192);
        assert!(serde_json::from_str::<Dimension>("0").is_err());
        assert_eq!(serde_json::from_str::<Dimension>("7").unwrap().get(), 7);
    }

    #[test]
    fn lengths_and_non_finite_components_are_refused() {
        assert_eq!(code(&[1.0, 2.0], Metric::Dot), Some(Code::DimensionMismatch));
        assert_eq!(code(&[], Metric::Dot), Some(Code::DimensionMismatch));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let err = Dimension::new(3).unwrap().check(&[1.0, bad, bad], Metric::Dot).unwrap_err();
            assert_eq!((err.code(), err.value("index")), (Code::VectorNotFinite, Some("1")));
        }
    }

    #[test]
    fn only_zeros_have_no_length() {
        assert_eq!(code(&[0.0, -0.0, 0.0], Metric::Cosine), Some(Code::VectorZero));
        assert_eq!(code(&[0.0; 3], Metric::Dot), None);
        assert_eq!(code(&[0.0; 3], Metric::Euclidean), None);
        for extreme in [f32::MAX, f32::MIN, 1e30, 1e-30, f32::MIN_POSITIVE, f32::from_bits(1)] {
            assert_eq!(code(&[extreme; 3], Metric::Cosine), None, "{extreme}");
        }
    }
}
