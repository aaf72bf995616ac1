#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boot time, memory and size of volt-vmm against QEMU's microvm machine, side by side.

Usage: bench/boot.py --vmm FILE --kernel FILE --initrd FILE [--pairs N] [--json FILE]

Runs where /dev/kvm is true, as root (tools/bench-boot does it in the lab, whose clock counts
instructions). Pairs are interleaved; what is printed are medians and the ratios of medians.

first-instruction  from exec to the first entry into the guest, by the kernel's kvm_entry trace event
first-line         from exec to the line that init prints first
memory             PSS of all processes of the monitor, less the guest's memory, at that line
"""
import argparse
import json
import os
import pathlib
import select
import signal
import statistics
import sys
import time

from common import Trace, spawn

MEMORY_MIB = 128
CMDLINE = "console=ttyS0 reboot=k panic=-1 quiet loglevel=0 volt.hello volt.root=none"
HELLO = b"volt-init: up"
DEADLINE_S = 120


def commands(args):
    qemu = ["qemu-system-x86_64", "-M", "microvm", "-enable-kvm", "-cpu", "host", "-smp", "1",
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-serial", "stdio", "-kernel", args.kernel, "-initrd", args.initrd,
            "-append", CMDLINE]
    volt = [args.vmm, "--memory", f"{MEMORY_MIB}M", "--cpus", "1", "--kernel", args.kernel,
            "--initrd", args.initrd, "--cmdline", CMDLINE]
    return {"volt-vmm": volt, "qemu-microvm": qemu}


def wait_for_line(read_end, end):
    text = b""
    while HELLO not in text:
        if time.monotonic() > end:
            raise RuntimeError(f"no line from init; output so far: {text!r}")
        if select.select([read_end], [], [], 0.1)[0]:
            chunk = os.read(read_end, 65536)
            if not chunk:
                raise RuntimeError(f"ended without a line from init: {text!r}")
            text += chunk


def family(pid):
    """@pid and its descendants."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def overhead_kib(pid):
    """PSS of the family in KiB, less mappings of the size of the guest's memory."""
    total = 0
    for member in family(pid):
        size = 0
        for line in pathlib.Path(f"/proc/{member}/smaps").read_text().splitlines():
            if line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("Pss:") and size < MEMORY_MIB * 1024:
                total += int(line.split()[1])
    return total


def run_once(command, trace):
    read_end, write_end = os.pipe()
    trace.start()
    begin = time.monotonic()
    pid = spawn(command, read_end, write_end)
    os.close(write_end)
    try:
        wait_for_line(read_end, begin + DEADLINE_S)
        line = time.monotonic()
        memory = overhead_kib(pid)
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read_end)
        entry = trace.stop()
    return {"first-instruction": (entry - begin) * 1000, "first-line": (line - begin) * 1000,
            "memory": memory}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmm", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--json")
    args = parser.parse_args()
    trace = Trace()
    monitors = commands(args)
    for command in monitors.values():  # fill the page cache
        run_once(command, trace)
    samples = {name: [] for name in monitors}
    for number in range(args.pairs):
        for name, command in monitors.items():
            samples[name].append(run_once(command, trace))
            print(f"pair {number + 1}/{args.pairs} {name}: {samples[name][-1]}", file=sys.stderr)
    medians = {name: {key: statistics.median(s[key] for s in taken) for key in taken[0]}
               for name, taken in samples.items()}
    for name, values in medians.items():
        print(f"{name:14} first instruction {values['first-instruction']:9.2f} ms   "
              f"first line {values['first-line']:9.2f} ms   "
              f"memory beside the guest's {values['memory'] / 1024:6.2f} MiB")
    volt, qemu = medians["volt-vmm"], medians["qemu-microvm"]
    ratios = {key: volt[key] / qemu[key] for key in volt}
    print(f"ratio          first instruction {ratios['first-instruction']:9.3f}      "
          f"first line {ratios['first-line']:9.3f}      memory {ratios['memory']:.3f}")
    if args.json:
        result = {"samples": samples, "medians": medians, "ratios": ratios}
        pathlib.Path(args.json).write_text(json.dumps(result, indent=1))


main()
