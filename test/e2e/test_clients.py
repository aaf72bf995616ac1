# SPDX-License-Identifier: Apache-2.0
"""Programs written for Firecracker run Linux guests, and what they change reaches the guest."""
import json
import os
import re
import subprocess
import time

import httpx
import pytest

from support import clients, linux

# The guest prints READY and then runs what it reads from its serial port.
SHELL = 'echo READY; while read -r line; do eval "$line"; done'
MIB = 1 << 20


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    clients.kill_all()


def lean(tmp_path, **more):
    """A small kernel on a disk: up in two seconds, but it has no keyboard."""
    return clients.Machine(kernel=linux.path_of("VOLT_KERNEL_LEAN") / "vmlinux",
                           rootfs=linux.disk(tmp_path), words=linux.encoded(SHELL), **more)


def stock(command=SHELL):
    """A kernel of Debian's in an initramfs: Ctrl-Alt-Del reboots it."""
    return clients.Machine(kernel=linux.path_of("VOLT_KERNEL_6_12") / "vmlinuz",
                           initrd=linux.path_of("VOLT_INITRAMFS_6_12"),
                           words=linux.encoded(command))


def boot(client):
    client.boot()
    client.wait_for_output("READY\n")
    return client


def image(tmp_path, text, size, name="new.img"):
    path = tmp_path / name
    path.write_bytes(text.encode().ljust(size, b"\0"))
    return path


def disk_in_guest(client, name, length):
    """Bytes of /dev/@name, and its first @length."""
    found = client.ask(f"echo -n $(blockdev --getsize64 /dev/{name}) ''; "
                       f"head -c {length} /dev/{name}")
    size, _, rest = found.partition(" ")
    return int(size), rest


def check_metrics(text):
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines and all("utc_timestamp_ms" in line for line in lines)
    return lines


def test_go_sdk(tmp_path):
    client = boot(clients.GoSdk(tmp_path, stock("echo READY; sleep 600")))
    assert client.get("/")["state"] == "Running"
    with pytest.raises(clients.Refused, match="after starting the microVM"):
        client.put("/machine-config", client.machine_config(smt=False))
    client.act("FlushMetrics")
    assert client.end() == 0
    lines = check_metrics(client.collected["metrics.fifo"])
    assert sum(line["put_api_requests"]["boot_source_count"] for line in lines) == 1
    log = client.collected["log.fifo"]
    assert re.match(r"\d{4}-\d\d-\d\dT[0-9:.]+ \[d8d9b0d6-[^\]:]+:[^\]:]+:\w+\] ", log), log[:200]
    # What is left behind is what the next start of a client refuses, and says so.
    assert client.socket.exists()
    again = clients.GoSdk(tmp_path, client.machine)
    again.start_process("--api-sock", again.socket, "--id", "again")
    assert again.wait_for_end() not in (0, None)
    assert "socket" in (tmp_path / "stderr").read_text() + again.output()


def test_kata_in_go(tmp_path):
    client = boot(clients.KataGo(tmp_path, lean(tmp_path)))
    assert client.ask("blockdev --getsize64 /dev/vdb") == "0"
    client.plug(0, image(tmp_path, "a layer", 4 * MIB))
    assert disk_in_guest(client, "vdb", 7) == (4 * MIB, "a layer")
    client.plug(7, image(tmp_path, "the last", 2 * MIB, "last.img"))
    assert disk_in_guest(client, "vdi", 8) == (2 * MIB, "the last")
    client.unplug(7)
    assert client.ask("blockdev --getsize64 /dev/vdi") == "0"
    config = client.get("/vm/config")
    assert [drive["drive_id"] for drive in config["drives"]] == \
        ["rootfs"] + [f"drive_{number}" for number in range(client.placeholders)]
    assert config["drives"][1]["path_on_host"] == str(tmp_path / "new.img")
    assert client.end() != 0


