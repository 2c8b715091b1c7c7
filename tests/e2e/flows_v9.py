#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Flows of many kinds as NetFlow v9 (RFC 3954), each in one direction, to ports of 127.0.0.1: the same
datagrams to all. The octets of a flow are its number: no two have the same. The exporter's clock is that
of the machine, less WEIR_CLOCK_BEHIND seconds.
usage: flows_v9.py FLOWS SOURCE_ID PORT..."""
import ipaddress
import os
import random
import socket
import struct
import sys
import time

COMMON = [(7, 2), (11, 2), (4, 1), (6, 1), (1, 8), (2, 8), (22, 4), (21, 4),
          (10, 2), (14, 2), (16, 4), (17, 4), (32, 2), (58, 2)]
TEMPLATES = {256: [(8, 4), (12, 4)] + COMMON, 257: [(27, 16), (28, 16)] + COMMON}
UPTIME = 40_000_000
HOSTS4 = [ipaddress.ip_address(a) for a in
          ("10.0.0.1", "10.0.0.2", "10.1.2.3", "172.16.5.9", "192.0.2.80", "198.51.100.7", "203.0.113.200")]
HOSTS6 = [ipaddress.ip_address(a) for a in ("2001:db8::1", "2001:db8:1::53", "fd00::99")]
PORTS = (22, 53, 80, 123, 443, 1024, 3389, 8080, 40000, 51515, 65535)
FLAGS = (0x02, 0x12, 0x1b, 0x18, 0x04, 0x14, 0x11, 0x1f, 0x3f)


def flow(r, used):
    """(template, record) of one flow"""
    v6 = r.random() < 0.2
    src, dst = (r.choice(HOSTS6 if v6 else HOSTS4) for _ in range(2))
    proto = r.choice((6, 6, 6, 17, 17, 58 if v6 else 1, 47))
    ports = proto in (6, 17)
    packets = r.choice((1, 2, 3, 10, 100, 1000, 5000))
    while True:
        octets = packets * r.choice((40, 64, 576, 1000, 1500)) + r.randrange(200)
        if octets not in used:
            break
    used.add(octets)
    last = UPTIME - r.randrange(1, 600_000)
    lasts = r.choice((0, 0, 1, 999, 1000, 1500, 10_000, 300_000))
    icmp = r.choice((0x0800, 0x0000, 0x0301, 0x0303, 0x0b00)) if proto == 1 else \
        r.choice((0x8000, 0x8100, 0x0104)) if proto == 58 else 0
    record = src.packed + dst.packed + struct.pack(
        ">HHBBQQIIHHIIHH", r.choice(PORTS) if ports else 0, r.choice(PORTS) if ports else icmp, proto,
        r.choice(FLAGS) if proto == 6 else 0, octets, packets, last - lasts, last, r.randrange(1, 5),
        r.randrange(1, 5), r.choice((0, 64496, 64500, 3320)), r.choice((0, 64511, 3320)), icmp,
        r.choice((0, 100, 200)))
    return (257 if v6 else 256), record


def main():
    count, source, ports = int(sys.argv[1]), int(sys.argv[2]), [int(p) for p in sys.argv[3:]]
    r, used = random.Random(7), set()
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sequence, behind = 0, int(os.environ.get("WEIR_CLOCK_BEHIND", "0"))
    now = int(time.time()) - behind

    def send(sets, records):
        nonlocal sequence
        head = struct.pack(">HHIIII", 9, records, UPTIME, now, sequence, source)
        sequence += 1
        for port in ports:
            s.sendto(head + sets, ("127.0.0.1", port))
        time.sleep(0.002)

    body = b"".join(struct.pack(">HH", t, len(f)) + b"".join(struct.pack(">HH", *x) for x in f)
                    for t, f in TEMPLATES.items())
    send(struct.pack(">HH", 0, 4 + len(body)) + body, len(TEMPLATES))
    for _ in range(0, count, 10):
        chosen = [flow(r, used) for _ in range(10)]
        for template in TEMPLATES:
            data = b"".join(x for t, x in chosen if t == template)
            if not data:
                continue
            data += bytes(-len(data) % 4)
            send(struct.pack(">HH", template, 4 + len(data)) + data,
                 sum(t == template for t, _ in chosen))


main()
