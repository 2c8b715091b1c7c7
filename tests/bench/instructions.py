#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# instructions.py - BPF instructions that the programs of bench.bpf.o spend on a packet of an established TCP flow
# over IPv4, counted by interpreting them (RFC 9669): the same on every machine, however busy it is.
# usage: instructions.py OBJECT [--list HOOK]     --list: what is executed, with `--` behind each taken branch
# What the generator in front takes is left out; a branch on a setting, which the verifier removes with what
# it skips, is counted. Rows go to WEIR_BENCH_CSV, or standard output.
import os
import struct
import subprocess
import sys

CTX, PACKET, RODATA, STACK, MAPS, MAP_BYTES = 0x1000, 0x100000, 0x300000, 0x400000, 0x10000000, 0x200000
STACK_BYTES, SET_BITS, IFINDEX, TICK, SEQ, TTL = 512, 4, 7, 100000, 12345, 64
SETTINGS = {"cfg_set_bits": SET_BITS, "cfg_rare": 0, "cfg_tso": 1, "cfg_names": 1}
MAP_VALUE = {"counters": 1024, "marks": 16, "flows": 1024}  # bytes; what isn't here has one element
LOOKUP, PROCESSOR, JIFFIES = 1, 8, 118  # helpers
SIZE = {0: 4, 1: 2, 2: 1, 3: 8}


