#!/usr/bin/env python3
"""Frames: over loopback against a bare read loop, from a mapped file against JSON lines, and idle connections.

usage: frames.py PELTON_BINARY EXAMPLES_DIRECTORY [--rows 20000000] [--runs 5] [--source-cpu 0] [--sender-cpu 1]

EXAMPLES_DIRECTORY has the built examples `producer` and `bare_source` (target/release/examples). The job
filters and counts by key in a tumbling window. Bare loop and job take turns on the same CPU, with the same
sender on the same other one; the figure is the median of the runs' ratios.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request

WIDE = "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3), extra STRING"
NARROW = "auction BIGINT, bidder BIGINT, price BIGINT, ts TIMESTAMP(3)"
COUNT = """
INSERT INTO counts SELECT auction, COUNT(*) AS num, window_start
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND)) WHERE price > 1000
GROUP BY auction, window_start, window_end
"""


def job(source, schema, cpu):
    return f"""name = "frames"
[reactor]
cores = [{cpu}]
[durability]
mode = "off"
[sources.bid]
{source}
schema = "{schema}, WATERMARK FOR ts AS ts"
[sinks.counts]
connector = "blackhole"
[query]
sql = '''{COUNT}'''
"""


TCP = 'connector = "tcp"\nlisten = "127.0.0.1:0"\nformat = "rkyv"\nconnections_max = 20000\nmax_future = "off"'


class Job:
    def __init__(self, options, folder, text):
        path = pathlib.Path(folder) / "job.toml"
        path.write_text(text)
        self.report = path.with_suffix(".report")
        command = [options.binary, "run", "--fresh", "--log", "text", str(path)]
        command += ["--report", str(self.report)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
        self.lines = []

    def until(self, pattern):
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(pattern, line)
            if found:
                return found.group(1)
        raise SystemExit("the job ended: " + "".join(self.lines))

    def wait(self):
        rest = self.process.stderr.read()
        if self.process.wait() != 0:
            raise SystemExit("the job failed: " + "".join(self.lines) + rest)
        return json.loads(self.report.read_text())


def send(options, address, *more):
    command = ["taskset", "-c", str(options.sender_cpu), f"{options.examples}/producer", address, *more]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"([0-9]+) rows/s", output).group(1))


def bare(options, *more):
    command = ["taskset", "-c", str(options.source_cpu), f"{options.examples}/bare_source", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = process.stdout.readline().split()[-1]
        return send(options, address, *more)


def over_tcp(options, schema, *more):
    with tempfile.TemporaryDirectory() as folder:
        running = Job(options, folder, job(TCP, schema, options.source_cpu))
        address = running.until(r"source bid: listening on (\S+)")
        rate = send(options, address, *more)
        source = running.wait()["sources"]["bid"]
        return rate, source["bytes_copied"] / max(source["bytes_in"], 1)


def loopback(options, name, schema, *more):
    more = ["--rows", str(options.rows), *more]
    ratios, rates, copies = [], [], 0
    for _ in range(options.runs):
        floor = bare(options, *more)
        rate, copies = over_tcp(options, schema, *more)
        ratios.append(rate / floor)
        rates.append(rate)
    print(
        f"{name}: {statistics.median(rates) / 1e6:.2f} M rows/s, {statistics.median(ratios):.2f} of a bare read"
        f" loop ({min(ratios):.2f}-{max(ratios):.2f}), {copies:.4f} bytes copied per byte received"
    )


def from_files(options):
    with tempfile.TemporaryDirectory() as folder:
        for extension in ("rkyv", "json"):
            made = f"""name = "made"
[durability]
mode = "off"
[sources.events]
connector = "nexmark"
events = {options.rows // 4}
people = 0
auctions = 0
[sinks.bids]
connector = "file"
path = "{extension}"
format = "{extension}"
part_bytes = "100GiB"
[query]
sql = '''INSERT INTO bids SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price,
bid.channel AS channel, bid.url AS url, bid.`dateTime` AS ts, bid.extra AS extra FROM events'''
"""
            Job(options, folder, made).wait()
            parts = pathlib.Path(folder) / extension
            size = sum(len(part.read_bytes()) for part in parts.iterdir())  # into the page cache
            found = []
            for _ in range(options.runs):
                source = f'connector = "file"\npath = "{extension}/part-*"\nformat = "{extension}"'
                report = Job(options, folder, job(source, WIDE, options.source_cpu)).wait()
                rows = report["sources"]["bid"]["records_in"]
                found.append((rows / report["wall_seconds"], report["cpu_seconds"] / rows * 1e6))
            rate, cpu = (statistics.median(values) for values in zip(*found))
            print(
                f"{extension} file, {size / rows:.0f} bytes a row: {rate / 1e6:.2f} M rows/s on one core,"
                f" {cpu:.3f} CPU s per million rows"
            )


def idle(options, connections):
    with tempfile.TemporaryDirectory() as folder:
        running = Job(options, folder, job(TCP, NARROW, options.source_cpu))
        http = running.until(r"(http://\S+/status)")
        address = running.until(r"source bid: listening on (\S+)")

        def memory():
            return json.load(urllib.request.urlopen(http))["memory_bytes"]

        before = memory()
        more = ["--narrow", "--rows", str(options.rows), "--frame-rows", "1000"]
        command = [f"{options.examples}/producer", address, *more]
        command += ["--connections", str(connections), "--hold", "5"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(2)
            each = (memory() - before) / connections
            rate = float(re.search(r"([0-9]+) rows/s", process.stdout.read()).group(1))
        running.wait()
        print(f"{connections} connections: {each / 1024:.1f} KiB each while idle, then {rate / 1e6:.2f} M rows/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("examples", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--source-cpu", type=int, default=0)
    parser.add_argument("--sender-cpu", type=int, default=1)
    parser.add_argument("--connections", default="1,10,1000,10000", help="needs ulimit -n")
    options = parser.parse_args()
    loopback(options, "bids of 7 columns", WIDE)
    loopback(options, "bids of 7 columns in frames of 100 rows", WIDE, "--frame-rows", "100")
    loopback(options, "records of 32 bytes", NARROW, "--narrow")
    from_files(options)
    for connections in map(int, options.connections.split(",")):
        idle(options, connections)


if __name__ == "__main__":
    main()