def test_kata_in_rust(tmp_path):
    client = boot(clients.KataRs(tmp_path, lean(tmp_path)))
    client.plug(1, image(tmp_path, "a layer", 4 * MIB))
    assert disk_in_guest(client, "vdb", 7) == (4 * MIB, "a layer")
    client.plug(1, tmp_path / "new.img", {"bandwidth": None,
                                          "ops": {"size": 1000, "refill_time": 1000,
                                                  "one_time_burst": 0}})
    assert client.ask("dd if=/dev/vda of=/dev/vdb bs=512 count=1 conv=fsync 2>/dev/null; "
                      "echo $?") == "0"
    assert (tmp_path / "new.img").read_bytes()[:512] == (tmp_path / "root.img").read_bytes()[:512]
    assert client.end() == -9


def test_flintlock(tmp_path):
    client = boot(clients.Flintlock(tmp_path, lean(tmp_path, cpus=2)))
    assert client.ask("nproc") == "2"
    assert "rootfs" not in client.ask("findmnt / 2>/dev/null || cat /proc/cmdline")
    assert client.end() != 0
    assert check_metrics((tmp_path / "firecracker.metrics").read_text())
    assert re.search(r"\[mvm-1:\w+:\w+:[\w/.-]+:\d+\] ",
                     (tmp_path / "firecracker.log").read_text())


@pytest.mark.parametrize("has_template", [False, True])
def test_microvm_nix(tmp_path, has_template):
    disk = image(tmp_path, "a volume", MIB, "volume.img")
    client = clients.MicrovmNix(tmp_path, stock("echo READY; sleep 600"))
    client.machine.disks = (disk,)
    if has_template:
        template = tmp_path / "cpu.json"
        template.write_text("{}")
        client.cpu_config = str(template)
    boot(client)
    # an id that is too long is known by its end
    (drive,) = client.get("/vm/config")["drives"]
    assert str(disk).endswith(drive["drive_id"])
    client.connection.close()
    client.connection = None
    assert client.end() == 0


def test_e2b(tmp_path):
    client = boot(clients.E2b(tmp_path, lean(tmp_path, cpus=2)))
    assert not client.has_balloon()
    client.limit(5)
    begin = time.monotonic()
    read = "dd if=/dev/vda of=/dev/null bs=4k count=40 iflag=direct 2>/dev/null; echo $?"
    assert client.ask(read) == "0"
    assert time.monotonic() - begin > 5
    client.limit(0)
    client.set_state("Paused")
    assert client.get("/")["state"] == "Paused"
    with pytest.raises(clients.Refused) as refusal:
        client.put("/snapshot/create", {"snapshot_path": str(tmp_path / "snap"),
                                        "mem_file_path": str(tmp_path / "mem")})
    assert refusal.value.status == 400 and "snapshot" in refusal.value.text
    client.set_state("Resumed")
    assert client.ask(read) == "0"
    assert client.ask("echo $((6 * 7))") == "42"
    client.end()