class Elf:
    """Sections, symbols and relocations of a relocatable object, little endian."""

    def __init__(self, path):
        self.data = open(path, "rb").read()
        at, = struct.unpack_from("<Q", self.data, 40)
        n, names = struct.unpack_from("<HH", self.data, 60)
        self.headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, at + 64 * i) for i in range(n)]
        self.names = [self.text(self.headers[names][4] + h[0]) for h in self.headers]
        table = next(h for h in self.headers if h[1] == 2)
        strings = self.headers[table[6]][4]
        self.symbols = []  # name, type, section, value, size
        for i in range(table[5] // 24):
            name, info, _, section, value, size = struct.unpack_from("<IBBHQQ", self.data, table[4] + 24 * i)
            self.symbols.append((self.text(strings + name), info & 15, section, value, size))

    def text(self, at):
        return self.data[at:self.data.index(b"\0", at)].decode()

    def section(self, i):
        return self.data[self.headers[i][4]:self.headers[i][4] + self.headers[i][5]]

    def symbol(self, name):
        return next(s for s in self.symbols if s[0] == name)

    def relocations(self, section):
        of = {}
        for h in self.headers:
            if h[1] == 9 and h[7] == section:
                for i in range(h[5] // 16):
                    offset, info = struct.unpack_from("<QQ", self.data, h[4] + 16 * i)
                    of[offset // 8] = self.symbols[info >> 32]
        return of


def signed(v, bits):
    return (v ^ (1 << bits - 1)) - (1 << bits - 1)


def packet():
    """A frame, and source and destination as the programs load them."""
    source, destination = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    ports = struct.pack(">HH", 1000, 443)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0x4000, TTL, 6, 0) + source + destination
    tcp = ports + struct.pack(">IIBBHHH", SEQ, 1, 0x50, 0x10, 5000, 0, 0)
    return bytes(12) + b"\x08\x00" + ip + tcp, [int.from_bytes(b, "little") for b in (source, destination, ports)]


def flow_hash(source, destination, ports):
    """bpf/key.h with keys of zeros; and the packet's direction."""
    d = int(source > destination)
    if d:
        ports = (ports << 16 | ports >> 16) & 0xffffffff
    h = (source * destination + ports * 6 + IFINDEX * 0x800) & (1 << 64) - 1
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15 & (1 << 64) - 1
    return h ^ h >> 29, d


class Machine:
    def __init__(self, elf, hook, enforce):
        self.elf, self.hook, self.memory, self.maps = elf, hook, [], {}
        self.frame, addresses = packet()
        rodata = elf.names.index(".rodata")
        self.rodata = rodata
        for base, content in ((PACKET, self.frame), (RODATA, elf.section(rodata)), (STACK, bytes(STACK_BYTES))):
            self.memory.append((base, bytearray(content)))
        for name, value in {**SETTINGS, "cfg_enforce": enforce}.items():
            _, _, _, at, size = elf.symbol(name)
            self.write(RODATA + at, size, value)
        self.establish(*flow_hash(*addresses))

    def establish(self, h, d):
        """The flow in its own way, as include/weir/abi.h has it."""
        index, way = h >> 64 - SET_BITS, h >> 34 & 15
        self.write(self.map("marks") + 16 * index + way, 1, h & 255 or 1)
        self.hot = self.map("flows") + 1024 * index + 64 * way
        self.write(self.hot, 8, (h << 16 | 1) & (1 << 64) - 1)
        for side in (0, 1):
            for at, size, value in ((24, 4, 5), (32, 4, TICK), (40, 4, SEQ)):
                self.write(self.hot + at + 4 * side, size, value)
            self.write(self.hot + 48 + side, 1, 0x10)
            self.write(self.hot + 50 + side, 1, TTL)
        self.packets = self.hot + 24 + 4 * d
        self.write(self.map("gen") + 16, 4, 12 + 40)  # writes behind what is parsed: into the TCP checksum

    def map(self, name):
        if name not in self.maps:
            self.maps[name] = MAPS + len(self.maps) * MAP_BYTES
            self.memory.append((self.maps[name], bytearray(MAP_BYTES)))
        return self.maps[name]

    def place(self, at):
        for base, content in self.memory:
            if base <= at < base + len(content):
                return content, at - base
        raise ValueError(f"no memory at {at:#x}")

    def read(self, at, size):
        if CTX <= at < CTX + 256:
            end = PACKET + len(self.frame)
            of = {0: PACKET, 4: end, 12: IFINDEX} if self.hook == "xdp" else {
                0: len(self.frame), 40: IFINDEX, 76: PACKET, 80: end, 164: 1}
            return of.get(at - CTX, 0)
        content, offset = self.place(at)
        return int.from_bytes(content[offset:offset + size], "little")

    def write(self, at, size, value):
        content, offset = self.place(at)
        content[offset:offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")

    def call(self, helper, r):
        if helper == PROCESSOR:
            return 0
        if helper == JIFFIES:
            return TICK
        if helper != LOOKUP:
            raise ValueError(f"helper {helper}: not on the short way")
        name = next(n for n, at in self.maps.items() if at == r[1])
        return r[1] + self.read(r[2], 4) * MAP_VALUE.get(name, 0)

    def wide(self, pc, immediate, high, relocations):
        if pc not in relocations:
            return (high & 0xffffffff) << 32 | immediate & 0xffffffff
        name, kind, section, value, _ = relocations[pc]
        if section == self.rodata:
            return RODATA + value + (immediate if kind == 3 else 0)
        return self.map(name)

    def run(self, program):
        """Instructions that were executed, in order."""
        _, _, section, at, _ = self.elf.symbol(program)
        code = self.elf.section(section)
        words = [struct.unpack_from("<BBhi", code, 8 * i) for i in range(len(code) // 8)]
        relocations, pc, r, trace = self.elf.relocations(section), at // 8, [0] * 11, []
        r[1], r[10] = CTX, STACK + STACK_BYTES
        while True:
            op, registers, offset, immediate = words[pc]
            to, of, kind = registers & 15, registers >> 4, op & 7
            trace.append(pc)
            pc += 1
            if op == 0x95:
                return section, trace
            if op == 0x18:
                r[to] = self.wide(pc - 1, immediate, words[pc][3], relocations)
                pc += 1
            elif op == 0x85:
                if of:
                    raise ValueError("a call to the slow way")
                r[0] = self.call(immediate, r)
            elif op in (0xd4, 0xdc):
                r[to] = byte_order(op, r[to], immediate)
            elif kind in (4, 7):
                r[to] = value_of(op, r[to], r[of] if op & 8 else immediate)
            elif kind in (5, 6):
                if jumps(op, r[to], r[of] if op & 8 else immediate):
                    pc += offset
            elif kind == 1:
                r[to] = self.read(r[of] + offset, SIZE[op >> 3 & 3])
            else:
                self.write(r[to] + offset, SIZE[op >> 3 & 3], r[of] if kind == 3 else immediate)


def value_of(op, a, b):
    bits = 64 if op & 7 == 7 else 32
    mask = (1 << bits) - 1
    a, b = a & mask, b & mask
    shift = b & bits - 1
    return (a + b, a - b, a * b, a // b if b else 0, a | b, a & b, a << shift, a >> shift, -a, a % b if b else a,
            a ^ b, b, signed(a, bits) >> shift)[op >> 4] & mask


def byte_order(op, a, bits):
    """To big endian if the source bit says so, else to little, which it is."""
    a &= (1 << bits) - 1
    return int.from_bytes(a.to_bytes(bits // 8, "little"), "big") if op & 8 else a


def jumps(op, a, b):
    bits = 64 if op & 7 == 5 else 32
    a, b = a & (1 << bits) - 1, b & (1 << bits) - 1
    x, y = signed(a, bits), signed(b, bits)
    return (True, a == b, a > b, a >= b, a & b, a != b, x > y, x >= y, None, None, a < b, a <= b, x < y,
            x <= y)[op >> 4]


def listing(elf, path, section, trace):
    text = subprocess.check_output(
        ["llvm-objdump", "-d", "--no-show-raw-insn", f"--section={elf.names[section]}", path], text=True)
    lines = dict(line.strip().split(":", 1) for line in text.splitlines() if line.strip().split(":")[0].isdigit())
    for at, after in zip(trace, trace[1:] + [None]):
        print(at, lines[str(at)].strip(), "" if after in (at + 1, at + 2, None) else "--")


def count(elf, hook, enforce):
    m = Machine(elf, hook, enforce)
    _, nothing = Machine(elf, hook, enforce).run("none_" + hook)
    section, trace = m.run("weir_" + hook)
    if m.read(m.packets, 4) != 6:
        raise ValueError(f"{hook}: the packet was not counted")
    return section, trace, len(trace) - len(nothing)


def main():
    elf = Elf(sys.argv[1])
    if sys.argv[2:3] == ["--list"]:
        section, trace, _ = count(elf, sys.argv[3], 0)
        listing(elf, sys.argv[1], section, trace)
        return
    with open(os.environ.get("WEIR_BENCH_CSV", "/dev/stdout"), "a") as out:
        for hook in ("xdp", "tc"):
            for enforce, design in ((0, "weir"), (1, "weir with policy")):
                print(f"packet,tcp,{hook},1,{design},instructions,{count(elf, hook, enforce)[2]}", file=out)


main()
