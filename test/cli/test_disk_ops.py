# SPDX-License-Identifier: Apache-2.0
"""A guest that does one of each operation on a disk, while all that can change does."""
import os
import pathlib
import signal
import subprocess

import pytest

from support import vmm
from support.api import Api, has_kvm
from support.running import kill_all

pytestmark = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")

DISK_BYTES = 4096 * 512
WELL = b"+++++++\n"


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    kill_all()


def make_files(folder):
    files = [folder / name for name in ("one", "two")]
    for file in files:
        file.write_bytes(bytes(DISK_BYTES))
    return files


def attach(file):
    """A block device over @file; a host where there are none is not to be tested with them."""
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        pytest.skip("needs root and loop devices")
    done = subprocess.run(["losetup", "--show", "-f", file], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        pytest.skip("no loop device")
    return pathlib.Path(done.stdout.decode().strip())


@pytest.fixture(name="disks", params=["file", "block device"])
def two_disks(request, tmp_path):
    files = make_files(tmp_path)
    if request.param == "file":
        yield files
        return
    devices = []
    try:
        for file in files:
            devices.append(attach(file))
        yield devices
    finally:
        for device in devices:
            subprocess.run(["losetup", "-d", device], check=True)


class Guest(Api):
    def __init__(self, *args):
        super().__init__("--kernel", vmm.guest("disk-ops"), "--memory", "32M", *args)
        self.running.wait_for_output(b"ready\n")
        self.drive = "/v1/drives/" + self.get("/v1/drives")["drives"][0]["id"]

    def say(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def operate(self):
        self.say(b"x")
        assert self.running.wait_for_output(b"\n") == WELL

    def end(self):
        self.say(b".")
        assert self.process.wait(timeout=vmm.DEADLINE_S) == 0


@pytest.mark.parametrize("thread", ["", ",iothread=io"])
@pytest.mark.parametrize("engine", ["sync", "io_uring", "auto"])
def test_operations_while_all_changes(disks, engine, thread):
    with Guest("--track-dirty-pages", "--allow", disks[1],
               "--drive", f"{disks[0]},engine={engine}{thread}") as guest:
        guest.operate()
        guest.do("PATCH", guest.drive, {"path": str(disks[1])})
        guest.operate()
        guest.do("PATCH", guest.drive, {"ops": "10:100"})
        guest.operate()
        guest.do("PUT", "/v1/vm/state", {"state": "paused"})
        guest.do("PUT", "/v1/vm/state", {"state": "running"})
        guest.operate()
        for pid in (guest.running.machine(), guest.process.pid):
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)
        guest.operate()
        guest.end()


@pytest.mark.parametrize("thread", ["", ",iothread=io"])
def test_direct_access(tmp_path, thread):
    disks = make_files(tmp_path)
    try:
        os.close(os.open(disks[0], os.O_RDONLY | os.O_DIRECT))
    except OSError:
        pytest.skip("no direct access here")
    with Guest("--drive", f"{disks[0]},direct=on{thread}") as guest:
        guest.operate()
        guest.do("PATCH", guest.drive, {"path": str(disks[1])})
        guest.operate()
        guest.end()
