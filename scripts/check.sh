#!/usr/bin/env bash
# The quick checks, before each commit: format, lints, tidy rules, unit tests.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
component rustfmt cargo fmt --version
component clippy cargo clippy --version

say "format"
cargo fmt --check
say "lints"
cargo clippy --release --locked --all-targets -- -D warnings
say "tidy rules"
cargo test --release --locked --test it tidy
say "unit tests"
cargo test --release --locked --lib
