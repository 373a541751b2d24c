//! What AgentDB needs of an encoder of texts.

use agentdb_types::Result;

/// Makes a vector of a text, such that texts of near meaning have near vectors.
///
/// An encoder is shared by threads and is deterministic: a text has one vector, whatever it is encoded together with,
/// up to the rounding of floating-point sums (the components of two runs, or of two kinds of CPU, differ by less
/// than 1e-5).
///
/// ```
/// use agentdb_models::TextEncoder;
/// use agentdb_types::Result;
///
/// /// Counts letters: a stand-in for tests that need no meaning.
/// struct Letters;
///
/// impl TextEncoder for Letters {
///     fn id(&self) -> &str {
///         "letters"
///     }
///     fn dimension(&self) -> usize {
///         26
///     }
///     fn max_tokens(&self) -> usize {
///         usize::MAX
///     }
///     fn count_tokens(&self, text: &str) -> Result<usize> {
///         Ok(text.len())
///     }
///     fn encode_each(&self, texts: &[&str], on_done: &mut dyn FnMut(usize)) -> Result<Vec<Vec<f32>>> {
///         let mut vectors = Vec::new();
///         for text in texts {
///             let count = |letter: char| text.chars().filter(|c| c.eq_ignore_ascii_case(&letter)).count() as f32;
///             let counts: Vec<f32> = ('a'..='z').map(count).collect();
///             let length = counts.iter().map(|x| x * x).sum::<f32>().sqrt();
///             vectors.push(counts.iter().map(|x| x / length).collect());
///             on_done(vectors.len());
///         }
///         Ok(vectors)
///     }
/// }
///
/// let encoder: &dyn TextEncoder = &Letters;
/// assert_eq!(encoder.encode(&["abc"])?[0].len(), 26);
/// # Ok::<(), agentdb_types::Error>(())
/// ```
pub trait TextEncoder: Send + Sync {
    /// The name that is stored with every vector, such as `minilm-l6-int8`. Vectors of different ids are not
    /// comparable; another model, other weights or another treatment of texts is another id.
    fn id(&self) -> &str;

    /// Components of every vector.
    fn dimension(&self) -> usize;

    /// Tokens of a text that are encoded at once, the model's own markers not counted. A longer text is not cut:
    /// see [`encode_each`](Self::encode_each). Chunks of at most this size are searched most precisely.
    fn max_tokens(&self) -> usize;

    /// Tokens of a text, counted as for [`max_tokens`](Self::max_tokens); 0 for a text that cannot be encoded
    /// because nothing is in it.
    ///
    /// # Errors
    ///
    /// `encoder_failed` when the tokenizer fails.
    fn count_tokens(&self, text: &str) -> Result<usize>;

    /// The vectors of the texts, in their order, each of length 1 (its Euclidean norm).
    ///
    /// Nothing of a text is left out: one of more than [`max_tokens`](Self::max_tokens) tokens is encoded window by
    /// window, and its vector is the mean of the windows' vectors, weighted by their tokens and brought to length 1.
    ///
    /// `on_done` is called on the caller's thread whenever more texts are finished, with the number that are.
    ///
    /// # Errors
    ///
    /// `invalid_value` for a text in which nothing can be encoded (it is empty, or holds only blanks and control
    /// characters), which the field `texts[i]` names; `encoder_failed` when the model fails. There are no partial
    /// results.
    fn encode_each(&self, texts: &[&str], on_done: &mut dyn FnMut(usize)) -> Result<Vec<Vec<f32>>>;

    /// [`encode_each`](Self::encode_each) for those who do not watch.
    ///
    /// # Errors
    ///
    /// Those of [`encode_each`](Self::encode_each).
    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.encode_each(texts, &mut |_| {})
    }
}
