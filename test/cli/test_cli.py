# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: verbs, Firecracker's flags and name, life-cycle files, documents."""
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from support import vmm
from support.running import Running, kill_all

has_kvm = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                             reason="no usable /dev/kvm")


@pytest.fixture(autouse=True)
def folder_of_our_own(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    yield
    kill_all()


@pytest.fixture(name="firecracker")
def program_called_firecracker(tmp_path):
    link = tmp_path / "firecracker"
    link.symlink_to(vmm.VMM)

    def run(*args, **kwargs):
        return subprocess.run([link, *map(str, args)], stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, check=False, **kwargs)
    run.path = link
    return run


def write(path, **config):
    path.write_text(json.dumps(config))
    return path


def fc_config(tmp_path, guest, **more):
    return write(tmp_path / "vm.json", **{
        "boot-source": {"kernel_image_path": str(vmm.guest(guest))}, "drives": [], **more})


def assert_refused(result, status, *parts):
    text = result.stderr.decode()
    assert result.returncode == status, text
    assert result.stdout == b""
    for part in parts:
        assert part in text, text


@has_kvm
def test_run_is_the_verb_that_is_meant(tmp_path):
    for args in [[], ["run"]]:
        assert vmm.run(*args, "--kernel", vmm.guest("hello")).returncode == 42
    assert vmm.run("run", "--config-file", fc_config(tmp_path, "hello")).returncode == 42


def test_help_of_every_verb():
    for verb in ["", "run", "ps", "state", "pause", "resume", "shutdown", "metrics", "config",
                 "config get", "config check", "config show", "cpu", "cpu dump", "cpu baseline",
                 "cpu check"]:
        result = vmm.run(*verb.split(), "--help")
        lines = result.stdout.decode().splitlines()
        assert (result.returncode, result.stderr) == (0, b"")
        assert 5 < len(lines) <= 24 and max(map(len, lines)) <= 80, verb
        assert lines[0].startswith("usage: volt-vmm")


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["ps", "--help"],
                                  ["config", "show", "--kernel", "k"]])
