#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the committed corpus of fuzz_capture: tests/fuzz/corpus/capture.

The frames are those of the table in tests/unit/test_linktype.c; around them every variant of pcap,
pcapng and gzip, whole and damaged. Run it again when that table or a format has grown.
usage: make_capture_corpus.py (in the root of the tree)
"""
import gzip
import os
import re
import struct

OUT = "tests/fuzz/corpus/capture"
TABLE = "tests/unit/test_linktype.c"


def table_frames():
    """(linktype, bytes) of every row; the rows are C string literals and macros for such."""
    text = open(TABLE, encoding="ascii").read()
    macros = dict(re.findall(r'^#define (\w+)\s+((?:"\w+"|\w+ ?)+)$', text, re.M))

    def value(expr):
        words = re.findall(r'"(\w*)"|(\w+)', expr)
        return "".join(lit if not name else value(macros[name]) for lit, name in words)

    rows = re.findall(r'\{ "[^"]*", (\d+),((?:\s*"\w*"|\s*(?:MAC_|V4|V6|Z)\w*)+),', text)
    return [(int(number), bytes.fromhex(value(expr))) for number, expr in rows]


def classic(records, magic=0xA1B2C3D4, order="<", linktype=1, minor=4, extra=b"", record_extra=b""):
    out = struct.pack(order + "IHHIIII", magic, 2, minor, 0, 0, 65535, linktype) + extra
    for i, data in enumerate(records):
        out += struct.pack(order + "IIII", 1700000000 + i, i, len(data), len(data)) + record_extra + data
    return out


def block(kind, body, order="<", total=None, trailer=None):
    body += bytes(-len(body) % 4)
    total = 12 + len(body) if total is None else total
    return struct.pack(order + "II", kind, total) + body + struct.pack(
        order + "I", total if trailer is None else trailer)


def section(order="<", major=1, magic=0x1A2B3C4D):
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", magic, major, 0, -1), order)


def interface(linktype, order="<", snaplen=0, options=b""):
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(number, data, order="<", stamp=1700000000000000, wire=None, caplen=None):
    return block(6, struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF,
                                len(data) if caplen is None else caplen,
                                len(data) if wire is None else wire) + data, order)


def option(order, code, value):
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def pcapng(frames, order="<"):
    out = section(order)
    numbers = {}
    for linktype, data in frames:
        if linktype not in numbers:
            numbers[linktype] = len(numbers)
            out += interface(linktype, order)
        out += enhanced(numbers[linktype], data, order)
    return out


def files():
    frames = table_frames()
    ether = bytes.fromhex("02000000000102000000000208004500")
    for i in range(0, len(frames), 12):
        yield "links-%02d.pcapng" % (i // 12), pcapng(frames[i:i + 12], "<>"[i // 12 % 2])
    for magic, extra, record_extra in (
            (0xA1B2C3D4, b"", b""), (0xA1B23C4D, b"", b""), (0xA1B2CD34, b"", bytes(8)),
            (0xA12B3C4D, b"", b""), (0x1C0001AC, bytes(4), b"")):
        for order, name in (("<", "le"), (">", "be")):
            yield "classic-%08x-%s.pcap" % (magic, name), classic(
                [ether] * 3, magic, order, extra=extra, record_extra=record_extra)
    plain = classic([ether] * 3)
    yield "minor-3.pcap", classic([ether], minor=3) + struct.pack("<IIII", 1, 1, 20, 4) + bytes(4)
    yield "minor-2.pcap", classic([ether], minor=2)
    yield "cut-record.pcap", plain[:-3]
    yield "cut-header.pcap", plain[:10]
    yield "cut-record-header.pcap", plain[:30]
    yield "long-record.pcap", plain + struct.pack("<IIII", 1, 1, 1 << 30, 1 << 30)
    yield "empty.pcap", b""
    yield "short.pcap", b"ab"
    yield "other.pcap", b"GET / HTTP/1.1\r\n"
    yield "plain.pcap.gz", gzip.compress(plain, mtime=0)
    # Longer than a frame may be, and than the reader's window: as gzip this is a small file.
    giant = bytes(700000)
    yield "giant.pcap.gz", gzip.compress(classic([giant, ether]), mtime=0)
    yield "giant-cut.pcap.gz", gzip.compress(classic([giant])[:-9], mtime=0)
    yield "giant.pcapng.gz", gzip.compress(
        section() + interface(1) + enhanced(0, giant) + enhanced(0, ether), mtime=0)
    half = gzip.compress(plain, mtime=0)
    yield "cut.pcap.gz", half[:len(half) // 2]
    yield "damaged.pcap.gz", half[:20] + b"\xff\xff\xff" + half[23:]
    yield "members.pcap.gz", gzip.compress(plain[:50], mtime=0) + gzip.compress(plain[50:], mtime=0) + b"\0"
    yield from pcapng_files(ether)


def pcapng_files(ether):
    for order, name in (("<", "le"), (">", "be")):
        out = section(order)
        for resolution in (0, 6, 9, 20, 0x8A, 0xFF):
            out += interface(1, order, 64, option(order, 2, b"eth0") + option(order, 9, bytes([resolution]))
                             + option(order, 14, struct.pack(order + "q", -5)) + option(order, 0, b""))
        out += interface(101, order, 0, option(order, 9, b"\x09")[:5])
        for i in range(7):
            out += enhanced(i, ether, order, stamp=(1 << 64) - 1 if i == 0 else 7)
        out += block(3, struct.pack(order + "I", 1500) + ether, order)
        out += block(2, struct.pack(order + "HHIIII", 0, 9, 0, 5, 16, 2) + ether, order)
        out += block(0x0BAD, b"whatever", order)
        yield "blocks-%s.pcapng" % name, out
    head = section() + interface(1)
    yield "sections.pcapng", head + enhanced(0, ether) + section(">") + interface(113, ">") + enhanced(
        0, ether, ">")
    yield "no-interface.pcapng", section() + enhanced(0, ether)
    yield "frame-too-long.pcapng", head + enhanced(0, ether, caplen=200)
    yield "trailer.pcapng", head + block(7, b"abcd", trailer=8)
    yield "block-short.pcapng", head + struct.pack("<II", 7, 8)
    yield "block-long.pcapng", head + struct.pack("<II", 7, 1 << 30)
    yield "block-cut.pcapng", head[:-2]
    yield "block-header-cut.pcapng", head + b"\1\0"
    yield "no-order.pcapng", section(magic=5)
    yield "version-2.pcapng", section(major=2)
    yield "section-cut.pcapng", section()[:9]
    yield "section-short.pcapng", block(0x0A0D0D0A, struct.pack("<I", 0x1A2B3C4D))
    for kind in (1, 2, 3, 6):
        yield "short-%d.pcapng" % kind, section() + block(kind, b"")
    yield "options-long.pcapng", section() + interface(1, options=b"\x09\0\xff\xff\1\2\3\4")
    yield "unpadded.pcapng", head + block(6, struct.pack("<IIIII", 0, 0, 1, 1, 1) + b"a", total=33)


def main():
    os.makedirs(OUT, exist_ok=True)
    for name, data in files():
        with open(os.path.join(OUT, name), "wb") as out:
            out.write(data)


main()
