#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What processors and memory cost: set-up by size, pausing, idle vCPUs, the PIT.

Usage: bench/cpu.py --vmm FILE --guest FILE [--rounds N] [--json FILE]

Runs where /dev/kvm is true, as root (tools/bench-cpu does it in the lab, whose clock counts
instructions). The variants of each comparison are interleaved; what is printed are medians.

set-up    from the configuration's arrival in the machine process (its own log line) to the first
          entry into the guest (the kernel's kvm_entry trace event)
pause     from the request to the moment no vCPU is in the guest; resume likewise (machine's figures)
whole     from exec to the end of all processes, for a guest that ends at once
idle vCPU memory of a VM's cgroup, with 17 vCPUs less that with 1, by 16
"""
import argparse
import json
import os
import pathlib
import re
import select
import signal
import statistics
import subprocess
import sys
import time

from common import SETTLE_S, Trace

CGROUPS = pathlib.Path("/sys/fs/cgroup")
DEADLINE_S = 120
PAUSES = 200


class Monitor:
    """volt-vmm with the spinning guest, until it runs."""

    def __init__(self, args, *options):
        self.process = subprocess.Popen(
            [args.vmm, "--kernel", args.guest, "--log-level", "debug", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait_for(self, pattern):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if not select.select([self.process.stderr], [], [], 1)[0]:
                continue
            line = self.process.stderr.readline().decode()
            if not line:
                break
            found = re.search(pattern, line)
            if found:
                return float(found.group(1))
        raise RuntimeError(f"no {pattern!r} in the log")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()


def set_up_ms(args, trace, *options):
    trace.start()
    monitor = Monitor(args, *options)
    received = monitor.wait_for(r"configuration received at (\d+\.\d+) s")
    monitor.process.stdout.read(1)  # "running" is logged before the first instruction
    monitor.stop()
    entry = trace.stop()
    time.sleep(SETTLE_S)
    return (entry - received) * 1000


def whole_ms(args, *options):
    begin = time.monotonic()
    subprocess.run([args.vmm, "--kernel", args.ending_guest, "--console", "none", *options],
                   check=False, stdin=subprocess.DEVNULL)
    return (time.monotonic() - begin) * 1000


def compare(rounds, variants, measure):
    """Medians of @measure of each of @variants (name: options), interleaved."""
    samples = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, options in variants.items():
            value = measure(*options)
            if number > 0:  # the first fills caches
                samples[name].append(value)
    return {name: statistics.median(taken) for name, taken in samples.items()}


def percentile(samples, percent):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def pauses_us(args, *options):
    """Microseconds of PAUSES pauses and resumes."""
    monitor = Monitor(args, *options)
    monitor.wait_for(r"running \(after (\d+)")
    pauses, resumes = [], []
    for _ in range(PAUSES):
        monitor.process.send_signal(signal.SIGUSR1)
        pauses.append(monitor.wait_for(r"paused \(after (\d+)"))
        monitor.process.send_signal(signal.SIGUSR2)
        resumes.append(monitor.wait_for(r"running \(after (\d+)"))
    monitor.stop()
    return pauses, resumes


def cgroup_bytes(args, cpus):
    """Memory of a VM with @cpus vCPUs, all but the first idle, as its cgroup counts it."""
    group = CGROUPS / "bench-cpu"
    (CGROUPS / "cgroup.subtree_control").write_text("+memory")
    group.mkdir(exist_ok=True)
    command = f"echo $$ > {group}/cgroup.procs; exec \"$@\""
    process = subprocess.Popen(["sh", "-c", command, "sh", args.vmm, "--kernel", args.guest,
                                "--cpus", str(cpus), "--log-level", "info"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    for line in process.stderr:
        if b"running" in line:
            break
    time.sleep(0.2)
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    total = int(stat["anon"]) + int(stat["kernel"])
    process.terminate()
    process.communicate()
    group.rmdir()
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmm", required=True)
    parser.add_argument("--guest", required=True, help="a guest that spins")
    parser.add_argument("--ending-guest", required=True, help="a guest that ends at once")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json")
    args = parser.parse_args()
    trace = Trace()

    set_up = compare(args.rounds, {
        "128 MiB, 1 vCPU": ["--memory", "128M"],
        "8 GiB, 1 vCPU": ["--memory", "8G"],
        "128 MiB, 16 vCPUs": ["--memory", "128M", "--cpus", "16"],
        "128 MiB, 1 vCPU, PIT": ["--memory", "128M", "--pit"],
    }, lambda *options: set_up_ms(args, trace, *options))
    base = set_up["128 MiB, 1 vCPU"]
    for name, value in set_up.items():
        print(f"set-up  {name:22} {value:8.3f} ms   ratio {value / base:.3f}")

    whole = compare(args.rounds, {"without PIT": [], "with PIT": ["--pit"]},
                    lambda *options: whole_ms(args, *options))
    for name, value in whole.items():
        print(f"whole   {name:22} {value:8.3f} ms   ratio {value / whole['without PIT']:.3f}")

    pauses = {}
    for cpus in ("1", "4"):
        taken = pauses_us(args, "--cpus", cpus)
        pauses[cpus] = [[percentile(samples, p) for p in (50, 99)] for samples in taken]
        print(f"pause   {cpus} vCPU: p50 {pauses[cpus][0][0]:.0f} us, p99 {pauses[cpus][0][1]:.0f}"
              f" us;  resume p50 {pauses[cpus][1][0]:.0f} us, p99 {pauses[cpus][1][1]:.0f} us")

    few = statistics.median(cgroup_bytes(args, 1) for _ in range(3))
    many = statistics.median(cgroup_bytes(args, 17) for _ in range(3))
    per_vcpu = (many - few) / 16
    print(f"memory  one idle vCPU: {per_vcpu / 1024:.1f} KiB")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(
            {"set_up": set_up, "whole": whole, "pauses": pauses, "vcpu_bytes": per_vcpu}, indent=1))
    sys.stdout.flush()
    os._exit(0)


main()
