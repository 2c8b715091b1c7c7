#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# make_ingest_corpus.py - seeds of fuzz_ingest: messages of each format, with every element that is known,
# options, lists and withdrawals. usage: make_ingest_corpus.py DIRECTORY
import re
import struct
import sys
from pathlib import Path

OWN = 32473
here = Path(__file__).resolve().parent.parent.parent


def elements():
    """(pen, element) of everything in the tables."""
    found = []
    for line in (here / "collector/ingest/elements.def").read_text().splitlines():
        m = re.match(r"ELEMENT\((\d+), (\d+), (\w+)", line)
        if m:
            found.append((int(m[1]), int(m[2]), m[3]))
    for line in (here / "include/weir/fields.def").read_text().split("FIELD(")[1:]:
        m = re.search(r'"[^"]*", (\d+), (\d+), (\d+),', line)
        if m and int(m[2]):
            found.append((int(m[1]), int(m[2]), "OWN"))
            if int(m[3]):
                found.append((int(m[1]), int(m[3]), "HOP"))
    return found


def field(pen, element, length):
    if pen:
        return struct.pack(">HHI", 0x8000 | element, length, pen)
    return struct.pack(">HH", element, length)


def template(ident, fields):
    return struct.pack(">HH", ident, len(fields)) + b"".join(field(*f) for f in fields)


def options(ident, scope, fields):
    return struct.pack(">HHH", ident, len(fields), scope) + b"".join(field(*f) for f in fields)


def sets(parts):
    return b"".join(struct.pack(">HH", i, 4 + len(d)) + d for i, d in parts)


def ipfix(parts, number=0, domain=7):
    body = sets(parts)
    return struct.pack(">HHIII", 10, 16 + len(body), 1700000000, number, domain) + body


def v9(parts, number=0, source=7):
    return struct.pack(">HHIIII", 9, 1, 1000000, 1700000000, number, source) + sets(parts)


