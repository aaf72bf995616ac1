# SPDX-License-Identifier: Apache-2.0
"""Linux guests in jails, as programs written for Firecracker's jailer lay them out."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from support import clients, jail, linux, vmm

UID, GID = 123, 100
VM = "551e7604-e35c-42b3-b825-416853441234"


@pytest.fixture(name="base")
def fixture_base():
    """A short path, as /srv/jailer is: that of a socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="j-", dir="/tmp") as folder:
        # Shared, as all mounts are on most hosts: clients count on it.
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "--make-shared", folder], check=True)
        yield pathlib.Path(folder)
        clients.kill_all()
        jail.kill_all()
        subprocess.run(["umount", "--recursive", "--lazy", folder], check=True)


class Jailed:
    """A client whose files are in the jail's root, by the names that the program sees."""

    def prepare(self, base, uid, gid):
        self.home = jail.Jail(self.folder, vm=VM, uid=uid, gid=gid, base=base)
        self.socket = self.home.root / "run" / "firecracker.socket"
        self.home.root.mkdir(parents=True)

    def fifo(self, name):
        path = self.home.root / name
        os.mkfifo(path)
        os.chown(path, self.home.uid, self.home.gid)
        self.fifos[name] = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        return name


class GoSdk(Jailed, clients.GoSdk):
    """firecracker-go-sdk: links files into the jail; the jailer becomes the program."""

    def start(self):
        command = self.home.command("--cgroup-version", 2, *self.cgroups,
                                    program=["--no-seccomp", "--api-sock",
                                             "/run/firecracker.socket"])
        with open(self.folder / "stdout", "wb") as stdout, \
                open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout,
                                            stderr=stderr)
        clients.started.append(self.process)
        self.wait_for_socket(3)
        self.get("/machine-config")


def test_go_sdk(tmp_path, base):
    client = GoSdk(tmp_path, clients.Machine(kernel="/vmlinux", rootfs="/root.img",
                                             words=linux.encoded("echo READY; sleep 600")))
    client.prepare(base, UID, GID)
    shutil.copy(linux.path_of("VOLT_KERNEL_LEAN") / "vmlinux", client.home.root)
    linux.disk(client.home.root)
    os.chown(client.home.root / "root.img", UID, GID)
    settings = {"cpu.weight": "50", "memory.max": "536870912", "pids.max": "100",
                "io.weight": "default 50"}
    top = pathlib.Path("/sys/fs/cgroup")
    available = (top / "cgroup.controllers").read_text().split()
    assert {"cpu", "memory", "pids"} <= set(available)
    if "io" not in available or not any(top.glob("*/io.weight")):
        del settings["io.weight"]
        settings["io.max"] = "1:0 rbps=max wbps=max riops=max wiops=max"
    client.cgroups = [word for file, value in settings.items() if file.split(".")[0] in available
                      for word in ("--cgroup", f"{file}={value}")]
    client.boot()
    client.wait_for_output("READY\n")
    pid = client.process.pid
    assert client.home.pid() == pid
    assert pathlib.Path(f"/proc/{pid}/cgroup").read_text() == f"0::/{jail.NAME}/{VM}\n"
    folder = top / jail.NAME / VM
    for file in ("cpu.weight", "memory.max", "pids.max"):
        assert (folder / file).read_text().strip() == settings[file]
    client.process.terminate()
    client.wait_for_end()
    result = client.home.cleanup()
    assert (result.returncode, result.stderr) == (0, b"")
    assert not folder.exists()
    assert not client.home.root.parent.exists()


class Kata(Jailed, clients.KataGo):
    """Kata's runtime in Go: mounts files into the jail, also while it runs."""

    def mount(self, source, name):
        place = self.home.root / name
        place.touch()
        subprocess.run(["mount", "--bind", source, place], check=True)

    def placeholder(self, name):
        (self.home.root / name).touch()
        return f"/{name}"

    def boot(self, netns):
        self.check_version()
        (self.home.root / "fcConfig.json").write_text(json.dumps(self.config()))
        self.pid = self.home.start_apart("--daemonize", "--netns", netns,
                                         program=["--config-file", "fcConfig.json"])
        vmm.wait_until(self.socket.exists, "the socket is there")
        vmm.wait_until(self.is_running, "the VM runs")

    def plug_mounted(self, number, image):
        self.mount(image, f"layer-{number}")
        self.plug(number, f"/layer-{number}")


def test_kata(tmp_path, base):
    netns = tmp_path / "netns"
    netns.touch()
    subprocess.run(["unshare", f"--net={netns}", "true"], check=True)
    words = linux.encoded('while [ "$(blockdev --getsize64 /dev/vdb)" = 0 ]; do sleep 0.1; done; '
                          'echo booted | dd of=/dev/vdb conv=fsync; sleep 600')
    client = Kata(tmp_path, clients.Machine(kernel="/vmlinux", rootfs="/root.img", words=words))
    client.prepare(base, 0, 0)
    client.mount(linux.path_of("VOLT_KERNEL_LEAN") / "vmlinux", "vmlinux")
    client.mount(linux.disk(tmp_path), "root.img")
    client.boot(netns)
    assert os.stat(f"/proc/{client.pid}/ns/net").st_ino == netns.stat().st_ino
    image = tmp_path / "layer.img"
    image.write_bytes(bytes(1 << 20))
    client.plug_mounted(0, image)
    vmm.wait_until(lambda: image.read_bytes().startswith(b"booted\n"), "the guest writes",
                   clients.GUEST_S)
    os.kill(client.pid, signal.SIGTERM)
    vmm.wait_until(lambda: not jail.is_running(client.pid), "the program ends")
    result = client.home.cleanup()
    assert result.returncode == 1 and b"something is mounted there" in result.stderr
    for name in ("layer-0", "root.img", "vmlinux"):
        subprocess.run(["umount", client.home.root / name], check=True)
    assert client.home.cleanup().returncode == 0
    assert not client.home.root.parent.exists()
