# SPDX-License-Identifier: Apache-2.0
"""What control may still do while the guest runs."""
import os
import subprocess

import pytest

from support import vmm
from support.api import Api, has_kvm
from support.running import kill_all

pytestmark = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")

CAP_KILL = 1 << 5


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    kill_all()


@pytest.fixture(name="places")
def two_folders_with_disks(tmp_path):
    """A disk to start with, another beside it, and one elsewhere."""
    found = []
    for name in ("here/first", "here/second", "elsewhere/third"):
        disk = tmp_path / name
        disk.parent.mkdir(exist_ok=True)
        disk.write_bytes(bytes(1 << 20))
        found.append(disk)
    return found


def change(path):
    return "PATCH", "/drives/data", {"drive_id": "data", "path_on_host": str(path)}


def status_of(pid):
    lines = open(f"/proc/{pid}/status", encoding="utf-8").read().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_control_has_a_filter_and_no_capabilities():
    with Api() as api:
        api.start()
        vmm.wait_until(lambda: status_of(api.process.pid)["Seccomp"] == "2", "control has a filter")
        status = status_of(api.process.pid)
        assert status["NoNewPrivs"] == "1"
        kept = CAP_KILL if os.geteuid() == 0 else 0
        for name in ("CapPrm", "CapEff"):
            assert int(status[name], 16) == kept
        for name in ("CapInh", "CapBnd", "CapAmb"):
            assert os.geteuid() != 0 or int(status[name], 16) == 0


def test_files_of_the_same_folder_can_be_opened(places):
    with Api() as api:
        api.start(data=places[0])
        api.do(*change(places[1]))


def test_files_of_other_folders_cannot(places, tmp_path):
    link = tmp_path / "here" / "link"
    link.symlink_to(places[2])
    with Api() as api:
        api.start(data=places[0])
        for path in (places[2], link, "/etc/passwd", places[0].parent / ".." / "elsewhere" / "third"):
            message = api.fault(*change(path))
            assert "--allow" in message and str(path) in message
        api.do(*change(places[1]))


def test_the_kernel_forbids_it_too(places):
    """Without our own look at the path: /proc/PID/root is another name for the same file."""
    with Api() as api:
        api.start(data=places[0])
        message = api.fault(*change(f"/proc/{api.process.pid}/root{places[2]}"))
        assert "--allow" in message or "Permission denied" in message


def test_allow_opens_a_folder(places):
    with Api("--allow", places[2].parent) as api:
        api.start(data=places[0])
        api.do(*change(places[2]))


def test_allow_for_reading_does_not_open_for_writing(places):
    with Api("--allow", f"{places[2].parent},ro") as api:
        api.start(data=places[0])
        assert "Permission denied" in api.fault(*change(places[2]))


def test_before_the_start_every_file_can_be_opened(places):
    with Api() as api:
        api.do("PUT", "/drives/data", {"drive_id": "data", "is_root_device": False,
                                       "is_read_only": False, "path_on_host": str(places[0])})
        api.start(data=places[2])
        api.do(*change(places[2]))


def test_firecracker_opens_all_files(places, tmp_path):
    name = tmp_path / "firecracker"
    name.symlink_to(vmm.VMM)
    socket = tmp_path / "s"
    config = tmp_path / "config.json"
    config.write_text('{"boot-source": {"kernel_image_path": "%s"}, "drives": [{"drive_id": "data", '
                      '"is_root_device": false, "is_read_only": false, "path_on_host": "%s"}]}'
                      % (vmm.guest("spin"), places[0]))
    with subprocess.Popen([name, "--api-sock", socket, "--config-file", config],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            vmm.wait_until(lambda: socket.exists() and status_of(process.pid)["Seccomp"] == "2",
                           "it runs")
            method, path, body = change(places[2])
            done = subprocess.run(["curl", "-s", "-i", "--unix-socket", socket, "-X", method,
                                   f"http://x{path}", "-d", str(body).replace("'", '"')],
                                  capture_output=True, check=True)
            assert b" 204 " in done.stdout
        finally:
            process.terminate()


@pytest.mark.parametrize("path", ["/nonexistent", "/nonexistent,ro"])
def test_allow_needs_a_path_that_is_there(path):
    result = vmm.run("--kernel", vmm.guest("hello"), "--allow", path)
    assert result.returncode == 2
    assert b"--allow: '/nonexistent': No such file" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a folder of another user")
def test_root_uses_folders_of_others(places):
    """Capabilities that open them go, but not before the rules are made."""
    folder = places[0].parent.parent
    os.chown(folder, 1234, 1234)
    os.chmod(folder, 0o700)
    with Api() as api:
        api.start(data=places[0])
        vmm.wait_until(lambda: status_of(api.process.pid)["Seccomp"] == "2", "control has a filter")
        assert api.get("/")["state"] == "Running"
