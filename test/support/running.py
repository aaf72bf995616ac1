# SPDX-License-Identifier: Apache-2.0
"""volt-vmm in the background, for tests that talk to it while it runs."""
import os
import pathlib
import re
import select
import signal
import subprocess

from support import vmm

started = []


def kill_all():
    """What a failed test has left running."""
    while started:
        running = started.pop()
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


class Running:
    """volt-vmm in the background, whose log is read line by line."""

    def __init__(self, *args, cwd=None):
        self.process = subprocess.Popen([vmm.VMM, "--log-level", "info", *map(str, args)],
                                        cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.log = b""
        started.append(self)

    def read_log(self, timeout):
        if select.select([self.process.stderr], [], [], timeout)[0]:
            self.log += self.process.stderr.read() or b""

    def wait_for(self, text):
        """The next line of the log with @text in it."""
        def has_line():
            self.read_log(0.01)
            return re.search(rb"[^\n]*" + re.escape(text) + rb"[^\n]*\n", self.log)
        vmm.wait_until(has_line, f"the log has {text!r}; so far: {self.log!r}")
        found = has_line()
        self.log = self.log[found.end():]
        return found.group(0)

    def forget_log(self):
        """Waits until nothing more is on its way, and drops it."""
        def is_quiet():
            self.log = b""
            self.read_log(0.5)
            return not self.log
        vmm.wait_until(is_quiet, "the log is quiet")

    def wait_for_output(self, text):
        """Standard output up to and with @text."""
        os.set_blocking(self.process.stdout.fileno(), False)
        output = b""

        def has_text():
            nonlocal output
            if select.select([self.process.stdout], [], [], 0.05)[0]:
                output += self.process.stdout.read() or b""
            return text in output
        vmm.wait_until(has_text, f"the guest says {text!r}", timeout=240)
        return output

    def pause(self):
        self.process.send_signal(signal.SIGUSR1)
        return self.wait_for(b"paused")

    def resume(self):
        self.process.send_signal(signal.SIGUSR2)
        return self.wait_for(b"running")

    def machine(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[0])

    def vcpu_ticks(self):
        """CPU time of all vCPU threads, in clock ticks, and how many there are."""
        ticks = count = 0
        for task in pathlib.Path(f"/proc/{self.machine()}/task").iterdir():
            name, _, rest = (task / "stat").read_text().rpartition(")")
            if "(vcpu" in name:
                fields = rest.split()
                ticks += int(fields[11]) + int(fields[12])
                count += 1
        return ticks, count

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=60)
        assert self.process.returncode == 128 + signal.SIGTERM
