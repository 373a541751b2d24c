# Two commands do everything on a fresh machine: `make run` and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Compiled dependencies live outside the clone, so that a fresh clone starts warm.
CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/agentdb
export CARGO_TARGET_DIR ?= $(CACHE)/target
export AGENTDB_MODELS ?= $(CACHE)/models

.PHONY: help
help: ## Show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: setup
setup:
	@scripts/setup.sh

.PHONY: models
models: setup ## Fetch the local text encoder, by pinned hash
	@scripts/models.sh "$(AGENTDB_MODELS)"

.PHONY: run
run: models ## Do the main job on real documents (DOCS=path for your own)
	cargo build --profile quick -p agentdb-cli
	$(CARGO_TARGET_DIR)/quick/agentdb --db "$(or $(DB),$(CACHE)/tour)" tour --docs "$(DOCS)"

.PHONY: bench
bench: setup ## Measure against SQLite, redb, lsm-tree, LangGraph's saver and a bare fdatasync loop (some minutes)
	cd bench && CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/bench" cargo build --release
	$(CARGO_TARGET_DIR)/bench/release/agentdb-bench --dir "$(or $(DIR),$(CACHE)/bench)"
	cargo run -q -p xtask -- codegen

.PHONY: bench-retrieval
bench-retrieval: models ## Measure searches by words, filters and both against tantivy, FTS5, LanceDB, Chroma and qdrant-edge; Cranfield
	cd bench && CARGO_TARGET_DIR="$(CARGO_TARGET_DIR)/bench" cargo build --release
	$(CARGO_TARGET_DIR)/bench/release/agentdb-bench --dir "$(or $(DIR),$(CACHE)/bench)" --only retrieval,cranfield
	cargo run -q -p xtask -- codegen

.PHONY: sim
sim: setup ## Simulate more seeds (AGENTDB_SEEDS=n)
	AGENTDB_SEEDS=$(or $(AGENTDB_SEEDS),10000) cargo test -p agentdb-sim -- --nocapture

.PHONY: fuzz
fuzz: setup ## Fuzz every decoder with coverage (FUZZ_SECONDS each, DECODERS="name …")
	@scripts/fuzz.sh "$(CACHE)" "$(or $(FUZZ_SECONDS),60)" $(DECODERS)

.PHONY: test-object-stores
test-object-stores: setup ## Back up to real S3 and Azure servers, killed in the middle, and restore
	cargo build --profile quick -p agentdb-cli
	scripts/object-stores.py $(CARGO_TARGET_DIR)/quick/agentdb "$(CACHE)/object-stores"

.PHONY: golden
golden: setup ## Write the golden files of this format version, if there are none
	cargo test -p agentdb-engine --lib golden -- --ignored
	cargo test -p agentdb-engine --lib golden

.PHONY: docs
docs: setup ## Regenerate the operation reference and the pages of errors
	cargo run -q -p xtask -- codegen

.PHONY: test
test: models ## Run every test and check, the simulator's 1,000 seeds included
	cargo test --workspace --no-fail-fast
	cargo test -p agentdb-sim --features planted-bugs planted -- --nocapture
	cargo clippy --workspace --all-targets -- -D warnings
	cargo fmt --all --check