def test_output_that_cannot_be_written(args):
    with open("/dev/full", "wb") as full:
        result = subprocess.run([vmm.VMM, *args], stdout=full, stderr=subprocess.PIPE, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(b"volt-vmm: error: cannot write")


def test_config_check(tmp_path):
    good = write(tmp_path / "good.json", version=1, kernel="k")
    bad = write(tmp_path / "bad.json", version=1, kernl="k")
    result = vmm.run("config", "check", good)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert json.loads(vmm.run("config", "check", "--json", good).stdout) == {"ok": True}
    assert_refused(vmm.run("config", "check", bad), 2, "bad.json", "kernl")
    result = vmm.run("config", "check", "--json", bad)
    assert (result.returncode, result.stderr) == (2, b"")
    assert "kernl" in json.loads(result.stdout)["error"]
    assert_refused(vmm.run("config", "check", tmp_path / "none"), 1, "none")
    assert_refused(vmm.run("config", "check", "/"), 1)
    assert_refused(vmm.run("config", "check"), 2, "FILE")


def test_config_show(tmp_path):
    result = vmm.run("config", "show", "--kernel", "k", "--memory", "1G", "--drive", "d,ro,id=x",
                     "--cpus", 3)
    config = json.loads(result.stdout)
    assert (config["kernel"], config["memory"], config["cpus"]) == ("k", "1024M", 3)
    path = tmp_path / "vm.json"
    path.write_bytes(result.stdout)
    again = vmm.run("config", "show", "--config-file", path)
    assert again.stdout == result.stdout
    more = json.loads(vmm.run("config", "show", "--config-file", path, "--cpus", 5).stdout)
    assert (more["kernel"], more["cpus"]) == ("k", 5)
    firecracker = json.loads(vmm.run("config", "show", "--firecracker", "--config-file",
                                     path).stdout)
    assert firecracker["boot-source"]["kernel_image_path"] == "k"


# --- Firecracker's flags and name ----------------------------------------------------------------


def test_version(firecracker):
    lines = firecracker("--version").stdout.decode().splitlines()
    name, version = lines[0].split()
    assert name == "Firecracker"
    assert version[0] == "v" and tuple(map(int, version[1:].split("."))) >= (1, 17, 0)
    assert lines[1] == ""
    own = vmm.run("--version").stdout.decode().split()
    assert own[0] == "volt-vmm" and own[1][0] == "v"
    assert lines[2].split() == own


@pytest.mark.parametrize("args,status,part", [
    (["--bogus"], 153, "--bogus"),
    (["ps"], 153, "ps"),
    (["--no-api"], 153, "--config-file"),
    (["--id", "a_b"], 153, "--id"),
    (["--id", "a", "--id", "b"], 153, "more than once"),
    (["--seccomp-filter", "f", "--no-seccomp"], 153, "not both"),
    (["--http-api-max-payload-size", "x"], 153, "--http-api-max-payload-size"),
    (["--enable-pci"], 153, "no PCI"),
    (["--describe-snapshot", "x"], 153, "no snapshots"),
    (["--level", "loud"], 152, "loud"),
    (["--metadata", "/nonexistent"], 1, "/nonexistent"),
    (["--metadata", "/dev/null"], 1, "/dev/null"),
    (["--metadata", "/etc/passwd"], 152, "/etc/passwd"),
    (["--config-file", "/nonexistent", "--no-api"], 1, "/nonexistent"),
    (["--api-sock", "/nonexistent/s"], 1, "/nonexistent/s"),
    (["--api-sock", "/" + "x" * 108], 1, "--api-sock"),
])
def test_exit_statuses(firecracker, args, status, part):
    assert_refused(firecracker(*args), status, part)


def test_snapshot_version(firecracker):
    result = firecracker("--snapshot-version")
    assert (result.returncode, result.stdout) == (0, b"v11.0.0\n")


@has_kvm
@pytest.mark.parametrize("text,status,part", [
    ("[]", 152, "invalid type: sequence, expected a map"),
    ("{", 152, "at line 1 column"),
    ('{"a":1,"a":2}', 152, "duplicate"),
    ('{"a":"' + "x" * 80 + '"}', 152, "--mmds-size-limit"),
    ('{"a":{"b":[1,null]}}', 42, ""),
])
def test_metadata(firecracker, tmp_path, text, status, part):
    path = tmp_path / "metadata.json"
    path.write_text(text)
    result = firecracker("--no-api", "--config-file", fc_config(tmp_path, "hello"),
                         "--metadata", path, "--mmds-size-limit", 64, "--level", "Info")
    assert result.returncode == status, result.stderr
    assert part.encode() in result.stderr
    if status == 42:
        assert b"Successfully added metadata to mmds from file" in result.stderr + result.stdout


def test_bad_configuration(firecracker, tmp_path):
    path = write(tmp_path / "vm.json", **{"boot-source": {}, "drives": []})
    assert_refused(firecracker("--no-api", "--config-file", path), 152, "kernel_image_path")


@has_kvm
def test_config_file_alone(firecracker, tmp_path):
    path = fc_config(tmp_path, "hello", **{"machine-config": {"vcpu_count": 1,
                                                              "mem_size_mib": 64}})
    result = firecracker("--no-api", "--config-file", path, "--id", "x", "--no-seccomp",
                         "--start-time-us", 1, "--start-time-cpu-us", 2, "--parent-cpu-time-us", 3)
    assert result.returncode == 42, result.stderr
    assert not (tmp_path / "run" / "volt-vmm").exists()


@has_kvm
def test_triple_fault_is_a_good_end(firecracker, tmp_path):
    assert firecracker("--no-api", "--config-file",
                       fc_config(tmp_path, "triple-fault")).returncode == 0


@has_kvm
def test_a_panic_is_a_good_end(firecracker, tmp_path):
    assert firecracker("--no-api", "--config-file", fc_config(tmp_path, "panic")).returncode == 0


@has_kvm
def test_the_socket_stays(firecracker, tmp_path):
    path = tmp_path / "fc.sock"
    args = ["--api-sock", path, "--config-file", fc_config(tmp_path, "hello")]
    assert firecracker(*args).returncode == 42
    assert path.is_socket()
    assert_refused(firecracker(*args), 1, str(path), "already used")


@has_kvm
def test_an_old_socket_is_refused(tmp_path):
    path = tmp_path / "api.sock"
    path.write_text("precious")
    result = vmm.run("--api-sock", path, "--kernel", vmm.guest("hello"))
    assert_refused(result, 1, str(path))
    assert path.read_text() == "precious"


@has_kvm
def test_waits_for_a_client(firecracker, tmp_path):
    path = tmp_path / "fc.sock"
    process = subprocess.Popen([firecracker.path, "--api-sock", path], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        vmm.wait_until(path.is_socket, "the API listens")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b'"anonymous-instance"' in client.recv(4096)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == 156
    finally:
        process.kill()
        process.communicate()
    assert path.is_socket()


@has_kvm
def test_boot_timer():
    result = vmm.run("--kernel", vmm.guest("boot-timer"), "--boot-timer", "--log-level", "info")
    assert result.returncode == 0
    lines = re.findall(rb"Guest-boot-time = +(\d+) us (\d+) ms, +(\d+) CPU us (\d+) CPU ms\n",
                       result.stderr)
    assert len(lines) == 1, result.stderr  # the guest writes more than once
    took_us, took_ms, cpu_us, cpu_ms = map(int, lines[0])
    assert 0 < took_us < 60_000_000 and took_ms == took_us // 1000 and cpu_ms == cpu_us // 1000
    assert result.stdout == b"00 00000000\n"
    without = vmm.run("--kernel", vmm.guest("boot-timer"), "--log-level", "info")
    assert (without.returncode, without.stdout) == (0, b"ff ffffffff\n")
    assert b"Guest-boot-time" not in without.stderr


# --- what others see of a life -------------------------------------------------------------------


@has_kvm
def test_pid_file(tmp_path):
    path = tmp_path / "pid"
    path.write_text("old")
    running = Running("--kernel", vmm.guest("spin"), "--pid-file", path)
    running.wait_for(b"running")
    vmm.wait_until(lambda: path.read_text() != "old", "the file is replaced")
    assert path.read_text() == f"{running.process.pid}\n"
    running.stop()
    assert sorted(os.listdir(tmp_path)) == ["run"]


@has_kvm
def test_pid_file_of_another_stays(tmp_path):
    path = tmp_path / "pid"
    running = Running("--kernel", vmm.guest("spin"), "--pid-file", path)
    vmm.wait_until(path.exists, "the file is there")
    path.unlink()
    path.write_text("1\n")
    running.stop()
    assert path.read_text() == "1\n"


@has_kvm
def test_pid_file_of_a_run_that_fails(tmp_path):
    path = tmp_path / "pid"
    path.write_text("old")
    assert vmm.run("--kernel", "/nonexistent", "--pid-file", path).returncode == 1
    assert path.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["pid", "run"]


@pytest.mark.parametrize("kind", ["folder", "device", "link", "missing"])
def test_pid_files_that_are_refused(tmp_path, kind):
    path = tmp_path / "pid"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    else:
        path = tmp_path / "none" / "pid"
    before = os.listdir(tmp_path)
    assert_refused(vmm.run("--kernel", vmm.guest("hello"), "--pid-file", path), 1, str(path))
    assert os.listdir(tmp_path) == before


@has_kvm
@pytest.mark.parametrize("abstract", [False, True])
def test_service_manager_is_told(tmp_path, monkeypatch, abstract):
    name = f"@volt-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        running = Running("--kernel", vmm.guest("spin"))
        message = manager.recv(4096).decode().splitlines()
        assert message == ["READY=1", f"MAINPID={running.process.pid}"]
        running.stop()
        assert manager.recv(4096) == b"STOPPING=1\n"


@has_kvm
@pytest.mark.parametrize("name", ["", "relative", "/nonexistent/socket", "/" + "x" * 200])
def test_service_manager_that_is_not_there(monkeypatch, name):
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    assert vmm.run("--kernel", vmm.guest("hello")).returncode == 42


@has_kvm
def test_ready_without_a_vm(tmp_path, monkeypatch):
    """A client is to start it: ready is when the API listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        running = Running("--api-sock", tmp_path / "api.sock", "--pid-file", tmp_path / "pid")
        assert manager.recv(4096).startswith(b"READY=1\n")
        assert (tmp_path / "api.sock").is_socket()
        assert (tmp_path / "pid").read_text() == f"{running.process.pid}\n"
        running.stop()


# --- documents -----------------------------------------------------------------------------------


def complete(*words):
    """What bash offers behind @words, the last of which is begun."""
    script = (f'source {vmm.BUILD}/docs/volt-vmm\nCOMP_WORDS=("$@")\n'
              "COMP_CWORD=$(($# - 1))\ncompopt() { :; }\n_volt_vmm\n"
              'printf "%s\\n" "${COMPREPLY[@]}"')
    path = f"{vmm.BUILD}:{os.environ['PATH']}"
    return subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, check=True,
                          env=os.environ | {"PATH": path}).stdout.decode().split()


def test_completion():
    assert complete("volt-vmm", "sh") == ["shutdown"]
    assert {"run", "ps", "cpu", "--kernel"} <= set(complete("volt-vmm", ""))
    assert complete("volt-vmm", "config", "ch") == ["check"]
    assert complete("volt-vmm", "cpu", "check", "T2C") == ["T2CL"]
    assert complete("volt-vmm", "shutdown", "--f") == ["--force"]
    assert complete("volt-vmm", "--hugepages", "t") == ["thp"]
    assert complete("volt-vmm", "--hugepages", "=", "t") == ["thp"]
    assert complete("volt-vmm", "run", "--log-l") == ["--log-level"]
    assert "ps" not in complete("volt-vmm", "run", "")


@has_kvm
def test_completion_of_names():
    running = Running("--kernel", vmm.guest("spin"), "--id", "one")
    running.wait_for(b"running")
    assert complete("volt-vmm", "pause", "o") == ["one"]
    running.stop()


def test_manual_has_everything():
    page = (vmm.BUILD / "docs" / "volt-vmm.1").read_text()
    for words in [".It Cm ps", ".It Cm config check", ".It Fl -api-sock Ar PATH",
                  ".It Fl -parent-cpu-time-us", ".Ss For programs written for Firecracker"]:
        assert words in page
