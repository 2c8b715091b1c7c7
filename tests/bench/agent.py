#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# agent.py - CPU time of whole programs that watch an interface and export IPFIX: weir (both processes,
# and the run time of its BPF programs) and softflowd, one after the other on the same traffic.
# usage: agent.py WEIR FLOOD OBJECTS SEND_DEV WATCH_DEV [ROUNDS], in a network namespace of their own;
# OBJECTS: the folder of filter.bpf.o. The run time of BPF programs is the kernel's, less what it finds for an
# empty one.
# The packets of a flow come in trains of so many (see TRAFFIC): 1 is the worst that caches can get.
# CPU time is divided by the packets that a program says it has counted; what starting took is left
# out. "cpu s per million packets" is what a program is charged with, BPF run time among it. What the kernel
# does besides to bring packets there is charged to the sender, or to ksoftirqd: what these take more than
# with nobody watching is in "cpu s with the kernel's", of either. The run-time statistics are off
# for that one, so it has a run of its own. "weir tc": the same with ingress read in TC, where a veth does not
# copy every frame for XDP.
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
# name, flows, packets, packets of a flow in a row, rounds at most
TRAFFIC = (
    ("trains of 8", 20000, 5000000, 8, 9),
    ("trains of 1", 20000, 5000000, 1, 9),
    ("a million flows", 1000000, 2000000, 1, 1),
)

weir, flood, objects, sender, watched = sys.argv[1:6]
rounds = int(sys.argv[6]) if len(sys.argv) > 6 else 3
empty = 0.0
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


def bpf_runs(known):
    """Run time in seconds, and runs, of programs that are not in @known."""
    new = [p for p in programs() if p["id"] not in known]
    return sum(p.get("run_time_ns", 0) for p in new) / 1e9, sum(p.get("run_cnt", 0) for p in new)


def empty_run():
    """Seconds that the statistics find for a program that does nothing: two looks at the clock."""
    known = prog_ids()
    subprocess.check_call(["ip", "link", "set", "dev", watched, "xdp", "obj",
                           os.path.join(objects, "filter.bpf.o"), "program", "filter_none"])
    send(TRAFFIC[0])
    seconds, runs = bpf_runs(known)
    subprocess.check_call(["ip", "link", "set", "dev", watched, "xdp", "off"])
    return seconds / runs


def ksoftirqd_seconds():
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().startswith("ksoftirqd/"):
                    total += cpu_so_far([pid])
        except OSError:
            pass
    return total


def wait_until(what, seconds, question):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if question():
            return
        time.sleep(0.02)
    raise TimeoutError(what)


def send(traffic):
    """The traffic. Frames sent, and CPU seconds of the sender: with what the kernel does on the way, also
    in ksoftirqd."""
    before = ksoftirqd_seconds()
    proc = subprocess.Popen(
        [flood, "-n", str(traffic[2]), "-t", str(traffic[3]), sender, str(traffic[1])], text=True,
        stdout=subprocess.PIPE)
    out = proc.stdout.read()
    _, status, usage = os.wait4(proc.pid, 0)
    proc.returncode = os.waitstatus_to_exitcode(status)
    if proc.returncode:
        raise RuntimeError("flood failed")
    return int(out.split()[0]), usage.ru_utime + usage.ru_stime + ksoftirqd_seconds() - before


def rss_kib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as f:
            total += int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))
    return total


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(c) for c in f.read().split()]


