#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Short TCP flows of one source as NetFlow v9 (RFC 3954) to a port of 127.0.0.1, all ended just now.
usage: flows_attack.py COLLECTOR_PORT SOURCE_ID SOURCE DESTINATION PORT COUNT"""
import ipaddress
import socket
import struct
import sys
import time

FIELDS = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 8), (2, 8), (22, 4), (21, 4)]
UPTIME = 40_000_000


def main():
    to, source = int(sys.argv[1]), int(sys.argv[2])
    src, dst = (ipaddress.ip_address(a).packed for a in sys.argv[3:5])
    port, count = int(sys.argv[5]), int(sys.argv[6])
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    template = struct.pack(">HH", 256, len(FIELDS)) + b"".join(struct.pack(">HH", *f) for f in FIELDS)
    sets, sequence = struct.pack(">HH", 0, 4 + len(template)) + template, 0
    for begin in range(0, count, 20):
        records = b"".join(
            src + dst + struct.pack(">HHBBQQII", 20000 + i % 40000, port, 6, 0x1b, 2000, 14, UPTIME - 500, UPTIME)
            for i in range(begin, min(begin + 20, count)))
        records += b"\0" * (-len(records) % 4)
        data = sets + struct.pack(">HH", 256, 4 + len(records)) + records
        head = struct.pack(">HHIIII", 9, min(20, count - begin) + bool(sets), UPTIME, int(time.time()), sequence, source)
        s.sendto(head + data, ("127.0.0.1", to))
        sets, sequence = b"", sequence + 1
        time.sleep(0.002)


main()
