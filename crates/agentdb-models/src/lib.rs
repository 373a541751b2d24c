//! Local encoders: a text becomes a vector on this machine, without network and without a key.
//!
//! [`MiniLm`] runs all-MiniLM-L6-v2 (English, 384 dimensions) with ONNX Runtime, from a [`ModelDir`] that
//! `make models` fills. [`TextEncoder`] is what the rest of AgentDB sees of it; any other encoder implements that.
//!
//! This crate does not download, store, index or compare anything, and it chooses no model for anyone. It loads
//! ONNX Runtime once in a process and never unloads it.
//!
//! ```
//! use agentdb_models::{MiniLm, ModelDir, Options, TextEncoder};
//!
//! let encoder = MiniLm::open(&ModelDir::locate()?, Options::default())?;
//! let vectors = encoder.encode(&["How do I reset my password?", "Recovering a forgotten login", "A cat on a mat"])?;
//!
//! let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>(); // all have length 1
//! assert_eq!(vectors[0].len(), encoder.dimension());
//! assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]));
//! # Ok::<(), agentdb_types::Error>(())
//! ```

mod minilm;
mod model_dir;
mod runtime;
mod sessions;
mod text_encoder;
mod window;

pub use minilm::{MiniLm, Options};
pub use model_dir::ModelDir;
pub use text_encoder::TextEncoder;
