# SPDX-License-Identifier: Apache-2.0
"""What programs written for Firecracker send, request by request, in their order.

Each class plays one of them: its flags, how it waits for the socket, its requests with the fields
that it always sends, and how it ends the VM. Left out are the devices that volt-vmm does not have
yet. A class knows nothing of what it runs: that is in Machine.
"""
import dataclasses
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from support import vmm
from support.api import check_answer

# The lab emulates its processor; what a client allows a request is stretched there.
SLOWNESS = 8 if os.environ.get("LAB") else 1
POLL_S = 0.01
GUEST_S = 240

started = []


def kill_all():
    """What a failed test has left running."""
    while started:
        process = started.pop()
        if process.poll() is None:
            process.kill()
            process.wait()


@dataclasses.dataclass
class Machine:
    """What a client is to run."""
    kernel: pathlib.Path
    words: str  # of the kernel command line, behind those that the client has
    initrd: pathlib.Path = None
    rootfs: pathlib.Path = None
    disks: tuple = ()  # files
    cpus: int = 1
    memory_mib: int = 128


class Connection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.socket_path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.socket_path)


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class Client:
    """What all have in common: a folder with a program called firecracker, and its process."""
    request_s = 10
    headers = {"Host": "localhost", "Accept": "application/json",
               "Content-Type": "application/json"}
    body_end = ""

    def __init__(self, folder, machine):
        self.folder = folder
        self.machine = machine
        self.socket = folder / "fc.sock"
        self.program = folder / "firecracker"
        if not self.program.exists():
            self.program.symlink_to(vmm.VMM)
        self.process = self.connection = None
        self.fifos = {}
        self.collected = {}  # what was in the FIFOs at the end
        self.seen = 0  # how much of the output has been read

    # --- the process ---

    def start_process(self, *args, prefix=()):
        with open(self.folder / "stdout", "wb") as stdout, \
                open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen([*prefix, self.program, *map(str, args)],
                                            stdin=subprocess.PIPE, stdout=stdout, stderr=stderr)
        started.append(self.process)

    def output(self):
        return (self.folder / "stdout").read_text(errors="replace").replace("\r\n", "\n")

    def wait_for_output(self, pattern):
        """The first match of @pattern behind what was waited for before."""
        def has_match():
            found = re.compile(pattern).search(self.output(), self.seen)
            if not found and self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.output()!r} "
                                     f"{(self.folder / 'stderr').read_text()!r}")
            return found
        vmm.wait_until(has_match, f"the guest says {pattern!r}; so far {self.output()[-2000:]!r}",
                       GUEST_S)
        found = has_match()
        self.seen = found.end()
        return found

    def ask(self, command):
        """What @command prints in the guest, whose shell reads the serial port."""
        # The terminal echoes the line, but not what it is expanded to.
        self.process.stdin.write(f'echo "answer:$({command})"\n'.encode())
        self.process.stdin.flush()
        return self.wait_for_output(r"answer:([^$][^\n]*|)\n").group(1)

    def wait_for_end(self, timeout=GUEST_S):
        status = self.process.wait(timeout=timeout)
        if self.connection:
            self.connection.close()
        for name, fd in self.fifos.items():
            self.collected[name] = os.read(fd, 1 << 20).decode()
            os.close(fd)
        return status

    def fifo(self, name):
        """A FIFO that is open for reading, as it must be before volt-vmm opens it."""
        path = self.folder / name
        os.mkfifo(path)
        self.fifos[name] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        return str(path)

    # --- requests ---

    def request(self, method, path, body=None, timeout=None):
        """The decoded answer, on a connection that stays; Refused for all but 2xx."""
        if self.connection is None:
            self.connection = Connection(self.socket, None)
        self.connection.timeout = (timeout or self.request_s) * SLOWNESS
        if self.connection.sock:
            self.connection.sock.settimeout(self.connection.timeout)
        content = None if body is None else (json.dumps(body) + self.body_end).encode()
        self.connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if content is not None or name != "Content-Type":
                self.connection.putheader(name, value)
        if content is not None:
            self.connection.putheader("Content-Length", str(len(content)))
        self.connection.endheaders(content)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        check_answer(method, path, answer.status, answer.headers.get("content-type", ""),
                     text.encode())
        if answer.status not in (200, 204):
            raise Refused(answer.status, json.loads(text)["fault_message"])
        assert (answer.status == 204) == (text == "")
        return json.loads(text) if text else None

    def put(self, path, body, **kwargs):
        self.request("PUT", path, body, **kwargs)

    def patch(self, path, body):
        self.request("PATCH", path, body)

    def get(self, path):
        return self.request("GET", path)

    def wait_for_socket(self, seconds):
        end = time.monotonic() + seconds * SLOWNESS
        while not self.socket.exists():
            assert time.monotonic() < end, "no socket in time"
            assert self.process.poll() is None, (self.folder / "stderr").read_text()
            time.sleep(POLL_S)

    def act(self, action):
        self.put("/actions", {"action_type": action})

    # --- what they send ---

    def drives(self):
        """The root disk, if there is one, as most clients describe it."""
        if not self.machine.rootfs:
            return []
        return [{"drive_id": "rootfs", "is_read_only": False, "is_root_device": True,
                 "path_on_host": str(self.machine.rootfs)}]

    def placeholder(self, name):
        """An empty file: stands for a disk until there is one."""
        path = self.folder / name
        path.touch()
        return str(path)

    def boot_source(self, words):
        source = {"boot_args": f"{words} {self.machine.words}",
                  "kernel_image_path": str(self.machine.kernel)}
        if self.machine.initrd:
            source["initrd_path"] = str(self.machine.initrd)
        return source

    def machine_config(self, **more):
        return {"mem_size_mib": self.machine.memory_mib, "vcpu_count": self.machine.cpus, **more}

    def boot(self):
        raise NotImplementedError

    def end(self):
        """Ends the VM as the client does; returns the exit status."""
        self.process.kill()
        return self.wait_for_end()


