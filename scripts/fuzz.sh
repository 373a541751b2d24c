#!/usr/bin/env bash
# Fuzzes decoders with libFuzzer: fuzz.sh CACHE SECONDS [DECODER...]. What it learns stays in CACHE; a find is written to
# fuzz/artifacts and belongs, once the bug is mended, into tests/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$1 seconds=$2
shift 2
export PATH="$cache/bin:$PATH" CARGO_TARGET_DIR="$cache/fuzz-target"
# The instrumentation's flags are unstable; the compiler is the stable one.
export RUSTC_BOOTSTRAP=1
if ! command -v cargo-fuzz > /dev/null; then
  cargo install cargo-fuzz --locked --root "$cache"
fi
decoders=("$@")
if [ ${#decoders[@]} -eq 0 ]; then
  mapfile -t decoders < <(ls tests/corpus)
fi
cargo fuzz build decoder
binary=$(find "$CARGO_TARGET_DIR" -path '*/release/decoder' -type f | head -1)
for decoder in "${decoders[@]}"; do
  learnt="$cache/fuzz-corpus/$decoder" finds="fuzz/artifacts/$decoder"
  mkdir -p "$learnt" "$finds"
  echo "fuzzing $decoder for $seconds s"
  # Opening a database for each input takes a while under the sanitizer.
  AGENTDB_DECODER=$decoder "$binary" -max_total_time="$seconds" -timeout=60 -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="$finds/" "$learnt" "tests/corpus/$decoder" 2> "$learnt.log" || {
    tail -n 40 "$learnt.log"
    echo "$decoder failed: the input is in $finds, the whole output in $learnt.log"
    exit 1
  }
  grep -E 'stat::number_of_executed_units|DONE' "$learnt.log" || true
done
