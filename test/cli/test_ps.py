# SPDX-License-Identifier: Apache-2.0
"""Running VMs by name: volt-vmm ps, the verbs that ask one, and what they leave behind."""
import fcntl
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from support import vmm
from support.running import Running, kill_all

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")


@pytest.fixture(autouse=True)
def folder_of_our_own(tmp_path, monkeypatch):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    yield
    kill_all()


@pytest.fixture(name="folder")
def folder_of_the_registry(tmp_path):
    return tmp_path / "run" / "volt-vmm"


def spin(*args):
    running = Running("--kernel", vmm.guest("spin"), *args)
    assert running.process.stdout.readline() == b"spinning\n"
    running.wait_for(b"running")
    return running


def listed():
    result = vmm.run("ps", "--json")
    assert (result.returncode, result.stderr) == (0, b"")
    return {vm["id"]: vm for vm in json.loads(result.stdout)}


def assert_ok(result, stdout=b""):
    assert (result.returncode, result.stdout, result.stderr) == (0, stdout, b"")


def assert_refused(result, status, *parts):
    text = result.stderr.decode()
    assert result.returncode == status, text
    assert text.startswith("volt-vmm: error: ") and text.count("\n") == 1, text
    assert result.stdout == b""
    for part in parts:
        assert part in text, text


