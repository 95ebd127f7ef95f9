#!/usr/bin/env bash
# From a fresh checkout to results: builds, makes a million bids, finds the hot ones.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

data=data/quickstart
bids=${PELTON_QUICKSTART_BIDS:-1000000}

say "building (the first time takes some minutes)"
cargo build --release --locked --bin pelton

say "making $bids bids: $data/bids.json"
mkdir -p "$data"
rm -rf "$data/hot-items"
awk -f scripts/bids.awk -v count="$bids" >"$data/bids.json"

say "running config/quickstart.toml"
"$CARGO_TARGET_DIR/release/pelton" run config/quickstart.toml --report "$data/report.json" --fresh --log text

results=$(cat "$data"/hot-items/* | wc -l)
say "five of $results results in $data/hot-items:"
cat "$data"/hot-items/* | awk 'NR <= 5'
printf '\nWhat happened, in numbers: %s\n' "$data/report.json"
printf 'Next: change the query in config/quickstart.toml; config/README.md lists the other examples.\n'
