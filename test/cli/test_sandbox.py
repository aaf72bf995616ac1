# SPDX-License-Identifier: Apache-2.0
"""The sandbox as users see it: options, status, explain, and what is said when a layer is missing."""
import json
import os
import pathlib
import re
import struct
import subprocess

import pytest

from support import inject, vmm
from support.api import Api
from support.running import Running, kill_all, started
from support.users import as_nobody, can_be_nobody, with_limits, without_calls

LAYERS = ["namespaces", "root", "capabilities", "landlock", "limits", "seccomp"]
CAPABILITY_SETS = {"inheritable", "permitted", "effective", "bounding", "ambient"}
SYS_SOCKET, SYS_SECCOMP, SYS_LANDLOCK = 41, 317, 444
ALLOW, KILL = 0x7fff0000, 0x80000000

needs_kvm = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                               reason="no usable /dev/kvm")
needs_sandbox = pytest.mark.skipif(
    b"sanitizer" in subprocess.run([vmm.VMM, "sandbox", "status"], capture_output=True,
                                   check=False).stderr,
    reason="a program of a sanitizer has no sandbox")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="looks into processes of others")


# How a host without some layer is made of this one, and why the layer is missing then.
without_a_layer = pytest.mark.parametrize("refuse,missing,reason", [
    (lambda command: with_limits(command, net=0), ["namespaces"], "No space left on device"),
    (lambda command: with_limits(command, pid=0), ["namespaces", "root"], "process id namespace"),
    (lambda command: without_calls(command, SYS_LANDLOCK), ["landlock"], "no Landlock"),
    (lambda command: without_calls(command, SYS_SECCOMP), ["seccomp"], "not implemented"),
], ids=["net", "pid", "landlock", "seccomp"])


def as_we_are(command):
    return [str(word) for word in command]


@pytest.fixture(autouse=True)
def folder_of_our_own(tmp_path, monkeypatch):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.chdir(tmp_path)
    yield
    kill_all()


@pytest.fixture(name="user", params=["root", "nobody"])
def each_user(request, tmp_path):
    """Wraps commands so that this user runs them."""
    if request.param == "root":
        return as_we_are
    if not can_be_nobody():
        pytest.skip("nobody cannot run the program here")
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        os.chown(tmp_path / "run", 65534, 65534)
        for folder in list(tmp_path.parents)[:3]:
            if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
                folder.chmod(0o711)
    return as_nobody


def run(*args, wrap=as_we_are, **kwargs):
    return subprocess.run(wrap([vmm.VMM, *args]), input=b"", capture_output=True, check=False,
                          timeout=vmm.DEADLINE_S, **kwargs)


class Wrapped(Running):
    """volt-vmm in the background, started by another command."""

    def __init__(self, *args, wrap=as_we_are):  # pylint: disable=super-init-not-called
        command = wrap([vmm.VMM, "--log-level", "info", *args])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.log = b""
        started.append(self)


def spin(*args, wrap=as_we_are):
    running = Wrapped("--kernel", vmm.guest("spin"), "--id", "one", *args, wrap=wrap)
    running.wait_for(b"running (")
    return running


def status_of(*args, wrap=as_we_are, expected=0):
    result = run("sandbox", "status", "--json", *args, wrap=wrap)
    assert result.returncode == expected, result.stderr
    return json.loads(result.stdout)


def layers_in(status, key):
    return {layer["layer"]: layer[key] for layer in status["layers"]}


def program(*instructions):
    return b"".join(struct.pack("<HBBI", *one) for one in instructions)


def forbid(number):
    """A BPF program that ends who makes the call @number."""
    return program((0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, KILL), (6, 0, 0, ALLOW))


# --- explain --------------------------------------------------------------------------------------

def test_explain_has_every_layer_and_call():
    layers = json.loads(run("sandbox", "explain", "--json").stdout)
    assert [layer["layer"] for layer in layers] == LAYERS
    for layer in layers:
        assert layer["takes_away"] and layer["still_works"] and layer["needs"]
    threads = {thread["thread"]: thread for thread in layers[-1]["threads"]}
    assert list(threads) == ["vcpu", "loop", "io", "control", "store", "fsck"]
    for thread in threads.values():
        allowed = {call["call"] for call in thread["calls"] if call["error"] is None}
        assert len(allowed) == thread["nr_calls"]
        assert all(call["reason"] for call in thread["calls"])
        assert allowed.isdisjoint({"execve", "ptrace", "mount", "bpf", "setns", "unshare"})
        if thread["thread"] in ("vcpu", "loop", "io"):
            assert allowed.isdisjoint({"open", "openat", "socket", "connect", "kill"})
    assert threads["vcpu"]["nr_calls"] <= 13
    runs = [call for call in threads["vcpu"]["calls"] if call["reason"] == "run the guest"]
    assert runs[0]["checks"] == [{"argument": 1, "mask": "0xffffffff", "value": "0xae80"}]