def test_nothing_runs(folder):
    assert_ok(vmm.run("ps", "--json"), b"[]\n")
    assert vmm.run("ps").stdout.split() == [b"NAME", b"PID", b"STATE", b"AGE", b"API"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_run_is_listed_and_leaves_nothing(folder):
    running = spin("--id", "one")
    entry = listed()["one"]
    assert entry["pid"] == running.process.pid
    assert entry["state"] == "running"
    assert entry["api_socket"] == str(folder / "one.sock")
    line = vmm.run("ps").stdout.decode().splitlines()[1].split()
    assert line[:3] == ["one", str(running.process.pid), "running"]
    assert stat.S_IMODE((folder / "one.json").stat().st_mode) == 0o600
    running.stop()
    assert listed() == {}
    assert list(folder.iterdir()) == []


def test_without_a_name(folder):
    running = spin()
    assert list(listed()) == [f"vm-{running.process.pid}"]
    running.stop()
    assert list(folder.iterdir()) == []


def test_verbs():
    running = spin("--id", "one")
    assert_ok(vmm.run("state", "one"), b"Running\n")
    assert_ok(vmm.run("pause", "one"))
    assert_ok(vmm.run("state", "one"), b"Paused\n")
    state = json.loads(vmm.run("state", "--json", "one").stdout)
    assert state["state"] == "paused"
    assert listed()["one"]["sandbox_missing"] == state["sandbox"]["missing"]
    before, _ = running.vcpu_ticks()
    for _ in range(1000):
        after, _ = running.vcpu_ticks()
    assert after == before
    assert_ok(vmm.run("resume", "one"))
    vmm.wait_until(lambda: running.vcpu_ticks()[0] > before, "the guest runs again")
    config = json.loads(vmm.run("config", "get", "one").stdout)
    assert config["version"] == 1 and config["kernel"] == str(vmm.guest("spin"))
    assert_ok(vmm.run("shutdown", "--force", "one"))
    assert running.process.wait(timeout=60) == 0


def test_verbs_by_socket(tmp_path):
    path = tmp_path / "api.sock"
    running = spin("--api-sock", path, "--id", "one")
    assert_ok(vmm.run("state", "--api-sock", path), b"Running\n")
    assert listed()["one"]["api_socket"] == str(path)
    assert_ok(vmm.run("shutdown", "--api-sock", path, "--force"))
    assert running.process.wait(timeout=60) == 0
    assert not path.exists()


def test_relative_socket_is_listed_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spin("--api-sock", "api.sock", "--id", "one")
    monkeypatch.chdir("/")
    assert_ok(vmm.run("state", "one"), b"Running\n")


@pytest.mark.parametrize("verb", ["state", "pause", "resume", "shutdown", "metrics",
                                  "config get"])
def test_whom_to_ask(verb, tmp_path):
    words = verb.split()
    assert_refused(vmm.run(*words), 2, verb, "--api-sock")
    assert_refused(vmm.run(*words, "a", "--api-sock", "b"), 2, verb)
    assert_refused(vmm.run(*words, "nobody"), 1, "'nobody'", "volt-vmm ps")
    assert_refused(vmm.run(*words, "../one"), 2, "--api-sock")
    assert_refused(vmm.run(*words, "a" * 100), 1, "volt-vmm ps")
    assert_refused(vmm.run(*words, "--api-sock", tmp_path / "none"), 1, "no API socket")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    assert_refused(vmm.run(*words, "--api-sock", tmp_path / "left"), 1, "has ended")


def test_shutdown_times_out():
    """The guest spins: it listens to no keyboard."""
    running = spin("--id", "one")
    begin = time.monotonic()
    result = vmm.run("shutdown", "--timeout", 1, "one")
    assert_refused(result, 1, "")
    assert time.monotonic() - begin < 30
    assert running.process.poll() is None


def test_same_name_twice(folder):
    running = spin("--id", "one")
    assert_refused(vmm.run("--kernel", vmm.guest("spin"), "--id", "one"), 1, "'one'",
                   "volt-vmm ps")
    assert (folder / "one.sock").exists()
    assert_ok(vmm.run("state", "one"), b"Running\n")
    running.stop()
    spin("--id", "one").stop()


@pytest.mark.parametrize("by_ps", [False, True])
def test_what_a_killed_one_leaves_is_removed(folder, by_ps):
    running = spin("--id", "one")
    running.process.kill()
    running.process.communicate()
    assert {p.name for p in folder.iterdir()} == {"one.json", "one.sock"}
    if by_ps:
        assert listed() == {}
    else:
        assert_refused(vmm.run("state", "one"), 1, "'one'")
    assert list(folder.iterdir()) == []


def test_name_of_a_killed_one_can_be_had_again():
    running = spin("--id", "one")
    running.process.kill()
    running.process.communicate()
    again = spin("--id", "one")
    assert_ok(vmm.run("state", "one"), b"Running\n")
    again.stop()


def test_without_an_api(folder):
    running = spin("--id", "one", "--no-api")
    entry = listed()["one"]
    assert (entry["state"], entry["api_socket"]) == ("unknown", "")
    assert not (folder / "one.sock").exists()
    assert_refused(vmm.run("pause", "one"), 1, "no API socket")
    running.stop()


def test_one_that_hangs_does_not_stop_ps():
    running = spin("--id", "one")
    running.process.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    assert listed()["one"]["state"] == "unknown"
    assert time.monotonic() - begin < 20
    running.process.send_signal(signal.SIGCONT)
    assert listed()["one"]["state"] == "running"


def test_folder_of_somebody_else(folder):
    """Whoever can write there could have our commands sent to a socket of his own."""
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert_refused(vmm.run("ps"), 1, str(folder), "0777")
    assert_refused(vmm.run("pause", "one"), 1, str(folder))
    running = spin("--id", "one")  # a run does without it
    assert list(folder.iterdir()) == []
    running.stop()


def test_folder_is_a_link(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert_refused(vmm.run("ps"), 1, str(folder))
    spin("--id", "one").stop()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def hold(path):
    """A locked file, as a living process has it."""
    file = open(path, "rb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


@pytest.mark.parametrize("text", [
    "", "{", "[]", "{}", '{"id":"two","version":"0","api_socket":"","pid":1,"started_at":0}',
    '{"id":"one","version":"0","api_socket":"","pid":0,"started_at":0}',
    '{"id":"one","version":"0","api_socket":"","pid":"1","started_at":0}',
    '{"id":"one","version":"%s","api_socket":"","pid":1,"started_at":0}' % ("0" * 40),
    '{"id":"one","version":"0","api_socket":"%s","pid":1,"started_at":0}' % ("/" * 200),
    "x" * 10000,
])
def test_damaged_entries(folder, text):
    folder.mkdir(mode=0o700)
    (folder / "one.json").write_text(text)
    with hold(folder / "one.json"):
        assert listed() == {}
        assert_refused(vmm.run("state", "one"), 1, "damaged")
    assert listed() == {}
    assert list(folder.iterdir()) == []


def test_other_files_are_left_alone(folder):
    folder.mkdir(mode=0o700)
    names = ["readme", "a b.json", ".json", "x" * 70 + ".json", "dir.json", ".new-old", ".new-now"]
    for name in names:
        if name == "dir.json":
            (folder / name).mkdir()
        else:
            (folder / name).write_text("")
    os.utime(folder / ".new-old", (1, 1))
    os.symlink("/etc/passwd", folder / "link.json")
    assert listed() == {}
    assert {p.name for p in folder.iterdir()} == set(names) - {".new-old"} | {"link.json"}


def test_many_at_once_want_one_name():
    processes = [subprocess.Popen([vmm.VMM, "--kernel", vmm.guest("spin"), "--id", "one"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE) for _ in range(8)]
    stop = threading.Event()

    def look():
        while not stop.is_set():
            vmm.run("ps")
    looking = threading.Thread(target=look)
    looking.start()
    try:
        vmm.wait_until(lambda: sum(p.poll() is not None for p in processes) >= 7,
                       "all but one give up")
        alive = [p for p in processes if p.poll() is None]
        assert len(alive) == 1
        assert listed()["one"]["pid"] == alive[0].pid
    finally:
        stop.set()
        looking.join()
        for process in processes:
            process.kill()
            process.communicate()


class Impostor:
    """Something else that listens at a socket, and says @answer to whatever it is asked."""

    def __init__(self, path, answer):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(8)
        self.answer = answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            while True:
                connection, _ = self.socket.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(self.answer)
        except OSError:
            pass


def http(body, status="200 OK", length=None):
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}".encode()


@pytest.mark.parametrize("answer,part", [
    (b"", "has ended"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 200", "has ended"),
    (b"HTTP/1.1 999 \r\n\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 200 \r\nContent-Length: 99999999999999999999\r\n\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 200 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "does not speak HTTP"),
    (b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "does not speak HTTP"),
    (b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nxx", "does not speak HTTP"),
    (b"HTTP/1.1 200 \r\n" + b"a" * 20000, "does not speak HTTP"),
    (b"\0" * 100, "does not speak HTTP"),
    (http("{}"), "no state"),
    (http('{"state":"' + "x" * 100 + '"}'), "no state"),
    (http('{"state":"\\u001b[2J"}'), "no state"),
    (http("x", length=2), "has ended"),
    (http('{"fault_message":"Invalid request"}', "400 Bad"), "this version of the API"),
    (http("not found", "404 Not Found"), "status 404"),
    (http('{"detail":"\\u001b[2J no"}', "409 Conflict"), "?[2J no"),
])
def test_impostors(tmp_path, answer, part):
    path = tmp_path / "api.sock"
    impostor = Impostor(path, answer)
    assert_refused(vmm.run("state", "--api-sock", path), 1, part)
    impostor.socket.close()


def test_interrupted_run_leaves_nothing(folder):
    """At any moment of the start. A child on its way to its own program lives a little longer."""
    for delay in range(0, 20, 2):
        process = subprocess.Popen([vmm.VMM, "--kernel", vmm.guest("spin"), "--id", "one"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(delay / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait()
        vmm.wait_until(lambda: not listed(), "nothing runs")
        left = list(folder.iterdir()) if folder.exists() else []
        assert [p.name for p in left if not p.name.startswith(".")] == []


def test_home_without_runtime_folder(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert vmm.run("ps").returncode == 0
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    assert vmm.run("ps").returncode == 0
    assert not pathlib.Path("relative").exists()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/" + "x" * 5000)
    assert_refused(vmm.run("ps"), 1, "XDG_RUNTIME_DIR")


def test_long_runtime_folder(tmp_path, monkeypatch):
    """No socket fits there: the VM runs, is listed, and cannot be asked."""
    deep = tmp_path / ("d" * 90)
    deep.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    running = spin("--id", "one")
    assert listed()["one"]["api_socket"] == ""
    running.stop()