class GoSdk(Client):
    """firecracker-go-sdk, and what is built on it: firectl, kraftkit, firecracker-containerd."""
    request_s = 0.5
    headers = {"Host": "localhost", "User-Agent": "Go-http-client/1.1",
               "Accept": "application/json", "Content-Type": "application/json",
               "Accept-Encoding": "gzip"}
    body_end = "\n"
    words = "console=ttyS0 reboot=k panic=1 pci=off"

    def start(self):
        assert not self.socket.exists()
        self.start_process("--api-sock", self.socket, "--id",
                           "d8d9b0d6-9b2b-4c4b-8c19-7f1b1c7b3d55", "--no-seccomp")
        self.wait_for_socket(3)
        self.get("/machine-config")

    def configure(self):
        self.put("/logger", {"level": "Debug", "log_path": self.fifo("log.fifo"),
                             "show_level": True, "show_log_origin": False})
        self.put("/metrics", {"metrics_path": self.fifo("metrics.fifo")})
        self.put("/machine-config", self.machine_config(smt=False))
        found = self.get("/machine-config")
        assert found["vcpu_count"] == self.machine.cpus
        self.put("/boot-source", self.boot_source(self.words))
        for number, drive in enumerate(self.drives(), 1):
            self.put(f"/drives/{number}", dict(drive, drive_id=str(number)))

    def boot(self):
        self.start()
        self.configure()
        self.put("/actions", {"action_type": "InstanceStart"}, timeout=60)

    def end(self):
        self.act("SendCtrlAltDel")
        return self.wait_for_end()


