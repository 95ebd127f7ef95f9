#!/usr/bin/env bash
# Runs a file of Flink SQL on Flink 2.3 in one JVM: run.sh FILE.sql PARALLELISM [key=value ...]
# Prints wall and CPU seconds of each INSERT as JSON. Needs JDK 17 and pip.
set -euo pipefail
version=2.3.0
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pelton/flink-$version
if [ ! -d "$cache/pyflink/lib" ]; then
  mkdir -p "$cache"
  python3 -m pip download --quiet --no-deps --dest "$cache" "apache-flink-libraries==$version"
  python3 -m zipfile -e "$cache"/apache_flink_libraries-*.whl "$cache"
fi
classpath="$cache/pyflink/lib/*"
if [ "$here/FlinkSql.java" -nt "$cache/FlinkSql.class" ]; then
  javac -cp "$classpath" -d "$cache" "$here/FlinkSql.java"
fi
file=$1
shift
exec java -Xmx8g -XX:+UseG1GC \
  --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
  --add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED \
  --add-opens=java.base/java.net=ALL-UNNAMED --add-opens=java.base/java.text=ALL-UNNAMED \
  -Dlog4j2.level=ERROR -cp "$classpath:$cache" FlinkSql "$file" "$@"