def curl(path, method, url, body=None):
    command = ["curl", "-sS", "-w", "%{http_code}", "--unix-socket", path, "-X", method,
               f"http://localhost{url}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return int(text[-3:]), text[:-3]


def with_httpx(path, method, url, body=None):
    transport = httpx.HTTPTransport(uds=str(path))
    with httpx.Client(transport=transport, timeout=60) as client:
        answer = client.request(method, f"http://localhost{url}", json=body)
        return answer.status_code, answer.text


@pytest.mark.parametrize("send", [curl, with_httpx])
def test_general_clients(tmp_path, send):
    """Those that know no more than HTTP: curl, and httpx, which pools connections."""
    client = clients.Client(tmp_path, lean(tmp_path))
    client.start_process("--api-sock", client.socket)
    client.wait_for_socket(10)
    for url, body in (("/boot-source", client.boot_source("console=ttyS0 reboot=k panic=1")),
                      ("/machine-config", client.machine_config()),
                      ("/drives/rootfs", client.drives()[0]),
                      ("/actions", {"action_type": "InstanceStart"})):
        assert send(client.socket, "PUT", url, body) == (204, "")
    client.wait_for_output("READY\n")
    status, text = send(client.socket, "GET", "/")
    assert (status, json.loads(text)["state"]) == (200, "Running")
    status, text = send(client.socket, "PUT", "/boot-source", client.boot_source(""))
    assert status == 400 and "fault_message" in json.loads(text)
    client.process.stdin.write(b"poweroff -f\n")
    client.process.stdin.flush()
    assert client.wait_for_end() == 0


def test_a_disk_changes_under_a_running_guest(tmp_path):
    """Another file, the same file grown, a smaller one: the guest sees size and content of each."""
    client = boot(clients.KataRs(tmp_path, lean(tmp_path)))
    first = image(tmp_path, "first", 2 * MIB, "first.img")
    client.plug(2, first)
    assert disk_in_guest(client, "vdc", 5) == (2 * MIB, "first")
    os.truncate(first, 6 * MIB)
    client.plug(2, first)
    assert disk_in_guest(client, "vdc", 5) == (6 * MIB, "first")
    client.plug(2, image(tmp_path, "other", MIB, "other.img"))
    assert disk_in_guest(client, "vdc", 5) == (MIB, "other")
    with pytest.raises(clients.Refused, match="Unable to patch the block device"):
        client.plug(2, tmp_path / "not-there.img")
    with pytest.raises(clients.Refused):
        client.plug(17, first)
    # a refused change changes nothing
    assert disk_in_guest(client, "vdc", 5) == (MIB, "other")
    assert client.ask("dd if=/dev/zero of=/dev/vdc bs=4k count=1 conv=fsync 2>/dev/null; "
                      "echo $?") == "0"
    assert (tmp_path / "other.img").read_bytes()[:5] == bytes(5)
    assert first.read_bytes()[:5] == b"first"
    client.end()


def test_a_failing_disk_is_told(tmp_path):
    """The file behind a disk is cut: the guest gets an error, and who watches learns of it."""
    client = boot(clients.KataRs(tmp_path, lean(tmp_path)))
    file = image(tmp_path, "data", 2 * MIB)
    client.plug(1, file)
    os.truncate(file, 0)
    transport = httpx.HTTPTransport(uds=str(client.socket))
    with httpx.Client(transport=transport, timeout=60) as watcher, \
            watcher.stream("GET", "http://localhost/v1/vm/events") as response:
        assert client.ask("dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; "
                          "echo $?") == "1"
        lines = response.iter_lines()
        assert any(line.startswith("event: device_fault") for line in lines)
        fault = json.loads(next(lines).removeprefix("data: "))
    text = fault.pop("text")
    assert fault == {"device": "drive", "id": "drive1", "fault": "io_error"}
    assert text.startswith("read of 4096 bytes at 0 failed: ")
    client.end()


def test_a_paused_guest_stands_still(tmp_path):
    client = clients.E2b(tmp_path, lean(tmp_path))
    client.machine.words = linux.encoded("echo READY; n=0; while :; do n=$((n + 1)); echo tick $n; "
                                         "sleep 0.05; done")
    boot(client)
    client.wait_for_output(r"tick 5\n")
    for _ in range(5):
        client.set_state("Paused")
        time.sleep(0.2)  # for what was on its way
        said = client.output()
        time.sleep(1)
        assert client.output() == said
        assert client.get("/")["state"] == "Paused"
        client.set_state("Paused")  # again is no error
        client.set_state("Resumed")
        last = int(re.findall(r"tick (\d+)\n", said)[-1])
        client.wait_for_output(rf"tick {last + 2}\n")
    ticks = [int(number) for number in re.findall(r"tick (\d+)\n", client.output())]
    assert ticks == list(range(1, ticks[-1] + 1))
    client.end()
