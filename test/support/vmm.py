# SPDX-License-Identifier: Apache-2.0
"""Runs volt-vmm for tests: as a plain command, on a terminal, or in the background."""
import os
import pathlib
import pty
import select
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VOLT_BUILD", ROOT / "build"))
VMM = BUILD / "volt-vmm"
GUESTS = BUILD / "test" / "guest"
DEADLINE_S = 60


def guest(name):
    return GUESTS / f"{name}.elf"


def run(*args, stdin=b"", timeout=DEADLINE_S, **kwargs):
    """Runs volt-vmm to its end; the result has returncode, stdout and stderr (bytes)."""
    return subprocess.run([VMM, *map(str, args)], input=stdin, capture_output=True,
                          timeout=timeout, check=False, **kwargs)


def wait_until(condition, what, timeout=DEADLINE_S):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"timed out waiting until {what}"
        select.select([], [], [], 0.01)


def processes_of(exe):
    """Ids of the processes that run the program @exe, zombies not counted."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.readlink(f"/proc/{entry}/exe").removesuffix(" (deleted)") == str(exe):
                found.append(int(entry))
        except OSError:
            continue
    return found


def name_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


class Terminal:
    """volt-vmm on a pseudo-terminal, as a person would run it."""

    def __init__(self, *args, exe=VMM):
        self.parent, child = pty.openpty()
        self.child = child
        self.settings_before = self.settings()
        self.process = subprocess.Popen([exe, *map(str, args)], stdin=child, stdout=child,
                                        stderr=child, start_new_session=True)
        self.output = b""

    def settings(self):
        import termios
        return termios.tcgetattr(self.child)

    def is_raw(self):
        import termios
        return not self.settings()[3] & termios.ICANON

    def read_some(self):
        if select.select([self.parent], [], [], 0.05)[0]:
            self.output += os.read(self.parent, 65536)

    def read_until(self, text, timeout=DEADLINE_S):
        end = time.monotonic() + timeout
        while text not in self.output:
            assert time.monotonic() < end, f"no {text!r} in {self.output!r}"
            self.read_some()

    def send(self, data):
        os.write(self.parent, data)

    def wait(self, timeout=DEADLINE_S):
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still runs; output {self.output!r}"
            self.read_some()
        self.read_some()
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.parent)
        os.close(self.child)
