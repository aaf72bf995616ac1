# SPDX-License-Identifier: Apache-2.0
"""What benchmarks share: the kernel's trace of entries into guests, and starting a monitor."""
import os
import pathlib
import re

# Namespaces are taken down after their last process has gone, at the cost of who runs then.
SETTLE_S = 0.3
TRACING = pathlib.Path("/sys/kernel/tracing")


class Trace:
    """The kernel's trace buffer with only the first entries into guests in it. A KVM that emulates
    guests has no entries: there the first instruction counts."""

    EVENTS = ("kvm_entry", "kvm_emulate_insn")

    def __init__(self):
        if not (TRACING / "events").exists():
            os.system(f"mount -t tracefs tracefs {TRACING}")
        self.write("trace_clock", "mono")
        self.write("buffer_size_kb", "64")
        self.write("options/overwrite", "0")  # keep the oldest

    @staticmethod
    def write(name, value):
        (TRACING / name).write_text(value)

    def start(self):
        self.write("trace", "")
        for event in self.EVENTS:
            self.write(f"events/kvm/{event}/enable", "1")
        self.write("tracing_on", "1")

    def stop(self):
        """Seconds on the monotonic clock of the first entry."""
        self.write("tracing_on", "0")
        for event in self.EVENTS:
            self.write(f"events/kvm/{event}/enable", "0")
        with open(TRACING / "trace", encoding="utf-8") as lines:
            for line in lines:
                found = re.search(r" (\d+\.\d+): kvm_(entry|emulate_insn)", line)
                if found:
                    return float(found.group(1))
        raise RuntimeError("no entry into a guest was traced")


def spawn(command, read_end, write_end):
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
               (os.POSIX_SPAWN_DUP2, write_end, 1),
               (os.POSIX_SPAWN_CLOSE, read_end)]
    return os.posix_spawnp(command[0], command, os.environ, file_actions=actions, setpgroup=0)
