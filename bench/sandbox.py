#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the sandbox costs: time to the first guest instruction, and memory, layer by layer.

Usage: bench/sandbox.py --vmm FILE --guest FILE [--rounds N] [--machines N] [--json FILE]

Runs where /dev/kvm is true, as root (tools/bench-sandbox does it in the lab, whose clock counts
instructions). FILE is build/test/traitor/volt-vmm-traitor: volt-vmm from the same objects, which
can leave out layers. The variants are interleaved; what is printed are medians.

time     from exec to the first entry into the guest, by the kernel's kvm_entry trace event
memory   what of the host's memory is in use more for each machine: free memory before and after the
         start of many, which counts what the kernel holds for namespaces and filters as well
"""
import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import tempfile
import time

from common import SETTLE_S, Trace, spawn

LAYERS = ("namespaces", "root", "capabilities", "landlock", "limits", "seccomp")
ALL = (1 << len(LAYERS)) - 1
WITHOUT = {"root": 1 << 1, "namespaces": 3}  # a root of its own needs a mount namespace
DEADLINE_S = 60
SAID = b"spinning"


def variants():
    found = {"everything on": ALL, "everything off": 0}
    for bit, name in enumerate(LAYERS):
        found[f"without {name}"] = ALL & ~WITHOUT.get(name, 1 << bit)
    return found


def command(args, layers):
    words = [args.vmm, "--no-api", "--log-level", "error", "--kernel", args.guest,
             "--memory", "128M", "--hugepages", "off"]
    missing = [name for bit, name in enumerate(LAYERS) if not layers & 1 << bit]
    if missing:
        words += ["--sandbox-allow-missing", ",".join(missing)]
    return words


def start(args, layers):
    """Process id of a monitor, and where its guest writes to."""
    read_end, write_end = os.pipe()
    os.environ["VOLT_TRAITOR_LAYERS"] = str(layers)
    pid = spawn(command(args, layers), read_end, write_end)
    os.close(write_end)
    return pid, read_end


def wait_until_it_runs(read_end):
    text = b""
    while SAID not in text:
        chunk = os.read(read_end, 4096)
        if not chunk:
            raise RuntimeError(f"ended; output so far: {text!r}")
        text += chunk


def end(pid, read_end):
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(read_end)


def first_instruction_ms(args, layers, trace):
    trace.start()
    begin = time.monotonic()
    pid, read_end = start(args, layers)
    try:
        wait_until_it_runs(read_end)
    finally:
        end(pid, read_end)
        entry = trace.stop()
        time.sleep(SETTLE_S)
    return (entry - begin) * 1000


def free_kib():
    """After what ended processes leave to be freed later has been freed."""
    values = []
    for _ in range(20):
        time.sleep(0.1)
        fields = dict(line.split(":") for line in
                      pathlib.Path("/proc/meminfo").read_text().splitlines())
        values.append(sum(int(fields[name].split()[0])
                          for name in ("MemFree", "Cached", "Buffers", "SReclaimable")))
        if len(values) > 3 and max(values[-3:]) - min(values[-3:]) < 64:
            break
    return values[-1]


def memory_kib(args, layers):
    """For each machine."""
    before = free_kib()
    running = []
    try:
        for _ in range(args.machines):
            running.append(start(args, layers))
            wait_until_it_runs(running[-1][1])
            os.kill(running[-1][0], signal.SIGUSR1)  # pause: a spinning guest would slow the rest
        after = free_kib()
    finally:
        for pid, read_end in running:
            end(pid, read_end)
    return (before - after) / args.machines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmm", required=True)
    parser.add_argument("--guest", required=True)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--machines", type=int, default=16)
    parser.add_argument("--json")
    args = parser.parse_args()
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(dir="/dev/shm")  # no overlay of file systems
    trace = Trace()
    found = variants()
    for layers in found.values():  # fill the page cache
        first_instruction_ms(args, layers, trace)
    times = {name: [] for name in found}
    memory = {name: [] for name in ("everything on", "everything off")}
    for _ in range(args.rounds):
        # In another order each time: a start feels what was before it.
        for name, layers in random.sample(list(found.items()), len(found)):
            times[name].append(first_instruction_ms(args, layers, trace))
    for _ in range(3):
        for name, taken in memory.items():
            taken.append(memory_kib(args, found[name]))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    on, off = medians["everything on"], medians["everything off"]
    for name, value in medians.items():
        cost = f"   the layer costs {(on - value) * 1000:6.0f} us" if name.startswith("without") else ""
        print(f"{name:22} first instruction after {value:7.3f} ms{cost}")
    print(f"ratio on / off         {on / off:.3f}")
    kib = {name: statistics.median(taken) for name, taken in memory.items()}
    print(f"memory of a machine    {kib['everything on']:.0f} KiB on, {kib['everything off']:.0f} KiB "
          f"off: the sandbox costs {kib['everything on'] - kib['everything off']:.0f} KiB")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps({"times": times, "memory": memory}, indent=1))


main()
