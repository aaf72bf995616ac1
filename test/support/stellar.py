# SPDX-License-Identifier: Apache-2.0
"""Runs stellarium for tests: as a plain command, in a store of the test's, or on a terminal."""
import fcntl
import json
import os
import pty
import random
import signal
import subprocess
import termios

from support import vmm

STELLARIUM = vmm.BUILD / "stellarium" / "stellarium"
TRAITOR = vmm.BUILD / "test" / "traitor" / "stellarium-traitor"  # not in builds without a sandbox
KIB, MIB = 1 << 10, 1 << 20


def environment(**more):
    kept = {key: value for key, value in os.environ.items() if key != "STELLARIUM_STORE"}
    return kept | {key: str(value) for key, value in more.items()}


def run(*args, stdin=b"", timeout=vmm.DEADLINE_S, env=None, program=STELLARIUM, **kwargs):
    """Runs stellarium to its end; no terminal that it could ask on."""
    return subprocess.run([program, *map(str, args)], input=stdin, capture_output=True,
                          timeout=timeout, check=False, env=env or environment(),
                          start_new_session=True, **kwargs)


def refused(result, status, message):
    """One line, @message, and nothing else."""
    assert result.stderr.decode() == f"stellarium: {message}\n"
    assert result.returncode == status
    assert result.stdout == b""


def data(nr_bytes, seed=1):
    """The same bytes each time, which do not compress."""
    return random.Random(seed).randbytes(nr_bytes)


class Store:
    def __init__(self, path, *init):
        self.path = path
        self.ok("init", *init)

    def run(self, *args, **kwargs):
        return run("--store", self.path, *args, **kwargs)

    def ok(self, *args, **kwargs):
        """What it prints, when it ends well and says nothing on standard error."""
        result = self.run(*args, **kwargs)
        assert (result.returncode, result.stderr) == (0, b""), result
        return result.stdout

    def json(self, *args, status=0, **kwargs):
        result = self.run(*args, "--json", **kwargs)
        assert result.returncode == status, result
        return json.loads(result.stdout)

    def put(self, name, content, *args):
        return self.json("import", "--name", name, "-", *args, stdin=content)

    def get(self, name):
        return self.ok("cat", name)

    def names(self):
        return [image["name"] for image in self.json("ls")]

    def files(self):
        """All files and their bytes, so that a change shows; but for LMDB's table of readers."""
        return {str(path.relative_to(self.path)): path.read_bytes()
                for path in sorted(self.path.rglob("*"))
                if path.is_file() and path.name != "lock.mdb"}


def heed_signals():
    """In a new process: what a terminal sends is not ignored, whoever started the tests."""
    for number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP:
        signal.signal(number, signal.SIG_DFL)


def start(*args, **kwargs):
    """In the background."""
    return subprocess.Popen([STELLARIUM, *map(str, args)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment(), start_new_session=True,
                            preexec_fn=heed_signals, **kwargs)


def own_terminal(child):
    heed_signals()
    fcntl.ioctl(child, termios.TIOCSCTTY, 0)


class Terminal(vmm.Terminal):
    """stellarium on a terminal that is its own, so that it can ask and gets Ctrl-C."""

    def __init__(self, *args, term="xterm", **kwargs):
        self.parent, child = pty.openpty()
        self.child = child
        self.settings_before = self.settings()
        self.process = subprocess.Popen(
            [STELLARIUM, *map(str, args)], **{"stdin": child, "stdout": child, "stderr": child}
            | kwargs, start_new_session=True, env=environment(TERM=term),
            preexec_fn=lambda: own_terminal(child), pass_fds=[child])
        self.output = b""

    def is_silent(self):
        return not self.settings()[3] & termios.ECHO

    def answer(self, question, line):
        """Answers the next question; the terminal must be silent meanwhile."""
        self.read_until(question)
        vmm.wait_until(self.is_silent, "the terminal is silent")
        self.output = b""
        self.send(line + b"\n")

    def end(self):
        status = self.wait()
        while True:
            before = len(self.output)
            self.read_some()
            if len(self.output) == before:
                break
        assert self.settings() == self.settings_before
        self.close()
        return status, self.output.decode()


def stop(process, number=signal.SIGINT):
    """Sends the signal; the status and what was said."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=vmm.DEADLINE_S)
    return process.returncode, stdout, stderr.decode()
