#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# agent.py - CPU time of whole programs that watch an interface and export IPFIX: weir (both processes,
# and the run time of its BPF programs) and softflowd, one after the other on the same traffic.
# usage: agent.py WEIR FLOOD OBJECTS SEND_DEV WATCH_DEV ALONE_DEV [ROUNDS], in a network namespace of their own;
# OBJECTS: the folder of filter.bpf.o and none.bpf.o; ALONE_DEV: a pair like the first one that nobody watches.
# The packets of a flow come in trains of so many (see TRAFFIC): 1 is the worst that caches can get.
# CPU time is divided by the packets that a program says it has counted; what starting took is left out, what
# idling took is not. "cpu s per million packets": the program's processes, and the run time of its BPF programs by the
# kernel's statistics, less what these find for an empty one on the same hook: on TC, between packets that the stack handles one
# by one, the clock alone takes longer than on XDP, where they come in batches. What the kernel does besides to bring packets there is
# charged to the sender, or to ksoftirqd: in "cpu s with the kernel's" is what these take more than for as many
# packets on ALONE_DEV, sent in turns with the others, with the statistics off: the machine changes its mind, but not so
# often. Not for XDP: a veth hands packets on in another way then, in batches and on the other CPU, which ALONE_DEV does
# not, so that the difference is not weir's. "weir tc": ingress read in TC, where a veth does not copy every frame.
# Rows go to WEIR_BENCH_CSV.
import ctypes
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

BPF_ENABLE_STATS = 32
SYS_BPF = 321
PORT = 9995
# name, flows, packets of a turn, packets of a flow in a row, turns, rounds at most
TRAFFIC = (
    ("trains of 8", 20000, 1000000, 8, 5, 9),
    ("trains of 1", 20000, 1000000, 1, 5, 9),
    ("a million flows", 1000000, 2000000, 1, 1, 1),
)
ALONE = 2  # of so many packets, one on ALONE_DEV
XDP = "weir"

weir, flood, objects, sender, watched, unwatched = sys.argv[1:7]
rounds = int(sys.argv[7]) if len(sys.argv) > 7 else 3
unwatched_end = json.loads(subprocess.check_output(["ip", "-j", "link", "show", "dev", unwatched]))[0]["link"]
work = tempfile.mkdtemp(prefix="weir-agent.")


def enable_bpf_stats():
    """Kernel run-time statistics as long as the descriptor is open; no sysctl is changed."""
    attr = ctypes.create_string_buffer(128)
    fd = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, BPF_ENABLE_STATS, attr, 128)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "BPF_ENABLE_STATS")
    return fd


def programs():
    return json.loads(subprocess.check_output(["/usr/sbin/bpftool", "-j", "prog", "show"]))


def prog_ids():
    return {p["id"] for p in programs()}


def bpf_runs(known, of=None):
    """Run time in seconds, and runs, of programs that are not in @known, but in @of."""
    new = [p for p in programs() if p["id"] not in known and (of is None or p["id"] in of)]
    return sum(p.get("run_time_ns", 0) for p in new) / 1e9, sum(p.get("run_cnt", 0) for p in new)


class Empty:
    """A program on ALONE_DEV that does nothing, on the hook that is compared with."""

    def __init__(self, hook):
        known, self.tc = prog_ids(), hook == "tc"
        if self.tc:
            subprocess.check_call(["tc", "qdisc", "add", "dev", unwatched_end, "clsact"])
            subprocess.check_call(["tc", "filter", "add", "dev", unwatched_end, "ingress", "bpf", "da", "obj",
                                   os.path.join(objects, "none.bpf.o"), "sec", "tc"])
        else:
            subprocess.check_call(["ip", "link", "set", "dev", unwatched_end, "xdp", "obj",
                                   os.path.join(objects, "filter.bpf.o"), "program", "filter_none"])
        self.known = known

    def runs(self):
        return bpf_runs(self.known)

    def end(self):
        if self.tc:
            subprocess.check_call(["tc", "qdisc", "del", "dev", unwatched_end, "clsact"])
        else:
            subprocess.check_call(["ip", "link", "set", "dev", unwatched_end, "xdp", "off"])


