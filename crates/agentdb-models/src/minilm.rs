//! The English text encoder: all-MiniLM-L6-v2 with 8-bit weights.

use std::num::NonZeroUsize;
use std::path::Path;

use agentdb_types::{Code, Error, Result};
use ort::session::Session;
use ort::value::Tensor;
use tokenizers::Tokenizer;

use crate::model_dir::existing;
use crate::runtime::{self, failed};
use crate::sessions::Sessions;
use crate::window::{batches, normalize, windows};
use crate::{ModelDir, TextEncoder};

const ID: &str = "minilm-l6-int8";
const DIMENSION: usize = 384;
/// What the model was trained for is 256 positions, two of them for the markers of start and end.
const MAX_TOKENS: usize = 254;
const START: &str = "[CLS]";
const END: &str = "[SEP]";
/// Tokens of one batch, padding included: about one full window.
const BATCH_TOKENS: usize = 256;

/// How many cores an encoder uses, and so how much memory: the weights are unpacked into every session (some 100 MB).
///
/// ```
/// use agentdb_models::Options;
///
/// assert_eq!(Options::default(), Options { sessions: 1, intra_threads: 1 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Batches that can be run at once, each in a session of its own: more of them make many texts, or many
    /// callers, faster. At least 1.
    pub sessions: usize,
    /// Threads that share the work on one batch: more of them make a single text faster. At least 1. They exist
    /// beside the caller's own only above 1, and sleep between batches.
    pub intra_threads: usize,
}

impl Default for Options {
    /// One session, one thread: the caller's.
    fn default() -> Self {
        Options { sessions: 1, intra_threads: 1 }
    }
}

/// The encoder `minilm-l6-int8`: English text, 384 dimensions, 254 tokens at once (some 190 words).
///
/// The model is sentence-transformers/all-MiniLM-L6-v2 (Wang et al., *MiniLM: Deep Self-Attention Distillation*,
/// 2020), whose tokens' outputs are averaged. Upper and lower case are one, accents are dropped. It knows other
/// languages' letters but hardly their words; signs that its vocabulary lacks (emoji, many Chinese characters) and
/// words of more than 100 letters all count as the same unknown token.
///
/// ```
/// use agentdb_models::{MiniLm, ModelDir, Options, TextEncoder};
///
/// let encoder = MiniLm::open(&ModelDir::locate()?, Options { sessions: 2, ..Options::default() })?;
/// assert_eq!(encoder.count_tokens("AgentDB remembers.")?, 4); // agent ##db remembers .
/// # Ok::<(), agentdb_types::Error>(())
/// ```
#[derive(Debug)]
pub struct MiniLm {
    tokenizer: Tokenizer,
    start: u32,
    end: u32,
    sessions: Sessions<Session>,
}