def test_explain_one_layer():
    result = run("sandbox", "explain", "landlock")
    text = result.stdout.decode()
    assert result.returncode == 0 and text.startswith("landlock\n")
    assert "lsm=" in text and "namespaces\n" not in text and "ioctl, argument" not in text
    assert max(map(len, text.splitlines())) <= 80
    result = run("sandbox", "explain", "seccomp")
    assert b"argument 1 is 0xae80: run the guest" in result.stdout


@pytest.mark.parametrize("args,status,part", [
    (["explain", "walls"], 2, "the layers are namespaces, root,"),
    (["explain", "landlock", "root"], 2, "unexpected argument"),
    (["status", "one", "--api-sock", "x"], 2, "one virtual machine"),
    (["status", "nobody-has-this-name"], 1, "nobody-has-this-name"),
    (["status", "--api-sock", "/nonexistent"], 1, "/nonexistent"),
    (["statsu"], 2, "status"),
    ([], 2, "status or explain"),
])
def test_bad_verbs(args, status, part):
    result = run("sandbox", *args)
    assert (result.returncode, result.stdout) == (status, b"")
    assert part in result.stderr.decode()


# --- the host -------------------------------------------------------------------------------------

@needs_sandbox
def test_host_status(user):
    status = status_of(wrap=user)
    assert layers_in(status, "offered") == dict.fromkeys(LAYERS, True)
    assert all(layer["reason"] is None and layer["needs"] for layer in status["layers"])
    assert status["landlock_abi"] >= 1
    assert (status["landlock_missing"] is None) == (status["landlock_abi"] >= 6)
    assert status["seccomp_reports"] is True
    result = run("sandbox", "status", wrap=user)
    lines = result.stdout.decode().splitlines()
    assert lines[0].split() == ["LAYER", "OFFERED", "DETAIL"]
    assert [line.split()[:2] for line in lines[1:7]] == [[name, "yes"] for name in LAYERS]


@needs_sandbox
def test_host_status_leaves_the_caller_alone():
    """What is tried is tried elsewhere: the program can still write its answer to a file."""
    with open("answer.json", "wb") as answer:
        subprocess.run([vmm.VMM, "sandbox", "status", "--json"], stdout=answer, check=True)
    assert json.loads(pathlib.Path("answer.json").read_bytes())["uid"] == os.geteuid()


@needs_sandbox
@without_a_layer
def test_host_status_without_a_layer(user, refuse, missing, reason):
    def wrap(command):
        return user(refuse(command))

    status = status_of(wrap=wrap, expected=1)
    offered = layers_in(status, "offered")
    assert [layer for layer in LAYERS if not offered[layer]] == missing
    assert reason in layers_in(status, "reason")[missing[0]]
    result = run("sandbox", "status", wrap=wrap)
    assert result.returncode == 1
    line = next(line for line in result.stdout.decode().splitlines()
                if line.startswith(missing[0]))
    assert line.split()[1] == "no" and reason in line and "It needs: " in line


# --- a virtual machine ----------------------------------------------------------------------------

@needs_sandbox
@needs_kvm
def test_vm_status(user):
    running = spin("--cpus", "2", wrap=user)
    status = status_of("one", wrap=user)
    assert status["id"] == "one"
    assert layers_in(status, "in_force") == dict.fromkeys(LAYERS, True)
    seen = layers_in(status, "seen")
    assert seen.pop("landlock") is None
    assert set(seen.values()) == {True}
    machine = status["machine"]
    assert machine["pid"] == running.machine()
    assert status["control"]["pid"] == running.process.pid
    names = [thread["name"] for thread in machine["threads"]]
    assert {"volt-machine", "vcpu0", "vcpu1"} <= set(names)
    assert len(names) == len(os.listdir(f"/proc/{machine['pid']}/task"))
    for thread in machine["threads"]:
        assert thread["seccomp"] == "filter" and thread["filters"] == 1
        assert thread["no_new_privs"] is True and thread["uid"] != 0
        assert set(thread["capabilities"]) == CAPABILITY_SETS
        assert set(thread["capabilities"].values()) == {"0" * 16}
    own = machine["own_namespaces"]
    assert all(own[name] for name in ("mnt", "pid", "net", "ipc", "uts", "cgroup"))
    text = run("sandbox", "status", "one", wrap=user)
    assert text.returncode == 0
    assert len(re.findall(rb"^machine .* filter ", text.stdout, re.MULTILINE)) == len(names)


