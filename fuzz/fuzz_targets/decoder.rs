//! One decoder, by the name in `AGENTDB_DECODER`, is fed whatever libFuzzer thinks of.

#![no_main]

use std::sync::LazyLock;

use agentdb_engine::decoders::{Decoder, by_name};

static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let name = std::env::var("AGENTDB_DECODER").unwrap_or_default();
    by_name(&name).unwrap_or_else(|| panic!("AGENTDB_DECODER is {name:?}, which is no decoder"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    DECODER(bytes);
});