class KataGo(Client):
    """Kata's runtime in Go: a file with all of it, disks that get their image when it is needed."""
    words = ("console=ttyS0 reboot=k panic=1 acpi=off pci=off iommu=off net.ifnames=0 "
             "random.trust_cpu=on 8250.nr_uarts=1")
    placeholders = 8

    def check_version(self):
        text = subprocess.run([self.program, "--version"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout
        found = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", text.splitlines()[0].split()[1])
        assert tuple(map(int, found.groups())) >= (0, 21, 1)

    def config(self):
        drives = self.drives()
        for number in range(self.placeholders):
            drives.append({"drive_id": f"drive_{number}",
                           "path_on_host": self.placeholder(f"drive_{number}"),
                           "is_root_device": False, "is_read_only": False})
        return {"boot-source": self.boot_source(self.words),
                "machine-config": self.machine_config(smt=False),
                "drives": drives,
                "network-interfaces": [],
                "logger": {"log_path": self.fifo("log.fifo"), "level": "Debug"},
                "metrics": {"metrics_path": self.fifo("metrics.fifo")}}

    def boot(self):
        self.check_version()
        config = self.folder / "fcConfig.json"
        config.write_text(json.dumps(self.config()))
        self.start_process("--api-sock", self.socket, "--config-file", config)
        end = time.monotonic() + 10 * SLOWNESS
        while not self.is_running():
            assert time.monotonic() < end, "not running in time"
            assert self.process.poll() is None, (self.folder / "stderr").read_text()
            time.sleep(POLL_S)

    def is_running(self):
        try:
            return self.get("/")["state"] == "Running"
        except OSError:
            self.connection = None
            return False

    def plug(self, number, image):
        self.patch(f"/drives/drive_{number}",
                   {"drive_id": f"drive_{number}", "path_on_host": str(image)})

    def unplug(self, number):
        self.plug(number, self.folder / f"drive_{number}")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait_for_end()


class KataRs(Client):
    """Kata's runtime in Rust: no wait for the socket, each request is tried 500 times."""
    words = "console=ttyS0 reboot=k panic=1 pci=off iommu=off root=/dev/vda ro rootfstype=ext4"
    placeholders = 5

    def __init__(self, folder, machine):
        super().__init__(folder, machine)
        # hyperlocal puts the path of the socket, in hexadecimal, where a host's name belongs.
        self.headers = {"host": str(self.socket).encode().hex(),
                        "accept": "application/json", "content-type": "application/json"}

    def request(self, method, path, body=None, timeout=None):
        for _ in range(500):
            try:
                return super().request(method, path, body, timeout)
            except OSError:
                self.connection = None
                time.sleep(POLL_S)
        raise AssertionError(f"{method} {path}: nobody answers")

    def drives(self):
        """The guest's root is no root device: its name is on the command line."""
        return [dict(drive, is_read_only=True, is_root_device=False) for drive in super().drives()]

    def boot(self):
        self.start_process("--api-sock", self.socket, "--no-seccomp")
        self.put("/boot-source", self.boot_source(self.words))
        self.put("/machine-config", self.machine_config())
        for drive in self.drives():
            self.put("/drives/rootfs", drive)
        for number in range(1, self.placeholders + 1):
            self.put(f"/drives/drive{number}",
                     {"drive_id": f"drive{number}",
                      "path_on_host": self.placeholder(f"drive{number}"),
                      "is_root_device": False, "is_read_only": False})
        self.act("InstanceStart")

    def plug(self, number, image, limiter=None):
        self.patch(f"/drives/drive{number}", {"drive_id": f"drive{number}",
                                              "path_on_host": str(image), "rate_limiter": limiter})


class Flintlock(Client):
    """flintlock: files and no API."""
    words = ("console=ttyS0 reboot=k panic=1 pci=off i8042.noaux i8042.nomux i8042.nopnp "
             "i8042.dumbkbd")

    def config(self):
        drives = [dict(drive, cache_type="Unsafe") for drive in self.drives()]
        return {"boot-source": self.boot_source(self.words),
                "machine-config": self.machine_config(smt=True, track_dirty_pages=False),
                "drives": drives,
                "logger": {"log_path": str(self.folder / "firecracker.log"), "level": "Debug",
                           "show_level": True, "show_log_origin": True},
                "metrics": {"metrics_path": str(self.folder / "firecracker.metrics")}}

    def boot(self):
        config = self.folder / "firecracker.cfg"
        config.write_text(json.dumps(self.config()))
        metadata = self.folder / "metadata.json"
        metadata.write_text(json.dumps({"latest": {"meta-data": {"instance_id": "mvm-1"}}}))
        self.start_process("--id", "mvm-1", "--boot-timer", "--no-api", "--config-file", config,
                           "--metadata", metadata)
        assert not self.socket.exists()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait_for_end()


class MicrovmNix(Client):
    """microvm.nix: a file whose disks are called by their paths, stopped by curl."""
    words = "console=ttyS0 noapic acpi=off reboot=k panic=1"
    cpu_config = None

    def config(self):
        drives = [{"drive_id": str(disk), "is_read_only": False, "is_root_device": False,
                   "path_on_host": str(disk), "io_engine": "Sync"} for disk in self.machine.disks]
        return {"boot-source": dict(self.boot_source(self.words),
                                    initrd_path=str(self.machine.initrd)),
                "machine-config": self.machine_config(),
                "cpu-config": self.cpu_config,
                "drives": drives,
                "network-interfaces": [],
                "vsock": None}

    def boot(self):
        config = self.folder / "firecracker-vm.json"
        config.write_text(json.dumps(self.config()))
        self.start_process("--config-file", config, "--api-sock", self.socket)

    def end(self):
        """Without a Content-Type; then waits until the other side of another connection is gone."""
        listener = socket.socket(socket.AF_UNIX)
        listener.settimeout(GUEST_S)
        listener.connect(str(self.socket))
        result = subprocess.run(["curl", "--silent", "--unix-socket", self.socket, "-X", "PUT",
                                 "-H", "Content-Type:", "http://localhost/actions",
                                 "-d", '{"action_type": "SendCtrlAltDel"}'],
                                check=True, stdout=subprocess.PIPE)
        assert result.stdout == b""
        assert listener.recv(1) == b""
        listener.close()
        return self.wait_for_end()


class E2b(Client):
    """E2B's orchestrator: a mount name space of its own, and asks what is not there."""
    words = "quiet loglevel=1 console=ttyS0 reboot=k panic=1 pci=off i8042.nokbd i8042.noaux"
    headers = GoSdk.headers
    body_end = "\n"

    def boot(self):
        self.start_process("--api-sock", self.socket,
                           prefix=["unshare", "-m", "--"])
        self.wait_for_socket(10)
        self.put("/metrics", {"metrics_path": self.fifo("metrics.fifo")})
        self.put("/boot-source", self.boot_source(self.words))
        for drive in self.drives():
            self.put("/drives/rootfs", dict(drive, cache_type="Unsafe", io_engine="Async"))
        self.put("/machine-config", self.machine_config(smt=self.machine.cpus > 1,
                                                        track_dirty_pages=False,
                                                        huge_pages="None"))
        self.act("InstanceStart")

    def has_balloon(self):
        try:
            self.get("/balloon")
        except Refused as e:
            assert e.status == 400
            return False
        return True

    def limit(self, operations):
        """New operations each second; a bucket that is left out stays as it is."""
        self.patch("/drives/rootfs",
                   {"drive_id": "rootfs",
                    "rate_limiter": {"ops": {"size": operations, "refill_time": 1000,
                                             "one_time_burst": 0}}})

    def set_state(self, state):
        self.patch("/vm", {"state": state})
