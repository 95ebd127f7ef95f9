#!/usr/bin/env python3
"""Two cores with exchange against two independent one-core jobs run at once, alternating.

usage: scaling.py PELTON_BINARY [--events 5000000] [--runs 7] [--query tumble]

Both read the same JSON file from the page cache. The figure is the throughput of one job on two cores
over the summed throughput of two jobs, each pinned to one core; 1.0 means that the exchange costs nothing.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers/flink"))
import compare  # noqa: E402


def start(binary, query, source, cores, folder):
    """Starts a job on these CPUs; its report is written into the folder."""
    job = folder / f"job-{'-'.join(map(str, cores))}.toml"
    job.write_text(compare.job_text(query, source, cores))
    report = job.with_suffix(".report")
    command = [binary, "run", job, "--report", report]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    return process, report


def wall_seconds(started):
    """Waits for all of them; the longest wall time."""
    for process, _ in started:
        if process.wait() != 0:
            raise SystemExit(f"a job ended with {process.returncode}")
    return max(json.loads(report.read_text())["wall_seconds"] for _, report in started)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--query", default="tumble", choices=compare.QUERIES)
    options = parser.parse_args()
    source = compare.bids(options.events)
    source.read_bytes()  # into the page cache
    ratios = []
    for run in range(1, options.runs + 1):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            both = [[0], [1]]
            apart = wall_seconds(
                [start(options.binary, options.query, source, cpus, folder) for cpus in both]
            )
            together = wall_seconds([start(options.binary, options.query, source, [0, 1], folder)])
        ratio = apart / 2 / together
        ratios.append(ratio)
        print(f"run {run}: two jobs {apart:.2f} s, one job on two cores {together:.2f} s: {ratio:.2f}")
    print(f"{options.query}: {compare.spread(ratios)}")


if __name__ == "__main__":
    main()
