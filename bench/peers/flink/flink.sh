#!/usr/bin/env bash
# Runs a Java class from below this folder on Flink 2.3 in one JVM: flink.sh CLASS [argument ...]
# Fetches Flink's jars once and compiles what changed. Needs JDK 17 and pip. LOG_LEVEL is Flink's.
set -euo pipefail
version=2.3.0
class=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pelton/flink-$version
if [ ! -d "$cache/pyflink/lib" ]; then
  mkdir -p "$cache"
  python3 -m pip download --quiet --no-deps --dest "$cache" "apache-flink-libraries==$version"
  python3 -m zipfile -e "$cache"/apache_flink_libraries-*.whl "$cache"
fi
classpath="$cache/pyflink/lib/*"
sources=$(dirname "$(find "$here" -name "$class.java")")
if [ -n "$(find "$sources" -maxdepth 1 -name '*.java' -newer "$cache/$class.class" 2>&1)" ]; then
  javac -cp "$classpath" -d "$cache" "$sources"/*.java
fi
exec java -Xmx8g -XX:+UseG1GC \
  --add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
  --add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED \
  --add-opens=java.base/java.net=ALL-UNNAMED --add-opens=java.base/java.text=ALL-UNNAMED \
  -Dlog4j2.level="${LOG_LEVEL:-ERROR}" -cp "$classpath:$cache" "$class" "$@"
