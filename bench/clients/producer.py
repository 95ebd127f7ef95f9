#!/usr/bin/env python3
"""Sends rows to a source with format = "rkyv", writing every byte by hand.

Written from the page of the protocol alone (`src/format/frames/PROTOCOL.md`), with nothing but the standard
library, as proof that the page is enough. For speed, send columns of thousands of rows.

    python3 bench/clients/producer.py 127.0.0.1:9000 --rows 100000
    python3 bench/clients/producer.py --vectors    # prints tests/fixtures/frames.txt
"""

import argparse
import socket
import struct
import sys
import time

LAYOUT_HASH = 0x6FF88E59DB1E2526
HELLO, DATA, ACK, END, ERROR, END_OF_EPOCH, GAP = 1, 2, 3, 4, 5, 6, 8
PRODUCER, SUBSCRIBER = 1, 2
BIGINT, DOUBLE, STRING, TIMESTAMP = 5, 7, 9, 13

CRC_TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    CRC_TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def padded(data, multiple):
    return data + bytes(-len(data) % multiple)


def message(kind, payload=b"", sequence=0, epoch=0, lane=0):
    payload = padded(payload, 64)

    def header(checksum):
        return struct.pack(
            "<4sHHIIQQIIQ16x",
            *(b"PLTN", 1, kind, len(payload), checksum, sequence, epoch, lane, 0, LAYOUT_HASH),
        )

    return header(crc32c(header(0) + payload)) + payload


def hello(name, session, columns, role=PRODUCER):
    """`columns` are (name, type, nullable, what follows the type)."""
    name = name.encode()
    payload = struct.pack("<HHIQII", role, len(name), len(columns), session, 0, 0) + name
    for column, kind, nullable, rest in columns:
        column = column.encode()
        payload += struct.pack("<H", len(column)) + column + bytes([kind, nullable]) + rest
    return message(HELLO, payload)


class Archive:
    """An archive of flat columns, part by part."""

    def __init__(self, rows):
        self.rows, self.data, self.vectors = rows, b"", []

    def place(self, elements, count, alignment):
        self.data = padded(self.data, alignment)
        at = len(self.data)
        self.data += elements
        return at, count

    def vector(self, validity=b"", offsets=b"", values=b"", text=b""):
        validity, values = padded(validity, 8), padded(values, 16)
        self.vectors.append(
            [
                self.place(validity, len(validity) // 8, 8),
                self.place(offsets, len(offsets) // 4, 4),
                self.place(values, len(values) // 16, 16),
                self.place(text, len(text), 1),
            ]
        )

    @staticmethod
    def validity(values):
        if None not in values:
            return b""
        bits = sum(1 << row for row, value in enumerate(values) if value is not None)
        return bits.to_bytes((len(values) + 7) // 8, "little")

    def fixed(self, code, values):
        """A column of BIGINT ("q"), DOUBLE ("d") and the like."""
        packed = struct.pack(f"<{len(values)}{code}", *(value or 0 for value in values))
        self.vector(self.validity(values), values=packed)

    def strings(self, values):
        encoded = [b"" if value is None else value.encode() for value in values]
        offsets, end = [0], 0
        for text in encoded:
            end += len(text)
            offsets.append(end)
        offsets = struct.pack(f"<{len(offsets)}i", *offsets)
        self.vector(self.validity(values), offsets=offsets, text=b"".join(encoded))

    def finish(self):
        tail = len(self.vectors) * 36 + 12
        table = len(self.data) + -(len(self.data) + tail) % 64
        out = self.data + bytes(table - len(self.data))
        for vector in self.vectors:
            for at, count in vector:
                out += struct.pack("<iI", at - len(out), count)
            out += struct.pack("<I", self.rows)
        return out + struct.pack("<iII", table - len(out), len(self.vectors), self.rows)


COLUMNS = [
    ("id", BIGINT, 0, b""),
    ("price", DOUBLE, 1, b""),
    ("word", STRING, 1, b""),
    ("ts", TIMESTAMP, 1, bytes([3])),
]


def rows(first, count):
    archive = Archive(count)
    ids = range(first, first + count)
    archive.fixed("q", list(ids))
    archive.fixed("d", [None if i % 5 == 4 else i / 4 for i in ids])
    archive.strings([None if i % 3 == 2 else f"word-{i % 7}é" for i in ids])
    archive.fixed("q", [1_600_000_000_000 + i for i in ids])
    return archive.finish()


def print_vectors():
    print("# Golden messages of the native protocol, in hex, made by bench/clients/producer.py, which was")
    print("# written from the page of the protocol. May be added to; a line is never changed.")
    ack = struct.pack("<QQ", 3, 1 << 40)
    error = "column \"a\" is unknown".encode()
    for name, made in [
        ("hello", hello("sensor-1", 7, COLUMNS)),
        ("data-1-row", message(DATA, rows(0, 1), 1)),
        ("data-100-rows", message(DATA, rows(1, 100), 2)),
        ("ack", message(ACK, ack, 5)),
        ("end", message(END, b"", 2)),
        ("error", message(ERROR, struct.pack("<II", 9, len(error)) + error)),
        ("hello-subscriber", hello("ledger", 9, [], SUBSCRIBER)),
        ("data-of-an-epoch", message(DATA, rows(0, 1), 1, 70, 2)),
        ("end-of-epoch", message(END_OF_EPOCH, b"", 1, 70, 2)),
        ("ack-of-a-subscriber", message(ACK, bytes(16), 1, 70, 2)),
        ("gap", message(GAP, struct.pack("<Q", 5), 1, 70, 2)),
    ]:
        print(f"{name}\t{made.hex()}")


class Producer:
    def __init__(self, address, name, session):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.taken, self.credit, self.sent, self.end_is_known = 0, 0, 0, False
        self.socket.sendall(hello(name, session, COLUMNS))
        self.receive()
        self.sequence = self.taken

    def receive(self):
        header = self.socket.recv(64, socket.MSG_WAITALL)
        if len(header) < 64:
            sys.exit("the connection was closed")
        kind, length, sequence = struct.unpack_from("<6xHI4xQ", header)
        payload = self.socket.recv(length, socket.MSG_WAITALL) if length else b""
        if kind == ERROR:
            code, count = struct.unpack_from("<II", payload)
            sys.exit(f"error {code}: {payload[8:8 + count].decode()}")
        if kind == ACK:
            self.taken = sequence
            self.credit = struct.unpack_from("<8xQ", payload)[0]
        self.end_is_known = kind == END

    def send(self, payload):
        while self.sent >= self.credit:
            self.receive()
        self.sequence += 1
        self.socket.sendall(message(DATA, payload, self.sequence))
        self.sent += len(payload)

    def end(self):
        self.socket.sendall(message(END, b"", self.sequence))
        while not self.end_is_known:
            self.receive()
        self.socket.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("address", nargs="?", default="127.0.0.1:9000")
    arguments.add_argument("--name", default="python")
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--vectors", action="store_true", help="print golden messages and exit")
    given = arguments.parse_args()
    if given.vectors:
        return print_vectors()
    producer = Producer(given.address, given.name, time.time_ns())
    for first in range(0, given.rows, 1000):
        producer.send(rows(first, min(1000, given.rows - first)))
    producer.end()
    print(f"{given.rows} rows taken")


if __name__ == "__main__":
    main()
