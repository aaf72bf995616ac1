# SPDX-License-Identifier: Apache-2.0
"""Corners of a VM's life that need a system call of their own (test_system_calls.py)."""
import fcntl
import os
import pathlib
import signal

import pytest

from support import vmm
from support.api import Api, has_kvm
from support.running import Running, kill_all

pytestmark = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")

SANDBOX = vmm.BUILD / "test" / "traitor" / "volt-vmm-traitor"


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    kill_all()


@pytest.fixture(name="disks")
def disk_files(tmp_path):
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        path.write_bytes(bytes(1 << 20))
    return paths


def start(api, **drives):
    """Until control has its filter, too."""
    api.start(**drives)
    if not SANDBOX.exists():
        return  # a build with sanitizers
    status = pathlib.Path(f"/proc/{api.process.pid}/status")
    vmm.wait_until(lambda: "Seccomp:\t2" in status.read_text(), "control is confined")


def test_a_machine_that_does_not_end_is_killed():
    running = Running("--kernel", vmm.guest("spin"), "--no-api")
    running.wait_for(b"running")
    os.kill(running.machine(), signal.SIGSTOP)
    running.process.terminate()
    running.wait_for(b"")
    running.process.terminate()
    assert running.process.wait(timeout=vmm.DEADLINE_S) == 128 + signal.SIGTERM


def test_stop_and_continue_on_a_terminal():
    terminal = vmm.Terminal("--kernel", vmm.guest("spin"), "--log-level", "info", "--no-api")
    terminal.read_until(b"spinning")
    terminal.process.send_signal(signal.SIGTSTP)
    vmm.wait_until(lambda: not terminal.is_raw(), "the terminal is cooked while we are stopped")
    terminal.process.send_signal(signal.SIGCONT)
    vmm.wait_until(terminal.is_raw, "the terminal is raw again")
    terminal.send(b"\x01x")
    assert terminal.wait() == 0
    terminal.close()


def test_a_drive_that_somebody_has_locked(disks):
    with open(disks[1], "rb+") as locked, Api() as api:
        fcntl.flock(locked, fcntl.LOCK_EX)
        start(api, data=disks[0])
        assert "lock" in api.fault("PATCH", "/drives/data", {"drive_id": "data",
                                                             "path_on_host": str(disks[1])})


def test_a_relative_path(disks):
    with Api() as api:
        start(api, data=disks[0])
        message = api.problem("PATCH", "/v1/drives/data", 422, {"path": "../etc/passwd"})
        assert "--allow" in message or "No such file" in message


def test_bodies_of_all_sizes():
    with Api("--http-api-max-payload-size", 4 << 20, "--mmds-size-limit", 4 << 20) as api:
        start(api)
        for size in (1 << 10, 200 << 10, 1 << 20, 3 << 20, 1 << 10):
            assert "not initialized" in api.fault("PUT", "/mmds", {"text": "x" * size})


def test_files_that_come_too_late(disks):
    with Api() as api:
        start(api, data=disks[0])
        path = str(disks[1])
        for place, body in (("/drives/more", {"drive_id": "more", "is_root_device": False,
                                              "is_read_only": False, "path_on_host": path}),
                            ("/pmem/more", {"id": "more", "path_on_host": path}),
                            ("/boot-source", {"kernel_image_path": path})):
            api.fault("PUT", place, body)
        assert len(api.get("/v1/drives")["drives"]) == 1


def test_a_client_that_does_not_speak_http():
    with Api() as api:
        start(api)
        assert b" 400 " in api.raw(b"no request\r\n\r\n", end=False)
