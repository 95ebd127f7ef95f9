#!/usr/bin/env python3
"""What durability costs: throughput with and without it, the time an epoch takes, the time a start takes.

usage: durability.py PELTON_BINARY [--events 10000000] [--runs 5] [--state-bytes 1073741824]

Throughput: a windowed count over a JSON file from the page cache on two cores, durability on and off in
turn; the figure is the ratio of CPU seconds and of wall time. Epochs: the same job at 10 ms, 100 ms and 1 s.
Start: a window of many keys is stopped with that much state, and started again; beside it, how fast the same
journals are read by `cat`.
"""

import argparse
import json
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers/flink"))
import compare  # noqa: E402

DURABILITY = """[durability]
mode = "{mode}"
dir = "{directory}/state"
checkpoint_interval = "{interval}"
"""

MANY_KEYS = """
[sources.events]
connector = "datagen"
rows = 1000000000
rows_per_second = 1000000000
schema = "id BIGINT, ts AS TO_TIMESTAMP_LTZ(id / 1000000000, 3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND"
fields = { id = { kind = "sequence", start = 1, end = 1000000000 } }
[sinks.counts]
connector = "blackhole"
[query]
sql = '''
INSERT INTO counts SELECT id, COUNT(*) AS n, SUM(id) AS s, window_end
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' HOUR)) GROUP BY id, window_start, window_end
'''
"""


def run(binary, query, source, folder, mode, interval):
    """Wall time and CPU seconds of one run, and its report."""
    text = compare.job_text(query, source, [0, 1])
    durability = DURABILITY.format(mode=mode, directory=folder / mode, interval=interval)
    text = text.replace('[durability]\nmode = "off"\n', durability)
    job = folder / f"{mode}.toml"
    job.write_text(text)
    report = folder / f"{mode}.report"
    command = [binary, "run", job, "--fresh", "--plain", "--report", report]
    subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)
    told = json.loads(report.read_text())
    return told["wall_seconds"], told["cpu_seconds"]


def spread(values):
    """Median with the lowest and the highest."""
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def throughput(options, folder):
    source = compare.bids(options.events)
    source.read_bytes()  # into the page cache
    for interval in ["1s", "100ms", "10ms"]:
        walls, cpus = [], []
        for _ in range(options.runs):
            off = run(options.binary, options.query, source, folder, "off", interval)
            on = run(options.binary, options.query, source, folder, "on", interval)
            walls.append(off[0] / on[0])
            cpus.append(on[1] / off[1])
        print(f"epochs of {interval}: throughput {spread(walls)} of that without, CPU {spread(cpus)}")


def status(address):
    with urllib.request.urlopen(f"{address}/status", timeout=5) as answer:
        return json.load(answer)


def start_time(options, folder):
    durability = DURABILITY.format(mode="on", directory=folder / "keys", interval="1s")
    job = folder / "keys.toml"
    job.write_text(f'name = "keys"\n[reactor]\ncores = [0, 1]\n{durability}[http]\nlisten = "127.0.0.1:9489"\n{MANY_KEYS}')
    command = [options.binary, "run", str(job), "--plain", "--log", "text"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(0.1)
        try:
            told = status("http://127.0.0.1:9489")
        except OSError:
            continue
        live = sum(operator["state_bytes"] for operator in told["operators"])
        if live >= options.state_bytes:
            break
    else:
        raise SystemExit(f"the job ended with {process.returncode}")
    process.send_signal(signal.SIGTERM)
    process.wait()
    for _ in range(options.runs):
        journals = list((folder / "keys/state").glob("state-*.seg"))
        kept = sum(path.stat().st_size for path in journals)
        began = time.monotonic()
        subprocess.run(["cat", *journals], stdout=subprocess.DEVNULL, check=True)
        cat = time.monotonic() - began
        again = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in again.stderr:
            if found := re.search(r"read in ([0-9.]+) s", line):
                break
        again.kill()
        again.wait()
        took = float(found[1])
        print(f"start with {live / 2**30:.2f} GiB in memory, segments of {kept / 2**30:.2f} GiB: "
              f"{took:.2f} s; cat {cat:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--query", default="tumble", choices=compare.QUERIES)
    parser.add_argument("--state-bytes", type=int, default=2**30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        throughput(options, pathlib.Path(name))
        start_time(options, pathlib.Path(name))


if __name__ == "__main__":
    main()
