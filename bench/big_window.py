#!/usr/bin/env python3
"""One window of many keys: memory while it is open, turns while it fires, memory after it closed.

usage: big_window.py PELTON_BINARY [--keys 10000000] [--cores 1]

A file with that many distinct keys in one window is read with `follow`, so that the job stays after the
window has fired. Printed: resident memory with an empty file, at the peak, and 10 s after the last row
came out; bytes per key at the peak; the times from one turn to the next, and what the machine adds to them.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

CACHE = pathlib.Path.home() / ".cache/pelton/bench"
JOB = """
[reactor]
cores = {cores}
[durability]
mode = "off"
[sources.events]
connector = "file"
path = "{source}"
follow = true
format = "json"
schema = "k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts"
[sinks.counts]
connector = "blackhole"
[query]
sql = '''
INSERT INTO counts SELECT k, COUNT(*) AS n, window_end
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY k, window_start, window_end
'''
"""


def events(keys):
    """One record per key in the first hour, and one later that closes the window."""
    path = CACHE / f"keys-{keys}.json"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    with open(unfinished, "w") as file:
        for number in range(keys):
            key = number * 2654435761 % 2**32
            file.write(f'{{"k":{key},"ts":"2020-01-01 00:00:00"}}\n')
        file.write('{"k":0,"ts":"2020-01-01 02:00:00"}\n')
    unfinished.rename(path)
    return path


def memory(process, field="VmRSS"):
    """Bytes."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * 1024


def longest_pause(seconds):
    """What the machine itself does to a loop that only looks at the clock, on the job's first CPU."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})
    longest, now = 0, time.monotonic()
    end = now + seconds
    while now < end:
        before, now = now, time.monotonic()
        longest = max(longest, now - before)
    os.sched_setaffinity(0, everywhere)
    return longest


def start(binary, folder, source, cores):
    job = folder / f"{source.stem}.toml"
    job.write_text(JOB.format(cores=cores, source=source))
    report = job.with_suffix(".report")
    command = [binary, "run", str(job), "--log", "text", "--report", str(report)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    return process, report


def stop(process):
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    if process.returncode != 0:
        raise SystemExit(f"the job ended with {process.returncode}: {rest}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--keys", type=int, default=10_000_000)
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    source = events(options.keys)
    source.read_bytes()  # into the page cache
    pause = longest_pause(5)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "empty.json").write_text("")
        process, _ = start(options.binary, folder, folder / "empty.json", options.cores)
        time.sleep(2)
        before = memory(process)
        stop(process)
        process, report = start(options.binary, folder, source, options.cores)
        for line in process.stderr:
            if f"out {options.keys} " in line:
                break
        fired = time.monotonic()
        for wait in [0, 1, 5, 10]:
            time.sleep(max(0, fired + wait - time.monotonic()))
            after = memory(process)
            print(f"{wait:3} s after the last row: {after / 2**20:.0f} MiB")
        peak = memory(process, "VmHWM")
        stop(process)
        turns = json.loads(report.read_text())["turn_us"]
    print(f"empty {before / 2**20:.0f} MiB, peak {peak / 2**20:.0f} MiB")
    print(f"bytes per key at the peak: {(peak - before) / options.keys:.1f}")
    print(f"memory 10 s after: {after / before:.2f} of an empty job's")
    shown = ", ".join(f"{name} {turns[name] / 1000:.2f}" for name in ["p50", "p99", "p99_9", "p99_99", "max"])
    print(f"turns: {shown} ms")
    print(f"longest pause of a bare loop on the same CPU, as long as the job: {pause * 1000:.2f} ms")


if __name__ == "__main__":
    main()
