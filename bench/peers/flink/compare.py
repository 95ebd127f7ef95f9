#!/usr/bin/env python3
"""Pelton against Flink 2.3 on the same JSON file and the same SQL, alternating in one run.

usage: compare.py PELTON_BINARY [--events 5000000] [--runs 5] [--cores 1] [--queries filter,tumble,hop]

Prints, per query, CPU seconds per million records and wall seconds of both, as median (lowest to
highest) over the runs, and the ratios of the medians. Flink's figures count from the submission of
the job, without the start of its JVM; Pelton's count the whole process.
"""

import argparse
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path.home() / ".cache/pelton/bench"
COLUMNS = "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3)"
WATERMARK = ", WATERMARK FOR ts AS ts - INTERVAL '4' SECOND"
WINDOWED = (
    "SELECT auction, COUNT(*) AS num, MAX(price) AS top, window_start, window_end FROM TABLE({window}) "
    "GROUP BY auction, window_start, window_end"
)
QUERIES = {
    "filter": "SELECT auction, bidder, price * 2 AS doubled, channel, ts FROM bid WHERE price > 900000",
    "tumble": WINDOWED.format(window="TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND)"),
    "hop": WINDOWED.format(
        window="HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND)"
    ),
}
TYPES = {
    "filter": "auction BIGINT, bidder BIGINT, doubled BIGINT, channel STRING, ts TIMESTAMP(3)",
    "tumble": "auction BIGINT, num BIGINT, top BIGINT, s TIMESTAMP(3), e TIMESTAMP(3)",
}
TYPES["hop"] = TYPES["tumble"]


def bids(events):
    """The input: about 170 bytes a line, 10,000 auctions, timestamps up to a second out of order."""
    path = CACHE / f"bids-{events}.json"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    prng = random.Random(1)
    channels = ["Google", "Facebook", "Baidu", "Apple"]
    unfinished = path.with_suffix(".new")
    with open(unfinished, "w") as file:
        for number in range(events):
            millis = number // 10 + prng.randrange(1000)
            seconds, fraction = divmod(millis, 1000)
            minutes, second = divmod(seconds, 60)
            hours, minute = divmod(minutes, 60)
            days, hour = divmod(hours, 24)
            file.write(
                f'{{"auction":{1000 + prng.randrange(10000)},"bidder":{1000 + prng.randrange(50000)},'
                f'"price":{prng.randrange(1000000)},"channel":"{channels[prng.randrange(4)]}",'
                f'"url":"https://www.nexmark.com/{prng.randrange(10**8):08d}/item.htm?query=1",'
                f'"ts":"2020-01-{1 + days:02d} {hour:02d}:{minute:02d}:{second:02d}.{fraction:03d}"}}\n'
            )
    unfinished.rename(path)
    return path


def run_flink(query, source, cores):
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "query.sql"
        script.write_text(
            f"CREATE TABLE bid ({COLUMNS}{WATERMARK}) WITH ('connector'='filesystem',"
            f"'path'='{source}','format'='json');\n"
            f"CREATE TABLE answers ({TYPES[query]}) WITH ('connector'='blackhole');\n"
            f"INSERT INTO answers {QUERIES[query]};\n"
        )
        command = [HERE / "run.sh", script, str(cores)]
        output = subprocess.run(pinned(command, cores), check=True, capture_output=True, text=True)
        result = json.loads(output.stdout.strip().splitlines()[-1])
        return result["wall_seconds"], result["cpu_seconds"]


def job_text(query, source, cores):
    """A Pelton job: the query over the file into nothing, on `cores` (a count, or a list of CPUs)."""
    return (
        f'[reactor]\ncores = {cores}\n[durability]\nmode = "off"\n'
        f'[sources.bid]\nconnector = "file"\npath = "{source}"\nformat = "json"\n'
        f'schema = "{COLUMNS}{WATERMARK}"\n'
        f'[sinks.answers]\nconnector = "blackhole"\n'
        f'[query]\nsql = "INSERT INTO answers {QUERIES[query]}"\n'
    )


def run_pelton(binary, query, source, cores):
    with tempfile.TemporaryDirectory() as folder:
        job = pathlib.Path(folder) / "job.toml"
        job.write_text(job_text(query, source, cores))
        report = pathlib.Path(folder) / "report.json"
        command = [binary, "run", job, "--report", report]
        subprocess.run(pinned(command, cores), check=True, capture_output=True)
        result = json.loads(report.read_text())
        return result["wall_seconds"], result["cpu_seconds"]


def pinned(command, cores):
    """On the same CPUs for both."""
    return ["taskset", "--cpu-list", f"0-{cores - 1}", *map(str, command)]


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--queries", default="filter,tumble,hop")
    options = parser.parse_args()
    binary = shutil.which(options.binary) or options.binary
    source = bids(options.events)
    source.read_bytes()  # into the page cache
    size = source.stat().st_size
    millions = options.events / 1e6
    print(f"{options.events} records, {size / options.events:.0f} bytes each, {options.cores} core(s)")
    for query in options.queries.split(","):
        flink, pelton = [], []
        for _ in range(options.runs):
            flink.append(run_flink(query, source, options.cores))
            pelton.append(run_pelton(binary, query, source, options.cores))
        for name, index, scale in [("wall s", 0, 1), ("CPU s per million", 1, millions)]:
            theirs = [run[index] / scale for run in flink]
            ours = [run[index] / scale for run in pelton]
            ratio = statistics.median(theirs) / statistics.median(ours)
            print(f"{query:8} {name:18} Flink {spread(theirs)}  Pelton {spread(ours)}  ratio {ratio:.1f}")
        walls = [size / 1e6 / run[0] / options.cores for run in pelton]
        print(f"{query:8} Pelton MB/s per core {spread(walls)}", flush=True)


if __name__ == "__main__":
    main()
