#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replay every capture of a folder with recorded facts, and hold weir's flows against them.

usage: compare.py WEIR FOLDER [-v] [-x] [PATH-PART...]
With -x all captures but those that the parts name; with -v accepted differences are listed too.

Per capture, one test:
  conservation  frames = taken + refused by reason; taken = packets in records + counted reasons
  frames        as many as the facts say
  names         sni, quic_sni, http_host, dns_qname: all of the facts', and no others
  flows         where the facts have them: packets and IP bytes of each TCP and UDP 5-tuple and
                direction, summed over records, equal both ways
  rule          none of the rules that come with weir fires
Differences that are not weir's error are in accepted.tsv: file, what, value, reason; rules that fire, and why that
is right, in firings.tsv: file, rule, reason. A row that no longer matches fails the capture too. Prints
`N passed, N failed, N skipped` last.
"""
import collections
import concurrent.futures
import ipaddress
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RULES = os.path.join(ROOT, "packaging/rules")
TIMEOUT_S = 60
NAMES = ("sni", "quic_sni", "http_host", "dns_qname")
MDNS_PORTS = (5353, 5355)  # mDNS and LLMNR: names, but not of the kind the facts list


def counter_classes():
    text = open(os.path.join(ROOT, "include/weir/counters.def"), encoding="utf-8").read()
    return {name.lower(): cls for name, cls in re.findall(r"^COUNTER\((\w+), (\w+),", text, re.M)}


CLASSES = counter_classes()


def address(text):
    return str(ipaddress.ip_address(text))


class Run:
    """One replay: its records, and its two lines of account."""

    def __init__(self, weir, path):
        self.problems = []
        self.records = []
        self.lines = b""
        self.frames = {}
        self.summary = {}
        # One region for a small machine; the captures are small.
        command = [weir, "replay", path, "-o", "json", "--summary", "json", "--flows", "16Ki"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            self.problems.append(("run", "no end within %d s" % TIMEOUT_S))
            return
        lines = done.stderr.decode("utf-8", "replace").splitlines()
        objects = [json.loads(line) for line in lines if line.startswith("{")]
        if done.returncode not in (0, 1, 6) or len(objects) != 2:
            self.problems.append(("run", "exit status %d: %s" % (done.returncode, " | ".join(lines)[-300:])))
            return
        self.frames, self.summary = objects
        self.lines = done.stdout
        for line in done.stdout.decode("utf-8").splitlines():
            self.records.append(json.loads(line))


def check_conservation(run):
    frames = run.frames
    refused = sum(v for k, v in frames.items() if k.startswith("link_"))
    if frames["frames"] != frames["taken"] + refused + frames["run_failed"]:
        yield "conservation", "frames %s" % frames
    if frames["run_failed"]:
        yield "conservation", "run_failed %d" % frames["run_failed"]
    counters = run.summary["counters"]
    reasons = sum(v for k, v in counters.items() if CLASSES[k] == "SKIPPED")
    reasons += sum(v for k, v in counters.items() if CLASSES[k] == "LOST" and not k.endswith("_bytes"))
    packets = sum(r["packets"] for r in run.records)
    if frames["taken"] != counters["xdp_frames"] or frames["taken"] != packets + reasons:
        yield "conservation", "taken %d, seen %d, in records %d, counted reasons %d" % (
            frames["taken"], counters["xdp_frames"], packets, reasons)
    if packets != run.summary["packets"]:
        yield "conservation", "summary %d packets, records %d" % (run.summary["packets"], packets)
    for record in run.records:
        for unit in ("packets", "bytes"):
            parts = sum(record.get(side, {}).get(unit, 0) for side in ("out", "in"))
            if parts != record[unit]:
                yield "conservation", "record's %s: %s" % (unit, record)


def directed_flows_of_weir(records):
    sums = collections.defaultdict(lambda: [0, 0])
    for r in records:
        if r.get("proto") not in ("tcp", "udp") or "src" not in r:
            continue
        src, dst = address(r["src"]["ip"]), address(r["dst"]["ip"])
        sport, dport = r["src"].get("port", 0), r["dst"].get("port", 0)
        for side, key in (("out", (r["proto"], src, sport, dst, dport)),
                          ("in", (r["proto"], dst, dport, src, sport))):
            if r.get(side, {}).get("packets"):
                sums[key][0] += r[side]["packets"]
                sums[key][1] += r[side]["bytes"]
    return sums


def directed_flows_of_facts(flows):
    sums = collections.defaultdict(lambda: [0, 0])
    for f in flows:
        src, dst = address(f["src"]), address(f["dst"])
        for side, key in (("out", (f["proto"], src, f["sport"], dst, f["dport"])),
                          ("in", (f["proto"], dst, f["dport"], src, f["sport"]))):
            if f[side][0]:
                sums[key][0] += f[side][0]
                sums[key][1] += f[side][1]
    return sums


def check_flows(run, facts):
    if "flows" not in facts:
        return
    got, want = directed_flows_of_weir(run.records), directed_flows_of_facts(facts["flows"])
    for key in sorted(set(got) | set(want)):
        if got.get(key) != want.get(key):
            yield "flow", "%s %s:%d>%s:%d %s, recorded %s" % (key + (got.get(key), want.get(key)))


def dns_names(record):
    dns = record.get("dns", {})
    names = [dns.get("qname")] + [query.get("qname") for query in dns.get("queries", [])]
    return {name.lower() for name in names if name is not None}


def is_mdns(record):
    return any(record[end].get("port") in MDNS_PORTS for end in ("src", "dst"))


def names_of_weir(records):
    """What weir found by kind, and of that what the facts leave out on purpose."""
    names = {kind: set() for kind in NAMES}
    unlisted = set()
    for r in records:
        sni = r.get("tls", {}).get("sni")
        if sni is not None:
            names["quic_sni" if "quic" in r else "sni"].add(sni)
        http = r.get("http", {})
        names["http_host"].update(http.get("hosts", []))
        if "host" in http:
            names["http_host"].add(http["host"])
        found = dns_names(r)
        names["dns_qname"] |= found
        if found and is_mdns(r):
            unlisted |= found
    return names, unlisted


def check_names(run, facts):
    got, unlisted = names_of_weir(run.records)
    for kind in NAMES:
        want = set(facts.get(kind, []))
        if kind == "dns_qname":
            want = {"." if name == "<Root>" else name.lower() for name in want}
        for name in sorted(want - got[kind]):
            yield kind, "missing %s" % name
        for name in sorted(got[kind] - want - (unlisted if kind == "dns_qname" else set())):
            yield kind, "extra %s" % name


def check_rules(weir, run):
    if not run.records:
        return
    command = [os.path.join(os.path.dirname(weir), "weir-collector"), "rules", "test", "--flows", "-", RULES]
    done = subprocess.run(command, input=run.lines, capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        yield "rule", "exit status %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[-300:])
    alerts = [json.loads(line) for line in done.stdout.decode("utf-8").splitlines()]
    for name in sorted({alert["rule"] for alert in alerts if alert["state"] == "firing"}):
        yield "rule", name


def check(weir, folder, facts):
    run = Run(weir, os.path.join(folder, facts["file"]))
    if run.problems:
        return run.problems
    problems = list(check_conservation(run))
    if run.frames["frames"] != facts["frames"]:
        problems.append(("frames", "%d, recorded %d" % (run.frames["frames"], facts["frames"])))
    problems += check_flows(run, facts)
    problems += check_names(run, facts)
    problems += check_rules(weir, run)
    return problems


def rows_of(name, columns):
    with open(os.path.join(HERE, name), encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.rstrip("\n").split("\t")
            if len(parts) != len(columns) or not all(parts):
                sys.exit("%s:%d: want %s" % (name, number, ", ".join(columns)))
            yield parts


def load_accepted():
    rows = collections.defaultdict(set)
    for path, what, value, _ in rows_of("accepted.tsv", ("file", "what", "value", "reason")):
        rows[path].add((what, value))
    for path, rule, _ in rows_of("firings.tsv", ("file", "rule", "reason")):
        rows[path].add(("rule", rule))
    return rows


def settle(problems, accepted):
    """What is left of the differences; rows that match none are a difference of their own."""
    left = [p for p in problems if p not in accepted]
    left += [("accepted", "no such difference: %s %s" % row) for row in sorted(accepted - set(problems))]
    return left


def main():
    options = [arg for arg in sys.argv[1:] if arg in ("-v", "-x")]
    verbose, but = "-v" in options, "-x" in options
    weir, folder, *parts = [arg for arg in sys.argv[1:] if arg not in options]
    accepted = load_accepted()
    with open(os.path.join(folder, "facts.jsonl"), encoding="utf-8") as lines:
        todo = [json.loads(line) for line in lines]
    for name in sorted(set(accepted) - {f["file"] for f in todo}):
        sys.exit("accepted.tsv or firings.tsv: no such capture: %s" % name)
    todo = [f for f in todo if not parts or any(part in f["file"] for part in parts) != but]
    passed = failed = differences = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        results = pool.map(lambda facts: check(weir, folder, facts), todo)
        for facts, problems in zip(todo, results):
            left = settle(problems, accepted[facts["file"]])
            differences += len(problems) - sum(p in accepted[facts["file"]] for p in problems)
            for what, value in left if not verbose else set(left) | set(problems):
                print("%s\t%s\t%s" % (facts["file"], what, value))
            failed += bool(left)
            passed += not left
    print("%d captures, %d accepted differences, %d others" % (
        len(todo), sum(len(accepted[facts["file"]]) for facts in todo), differences))
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
