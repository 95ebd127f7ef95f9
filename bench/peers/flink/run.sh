#!/usr/bin/env bash
# Runs a file of Flink SQL on Flink 2.3 in one JVM: run.sh FILE.sql PARALLELISM [key=value ...]
# Prints wall and CPU seconds of each INSERT as JSON.
exec "$(dirname "$0")/flink.sh" FlinkSql "$@"