impl MiniLm {
    /// Loads the encoder from `text/minilm-l6-int8` of a model directory: some tenths of a second.
    ///
    /// ONNX Runtime is the library that `ORT_DYLIB_PATH` names, else the model directory's. A process has one: what
    /// the first encoder has loaded serves all later ones.
    ///
    /// # Errors
    ///
    /// `model_not_found` when a file is missing, `encoder_failed` when one cannot be used, `invalid_value` for
    /// options of zero.
    pub fn open(models: &ModelDir, options: Options) -> Result<Self> {
        let sessions = at_least_one("sessions", options.sessions)?;
        let intra_threads = at_least_one("intra_threads", options.intra_threads)?.get();
        let directory = models.text(ID);
        let model = existing(directory.join("model.onnx"))?;
        let (tokenizer, start, end) = open_tokenizer(&existing(directory.join("tokenizer.json"))?)?;
        let environment = runtime::environment(ID, models)?;
        let sessions = Sessions::open(sessions, || {
            let session = runtime::session(&environment, &model, intra_threads)
                .map_err(|e| failed(ID, format_args!("{}: {e}", model.display())))?;
            check_model(&session)
                .map_err(|reason| failed(ID, format_args!("{}: {reason}", model.display())))?;
            Ok(session)
        })?;
        let encoder = MiniLm { tokenizer, start, end, sessions };
        // A model that loads and cannot run is found here, not in the first write.
        encoder.encode(&["ready"])?;
        Ok(encoder)
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|e| failed(ID, e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The vectors of windows of tokens: the mean of the model's output over each, brought to length 1.
    fn run(&self, session: &mut Session, windows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let length = windows.iter().map(|tokens| tokens.len()).max().unwrap_or(0) + 2;
        let mut ids = Vec::with_capacity(windows.len() * length);
        let mut mask = Vec::with_capacity(windows.len() * length);
        for tokens in windows {
            let marked = [self.start].into_iter().chain(tokens.iter().copied()).chain([self.end]);
            ids.extend(marked.map(i64::from));
            mask.resize(ids.len(), 1i64);
            ids.resize(mask.len() + length - 2 - tokens.len(), 0);
            mask.resize(ids.len(), 0);
        }
        let types = vec![0i64; ids.len()];
        let output = session_output(session, [windows.len(), length], ids, mask, types)?;

        let mut vectors = Vec::with_capacity(windows.len());
        for (tokens, rows) in windows.iter().zip(output.chunks_exact(length * DIMENSION)) {
            let mut sum = vec![0.0; DIMENSION];
            for row in rows.chunks_exact(DIMENSION).take(tokens.len() + 2) {
                add(&mut sum, row, 1.0);
            }
            vectors.push(direction(sum)?);
        }
        Ok(vectors)
    }
}

impl TextEncoder for MiniLm {
    fn id(&self) -> &str {
        ID
    }

    fn dimension(&self) -> usize {
        DIMENSION
    }

    fn max_tokens(&self) -> usize {
        MAX_TOKENS
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(self.tokens(text)?.len())
    }

    fn encode_each(&self, texts: &[&str], on_done: &mut dyn FnMut(usize)) -> Result<Vec<Vec<f32>>> {
        let tokens = texts.iter().map(|text| self.tokens(text)).collect::<Result<Vec<_>>>()?;
        if let Some(i) = tokens.iter().position(Vec::is_empty) {
            return Err(nothing_in(i));
        }
        let counts: Vec<usize> = tokens.iter().map(Vec::len).collect();
        let windows = windows(&counts, MAX_TOKENS);
        let mut waiting = vec![0usize; texts.len()];
        windows.iter().for_each(|window| waiting[window.text] += 1);

        let mut window_vectors: Vec<Vec<f32>> = vec![Vec::new(); windows.len()];
        let mut done = 0;
        self.sessions.run_each(
            &batches(&windows, BATCH_TOKENS),
            |session, batch| {
                let of_window = |&i: &usize| &tokens[windows[i].text][windows[i].tokens.clone()];
                self.run(session, &batch.iter().map(of_window).collect::<Vec<_>>())
            },
            |batch, vectors| {
                let before = done;
                for (&i, vector) in batch.iter().zip(vectors) {
                    window_vectors[i] = vector;
                    waiting[windows[i].text] -= 1;
                    done += usize::from(waiting[windows[i].text] == 0);
                }
                if done > before {
                    on_done(done);
                }
            },
        )?;

        let mut vectors: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
        for (window, vector) in windows.iter().zip(window_vectors) {
            let whole = &mut vectors[window.text];
            if window.tokens.len() == counts[window.text] {
                *whole = vector;
            } else {
                whole.resize(DIMENSION, 0.0);
                add(whole, &vector, window.tokens.len() as f32);
                if window.tokens.end == counts[window.text] {
                    *whole = direction(std::mem::take(whole))?;
                }
            }
        }
        Ok(vectors)
    }
}

/// The tokenizer, and its markers of start and end.
fn open_tokenizer(path: &Path) -> Result<(Tokenizer, u32, u32)> {
    let failed = |reason: String| failed(ID, format_args!("{}: {reason}", path.display()));
    let mut tokenizer = Tokenizer::from_file(path).map_err(|e| failed(e.to_string()))?;
    tokenizer.with_truncation(None).map_err(|e| failed(e.to_string()))?.with_padding(None);
    // What is encoded is data: "[SEP]" in it is five signs and no marker.
    tokenizer.set_encode_special_tokens(true);
    let marker =
        |name: &str| tokenizer.token_to_id(name).ok_or_else(|| failed(format!("there is no token {name}")));
    let (start, end) = (marker(START)?, marker(END)?);
    Ok((tokenizer, start, end))
}

/// That the model has the inputs and outputs of a BERT encoder of this dimension.
fn check_model(session: &Session) -> std::result::Result<(), String> {
    for input in session.inputs() {
        if !INPUTS.contains(&input.name()) {
            return Err(format!("it wants the input {}", input.name()));
        }
    }
    if session.inputs().len() != INPUTS.len() {
        return Err(format!("it has not the inputs {}", INPUTS.join(", ")));
    }
    let shape = session.outputs().iter().find(|o| o.name() == OUTPUT).and_then(|o| o.dtype().tensor_shape());
    match shape.map(|shape| &shape[..]) {
        Some([_, _, dimension]) if *dimension == DIMENSION as i64 => Ok(()),
        _ => Err(format!("it has no output {OUTPUT} of {DIMENSION} dimensions")),
    }
}

const INPUTS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];
const OUTPUT: &str = "last_hidden_state";

/// Runs the model on `shape[0]` windows of `shape[1]` positions; the output has `DIMENSION` numbers for each position.
fn session_output(
    session: &mut Session,
    shape: [usize; 2],
    ids: Vec<i64>,
    mask: Vec<i64>,
    types: Vec<i64>,
) -> Result<Vec<f32>> {
    let run = || -> ort::Result<Vec<f32>> {
        let outputs = session.run(ort::inputs![
            INPUTS[0] => Tensor::from_array((shape, ids))?,
            INPUTS[1] => Tensor::from_array((shape, mask))?,
            INPUTS[2] => Tensor::from_array((shape, types))?,
        ])?;
        let output = outputs.get(OUTPUT).ok_or_else(|| ort::Error::new("no output"))?;
        Ok(output.try_extract_tensor::<f32>()?.1.to_vec())
    };
    let output = run().map_err(|e| failed(ID, e))?;
    match output.len() == shape[0] * shape[1] * DIMENSION {
        true => Ok(output),
        false => {
            Err(failed(ID, format_args!("the output for {shape:?} tokens has {} numbers", output.len())))
        }
    }
}

fn add(sum: &mut [f32], vector: &[f32], weight: f32) {
    for (s, x) in sum.iter_mut().zip(vector) {
        *s += weight * x;
    }
}

/// The vector of length 1 in this direction.
fn direction(mut vector: Vec<f32>) -> Result<Vec<f32>> {
    match normalize(&mut vector) {
        true => Ok(vector),
        false => Err(failed(ID, "its output has no direction: it is zero or not finite")),
    }
}

fn at_least_one(field: &'static str, value: usize) -> Result<NonZeroUsize> {
    let invalid =
        || Error::new(Code::InvalidValue).with("field", field).with("reason", "it must be at least 1");
    NonZeroUsize::new(value).ok_or_else(invalid)
}

fn nothing_in(text: usize) -> Error {
    Error::new(Code::InvalidValue)
        .with("field", format_args!("texts[{text}]"))
        .with("reason", "it holds nothing to encode: it is empty, or only blanks and control characters")
}
