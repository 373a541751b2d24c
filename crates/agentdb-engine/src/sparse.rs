//! Sparse vectors: few components of very many, as encoders of words make them (SPLADE, BM25 as weights; Formal et al. 2021).
//! They are compared by the dot product.

use agentdb_types::{Code, Error, Result, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A sparse vector: components that are not zero, each by its index. The order does not matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SparseVector {
    /// The indices of components, 0 to 4,294,967,295, each once.
    pub indices: Vec<u32>,
    /// The components, as many as indices: finite numbers.
    pub values: Vec<f32>,
}

impl SparseVector {
    /// A vector of components with their indices.
    pub fn new(components: impl IntoIterator<Item = (u32, f32)>) -> Self {
        let (indices, values) = components.into_iter().unzip();
        SparseVector { indices, values }
    }

    /// The components, in the order of their indices; `field` is where the vector was given.
    ///
    /// # Errors
    /// [`Code::InvalidValue`] if there are none or too many, not as many values as indices, or an index twice;
    /// [`Code::VectorNotFinite`].
    pub(crate) fn check(&self, field: &str) -> Result<SparseComponents> {
        let refuse = |reason: &dyn std::fmt::Display| {
            Err(Error::new(Code::InvalidValue).with("field", field).with("reason", reason))
        };
        let (indices, values) = (self.indices.len(), self.values.len());
        if indices != values {
            return refuse(&format_args!("it has {indices} indices and {values} values"));
        }
        if indices == 0 {
            return refuse(&"it has no components");
        }
        if indices > limits::SPARSE_COMPONENTS {
            return refuse(&format_args!(
                "it has {indices} components, the limit is {}",
                limits::SPARSE_COMPONENTS
            ));
        }
        if let Some(at) = self.values.iter().position(|value| !value.is_finite()) {
            let (index, value) = (self.indices[at], self.values[at]);
            return Err(Error::new(Code::VectorNotFinite)
                .with("index", index)
                .with("value", value)
                .of_vector(field));
        }
        let mut components: Vec<_> = self.indices.iter().copied().zip(self.values.iter().copied()).collect();
        components.sort_unstable_by_key(|(index, _)| *index);
        match components.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => refuse(&format_args!("it has the index {} twice", pair[0].0)),
            None => Ok(SparseComponents(components)),
        }
    }
}

/// SparseComponents in the order of their indices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SparseComponents(pub(crate) Vec<(u32, f32)>);

impl SparseComponents {
    /// The sum of the products of components that both have, in the order of their indices, in 64 bits, which they never leave; none
    /// if they share no index.
    pub(crate) fn dot(&self, other: &SparseComponents) -> Option<f64> {
        let (mut sum, mut others) = (None, other.0.iter().peekable());
        for &(index, value) in &self.0 {
            while others.next_if(|(at, _)| *at < index).is_some() {}
            if let Some((_, with)) = others.next_if(|(at, _)| *at == index) {
                sum = Some(sum.unwrap_or(0.0) + f64::from(value) * f64::from(*with));
            }
        }
        sum
    }

    /// As it is shown.
    pub(crate) fn vector(&self) -> SparseVector {
        SparseVector::new(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components(pairs: &[(u32, f32)]) -> SparseComponents {
        SparseVector::new(pairs.iter().copied()).check("sparse").unwrap()
    }

    #[test]
    fn products_are_added_of_the_indices_that_both_have() {
        let (a, b) = (components(&[(7, 2.0), (3, 1.0)]), components(&[(u32::MAX, 1.0), (3, 0.5), (7, -1.0)]));
        assert_eq!((a.dot(&b), b.dot(&a)), (Some(-1.5), Some(-1.5)));
        assert_eq!(a.dot(&components(&[(4, 1.0)])), None);
        assert_eq!(a.vector(), SparseVector::new([(3, 1.0), (7, 2.0)]));
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        let refused = |indices: &[u32], values: &[f32]| {
            let vector = SparseVector { indices: indices.to_vec(), values: values.to_vec() };
            vector.check("sparse.terms").unwrap_err().to_string()
        };
        assert!(refused(&[], &[]).starts_with("sparse.terms: it has no components"));
        assert!(refused(&[1], &[]).contains("1 indices and 0 values"));
        assert!(refused(&[5, 1, 5], &[1.0; 3]).contains("the index 5 twice"));
        assert!(refused(&[9], &[f32::INFINITY]).contains("component 9 of the vector is inf"));
        let many: Vec<u32> = (0..=limits::SPARSE_COMPONENTS as u32).collect();
        assert!(refused(&many, &vec![1.0; many.len()]).contains("the limit is"));
    }
}