@needs_sandbox
@needs_kvm
@needs_root
def test_vm_status_for_somebody_else():
    """Whoever may not look into the process takes its word, and says so."""
    if not can_be_nobody():
        pytest.skip("nobody cannot run the program here")
    with Api("--kernel", vmm.guest("spin")) as api:
        api.running.wait_for(b"running (")
        api.folder.chmod(0o711)
        api.path.chmod(0o666)
        status = status_of("--api-sock", api.path, wrap=as_nobody)
        own = status["machine"]["own_namespaces"]
        assert own["net"] is None and own["pid"] is True
        assert layers_in(status, "seen")["namespaces"] is None
        assert layers_in(status, "in_force") == dict.fromkeys(LAYERS, True)
        text = run("sandbox", "status", "--api-sock", api.path, wrap=as_nobody).stdout.decode()
        assert re.search(r"^namespaces +yes +reported$", text, re.MULTILINE)
        assert "\nreported: " in text


@needs_kvm
def test_a_vm_that_is_not_started():
    with Api() as api:
        result = run("sandbox", "status", "--api-sock", api.path)
        assert result.returncode == 1 and b"not started" in result.stderr
        assert api.get("/v1/vm/state")["sandbox"] is None
        assert "volt_sandbox_layer" not in api.client.get("/v1/metrics").text


@needs_sandbox
@needs_kvm
@without_a_layer
def test_no_start_without_a_layer(user, refuse, missing, reason):
    def wrap(command):
        return user(refuse(command))

    result = run("--kernel", vmm.guest("hello"), wrap=wrap)
    text = result.stderr.decode()
    assert (result.returncode, result.stdout) == (1, b""), text
    assert f"layer '{missing[0]}'" in text and reason in text
    assert f"--sandbox-allow-missing={missing[0]}" in text
    assert "Traceback" not in text
    others = ",".join(layer for layer in LAYERS if layer not in missing)
    assert run("--kernel", vmm.guest("hello"), "--sandbox-allow-missing", others,
               wrap=wrap).returncode == 1


@needs_sandbox
@needs_kvm
@without_a_layer
def test_a_start_without_a_layer(user, refuse, missing, reason):
    def wrap(command):
        return user(refuse(command))

    names = ",".join(missing)
    running = Wrapped("--kernel", vmm.guest("spin"), "--id", "one", "--sandbox-allow-missing",
                      names, wrap=wrap)
    warning = running.wait_for(b"the sandbox lacks").decode()
    assert ", ".join(missing) in warning and reason in warning
    running.wait_for(b"running (")
    state = json.loads(run("state", "--json", "one", wrap=user).stdout)
    assert state["state"] == "running"
    assert state["sandbox"]["missing"] == missing
    assert sorted(state["sandbox"]["layers"] + missing) == sorted(LAYERS)
    assert reason in state["sandbox"]["reason"]
    assert run("state", "one", wrap=user).stdout.decode() == \
        f"Running (the sandbox lacks {', '.join(missing)})\n"
    listed = json.loads(run("ps", "--json", wrap=user).stdout)
    assert listed[0]["sandbox_missing"] == missing
    metrics = run("metrics", "one", wrap=user).stdout.decode()
    for layer in LAYERS:
        assert f'volt_sandbox_layer{{layer="{layer}"}} {int(layer not in missing)}\n' in metrics
    assert ("volt_sandbox_landlock_abi 0\n" in metrics) == ("landlock" in missing)
    in_force = layers_in(status_of("one", wrap=user, expected=1), "in_force")
    # Root whose user namespace has no other user is root still, as others see it.
    is_root = "namespaces" in missing and user is as_we_are and os.geteuid() == 0
    assert [layer for layer in LAYERS if not in_force[layer]] == [
        *missing, *(["capabilities"] if is_root else [])]
    config = json.loads(run("config", "get", "one", wrap=user).stdout)
    assert config["sandbox_allow_missing"] == names


# --- a forbidden call -----------------------------------------------------------------------------

