# SPDX-License-Identifier: Apache-2.0
"""Volt's own API, its description, and what the documentation says about both."""
import json
import re
import time

import pytest

from support import vmm
from support.api import DESCRIPTION, Api, check_schema, has_kvm, operations, resolve
from support.running import kill_all

pytestmark = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")

READS = ["/health", "/v1/vm", "/v1/vm/config", "/v1/vm/state", "/v1/drives"]
PATHS = [*READS, "/openapi.yaml", "/v1/metrics", "/v1/vm/events", "/v1/drives/x"]


@pytest.fixture(autouse=True, scope="module")
def leave_nothing_running():
    yield
    kill_all()


@pytest.fixture(name="fresh")
def fresh_vm():
    with Api() as api:
        yield api


@pytest.fixture(name="idle", scope="module")
def vm_that_is_not_started():
    with Api() as api:
        yield api


def put_state(api, state):
    api.do("PUT", "/v1/vm/state", {"state": state})


def state_of(api):
    return api.get("/v1/vm/state")["state"]


# --- rules of HTTP --------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/foo", "/v1/vm/config/x", "/v1/drives/a/b",
                                  "/health/x", "/v1/%22", "/v1/" + "a/" * 1000])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
def test_no_such_path(idle, method, path):
    response = idle.client.request(method, path, content=b"" if method == "GET" else b"{}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    check_schema({"$ref": "#/components/schemas/Problem"}, response.json())


@pytest.mark.parametrize("path", PATHS)
def test_no_such_method(idle, path):
    item = DESCRIPTION["paths"][path.replace("/x", "/{id}")]
    allowed = {method.upper() for method in item if method != "parameters"}
    for method in {"PUT", "PATCH", "DELETE", "POST"} - allowed:
        response = idle.client.request(method, path, content=b"{}")
        assert response.status_code == 405
        assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", READS)
def test_reads(idle, path):
    idle.get(path)
    assert idle.problem("GET", path, 400, b"{}") == "GET takes no body"


@pytest.mark.parametrize("method,path", [("PUT", "/v1/vm/state"), ("PUT", "/v1/vm/config")])
@pytest.mark.parametrize("body,status", [
    (None, 400), (b"", 400), (b"{", 400), (b"[]", 400), (b"null", 400), (b"-1", 400), (b"{}", 400),
    (b'{"no_such":1}', 400), (b'{"a":1,"a":2}', 400), (b"\xff", 400), (b"[" * 100000, 400),
    (b" " * (1 << 20) + b" ", 413), (b" " * (3 << 20), 413),
])
def test_bad_bodies(idle, method, path, body, status):
    before = idle.get("/v1/vm/config")
    idle.problem(method, path, status, body)
    assert idle.get("/v1/vm/config") == before and state_of(idle) == "not_started"


def test_nearest_word(idle):
    detail = idle.problem("PUT", "/v1/vm/state", 400, {"state": "runing"})
    assert "`running`" in detail
    detail = idle.problem("PUT", "/v1/vm/config", 400, {"version": 1, "kernle": "x"})
    assert "`kernel`" in detail


# --- configuration --------------------------------------------------------------------------------

def test_configuration_round_trip(fresh):
    config = {"version": 1, "kernel": str(vmm.guest("spin")), "memory": "64M", "cpus": 2,
              "drives": [{"path": "/dev/null", "id": "a", "ro": True, "bw": "1M:100"}]}
    fresh.do("PUT", "/v1/vm/config", config)
    shown = fresh.get("/v1/vm/config")
    assert shown["cpus"] == 2 and shown["drives"][0]["id"] == "a"
    fresh.do("PUT", "/v1/vm/config", shown)
    assert fresh.get("/v1/vm/config") == shown
    assert fresh.get("/machine-config")["vcpu_count"] == 2
    fresh.do("PUT", "/v1/vm/config", {"version": 1})
    assert fresh.get("/v1/vm/config")["drives"] == []


@pytest.mark.parametrize("change,status", [
    ({"memory": "1"}, 422), ({"memory": -1}, 400), ({"cpus": 0}, 422), ({"cpus": 2**40}, 400),
    ({"version": 2}, 400), ({"hugepages": "x"}, 400), ({"cmdline": "a\nb"}, 422),
    ({"drives": [{"path": "x", "id": "a"}, {"path": "y", "id": "a"}]}, 422),
    ({"console": "fle:x"}, 422),
])
def test_refused_values(idle, change, status):
    before = idle.get("/v1/vm/config")
    idle.problem("PUT", "/v1/vm/config", status, {"version": 1, **change})
    assert idle.get("/v1/vm/config") == before


# --- state ----------------------------------------------------------------------------------------

def test_a_life(fresh):
    fresh.do("PUT", "/v1/vm/config", {"version": 1, "kernel": str(vmm.guest("spin"))})
    assert state_of(fresh) == "not_started"
    put_state(fresh, "running")
    assert state_of(fresh) == fresh.get("/health")["state"] == "running"
    vm = fresh.get("/v1/vm")
    assert vm["pid"] == fresh.process.pid and vm["machine_pid"] == fresh.running.machine()
    put_state(fresh, "running")
    put_state(fresh, "paused")
    put_state(fresh, "paused")
    assert state_of(fresh) == "paused"
    put_state(fresh, "running")
    fresh.problem("PUT", "/v1/vm/config", 409, {"version": 1})
    # This guest has not enabled its keyboard.
    assert "keyboard" in fresh.problem("PUT", "/v1/vm/state", 409, {"state": "shutdown"})
    put_state(fresh, "stopped")
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == 0


def test_states_that_need_a_start(idle):
    assert "no virtual machine runs" in idle.problem("PUT", "/v1/vm/state", 409,
                                                     {"state": "paused"})
    idle.problem("PUT", "/v1/vm/state", 409, {"state": "shutdown"})
    assert "kernel" in idle.problem("PUT", "/v1/vm/state", 409, {"state": "running"})


def test_a_failed_start(fresh):
    fresh.do("PUT", "/v1/vm/config", {"version": 1, "kernel": "/nonexistent"})
    assert "/nonexistent" in fresh.problem("PUT", "/v1/vm/state", 422, {"state": "running"})
    fresh.do("PUT", "/v1/vm/config", {"version": 1, "kernel": "/etc/passwd"})
    assert fresh.request("PUT", "/v1/vm/state", {"state": "running"}).status_code in (422, 500)
    assert state_of(fresh) == "not_started"


def test_stopping_before_the_start_ends_the_program(fresh):
    put_state(fresh, "stopped")
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == 0


def test_a_stop_while_paused(fresh):
    fresh.start()
    put_state(fresh, "paused")
    put_state(fresh, "stopped")
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == 0


# --- drives ---------------------------------------------------------------------------------------

@pytest.fixture(name="disks")
def disk_files(tmp_path):
    paths = [tmp_path / name for name in ("one.img", "two.img")]
    for path in paths:
        path.write_bytes(bytes(1 << 20))
    return paths


def test_drives(fresh, disks):
    fresh.start(data=disks[0])
    assert [drive["id"] for drive in fresh.get("/v1/drives")["drives"]] == ["data"]
    fresh.do("PATCH", "/v1/drives/data", {"path": str(disks[1]), "bw": "1M:100", "ops": 1000})
    drive = fresh.get("/v1/drives/data")
    assert drive["path"] == str(disks[1])
    assert drive["bw"] == "1048576:100" and drive["ops"].startswith("1000:")
    fresh.do("PATCH", "/v1/drives/data", {"bw": None})
    drive = fresh.get("/v1/drives/data")
    assert "bw" not in drive and drive["ops"].startswith("1000:")
    fresh.do("PATCH", "/v1/drives/data", {})


def test_bad_changes_of_a_drive(fresh, disks):
    fresh.problem("PATCH", "/v1/drives/data", 409, {"path": "x"})
    fresh.start(data=disks[0])
    kept = fresh.get("/v1/drives/data")
    fresh.problem("PATCH", "/v1/drives/none", 404, {"path": "x"})
    fresh.problem("GET", "/v1/drives/none", 404)
    fresh.problem("PATCH", "/v1/drives/data", 422, {"path": "/nonexistent"})
    fresh.problem("PATCH", "/v1/drives/data", 422, {"path": None})
    fresh.problem("PATCH", "/v1/drives/data", 422, {"bw": "0"})
    fresh.problem("PATCH", "/v1/drives/data", 400, {"bw": []})
    fresh.problem("PATCH", "/v1/drives/data", 400, {"ro": True})
    assert fresh.get("/v1/drives/data") == kept


# --- events ---------------------------------------------------------------------------------------

def read_events(response):
    for block in "".join(response.iter_text()).split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        if lines:
            yield lines["event"], json.loads(lines["data"])


def test_events(fresh):
    with fresh.client.stream("GET", "/v1/vm/events") as response:
        assert response.headers["content-type"] == "text/event-stream"
        fresh.start("ports")
        events = list(read_events(response))
    states = [data["state"] for name, data in events if name == "state"]
    assert states == ["not_started", "starting", "running", "ended"]
    assert events[-1][0] == "end" and events[-1][1]["reason"] in ("exit", "power_off", "crash")


def test_a_panic(fresh):
    """The guest says it ten thousand times, and reboots."""
    with fresh.client.stream("GET", "/v1/vm/events") as response:
        fresh.start("panic")
        events = list(read_events(response))
    assert [data for name, data in events if name == "guest_panic"] == [{"crash_kernel": False}]
    assert events[-1] == ("end", {"reason": "panic", "text": "it rebooted then"})
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == 122
    output, log = fresh.process.communicate()
    assert output == b"knows 03\npanic\n"
    assert log.count(b"the guest's kernel panicked") == 1
    assert b"the guest panicked; it rebooted then" in log


def test_a_watcher_who_comes_late_hears_of_the_panic(fresh):
    fresh.start("panic-and-spin")
    vmm.wait_until(lambda: "volt_guest_panics_total 1\n" in fresh.request(
        "GET", "/v1/metrics").text, "it is counted")
    with fresh.client.stream("GET", "/v1/vm/events") as response:
        fresh.do("PUT", "/v1/vm/state", {"state": "stopped"})
        events = list(read_events(response))
    assert [name for name, _ in events][:2] == ["state", "guest_panic"]
    assert events[1][1] == {"crash_kernel": True}
    assert events[-1][1]["reason"] == "stopped"


def test_faults_of_a_drive(fresh, tmp_path):
    """A guest that breaks the protocol all the time does not drown its user."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 21))
    fresh.do("PUT", "/machine-config", {"vcpu_count": 2, "mem_size_mib": 3088})
    begin = time.monotonic()
    with fresh.client.stream("GET", "/v1/vm/events") as response:
        fresh.start("hostile-blk", attacked=disk)
        events = list(read_events(response))
    faults = [data for name, data in events if name == "device_fault"]
    assert 1 <= len(faults) <= 4 * (time.monotonic() - begin + 2)
    for fault in faults:
        assert fault["device"] == "drive" and fault["id"] == "attacked" and fault["text"]
        assert fault["fault"] in ("needs_reset", "io_error")
    assert any(fault["fault"] == "needs_reset" for fault in faults)


def test_too_many_watchers(fresh):
    streams = [fresh.client.stream("GET", "/v1/vm/events") for _ in range(5)]
    for stream in streams:
        assert stream.__enter__().status_code == 200
    fresh.problem("GET", "/v1/vm/events", 503)
    streams.pop().__exit__(None, None, None)

    def has_room():
        with fresh.client.stream("GET", "/v1/vm/events") as response:
            return response.status_code == 200
    vmm.wait_until(has_room, "there is room again")
    for stream in streams:
        stream.__exit__(None, None, None)


# --- metrics and descriptions ---------------------------------------------------------------------

def test_metrics(fresh):
    fresh.start()
    text = fresh.request("GET", "/v1/metrics").text
    assert re.search(r"^# TYPE \w+ \w+$", text, re.MULTILINE)


def test_the_program_carries_its_description(idle):
    response = idle.request("GET", "/openapi.yaml")
    assert response.content == (vmm.ROOT / "docs" / "api.yaml").read_bytes()


def test_examples_fit_their_schemas():
    def check(content):
        for kind, media in content.items():
            if "example" in media and "json" in kind:
                check_schema(media["schema"], media["example"])
    for _, _, operation in operations():
        check(operation.get("requestBody", {}).get("content", {}))
        for response in operation["responses"].values():
            check(resolve(response).get("content", {}))


def test_every_route_is_described():
    source = (vmm.ROOT / "control" / "api" / "route.c").read_text(encoding="utf-8")
    routes = set(re.findall(r'\{ "([A-Z]+)", "([^"]+)", API_', source))
    assert routes == {(method, path) for method, path, _ in operations()}