def v5(n, number=0, rate=0x4064):
    head = struct.pack(">HHIIIIBBH", 5, n, 1000000, 1700000000, 0, number, 1, 2, rate)
    row = struct.pack(">IIIHHIIIIHHBBBBHHBBH", 0x0A000001, 0x0A000002, 0, 1, 2, 10, 1000, 990000, 999000, 1234, 443,
                      0, 0x1B, 6, 8, 64500, 64501, 24, 16, 0)
    icmp = struct.pack(">IIIHHIIIIHHBBBBHHBBH", 0x0A000001, 0x0A000002, 0, 1, 2, 10, 1000, 990000, 999000, 0, 0x0800,
                       0, 0, 1, 8, 0, 0, 24, 16, 0)
    return head + (row + icmp) * (n // 2) + row * (n % 2)


def lengths(pen, element, kind):
    if kind in ("IP", "HOP") or (pen == 0 and element in (8, 12, 15, 18, 225, 226)):
        return 4 if element in (8, 12, 15, 18, 225, 226) else 16
    if kind == "STRING" or (pen, element) in ((6871, 294), (6871, 179), (0, 460), (0, 459), (0, 461)):
        return 65535
    if (pen, element) in ((0, 154), (0, 155)) or kind == "NTP":
        return 8
    if (pen, element) == (OWN, 19):
        return 16
    return 4 if element % 3 else 8


def value(length, seed):
    if length == 65535:
        return b"\x05ab.cd"
    return bytes((seed * 7 + i) % 251 for i in range(length))


def all_elements(per):
    """Templates of so many elements each, with three records."""
    out = []
    every = elements()
    for k in range(0, len(every), per):
        part = every[k:k + per]
        fields = [(0, 4, 1)] + [(p, e, lengths(p, e, kind)) for p, e, kind in part]
        record = bytes([6]) + b"".join(value(f[2], k + i) for i, f in enumerate(fields[1:]))
        icmp = bytes([1]) + bytes(sum(0 if f[2] == 65535 else f[2] for f in fields[1:]))
        icmp = bytes([1]) + b"".join(b"\0" if f[2] == 65535 else bytes(f[2]) for f in fields[1:])
        out.append(ipfix([(2, template(300, fields)), (300, record + icmp + record)], k))
    return out


def lists():
    alpn = struct.pack(">BHHI", 4, 0x8000 | 9, 65535, OWN) + b"\x02h2\x08http/1.1"
    hosts = struct.pack(">BHH", 3, 460, 65535) + b"\x01a\x01b"
    other = struct.pack(">BHH", 3, 1, 4) + b"\0\0\0\1"
    query = b"\x04a.bc" + struct.pack(">HBI", 1, 0, 55) + b"\x01d" + struct.pack(">HBI", 28, 255, 0xFFFFFFFF)
    queries = struct.pack(">BH", 4, 301) + query
    fields = [(0, 4, 1), (0, 291, 65535), (0, 291, 65535), (0, 292, 65535), (0, 293, 65535), (9, 1234, 3)]
    t = template(301, [(6871, 179, 65535), (6871, 175, 2), (6871, 177, 1), (OWN, 11, 4)]) + template(302, fields)

    def record(*v):
        return bytes([17]) + b"".join(bytes([255]) + struct.pack(">H", len(x)) + x for x in v) + b"xyz"
    return ipfix([(2, t), (302, record(alpn, hosts, queries, b"\1\2\3") + record(other, b"", struct.pack(">BH", 4, 999) + b"a", b""))])


def told():
    """Options: of a weir, of sampling in all its ways, of interfaces."""
    exporter = options(257, 1, [(0, 149, 4), (0, 160, 8), (0, 300, 65535), (OWN, 25, 65535)])
    data = struct.pack(">IQ", 7, 1699999999000) + b"\x03abc" + b"\x07a=b,c=d"
    interface = options(258, 1, [(0, 10, 4), (0, 82, 65535)])
    rates = [
        ([(0, 302, 8), (0, 304, 2), (0, 305, 4), (0, 306, 4)], struct.pack(">QHII", 1, 1, 1, 99)),
        ([(0, 302, 8), (0, 309, 4), (0, 310, 4)], struct.pack(">QII", 2, 1, 64)),
        ([(0, 302, 8), (0, 311, 8)], struct.pack(">Qd", 3, 0.01)),
        ([(0, 149, 4), (0, 34, 4)], struct.pack(">II", 7, 100)),
        ([(0, 48, 2), (0, 50, 4)], struct.pack(">HI", 4, 1000)),
        ([(0, 149, 4), (0, 166, 8)], struct.pack(">IQ", 7, 12)),
        ([(0, 149, 4), (0, 305, 4)], struct.pack(">II", 7, 10)),
    ]
    parts = [(3, exporter), (257, data), (3, interface), (258, struct.pack(">I", 1) + b"\x04eth0")]
    for i, (fields, d) in enumerate(rates):
        parts += [(3, options(260 + i, 1, fields)), (260 + i, d)]
    flows = [(0, 8, 4), (0, 12, 4), (0, 48, 2), (0, 1, 4), (0, 2, 4)]
    row = struct.pack(">IIHII", 1, 2, 4, 100, 1)
    none = struct.pack(">IIHII", 1, 2, 0, 100, 1) + struct.pack(">IIHII", 1, 2, 77, 100, 1)
    return [ipfix(parts, 0, 0), ipfix(parts + [(2, template(300, flows)), (300, row + none)], 0, 7),
            ipfix([(300, row * 4)], 20, 7), ipfix([(300, row * 2)], 10, 7), ipfix([(300, row * 9)], 18, 7)]


def late():
    t = template(400, [(0, 8, 4), (0, 12, 4), (0, 2, 4)])
    data = (400, bytes(range(12)) * 3)
    return [ipfix([data], 0), ipfix([data, (401, b"x" * 3000)], 3), ipfix([(401, b"y" * 3000)], 3), ipfix([(2, t)], 9),
            ipfix([data], 9), ipfix([(2, template(400, [(0, 8, 4)]))], 12), ipfix([data], 12),
            ipfix([(2, struct.pack(">HH", 400, 0))], 12), ipfix([(2, t + template(402, [(0, 1, 0)]))]),
            ipfix([(2, struct.pack(">HH", 2, 0)), (3, struct.pack(">HH", 3, 0)), (4, b"")]), ipfix([data], 40)]


def bad():
    t = template(400, [(0, 8, 65535), (0, 2, 4)])
    return [b"", b"\0\x0a", b"\0\x0a\0\x10", b"\0\x07\0\0", ipfix([(2, t[:6])]), ipfix([(2, t), (400, b"\x09ab")]),
            ipfix([(2, t), (400, b"\xff\x10\0ab")]), ipfix([(2, t), (400, b"\x01ab")]), ipfix([(2, t)]) + b"more",
            ipfix([])[:2] + b"\0\x50" + ipfix([])[4:], ipfix([(2, struct.pack(">HH", 3, 1))]), ipfix([(3, struct.pack(">HHH", 300, 1, 2))]),
            struct.pack(">HHIII", 10, 20, 0, 0, 0) + b"\0\2\0\3", struct.pack(">HHIII", 10, 18, 0, 0, 0) + b"\0\2",
            v5(3)[:-5], v5(0)[:10], v9([])[:15], v9([(0, b"\1\2\0\5\0\1")]), v9([]) + b"\0\0", ipfix([(3, struct.pack(">HH", 300, 1))])]


def netflow9():
    flows = [(0, e, n) for e, n in ((8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2),
                                    (6, 1), (4, 1), (5, 1), (48, 1), (61, 1), (27, 16), (28, 16), (96, 12), (70, 3), (56, 6), (352, 8))]
    size = sum(f[2] for f in flows)
    row = bytes((i * 5) % 256 for i in range(size))
    sampler = struct.pack(">HHH", 500, 4, 12) + struct.pack(">HHHHHHHH", 1, 4, 48, 1, 49, 1, 50, 4)
    names = struct.pack(">HHH", 501, 4, 8) + struct.pack(">HHHHHH", 2, 4, 82, 8, 83, 4)
    return [v9([(0, template(300, flows)), (300, row * 3 + b"\0\0")], 1),
            v9([(1, sampler + b"\0\0"), (500, struct.pack(">IBBI", 1, 5, 1, 100)), (1, names), (501, struct.pack(">I8s4s", 3, b"ge-0/0/1", b"x"))], 2),
            v9([(300, row * 4)], 3), v9([(300, row)], 9)]


def sflow():
    def record(kind, d):
        return struct.pack(">II", kind, len(d)) + d + bytes(-len(d) % 4)

    ip = bytes.fromhex("450000280001000040060000c0000201c0000202") + bytes.fromhex("04d201bb00000001000000005002ffff00000000")
    frame = bytes(12) + b"\x08\0" + ip
    vlan = bytes(12) + b"\x81\0\0\x05\x08\0" + ip
    icmp = bytes(12) + b"\x08\0" + bytes.fromhex("4500001c000100004001000 0c0000201c0000202".replace(" ", "")) + b"\x08\0\0\0\0\0\0\0"
    six = bytes.fromhex("6000000000083a40") + bytes(32) + b"\x80\0\0\0\0\0\0\0"
    records = [record(1, struct.pack(">IIII", 1, len(f) + 4, 4, len(f)) + f) for f in (frame, vlan, icmp, bytes(12) + b"\x08\x06" + bytes(28), b"ab")]
    records += [record(1, struct.pack(">IIII", 11, len(ip), 0, len(ip)) + ip), record(1, struct.pack(">IIII", 12, len(six), 0, len(six)) + six),
                record(1, struct.pack(">IIII", 7, 4, 0, 4) + b"abcd"),
                record(3, struct.pack(">IIIIIIII", 100, 6, 1, 2, 1234, 443, 2, 8)), record(4, struct.pack(">II16s16sIIII", 100, 17, b"a", b"b", 1, 2, 0, 4))]
    extra = record(1001, struct.pack(">IIII", 5, 0, 6, 0)) + record(1002, struct.pack(">IIII", 1, 0x01020304, 24, 16)) + \
        record(1003, struct.pack(">IIIIIIIIIIII", 1, 0x01020304, 64500, 64501, 64502, 1, 2, 2, 64503, 64504, 0, 0)) + record(9, b"")
    out = []
    for i, r in enumerate(records):
        body = struct.pack(">IIIIIIII", i, 1, 400, 4000, 0, 3, 0x3FFFFFFF, 4) + r + extra
        wide = struct.pack(">IIIIIIIIIII", i, 0, 1, 400, 4000, 0, 0, 3, 0, 4, 4) + r + extra
        samples = record(1, body) + record(3, wide) + record(2, b"\0" * 12) + record(4, b"") + record(77, b"abcd")
        agent = struct.pack(">II", 1, 0xC0000209) if i % 2 else struct.pack(">I16s", 2, b"\x20\x01")
        out.append(struct.pack(">I", 5) + agent + struct.pack(">IIII", 0, i, 1000, 5) + samples)
    out.append(out[0][:-20])
    out.append(struct.pack(">III", 5, 9, 1))
    out.append(struct.pack(">I", 5) + struct.pack(">II", 1, 0) + struct.pack(">IIII", 0, 1, 1000, 2) + record(1, b"ab"))
    return out


def write(name, flags, messages):
    out = bytes([flags]) + b"".join(struct.pack(">H", len(m)) + m for m in messages)
    (Path(sys.argv[1]) / name).write_bytes(out)


def restart():
    t = template(400, [(0, 8, 4), (0, 2, 4)])
    m = [ipfix([(2, t), (400, bytes(8) * 5)], 1000000)]
    for n in (1000005, 1000010, 1000030, 1000015, 1000035, 1000035, 0, 5, 10, 3, 8, 13, 18):
        m.append(ipfix([(400, bytes(8) * 5)], n))
    return m + [ipfix([(400, bytes(8) * (4 + i % 3))], 30 + i) for i in range(12)]


def full():
    t = template(400, [(0, 8, 4), (0, 460, 65535)])
    return [ipfix([(2, t)])] + [ipfix([(400, (bytes(4) + b"\x01a") * 300)], 300 * i) for i in range(3)] + \
        [ipfix([(2, template(400, [(0, 2, 1)])), (400, bytes(900))], 0, 9)] + [ipfix([(2, t)], 0, 20 + i) for i in range(6)]


groups = {"elements": all_elements(12), "one": all_elements(2)[:40], "lists": [lists()] * 2, "told": told(), "late": late(), "bad": bad(),
          "v9": netflow9(), "v5": [v5(4), v5(30, 4), v5(1, 90, 0)], "sflow": sflow(), "restart": restart(), "full": full()}
for name, messages in groups.items():
    for flags in (0, 1, 2, 3, 4, 5, 6, 7):
        write("%s-%d" % (name, flags), flags, messages)