def cpu_so_far(pids):
    """CPU seconds of processes that live, with all their threads."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def is_ksoftirqd(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().startswith("ksoftirqd/")
    except OSError:
        return False


KSOFTIRQD = [pid for pid in os.listdir("/proc") if pid.isdigit() and is_ksoftirqd(pid)]


def wait_until(what, seconds, question):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if question():
            return
        time.sleep(0.02)
    raise TimeoutError(what)


def send(traffic, device, divisor=1):
    """A turn of the traffic. Frames sent, and CPU seconds of the sender: with what the kernel does on the way,
    also in ksoftirqd."""
    before = cpu_so_far(KSOFTIRQD)
    proc = subprocess.Popen(
        [flood, "-n", str(traffic[2] // divisor), "-t", str(traffic[3]), device, str(traffic[1])], text=True,
        stdout=subprocess.PIPE)
    out = proc.stdout.read()
    _, status, usage = os.wait4(proc.pid, 0)
    proc.returncode = os.waitstatus_to_exitcode(status)
    if proc.returncode:
        raise RuntimeError("flood failed")
    return int(out.split()[0]), usage.ru_utime + usage.ru_stime + cpu_so_far(KSOFTIRQD) - before


def rss_kib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as f:
            total += int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))
    return total


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(c) for c in f.read().split()]


class Weir:
    """`weir run` and what it says in its end."""

    def __init__(self, traffic, hook):
        self.known, self.hook = prog_ids(), hook
        path = os.path.join(work, "notify")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(path)
        notify.settimeout(20)
        self.err = open(os.path.join(work, "weir.err"), "w+")
        self.proc = subprocess.Popen(
            [weir, "run", "-i", watched, "--hook", hook, "--summary", "json",
             "--flows", str(max(65536, traffic[1])), "--export", f"ipfix://127.0.0.1:{PORT}"],
            stdout=subprocess.DEVNULL, stderr=self.err,
            env={**os.environ, "NOTIFY_SOCKET": path, "WEIR_CONTROL_SOCKET": os.path.join(work, "weir.sock")})
        while b"READY=1" not in notify.recv(4096):
            pass
        notify.close()
        os.unlink(path)
        self.pids = [self.proc.pid] + children(self.proc.pid)
        self.after = prog_ids()

    def bpf(self):
        return bpf_runs(self.known, self.after)

    def counted(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait()
        self.err.seek(0)
        return json.loads([line for line in self.err if line.startswith("{")][-1])["packets"]


class Softflowd:
    def __init__(self, traffic):
        self.control = os.path.join(work, "softflowd.ctl")
        self.proc = subprocess.Popen(
            ["/usr/sbin/softflowd", "-d", "-i", watched, "-n", f"127.0.0.1:{PORT}", "-v", "10", "-b",
             "-m", str(2 * traffic[1]), "-B", str(64 << 20), "-p", os.path.join(work, "softflowd.pid"),
             "-c", self.control], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("softflowd listens", 20, lambda: os.path.exists(self.control))
        time.sleep(0.5)
        self.pids = [self.proc.pid]

    def bpf(self):
        return 0.0, 0

    def counted(self):
        text = subprocess.check_output(["/usr/sbin/softflowctl", "-c", self.control, "statistics"], text=True)
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait()
        return int(re.search(r"Packets processed:\s+(\d+)", text).group(1))


DESIGNS = (
    (XDP, lambda traffic: Weir(traffic, "auto")),
    ("weir tc", lambda traffic: Weir(traffic, "tc")),
    ("softflowd", Softflowd),
)


def share(sent, counted):
    if counted == 0:
        raise RuntimeError("nothing was counted")
    return counted / sent


def all_of_it(begin, traffic):
    """CPU seconds per million packets, of processes, and of the kernel besides; percent of the packets that
    were counted; MiB."""
    program = begin(traffic)
    start, sent, kernel = cpu_so_far(program.pids), 0, 0.0
    for _ in range(traffic[4]):
        n, with_it = send(traffic, sender)
        m, without = send(traffic, unwatched, ALONE)
        sent += n
        kernel += with_it - without * n / m
    time.sleep(1.5)  # a drain after the last packet
    cpu, memory = cpu_so_far(program.pids) - start, rss_kib(program.pids) / 1024
    part = share(sent, program.counted())
    return cpu * 1e6 / sent / part, kernel * 1e6 / sent / part, 100 * part, memory


def run_time(begin, traffic):
    """By the kernel's statistics: CPU seconds of BPF programs per million packets, less what the statistics find
    for a program that does nothing: two looks at the clock. That for as many packets."""
    program = begin(traffic)
    none, sent, empty = Empty(program.hook), 0, []
    stats = enable_bpf_stats()
    for _ in range(traffic[4]):
        sent += send(traffic, sender)[0]
        before = none.runs()
        send(traffic, unwatched, ALONE)
        after = none.runs()
        empty.append((after[0] - before[0]) / (after[1] - before[1]))
    seconds, runs = program.bpf()
    os.close(stats)
    none.end()
    each = statistics.median(empty)
    part = share(sent, program.counted())
    return (seconds - runs * each) * 1e6 / sent / part, each * 1e6


def row(traffic, design, metric, value):
    with open(os.environ.get("WEIR_BENCH_CSV", "/dev/stdout"), "a") as f:
        f.write(f"agent,{traffic[0]},,{traffic[1]},{design},{metric},{value:g}\n")


def compare(traffic):
    seen = {name: [] for name, _ in DESIGNS}
    for _ in range(min(rounds, traffic[5])):
        for name, begin in DESIGNS:
            cpu, kernel, counted, memory = all_of_it(begin, traffic)
            bpf, empty = run_time(begin, traffic) if begin is not Softflowd else (0.0, 0.0)
            flows = cpu * traffic[2] * traffic[4] / traffic[1]
            seen[name].append((cpu + bpf, bpf, cpu + kernel, counted, memory, flows, empty))
    for name, runs in seen.items():
        cpu, bpf, everything, counted, memory, flows, empty = zip(*runs)
        row(traffic, name, "cpu s per million packets", statistics.median(cpu))
        row(traffic, name, "of it in bpf", statistics.median(bpf))
        if name != XDP:
            row(traffic, name, "cpu s with the kernel's", statistics.median(everything))
        row(traffic, name, "cpu s of processes per million flows", statistics.median(flows))
        row(traffic, name, "counted pct", min(counted))
        row(traffic, name, "rss mib", statistics.median(memory))
        row(traffic, name, "an empty program's run time", statistics.median(empty))
    for name in (XDP, "weir tc"):
        pairs = list(zip(seen[name], seen["softflowd"]))
        of = "" if name == XDP else " of " + name
        row(traffic, "softflowd", "ratio" + of, statistics.median(w[0] / s[0] for w, s in pairs))
        if name != XDP:
            row(traffic, "softflowd", "ratio with the kernel's" + of,
                statistics.median(w[2] / s[2] for w, s in pairs))


def main():
    sink = subprocess.Popen(["socat", "-u", f"UDP-RECV:{PORT},rcvbuf=8388608", "/dev/null"])
    try:
        for traffic in TRAFFIC:
            compare(traffic)
    finally:
        sink.kill()
        sink.wait()


main()