@needs_sandbox
@needs_kvm
@needs_root
def test_a_forbidden_call(tmp_path):
    """Somebody has taken a thread over: everybody is told, and the virtual machine ends."""
    lines = tmp_path / "metrics"
    with Api("--metrics-path", lines) as api:
        with api.client.stream("GET", "/v1/vm/events") as response:
            api.start("spin")
            assert "volt_sandbox_forbidden_calls_total 0\n" in api.client.get("/v1/metrics").text
            inject.call(api.running.machine(), SYS_SOCKET, 2, 1, 0)
            events = "".join(response.iter_text())
        assert 'event: forbidden_call\ndata: {"call":"socket"}\n' in events
        assert events.rstrip().endswith('event: end\ndata: {"reason":"forbidden_call"}')
        assert api.process.wait(timeout=vmm.DEADLINE_S) == 123
        line = api.running.wait_for(b"socket(0x2, 0x1, 0)").decode()
        assert "forbids" in line
    faults = [json.loads(line)["seccomp"]["num_faults"] for line in lines.read_text().splitlines()]
    assert faults[-1] == 1 and set(faults[:-1]) <= {0}


# --- options --------------------------------------------------------------------------------------

@needs_sandbox
@needs_kvm
def test_a_filter_on_top(user):
    pathlib.Path("allow.bpf").write_bytes(program((6, 0, 0, ALLOW)))
    running = spin("--seccomp-filter", "allow.bpf", wrap=user)
    threads = status_of("one", wrap=user)["machine"]["threads"]
    assert {thread["filters"] for thread in threads} == {2}
    # It is machine's for good: the file has no part in it any more.
    pathlib.Path("allow.bpf").unlink()
    running.pause()
    running.resume()
    running.stop()


@needs_sandbox
@needs_kvm
def test_a_filter_forbids(user):
    """tgkill() is what kicks a vCPU: a pause is the end."""
    pathlib.Path("no-kick.bpf").write_bytes(forbid(234))
    running = spin("--seccomp-filter", "no-kick.bpf", wrap=user)
    os.kill(running.process.pid, 10)  # SIGUSR1
    assert running.process.wait(timeout=vmm.DEADLINE_S) == 121
    assert b"signal 31" in running.wait_for(b"Bad system call")


@needs_kvm
def test_a_filter_that_leaves_no_word():
    pathlib.Path("nothing.bpf").write_bytes(program((6, 0, 0, KILL)))
    result = run("--kernel", vmm.guest("hello"), "--seccomp-filter", "nothing.bpf")
    assert result.returncode == 121
    assert b"maybe the filter of --seccomp-filter forbids" in result.stderr


FIRECRACKER_FORM = b"\x03apivmmvcpu" + bytes(range(200))


@pytest.mark.parametrize("data,part", [
    (b"", "is empty"),
    (b"1234567", "not a multiple of 8"),
    (program((6, 0, 0, ALLOW)) * 4097, "too large"),
    (program((0xffff, 0, 0, 0)), "no valid BPF program"),
    (program((0x20, 0, 0, 0)), "no valid BPF program"),
    (FIRECRACKER_FORM, "Firecracker's compiled form"),
    (b'{ "vmm": { "default_action": "trap" } }', "is JSON"),
], ids=["empty", "odd", "large", "unknown", "endless", "firecracker", "json"])
def test_bad_filters(data, part):
    pathlib.Path("bad.bpf").write_bytes(data)
    result = run("--kernel", vmm.guest("hello"), "--seccomp-filter", "bad.bpf")
    text = result.stderr.decode()
    assert result.returncode in (1, 2) and part in text and "'bad.bpf'" in text
    assert text.count("\n") == 1 and result.stdout == b""
    if data:
        assert "give a raw BPF program" in text


@pytest.mark.parametrize("path", ["nowhere.bpf", ".", "/dev/null"])
def test_filters_that_are_no_files(path):
    result = run("--kernel", vmm.guest("hello"), "--seccomp-filter", path)
    assert result.returncode == 1 and f"'{path}'" in result.stderr.decode()


@needs_sandbox
@needs_kvm
def test_a_client_cannot_lose_the_filter():
    pathlib.Path("no-kick.bpf").write_bytes(forbid(234))
    path = str(pathlib.Path("no-kick.bpf").resolve())
    with Api("--seccomp-filter", path, "--sandbox-allow-missing", "limits") as api:
        api.do("PUT", "/v1/vm/config", {"version": 1, "kernel": str(vmm.guest("spin"))})
        config = api.get("/v1/vm/config")
        assert config["seccomp_filter"] == path and config["sandbox_allow_missing"] == "limits"
        assert "no layer" in api.problem("PUT", "/v1/vm/config", 422,
                                         {"version": 1, "sandbox_allow_missing": "x"})
        api.do("PUT", "/v1/vm/state", {"state": "running"})
        state = api.get("/v1/vm/state")
        assert state["sandbox"]["layers"] == LAYERS and state["sandbox"]["reason"] is None


