#!/usr/bin/env bash
# The standard set of benches, kept in bench/results/DATE-HOST, a folder each with result.json and report.html.
# Leave the machine alone meanwhile: about a quarter of an hour.
#
#   scripts/bench.sh [--against DIR] [--tolerance PERCENT] [--runs N] [--short] [--host NAME] [--out DIR]
#
#   --against DIR        an earlier result: exit code 4 when a figure that decides is worse than there
#   --tolerance PERCENT  what is worse by no more passes (5)
#   --runs N             of each bench (5); fewer than 4 cannot be told from noise
#   --short              seconds instead of minutes, to try it out; its figures say little
#   --host NAME          how the machine is called; without it, eight digits that stay the same
#   --out DIR            instead of bench/results/DATE-HOST

usage() { sed -n '2,/^$/{/^$/!s/^# \{0,1\}//p}' "$script"; }
refuse() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}
script=$(readlink -f "${BASH_SOURCE[0]}")
against="" tolerance=5 runs=5 short="" host="" out=""
while [ "$#" -gt 0 ]; do
  case $1 in
    --short) short=yes ;;
    --help | -h)
      usage
      exit 0
      ;;
    --against | --tolerance | --runs | --host | --out)
      [ "$#" -gt 1 ] || refuse "$1 needs a value"
      declare "${1#--}=$2"
      shift
      ;;
    *) refuse "there is no option $1; --help lists them" ;;
  esac
  shift
done
# Paths are those of the caller; the build is the checkout's.
[ -z "$against" ] || against=$(realpath -e "$against" 2>/dev/null) || refuse "--against: there is no such folder"
[ -z "$out" ] || out=$(realpath -m "$out")
case $host in *[!A-Za-z0-9._-]*) refuse "--host $host: write letters, digits, points and dashes" ;; esac
. "$(dirname "$script")/setup.sh"

# Nobody can tell from it which machine it was; the same machine is called the same.
anonymous() {
  { echo "pelton bench"; cat /etc/machine-id 2>/dev/null || hostname; } | sha256sum | cut -c 1-8
}
if [ -z "$out" ]; then
  name=bench/results/$(date +%F)-${host:-$(anonymous)} out=$name number=2
  while [ -e "$out" ]; do out=$name-$number number=$((number + 1)); done
fi
mkdir -p "$out"

say "building"
cargo build --release --locked --bin pelton
pelton=$CARGO_TARGET_DIR/release/pelton

# run FOLDER ARGUMENT…: a bench, with its tables beside its result.
run() {
  local folder=$out/$1
  shift
  say "pelton bench $*"
  mkdir -p "$folder"
  "$pelton" bench "$@" --out "$folder" | tee "$folder/tables.txt"
}

if [ -n "$short" ]; then
  floor=(--duration 50ms) latency=(--duration 1s --warm-up 200ms --rate 5k) rows=(--events 100k)
  search=(--from 2k --precision 40 --window 500ms --warm-up 100ms)
else
  floor=(--duration 1s) latency=(--duration 10s --rate 10k,50k) rows=(--events 10M) search=()
fi
run floor floor --rounds "$runs" "${floor[@]}" --dir "$out"
run latency latency --runs "$runs" "${latency[@]}" --verify
run throughput throughput --runs "$runs" "${search[@]}"
run nexmark nexmark --runs "$runs" "${rows[@]}"
run nexmark-json nexmark --runs "$runs" "${rows[@]}" --queries q0,q1,q2,q12 --source json
for suite in ysb wordcount passthrough fraud; do
  run "$suite" "$suite" --runs "$runs" "${rows[@]}"
done
say "kept in $out"

if [ -n "$against" ]; then
  say "against $against"
  "$pelton" bench compare "$against" "$out" --gate --tolerance "$tolerance" --out "$out/comparison"
fi
