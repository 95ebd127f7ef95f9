# Sourced by the other scripts: what a build needs, installed where it is missing.
# Needs Rust (https://rustup.rs) and, on a machine without a C compiler, apt-get as root or with sudo.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

# One folder for every script, outside the checkout, so that nothing is built twice.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/pelton/target}"

say() { printf '\n== %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 3
}

# need COMMAND PACKAGE: installs PACKAGE when there is no COMMAND.
need() {
  command -v "$1" >/dev/null && return
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo)
  command -v apt-get >/dev/null || die "$1 is missing, and there is no apt-get: install $2 by hand"
  [ "${#as_root[@]}" -eq 0 ] || command -v sudo >/dev/null ||
    die "$1 is missing: install it as root with 'apt-get install $2'"
  say "installing $2 (for $1)"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$2"
}

# Rust's own installer writes this file; a shell started before it does not know it.
if ! command -v cargo >/dev/null && [ -f "$HOME/.cargo/env" ]; then
  . "$HOME/.cargo/env"
fi
command -v cargo >/dev/null || die "cargo is missing: install Rust from https://rustup.rs"

# The C parts of the build: liburing (configure, make), the allocator, a stack helper in assembler.
need cc build-essential
need make build-essential
need awk mawk

# component NAME COMMAND…: a part of the Rust toolchain that a minimal installation leaves out.
component() {
  "${@:2}" >/dev/null 2>&1 && return
  command -v rustup >/dev/null || die "$1 is missing: install it with your Rust toolchain"
  say "installing $1"
  rustup component add "$1"
}