@needs_kvm
def test_a_bad_filter_leaves_the_program_ready():
    with Api() as api:
        pathlib.Path("bad.bpf").write_bytes(b"1234567")
        config = {"version": 1, "kernel": str(vmm.guest("spin")),
                  "seccomp_filter": str(pathlib.Path("bad.bpf").resolve())}
        api.do("PUT", "/v1/vm/config", config)
        assert "multiple of 8" in api.problem("PUT", "/v1/vm/state", 422, {"state": "running"})
        pathlib.Path("bad.bpf").write_bytes(program((6, 0, 0, ALLOW)))
        api.do("PUT", "/v1/vm/state", {"state": "running"})


@needs_sandbox
@needs_kvm
def test_firecracker_has_the_options(tmp_path):
    (tmp_path / "firecracker").symlink_to(vmm.VMM)
    config = {"boot-source": {"kernel_image_path": str(vmm.guest("hello"))}, "drives": []}
    (tmp_path / "vm.json").write_text(json.dumps(config))
    (tmp_path / "allow.bpf").write_bytes(program((6, 0, 0, ALLOW)))
    command = without_calls([tmp_path / "firecracker", "--no-api", "--config-file", "vm.json"],
                            SYS_LANDLOCK)
    result = subprocess.run(command, capture_output=True, check=False, input=b"")
    assert result.returncode == 1 and b"--sandbox-allow-missing=landlock" in result.stderr
    result = subprocess.run([*command, "--sandbox-allow-missing", "landlock",
                             "--seccomp-filter", "allow.bpf"],
                            capture_output=True, check=False, input=b"")
    assert result.returncode == 42, result.stderr
    result = subprocess.run([tmp_path / "firecracker", "--no-api", "--config-file", "vm.json",
                             "--no-seccomp", "--log-path", "log", "--level", "info"],
                            capture_output=True, check=False, input=b"")
    assert result.returncode == 42, result.stderr
    assert "--no-seccomp changes nothing" in (tmp_path / "log").read_text()


@needs_sandbox
@needs_kvm
def test_core_scheduling_or_none():
    """Where the host has it the processes have a cookie of their own; elsewhere nothing starts."""
    offered = status_of()["core_scheduling"]
    result = run("--kernel", vmm.guest("hello"), "--core-scheduling")
    assert result.returncode == (42 if offered else 1)
    assert offered or b"core scheduling" in result.stderr


# --- memory secrecy -------------------------------------------------------------------------------

def memory_flags(pid):
    """VmFlags of the mapping that is guest memory: 128 MiB."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    areas = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)
    flags = [re.search(r"^VmFlags: (.*)$", area, re.MULTILINE).group(1).split()
             for area in areas if re.search(r"^Size: +131072 kB$", area, re.MULTILINE)]
    assert len(flags) == 1
    return set(flags[0])


def can_lock_memory():
    """Whether root may raise the limit here: not in every container."""
    return subprocess.run(["prlimit", "--memlock=unlimited", "true"], capture_output=True,
                          check=False).returncode == 0


@needs_sandbox
@needs_kvm
@needs_root
@pytest.mark.parametrize("options", [[], ["--memory-shared"], ["--prefault"],
                                     ["--hugepages", "off"]])
@pytest.mark.parametrize("is_locked", [False, True])
def test_guest_memory_is_secret(options, is_locked):
    if is_locked and not can_lock_memory():
        pytest.skip("the limit of locked memory cannot be raised here")
    running = spin(*options, *(["--memory-lock"] if is_locked else []))
    flags = memory_flags(running.machine())
    assert {"dc", "dd"} <= flags  # not for children, not in core dumps
    assert "mg" not in flags  # not merged with equal pages of others
    assert ("lo" in flags) == is_locked
    limits = pathlib.Path(f"/proc/{running.machine()}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)


@needs_kvm
def test_memory_lock_needs_its_limit():
    if not can_be_nobody():
        pytest.skip("nobody cannot run the program here")
    result = run("--kernel", vmm.guest("hello"), "--memory-lock", "--no-api",
                 wrap=lambda command: as_nobody(["prlimit", "--memlock=65536", *command]))
    assert result.returncode == 1
    assert b"cannot lock 128 MiB of guest memory" in result.stderr and b"ulimit -l" in result.stderr
