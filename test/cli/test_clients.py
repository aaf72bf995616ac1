# SPDX-License-Identifier: Apache-2.0
"""Programs written for Firecracker start and end a VM; test/e2e/test_clients.py has Linux in it."""
import os
import stat
import subprocess

import pytest

from support import clients, vmm
from support.api import has_kvm

ALL = [clients.GoSdk, clients.KataGo, clients.KataRs, clients.Flintlock, clients.MicrovmNix,
       clients.E2b]


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    clients.kill_all()


def machine(tmp_path):
    if not has_kvm():
        pytest.skip("no usable /dev/kvm")
    disk, initrd = tmp_path / "disk.img", tmp_path / "initrd"
    for file in (disk, initrd):
        file.write_bytes(bytes(1 << 20))
    return clients.Machine(kernel=vmm.guest("spin"), words="", rootfs=disk, initrd=initrd)


@pytest.mark.parametrize("kind", ALL)
def test_starts(tmp_path, kind):
    client = kind(tmp_path, machine(tmp_path))
    client.boot()
    client.wait_for_output("spinning")
    if kind is not clients.Flintlock:
        assert client.get("/")["state"] == "Running"
        assert stat.S_ISSOCK(os.stat(client.socket).st_mode)
    client.process.terminate()
    assert client.wait_for_end() != 0


@pytest.mark.parametrize("kind", [clients.KataGo, clients.KataRs])
def test_an_empty_file_keeps_a_place_for_a_disk(tmp_path, kind):
    client = kind(tmp_path, machine(tmp_path))
    client.boot()
    disk = tmp_path / "layer.img"
    disk.write_bytes(bytes(1 << 20))
    client.plug(1, disk)
    assert str(disk) in [drive["path_on_host"] for drive in client.get("/vm/config")["drives"]]
    client.plug(1, client.placeholder("again"))


def test_an_empty_file_is_a_mistake_elsewhere(tmp_path):
    empty = tmp_path / "empty.img"
    empty.touch()
    result = vmm.run("--kernel", vmm.guest("hello"), "--drive", empty)
    assert result.returncode == 1 and b"is empty; give it a size" in result.stderr


@pytest.mark.parametrize("change", [
    {"path_on_host": "/nonexistent/disk.img"},
    {"path_on_host": "/"},
    {"path_on_host": 5},
    {"rate_limiter": {"ops": {"size": -1, "refill_time": 100}}},
    {"drive_id": "other"},
])
def test_refusals_leave_the_vm_as_it_was(tmp_path, change):
    client = clients.KataRs(tmp_path, machine(tmp_path))
    client.boot()
    before = client.get("/vm/config")
    with pytest.raises(clients.Refused) as refusal:
        client.patch("/drives/drive1", {"drive_id": "drive1", **change})
    assert refusal.value.status == 400
    assert client.get("/vm/config") == before
    assert client.get("/")["state"] == "Running"


def test_a_client_that_hangs_up_harms_nobody(tmp_path):
    """In the midst of a request, and before its answer: the next one is served."""
    client = clients.E2b(tmp_path, machine(tmp_path))
    client.boot()
    for text in (b"PATCH /vm HTTP/1.1\r\nContent-Length: 19\r\n\r\n{\"state\":",
                 b"PATCH /vm HTTP/1.1\r\nContent-Length: 18\r\n\r\n{\"state\":\"Paused\"}",
                 b"GET / HTTP/1.1\r\n\r\n" * 500, b"\0" * 4096):
        connection = clients.Connection(client.socket, 10)
        connection.connect()
        connection.sock.sendall(text)
        connection.close()
        assert client.get("/")["state"] in ("Running", "Paused")
    client.set_state("Resumed")
    assert client.get("/")["state"] == "Running"


def test_two_clients_take_turns(tmp_path):
    """Pauses and resumes from two sides: each answer is true when it is given."""
    client = clients.E2b(tmp_path, machine(tmp_path))
    client.boot()
    script = ("for i in 1 2 3 4 5 6 7 8 9 10; do for s in Paused Resumed; do "
              f"curl -sS --fail-with-body --unix-socket {client.socket} -X PATCH http://localhost/vm "
              "-d '{\"state\":\"'$s'\"}' || exit 1; done; done")
    others = [subprocess.Popen(["sh", "-c", script]) for _ in range(2)]
    while any(other.poll() is None for other in others):
        assert client.get("/")["state"] in ("Running", "Paused")
    assert [other.wait() for other in others] == [0, 0]
    client.set_state("Resumed")
    assert client.get("/")["state"] == "Running"
