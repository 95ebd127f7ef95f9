#!/usr/bin/env bash
# Kills a job under full load again and again, and ends it in every phase of an epoch and of a start; what
# it writes must be what a run writes that nothing happens to, each row once.
#
#   scripts/kill.sh [KILLS]
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
export PELTON_KILLS=${1:-300}

say "$PELTON_KILLS kills at random"
cargo test --release --locked --test it -- --exact \
  kills::a_job_that_is_killed_again_and_again_loses_and_doubles_nothing
say "ends in every phase"
cargo test --release --locked --features failpoints \
  --test it -- --exact kills::a_job_that_ends_in_any_phase_loses_and_doubles_nothing
