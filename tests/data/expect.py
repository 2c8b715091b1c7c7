#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What weir should say about a capture, found without weir: expect.py CAPTURE [LOG [QUIC-NAME]]

Reads a classic pcap of Ethernet frames (IPv4 without fragments, IPv6; TCP, UDP, ICMP), groups its
packets into connections, and prints one JSON object a connection: endpoints, packets and IP bytes
each way, first and last time, TCP flags. Names come from the server's log (see tests/e2e/servers.sh)
by the client's address and port, DNS names from the queries; QUIC-NAME is that of UDP port 443.
"""
import datetime
import ipaddress
import json
import struct
import sys

FLAGS = "FSRPAUEC"  # in the order of their bits


def frames(path):
    data = open(path, "rb").read()
    magic, = struct.unpack("<I", data[:4])
    if magic != 0xA1B2C3D4:
        sys.exit("%s: not a little-endian pcap in microseconds" % path)
    at = 24
    while at < len(data):
        sec, usec, caplen, length = struct.unpack("<IIII", data[at : at + 16])
        if caplen != length:
            sys.exit("%s: cut frames" % path)
        yield sec * 1000000 + usec, data[at + 16 : at + 16 + caplen]
        at += 16 + caplen


def packet(frame):
    """(protocol, source, destination, ports or None, IP bytes, transport bytes), or None: not IP"""
    kind, = struct.unpack(">H", frame[12:14])
    ip = frame[14:]
    if kind == 0x0800:
        size, = struct.unpack(">H", ip[2:4])
        proto, l4 = ip[9], ip[(ip[0] & 15) * 4 : size]
        src, dst = ip[12:16], ip[16:20]
    elif kind == 0x86DD:
        size = 40 + struct.unpack(">H", ip[4:6])[0]
        proto, l4 = ip[6], ip[40:size]
        src, dst = ip[8:24], ip[24:40]
    else:
        return None
    ports = struct.unpack(">HH", l4[:4]) if proto in (6, 17) else None
    return proto, str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst)), ports, size, l4


def qname(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels)


def rfc3339(us):
    when = datetime.datetime.fromtimestamp(us // 1000000, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + "%06dZ" % (us % 1000000)


class Flow:
    def __init__(self, proto, src, dst, ports, when):
        self.ends = (src, dst, ports)
        self.proto, self.first, self.last = proto, when, when
        self.packets, self.size, self.flags, self.dns = [0, 0], [0, 0], 0, []

    def add(self, back, when, size, l4):
        self.packets[back] += 1
        self.size[back] += size
        self.last = when
        if self.proto == 6:
            self.flags |= l4[13]
            payload = l4[(l4[12] >> 4) * 4 :][2:]
        else:
            payload = l4[8:]
        if self.ends[2] and self.ends[2][1] == 53 and not back and len(payload) > 12:
            self.dns.append(qname(payload))

    def text(self, logged, quic):
        src, dst, ports = self.ends
        flow = {
            "start": rfc3339(self.first),
            "end": rfc3339(self.last),
            "src": {"ip": src},
            "dst": {"ip": dst},
            "proto": {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}[self.proto],
            "packets": sum(self.packets),
            "bytes": sum(self.size),
            "out": {"packets": self.packets[0], "bytes": self.size[0]},
            "in": {"packets": self.packets[1], "bytes": self.size[1]},
        }
        if ports:
            flow["src"]["port"], flow["dst"]["port"] = ports
            requests = logged.get((src, ports[0], ports[1]), [])
            if requests and requests[0][0] != "-":
                flow["tls"] = {"sni": requests[0][0]}
            elif requests:
                flow["http"] = {"host": requests[0][1]}
                others = list(dict.fromkeys(h for _, h in requests if h != requests[0][1]))
                if others:
                    flow["http"]["hosts"] = others
            if quic and self.proto == 17 and ports[1] == 443:
                flow["tls"] = {"sni": quic}
        if self.proto == 6:
            flow["tcp"] = {"flags": "".join(c for i, c in enumerate(FLAGS) if self.flags >> i & 1)}
        if self.dns:
            flow["dns"] = {"qname": self.dns[0]}
        return flow


def flows_of(path):
    flows = {}
    for when, frame in frames(path):
        found = packet(frame)
        if not found:
            continue
        proto, src, dst, ports, size, l4 = found
        there = (proto, src, dst, ports)
        back = (proto, dst, src, ports and ports[::-1])
        if there not in flows and back not in flows:
            flows[there] = Flow(proto, src, dst, ports, when)
        if there in flows:
            flows[there].add(0, when, size, l4)
        else:
            flows[back].add(1, when, size, l4)
    return flows.values()


def log_of(path):
    logged = {}
    for line in open(path, encoding="utf-8"):
        address, port, server, sni, host = line.split()[:5]
        logged.setdefault((address, int(port), int(server)), []).append((sni, host))
    return logged


def main():
    logged = log_of(sys.argv[2]) if len(sys.argv) > 2 else {}
    quic = sys.argv[3] if len(sys.argv) > 3 else None
    for flow in flows_of(sys.argv[1]):
        print(json.dumps(flow.text(logged, quic), separators=(",", ":")))


main()