def cpu_so_far(pids):
    """CPU seconds of processes that live: what starting took, above all loading programs."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def end(proc):
    """Stop it; CPU seconds of it and of the processes that it waited for."""
    proc.send_signal(signal.SIGTERM)
    _, status, usage = os.wait4(proc.pid, 0)
    proc.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def run_weir(traffic, hook="auto"):
    known = prog_ids()
    path = os.path.join(work, "notify")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    notify.settimeout(20)
    err = open(os.path.join(work, "weir.err"), "w+")
    proc = subprocess.Popen(
        [weir, "run", "-i", watched, "--hook", hook, "--summary", "json", "--flows", str(max(65536, traffic[1])),
         "--export", f"ipfix://127.0.0.1:{PORT}"],
        stdout=subprocess.DEVNULL, stderr=err,
        env={**os.environ, "NOTIFY_SOCKET": path, "WEIR_CONTROL_SOCKET": os.path.join(work, "weir.sock")})
    while b"READY=1" not in notify.recv(4096):
        pass
    notify.close()
    os.unlink(path)
    start = cpu_so_far([proc.pid] + children(proc.pid))
    sent, sender_cpu = send(traffic)
    time.sleep(1.5)  # a drain after the last packet
    bpf, runs = bpf_runs(known)
    bpf -= runs * empty
    memory = rss_kib([proc.pid] + children(proc.pid))
    cpu = end(proc) - start
    err.seek(0)
    summary = json.loads([line for line in err if line.startswith("{")][-1])
    return sent, summary["packets"], cpu, bpf, sender_cpu, memory


def run_softflowd(traffic):
    control = os.path.join(work, "softflowd.ctl")
    proc = subprocess.Popen(
        ["/usr/sbin/softflowd", "-d", "-i", watched, "-n", f"127.0.0.1:{PORT}", "-v", "10", "-b",
         "-m", str(2 * traffic[1]), "-B", str(64 << 20), "-p", os.path.join(work, "softflowd.pid"),
         "-c", control], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("softflowd listens", 20, lambda: os.path.exists(control))
    time.sleep(0.5)
    start = cpu_so_far([proc.pid])
    sent, sender_cpu = send(traffic)
    time.sleep(1.5)
    text = subprocess.check_output(["/usr/sbin/softflowctl", "-c", control, "statistics"], text=True)
    counted = int(re.search(r"Packets processed:\s+(\d+)", text).group(1))
    memory = rss_kib([proc.pid])
    return sent, counted, end(proc) - start, 0.0, sender_cpu, memory


def row(traffic, design, metric, value):
    with open(os.environ.get("WEIR_BENCH_CSV", "/dev/stdout"), "a") as f:
        f.write(f"agent,{traffic[0]},,{traffic[1]},{design},{metric},{value:g}\n")


def run_weir_tc(traffic):
    return run_weir(traffic, "tc")


DESIGNS = (("weir", run_weir), ("weir tc", run_weir_tc), ("softflowd", run_softflowd))


def with_kernel(run, traffic, alone):
    """CPU seconds per million packets of all that watching takes, without run-time statistics."""
    _, counted, cpu, _, sender_cpu, _ = run(traffic)
    return (cpu + sender_cpu - alone) * 1e6 / counted


def compare(traffic):
    seen = {name: [] for name, _ in DESIGNS}
    for _ in range(min(rounds, traffic[4])):
        alone = send(traffic)[1]
        everything = {name: with_kernel(run, traffic, alone) for name, run in DESIGNS}
        stats = enable_bpf_stats()
        for name, run in DESIGNS:
            sent, counted, cpu, bpf, _, memory = run(traffic)
            if counted == 0:
                raise RuntimeError(f"{name} counted nothing")
            per_million = 1e6 / counted
            seen[name].append(((cpu + bpf) * per_million, bpf * per_million, everything[name],
                               100 * counted / sent, memory / 1024, cpu * 1e6 / traffic[1]))
        os.close(stats)
    for name, runs in seen.items():
        cpu, bpf, everything, counted, memory, flows = zip(*runs)
        row(traffic, name, "cpu s per million packets", statistics.median(cpu))
        row(traffic, name, "of it in bpf", statistics.median(bpf))
        row(traffic, name, "cpu s with the kernel's", statistics.median(everything))
        row(traffic, name, "cpu s of processes per million flows", statistics.median(flows))
        row(traffic, name, "counted pct", min(counted))
        row(traffic, name, "rss mib", statistics.median(memory))
    for name in ("weir", "weir tc"):
        pairs = list(zip(seen[name], seen["softflowd"]))
        of = "" if name == "weir" else " of " + name
        row(traffic, "softflowd", "ratio" + of, statistics.median(w[0] / s[0] for w, s in pairs))
        row(traffic, "softflowd", "ratio with the kernel's" + of,
            statistics.median(w[2] / s[2] for w, s in pairs))


def main():
    global empty
    sink = subprocess.Popen(["socat", "-u", f"UDP-RECV:{PORT},rcvbuf=8388608", "/dev/null"])
    try:
        stats = enable_bpf_stats()
        empty = empty_run()
        os.close(stats)
        row(TRAFFIC[0], "empty program", "bpf ns", empty * 1e9)
        for traffic in TRAFFIC:
            compare(traffic)
    finally:
        sink.kill()
        sink.wait()


main()
