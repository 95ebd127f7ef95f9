#!/usr/bin/env bash
# Everything that must hold: format, lints, documentation, benchmarks and fuzz targets that
# compile, all tests.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
component rustfmt cargo fmt --version
component clippy cargo clippy --version

say "format"
cargo fmt --check
say "lints, benchmarks included"
cargo clippy --release --locked --all-targets -- -D warnings
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps --document-private-items
say "fuzz targets"
cp Cargo.lock tests/fuzz/Cargo.lock # the same versions; cargo adds the fuzzer's own
cargo check --quiet --manifest-path tests/fuzz/Cargo.toml
say "tests"
cargo test --release --locked
