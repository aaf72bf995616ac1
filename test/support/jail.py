# SPDX-License-Identifier: Apache-2.0
"""A jail and the jailer that makes it, for tests."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import httpx

from support import vmm

JAILER = vmm.BUILD / "jailer" / "jailer"
NAME = "firecracker"
CONFIG = ('{"boot-source": {"kernel_image_path": "/kernel"}, "drives": [],'
          ' "machine-config": {"vcpu_count": 1, "mem_size_mib": 32}}')

started = []


def kill_all():
    """What a failed test has left running."""
    while started:
        pid = started.pop()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def is_static(program):
    """Whether it can run in a jail without its libraries (those of a sanitizer, for one)."""
    return subprocess.run(["readelf", "-l", program], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.find("INTERP") < 0


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def status(pid):
    """/proc/PID/status as a dictionary."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


class Jail:
    """The folder <base>/firecracker/<id>/root, and the command line that makes it."""

    def __init__(self, tmp_path, vm="vm-1", uid=1234, gid=1235, base=None):
        self.base = base or tmp_path / "base"
        self.base.mkdir(exist_ok=True)
        self.program = tmp_path / NAME
        if not self.program.is_symlink():
            self.program.symlink_to(vmm.VMM)
        self.vm, self.uid, self.gid = vm, uid, gid
        self.root = self.base / NAME / vm / "root"
        self.pid_file = self.root / f"{NAME}.pid"
        self.prefix = []

    def put(self, source, name):
        """A file for the program, in place before the jailer runs: clients do so."""
        self.root.mkdir(parents=True, exist_ok=True)
        if isinstance(source, str):
            (self.root / name).write_text(source)
        else:
            shutil.copyfile(source, self.root / name)

    def put_guest(self, guest="hello"):
        self.put(vmm.guest(guest), "kernel")
        self.put(CONFIG, "vm.json")

    def command(self, *options, program=("--no-api", "--config-file", "/vm.json"), **changes):
        """@changes replaces what is always given, or leaves it out (None)."""
        always = {"id": self.vm, "exec_file": self.program, "uid": self.uid, "gid": self.gid,
                  "chroot_base_dir": self.base, **changes}
        words = [*self.prefix, JAILER]
        for name, value in always.items():
            if value is not None:
                words += ["--" + name.replace("_", "-"), value]
        return [*map(str, words), *map(str, options), "--", *map(str, program)]

    def run(self, *options, **kwargs):
        """To the end of the process that was started."""
        return subprocess.run(self.command(*options, **kwargs), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=vmm.DEADLINE_S)

    def start(self, *options, pass_fds=(), env=None, **kwargs):
        """In the background, up to the pid file."""
        process = subprocess.Popen(self.command(*options, **kwargs), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   pass_fds=pass_fds, env=env)
        started.append(process.pid)
        vmm.wait_until(lambda: self.has_pid() or process.poll() is not None, "the pid is there")
        assert process.poll() is None, process.communicate()
        return process

    def start_apart(self, *options, **kwargs):
        """For --daemonize and --new-pid-ns: the process id of the program."""
        with tempfile.TemporaryFile() as stderr:  # a pipe would be the program's too
            result = subprocess.run(self.command(*options, **kwargs), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=stderr, check=False,
                                    timeout=vmm.DEADLINE_S)
            if self.has_pid():
                started.append(self.pid())
            stderr.seek(0)
            assert (result.returncode, stderr.read()) == (0, b"")
        return self.pid()

    def has_pid(self):
        return self.pid_file.exists() and self.pid_file.read_text()

    def pid(self):
        return int(self.pid_file.read_text())

    def cleanup(self, *options):
        command = [*self.prefix, JAILER, "--cleanup", "--id", self.vm, "--exec-file", self.program,
                   "--chroot-base-dir", self.base, *options]
        return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, timeout=vmm.DEADLINE_S)

    def client(self, socket="run/firecracker.socket"):
        path = self.root / socket
        vmm.wait_until(path.exists, "the socket is there")
        # By its folder's descriptor: the address of a socket has room for 107 bytes.
        folder = os.open(path.parent, os.O_PATH)
        transport = httpx.HTTPTransport(uds=f"/proc/{os.getpid()}/fd/{folder}/{path.name}")
        return httpx.Client(transport=transport,
                            base_url="http://localhost", timeout=vmm.DEADLINE_S)

    def put_to(self, client, path, body):
        response = client.put(path, json=body)
        assert response.status_code == 204, response.text
