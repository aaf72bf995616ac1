# SPDX-License-Identifier: Apache-2.0
"""Firecracker's API: every path in every state, with good and bad requests, over the socket."""
import contextlib
import json
import os
import signal
import socket
import stat

import pytest

from support import vmm
from support.api import Api, has_kvm
from support.running import kill_all

pytestmark = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")

JSON = "An error occurred when deserializing the json body of a request: "
BEFORE = "The requested operation is not supported before starting the microVM."
AFTER = "The requested operation is not supported after starting the microVM."
NO_PCI = "PCI manager error: PCI is not enabled"
NO_BALLOON = "Balloon config error: No balloon device found."

# Settings: path, a good body, a field of it, a value that this field refuses by its type.
SETTINGS = [
    ("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 128}, "vcpu_count", "1"),
    ("PATCH", "/machine-config", {"mem_size_mib": 128}, "mem_size_mib", -1),
    ("PUT", "/boot-source", {"kernel_image_path": str(vmm.guest("spin"))}, "kernel_image_path", 1),
    ("PUT", "/cpu-config", {"msr_modifiers": [{"addr": "0x10a", "bitmap": "0b1"}]},
     "msr_modifiers", 1),
    ("PUT", "/drives/d0", {"drive_id": "d0", "is_root_device": False, "is_read_only": True,
                           "path_on_host": "/dev/null"}, "is_root_device", "yes"),
    ("PUT", "/network-interfaces/n0", {"iface_id": "n0", "host_dev_name": "tap0"}, "mtu", 65536),
    ("PUT", "/pmem/p0", {"id": "p0", "path_on_host": "/dev/null"}, "read_only", 1),
    ("PUT", "/balloon", {"amount_mib": 0, "deflate_on_oom": True}, "amount_mib", 2**32),
    ("PUT", "/vsock", {"guest_cid": 3, "uds_path": "v.sock"}, "guest_cid", -3),
    ("PUT", "/entropy", {}, "rate_limiter", []),
    ("PUT", "/serial", {"serial_out_path": "/dev/null"}, "serial_out_path", {}),
    ("PUT", "/logger", {"level": "Info"}, "show_level", "true"),
    ("PUT", "/mmds/config", {"network_interfaces": ["n0"]}, "network_interfaces", "n0"),
    ("PUT", "/hotplug/memory", {"total_size_mib": 1024}, "total_size_mib", 1.5),
]
# What can be done to a VM that runs: path, a good body, its message when there is no such device.
LIVE = [
    ("PATCH", "/vm", {"state": "Resumed"}, None),
    ("PATCH", "/drives/none", {"drive_id": "none", "path_on_host": "/dev/null"},
     "Drive config error: Unable to patch the block device: Device not found. "
     "Please verify the request arguments."),
    ("PATCH", "/network-interfaces/n0", {"iface_id": "n0"},
     "Network config error: Unable to update the net device: Device not found"),
    ("PATCH", "/pmem/p0", {"id": "p0", "rate_limiter": {}}, "Pmem config error: Device not found"),
    ("PATCH", "/balloon", {"amount_mib": 1}, "Balloon update error: No balloon device found."),
    ("PATCH", "/balloon/statistics", {"stats_polling_interval_s": 1},
     "Balloon update error: No balloon device found."),
    ("PATCH", "/hotplug/memory", {"requested_size_mib": 0},
     "Memory hotplug update error: Device not found"),
    ("PUT", "/snapshot/create", {"snapshot_path": "s", "mem_file_path": "m"},
     "Create snapshot error: The microVM is not paused."),
]
SETTING_IDS = [f"{method} {path}" for method, path, *_ in SETTINGS]
LIVE_IDS = [f"{method} {path}" for method, path, *_ in LIVE]


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


@pytest.fixture(name="live", scope="module")
def vm_that_runs():
    with Api() as api:
        api.start()
        yield api


# --- settings -------------------------------------------------------------------------------------

@pytest.mark.parametrize("method,path,good,field,bad", SETTINGS, ids=SETTING_IDS)
class TestSettings:
    def test_good(self, fresh, method, path, good, field, bad):
        if path == "/mmds/config":
            fresh.do("PUT", "/network-interfaces/n0", {"iface_id": "n0", "host_dev_name": "tap0"})
        fresh.do(method, path, good)
        fresh.do(method, path, good)
        fresh.get("/vm/config")

    def test_no_body(self, idle, method, path, good, field, bad):
        assert idle.fault(method, path) == f"Empty {method} request."
        assert idle.fault(method, path, b"") == f"Empty {method} request."

    @pytest.mark.parametrize("body", [b"{", b"{}}", b"nonsense", b"\xff\xfe", b'{"a":"\xc3"}',
                                      b"[1]", b'"text"', b"null", b"1", b"[" * 5000])
    def test_broken(self, idle, method, path, good, field, bad, body):
        assert idle.fault(method, path, body).startswith(JSON)

    def test_wrong_type(self, idle, method, path, good, field, bad):
        message = idle.fault(method, path, {**good, field: bad})
        assert message.startswith(JSON)
        if path != "/cpu-config":  # templates have messages of their own
            assert " at line 1 column " in message

    @pytest.mark.parametrize("number", ["-1", "1e400", "9" * 400, "-" + "9" * 400, "0.5"])
    def test_numbers(self, idle, method, path, good, field, bad, number):
        body = json.dumps({**good, field: "@"}).replace('"@"', number).encode()
        assert idle.fault(method, path, body).startswith(JSON)

    def test_unknown_field(self, idle, method, path, good, field, bad):
        message = idle.fault(method, path, {**good, "no_such": 1})
        assert message.startswith(JSON) and "no_such" in message
        if path != "/cpu-config":
            assert message.startswith(f"{JSON}unknown field `no_such`, expected ")

    def test_field_twice(self, idle, method, path, good, field, bad):
        body = f'{{"{field}":null,"{field}":null}}'.encode()
        assert idle.fault(method, path, body).startswith(f"{JSON}duplicate field `{field}`")

    def test_too_late(self, live, method, path, good, field, bad):
        expected = NO_PCI if path.count("/") == 2 and path[-1] == "0" else AFTER
        before = live.get("/vm/config")
        message = live.fault(method, path, good)
        if path != "/mmds/config":  # its interface is looked for first, and is not there
            assert message == expected
        assert live.fault(method, path, b"{").startswith(JSON)
        assert live.get("/vm/config") == before


def test_a_refused_change_changes_nothing(fresh):
    before = fresh.get("/machine-config")
    for body in ({"vcpu_count": 0, "mem_size_mib": 64}, {"vcpu_count": 33, "mem_size_mib": 64},
                 {"vcpu_count": 2, "mem_size_mib": 0}, {"vcpu_count": 3, "mem_size_mib": 64,
                                                        "smt": True}):
        assert fresh.fault("PUT", "/machine-config", body).startswith("Machine config error: ")
    assert fresh.get("/machine-config") == before


def test_machine_config_as_clients_see_it(fresh):
    expected = {"vcpu_count": 1, "mem_size_mib": 128, "smt": False, "track_dirty_pages": False,
                "huge_pages": "None"}
    assert fresh.get("/machine-config") == expected
    fresh.do("PATCH", "/machine-config", {"mem_size_mib": 256, "track_dirty_pages": True})
    expected.update(mem_size_mib=256, track_dirty_pages=True)
    assert fresh.get("/machine-config") == expected
    assert fresh.fault("PATCH", "/machine-config", {}) == "Empty PATCH request."


@pytest.mark.parametrize("path,body", [
    ("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "cpu_template": "None"}),
    ("/vsock", {"guest_cid": 3, "uds_path": "v", "vsock_id": "root"}),
])
def test_deprecated(fresh, path, body):
    response = fresh.request("PUT", path, body)
    assert response.status_code == 204 and response.headers["deprecation"] == "true"
    assert "deprecation" not in fresh.request("GET", "/").headers


# --- ids and paths --------------------------------------------------------------------------------

RESOURCES = ["drives", "network-interfaces", "pmem"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_ids(idle, resource):
    good = {"drives": {"drive_id": "a", "is_root_device": False},
            "network-interfaces": {"iface_id": "a", "host_dev_name": "t"},
            "pmem": {"id": "a", "path_on_host": "p"}}[resource]
    mismatch = {"drives": "The id from the path does not match the id from the body!",
                "network-interfaces":
                    "The id from the path [b] does not match the id from the body [a]!",
                "pmem": "The id from the path does not match the id from the body!"}[resource]
    allowed = "API Resource IDs can only contain alphanumeric characters and underscores."
    for method in ("PUT", "PATCH"):
        assert idle.fault(method, f"/{resource}", good) == "The ID cannot be empty."
        assert idle.fault(method, f"/{resource}/", good) == "The ID cannot be empty."
        for bad in ("a-b", "a%20b", "a.b", "%C3%A9%21", "%7B"):
            assert idle.fault(method, f"/{resource}/{bad}", good) == allowed
    assert idle.fault("PUT", f"/{resource}/b", good) == mismatch
    assert idle.fault("DELETE", f"/{resource}") == "The ID cannot be empty."
    assert idle.fault("DELETE", f"/{resource}/a", b"{}") == "Empty Delete request."


@pytest.mark.parametrize("method,path,body,message", [
    ("GET", "/foo", None, "Invalid request method and/or path: GET foo."),
    ("GET", "/foo/bar", None, "Invalid request method and/or path: GET foo."),
    ("GET", "/foo", b"{}", "GET request cannot have a body."),
    ("GET", "/", b"{}", "GET request cannot have a body."),
    ("GET", "/vm", None, "Invalid request method and/or path: GET vm."),
    ("GET", "/drives", None, "Invalid request method and/or path: GET drives."),
    ("GET", "/actions", None, "Invalid request method and/or path: GET actions."),
    ("PUT", "/foo", None, "Empty PUT request."),
    ("PUT", "/foo", b"{}", "Invalid request method and/or path: PUT foo."),
    ("PUT", "/", b"{}", "Invalid request method and/or path: PUT ."),
    ("PUT", "/vm", b"{}", "Invalid request method and/or path: PUT vm."),
    ("PUT", "/hotplug", b"{}", "Invalid request method and/or path: PUT hotplug."),
    ("PUT", "/snapshot", b"{}", "Missing snapshot operation type."),
    ("PUT", "/snapshot/x", b"{}", "Invalid request method and/or path: PUT x."),
    ("PUT", "/mmds/x", b"{}", "Unrecognized PUT request path `x`."),
    ("PATCH", "/foo", None, "Empty PATCH request."),
    ("PATCH", "/actions", b"{}", "Invalid request method and/or path: PATCH actions."),
    ("PATCH", "/balloon/x", b"{}", "Unrecognized PATCH request path `x`."),
    ("GET", "/balloon/x", None, "Unrecognized GET request path `x`."),
    ("DELETE", "/", None, "Invalid request method and/or path: DELETE ."),
    ("DELETE", "/vsock", None, "Invalid request method and/or path: DELETE vsock."),
])
def test_paths(idle, live, method, path, body, message):
    assert idle.fault(method, path, body) == message
    assert live.fault(method, path, body) == message


def test_what_follows_a_path_is_ignored(idle):
    assert idle.client.get("/version/of/this").status_code == 200
    assert idle.client.get("/machine-config/").status_code == 200
    assert b"vcpu_count" in idle.raw(b"GET ///machine-config// HTTP/1.1\r\n\r\n")
    assert idle.client.get("/vm/config?x=/y").status_code == 200


def test_long_and_hostile_paths(idle):
    for path in ("/" + "a" * 4000, "/" + "a/" * 2000, "/drives/" + "a" * 4000, "/%22%5C%7F"):
        assert idle.client.get(path).status_code == 400
    answer = idle.raw(b"GET /\"<b>\\x HTTP/1.1\r\n\r\n")
    json.loads(answer.split(b"\r\n\r\n", 1)[1])


def test_methods_that_are_none(idle):
    for method in (b"POST", b"HEAD", b"get", b"OPTIONS"):
        answer = idle.raw(method + b" / HTTP/1.1\r\n\r\n", end=False)
        assert answer.startswith(b"HTTP/1.1 400 \r\n")
        assert b'{ "error": "Invalid HTTP Method: Unsupported HTTP method.\n' in answer


def test_a_long_body(idle):
    kept = idle.get("/machine-config")
    for size in (51201, 300000, 3000000):
        head = b"PUT /machine-config HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size
        answer = idle.raw(head + b" " * size)
        assert answer.startswith(b"HTTP/1.1 400 \r\n"), answer[:200]
        assert (b'{ "error": "Request payload with size %d is larger than the limit of 51200 '
                b'allowed by server.\n' % size) in answer
    assert idle.get("/machine-config") == kept


# --- life -----------------------------------------------------------------------------------------

def test_the_socket(fresh):
    assert stat.S_IMODE(os.stat(fresh.path).st_mode) == 0o600
    other = vmm.run("--api-sock", fresh.path, "--kernel", vmm.guest("power-off"))
    assert other.returncode == 1
    assert (b"Failed to open the API socket at: %s. Check that it is not already used."
            % bytes(fresh.path)) in other.stderr
    assert fresh.get("/")["state"] == "Not started"


def test_the_answer_byte_for_byte(fresh):
    request = b"GET /version HTTP/1.1\r\n\r\n"
    body = b'{"firecracker_version":"1.17.0"}'
    assert fresh.raw(request) == (
        b"HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    done = b'PUT /entropy HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}'
    assert fresh.raw(done) == (
        b"HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n")


def test_a_life(fresh):
    assert fresh.get("/")["state"] == "Not started"
    fresh.start()
    assert fresh.get("/")["state"] == "Running"
    for _ in range(3):
        fresh.do("PATCH", "/vm", {"state": "Paused"})
        fresh.do("PATCH", "/vm", {"state": "Paused"})
        assert fresh.get("/")["state"] == "Paused"
        fresh.do("PATCH", "/vm", {"state": "Resumed"})
        assert fresh.get("/")["state"] == "Running"
    fresh.do("PUT", "/actions", {"action_type": "FlushMetrics"})
    # This guest has not enabled its keyboard.
    assert fresh.fault("PUT", "/actions", {"action_type": "SendCtrlAltDel"}).startswith(
        "Internal VMM error: ")
    assert fresh.fault("PUT", "/actions", {"action_type": "InstanceStart"}) == AFTER


@pytest.mark.parametrize("guest,status", [("power-off", 0), ("reboot", 0), ("triple-fault", 120)])
def test_the_program_ends_with_its_guest(fresh, guest, status):
    fresh.start(guest)
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == status
    assert not fresh.path.exists()


def test_a_kernel_on_the_command_line_starts_at_once():
    with Api("--kernel", vmm.guest("spin")) as api:
        vmm.wait_until(lambda: api.get("/")["state"] == "Running", "it runs")
        assert api.fault("PUT", "/actions", {"action_type": "InstanceStart"}) == AFTER


def test_start_without_a_kernel(fresh):
    assert fresh.fault("PUT", "/actions", {"action_type": "InstanceStart"}) == (
        "Start microvm error: Cannot start microvm without kernel configuration.")


def test_a_failed_start_may_be_tried_again(fresh):
    start = ("PUT", "/actions", {"action_type": "InstanceStart"})
    # The same descriptor is refused early by control, a text file late by machine.
    for kernel in ("/nonexistent", "/etc/passwd"):
        assert fresh.request("PUT", "/boot-source", {"kernel_image_path": kernel}).status_code in (
            204, 400)
    fresh.do("PUT", "/boot-source", {"kernel_image_path": "/etc/passwd"})
    assert fresh.fault(*start).startswith("Start microvm error: ")
    assert fresh.get("/")["state"] == "Not started"
    fresh.start()
    assert fresh.get("/")["state"] == "Running"


@pytest.mark.parametrize("path,body,name", [
    ("/network-interfaces/n0", {"iface_id": "n0", "host_dev_name": "tap0"}, "n0"),
    ("/pmem/p0", {"id": "p0", "path_on_host": "/dev/null"}, "p0"),
    ("/vsock", {"guest_cid": 3, "uds_path": "v.sock"}, "vsock"),
    ("/balloon", {"amount_mib": 0, "deflate_on_oom": True}, "balloon"),
    ("/entropy", {}, "entropy"),
    ("/hotplug/memory", {"total_size_mib": 1024}, "memory"),
])
def test_devices_that_are_not_built(fresh, path, body, name):
    fresh.do("PUT", path, body)
    fresh.do("PUT", "/boot-source", {"kernel_image_path": str(vmm.guest("spin"))})
    message = fresh.fault("PUT", "/actions", {"action_type": "InstanceStart"})
    assert message.startswith("Start microvm error: ") and name in message
    assert fresh.get("/")["state"] == "Not started"


@pytest.mark.parametrize("method,path,good,missing", LIVE, ids=LIVE_IDS)
class TestLive:
    def test_too_early(self, idle, method, path, good, missing):
        assert idle.fault(method, path, good) == BEFORE
        assert idle.fault(method, path) == f"Empty {method} request."
        assert idle.fault(method, path, b"{").startswith(JSON)

    def test_without_a_device(self, live, method, path, good, missing):
        if missing is None:
            live.do(method, path, good)
        else:
            assert live.fault(method, path, good) == missing

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"no_such":1}', b"-1"])
    def test_broken(self, live, method, path, good, missing, body):
        assert live.fault(method, path, body).startswith(JSON)


@pytest.mark.parametrize("path,message", [
    ("/balloon/statistics", NO_BALLOON),
    ("/balloon/hinting/status", NO_BALLOON),
    ("/hotplug/memory", "Memory hotplug config error: Device not found"),
])
def test_reading_what_is_not_there(idle, live, path, message):
    assert idle.fault("GET", path) == BEFORE
    assert live.fault("GET", path) == message


def test_balloon_and_hinting(fresh, idle, live):
    assert fresh.fault("GET", "/balloon") == NO_BALLOON
    body = {"amount_mib": 3, "deflate_on_oom": False, "stats_polling_interval_s": 1}
    fresh.do("PUT", "/balloon", body)
    assert {**fresh.get("/balloon"), **body} == fresh.get("/balloon")
    for path in ("/balloon/hinting/start", "/balloon/hinting/stop"):
        assert idle.fault("PATCH", path) == BEFORE
        assert live.fault("PATCH", path) == NO_BALLOON
    assert live.fault("PATCH", "/balloon/hinting/start", b'{"x":1}').startswith(JSON)


@pytest.mark.parametrize("resource", RESOURCES)
def test_unplugging(idle, live, resource):
    assert idle.fault("DELETE", f"/{resource}/a") == BEFORE
    assert live.fault("DELETE", f"/{resource}/a") == NO_PCI


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"action_type":1}', b'{"action_type":"Start"}',
                                  b'{"action_type":"InstanceStart","x":1}',
                                  b'{"action_type":"InstanceStart","action_type":"FlushMetrics"}'])
def test_bad_actions(idle, live, body):
    assert idle.fault("PUT", "/actions", body).startswith(JSON)
    assert live.fault("PUT", "/actions", body).startswith(JSON)


def test_actions_before_the_start(idle):
    for action in ("FlushMetrics", "SendCtrlAltDel"):
        assert idle.fault("PUT", "/actions", {"action_type": action}) == BEFORE


# --- drives ---------------------------------------------------------------------------------------

@pytest.fixture(name="disks")
def disk_files(tmp_path):
    paths = [tmp_path / name for name in ("one.img", "two.img", "three.img")]
    for path in paths:
        path.write_bytes(bytes(1 << 20))
    return paths


def test_a_drive_goes_on_with_another_file(fresh, disks):
    fresh.start(data=disks[0])
    fresh.do("PATCH", "/drives/data", {"drive_id": "data", "path_on_host": str(disks[1])})
    assert fresh.get("/vm/config")["drives"][0]["path_on_host"] == str(disks[1])
    limits = {"bandwidth": {"size": 1000000, "refill_time": 100}}
    fresh.do("PATCH", "/drives/data", {"drive_id": "data", "rate_limiter": limits})
    fresh.do("PATCH", "/drives/data", {"drive_id": "data", "path_on_host": str(disks[2]),
                                       "rate_limiter": {"ops": {"size": 9, "refill_time": 1}}})
    drive = fresh.get("/vm/config")["drives"][0]
    assert drive["path_on_host"] == str(disks[2])
    assert drive["rate_limiter"]["bandwidth"]["size"] == 1000000
    assert drive["rate_limiter"]["ops"]["size"] == 9
    fresh.do("PATCH", "/drives/data", {"drive_id": "data", "rate_limiter": {}})


def test_bad_changes_of_a_drive(fresh, disks, tmp_path):
    fresh.start(data=disks[0])
    kept = fresh.get("/vm/config")
    prefix = "Drive config error: Unable to patch the block device: "
    for path in ("/nonexistent", str(tmp_path), ""):
        message = fresh.fault("PATCH", "/drives/data", {"drive_id": "data", "path_on_host": path})
        assert message.startswith(prefix) and message.endswith("verify the request arguments.")
    assert fresh.fault("PATCH", "/drives/data", {"drive_id": "data"}).startswith(prefix)
    assert "match" in fresh.fault("PATCH", "/drives/data", {"drive_id": "other"})
    assert fresh.get("/vm/config") == kept


def test_changes_at_once_are_done_one_after_the_other(fresh, disks):
    fresh.start(data=disks[0])
    requests = b""
    for number in range(30):
        body = json.dumps({"drive_id": "data",
                           "path_on_host": str(disks[number % 3])}).encode()
        requests += (b"PATCH /drives/data HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
                     + body)
    requests += b"GET /vm/config HTTP/1.1\r\n\r\n"
    answer = fresh.raw(requests)
    assert answer.count(b"HTTP/1.1 204 \r\n") == 30
    config = json.loads(answer[answer.rindex(b"\r\n\r\n"):])
    assert config["drives"][0]["path_on_host"] == str(disks[29 % 3])


def test_a_second_root(fresh):
    root = {"is_root_device": True, "is_read_only": True, "path_on_host": "/dev/null"}
    fresh.do("PUT", "/drives/a", {"drive_id": "a", **root})
    assert fresh.fault("PUT", "/drives/b", {"drive_id": "b", **root}) == (
        "Drive config error: A root block device already exists!")


# --- metadata -------------------------------------------------------------------------------------

def test_metadata(fresh):
    assert fresh.get("/mmds") == {}
    assert fresh.fault("PATCH", "/mmds", {}) == (
        "MMDS error: The MMDS data store is not initialized.")
    fresh.do("PUT", "/mmds", {"a": {"b": 1, "c": [1, {"d": None}]}, "e": "f"})
    fresh.do("PATCH", "/mmds", {"a": {"b": None, "g": {"h": None, "i": {"j": 1}}}, "e": [None]})
    assert fresh.get("/mmds") == {"a": {"c": [1, {"d": None}], "g": {"i": {"j": 1}}}, "e": [None]}
    for body in (b"[]", b"null", b'"x"', b"1"):
        assert fresh.fault("PUT", "/mmds", body).startswith(JSON)
        assert fresh.fault("PATCH", "/mmds", body).startswith(JSON)


def test_metadata_has_a_limit(fresh):
    fresh.do("PUT", "/mmds", {"kept": "x" * 40000})
    kept = fresh.get("/mmds")
    for method in ("PUT", "PATCH"):
        fits = method == "PUT"
        body = b'{"more":"%s"}' % (b"y" * (51200 - len('{"more":""}')))
        response = fresh.request(method, "/mmds", body)
        assert response.status_code == (204 if fits else 413)
        if fits:
            fresh.do("PUT", "/mmds", kept)
    assert fresh.get("/mmds") == kept


def test_metadata_of_great_depth(fresh):
    deep = b'{"a":' * 120 + b"{}" + b"}" * 120
    fresh.do("PUT", "/mmds", deep)
    fresh.do("PATCH", "/mmds", deep.replace(b"{}", b'{"b":1}'))
    assert fresh.request("GET", "/mmds").content == deep.replace(b"{}", b'{"b":1}')
    assert fresh.fault("PUT", "/mmds", b'{"a":' * 200 + b"{}" + b"}" * 200).startswith(JSON)


def test_metadata_of_a_file(tmp_path):
    path = tmp_path / "metadata.json"
    path.write_text('{"a": {"b": 1}, "c": "d"}')
    with Api("--metadata", path) as api:
        assert api.get("/mmds") == {"a": {"b": 1}, "c": "d"}
        api.do("PATCH", "/mmds", {"a": None})
        assert api.get("/mmds") == {"c": "d"}


def test_metadata_after_the_start(live):
    message = "MMDS error: The MMDS data store is not initialized."
    assert live.fault("GET", "/mmds") == message
    assert live.fault("PUT", "/mmds", {}) == message
    assert live.fault("PATCH", "/mmds", {}) == message


# --- snapshots ------------------------------------------------------------------------------------

LOAD = {"snapshot_path": "s", "mem_backend": {"backend_path": "m", "backend_type": "File"}}


def test_snapshots_are_refused_and_the_program_lives(fresh):
    assert fresh.fault("PUT", "/snapshot/load", LOAD).startswith("Load snapshot error: ")
    old = {"snapshot_path": "s", "mem_file_path": "m", "enable_diff_snapshots": False}
    response = fresh.request("PUT", "/snapshot/load", old)
    assert response.status_code == 400 and response.headers["deprecation"] == "true"
    fresh.do("PUT", "/machine-config", {"vcpu_count": 1, "mem_size_mib": 64})
    assert fresh.fault("PUT", "/snapshot/load", LOAD) == (
        "Load snapshot error: Loading a microVM snapshot not allowed after configuring "
        "boot-specific resources.")
    fresh.start()
    assert fresh.fault("PUT", "/snapshot/load", LOAD) == AFTER
    fresh.do("PATCH", "/vm", {"state": "Paused"})
    create = {"snapshot_path": "s", "mem_file_path": "m"}
    assert fresh.fault("PUT", "/snapshot/create", create) == (
        "Create snapshot error: This version cannot take snapshots.")
    fresh.do("PATCH", "/vm", {"state": "Resumed"})


@pytest.mark.parametrize("body,message", [
    ({"snapshot_path": "s"}, "missing field: either `mem_backend` or `mem_file_path` is required"),
    ({**LOAD, "mem_file_path": "m"},
     "too many fields: either `mem_backend` or `mem_file_path` exclusively is required"),
    ({"snapshot_path": "s", "mem_backend": {"backend_path": "m", "backend_type": "foo"}},
     "unknown variant `foo`, expected `File` or `Uffd`"),
])
def test_bad_loads(idle, body, message):
    assert message in idle.fault("PUT", "/snapshot/load", body)


# --- clients that misbehave -----------------------------------------------------------------------

def patch_vm(state):
    body = json.dumps({"state": state}).encode()
    return b"PATCH /vm HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def test_clients_that_leave(fresh):
    fresh.start()
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(fresh.path))
            with contextlib.suppress(BrokenPipeError):  # too many at once: it is told so
                s.sendall(patch_vm("Paused"))
    vmm.wait_until(lambda: fresh.get("/")["state"] == "Paused", "it is paused")
    fresh.do("PATCH", "/vm", {"state": "Resumed"})
    assert fresh.get("/")["state"] == "Running"


def test_a_machine_that_does_not_answer(fresh):
    """Clients give up and try again; the VM can be looked at and stopped all the same."""
    fresh.start()
    machine = fresh.running.machine()
    os.kill(machine, signal.SIGSTOP)
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(fresh.path))
            s.sendall(patch_vm("Paused"))
            fresh.get("/")
    fresh.do("PUT", "/v1/vm/state", {"state": "stopped"})  # kills it after five seconds
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == 0


def test_a_stop_while_requests_wait(fresh):
    fresh.start()
    sockets = []
    for _ in range(8):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(fresh.path))
        for state in ("Paused", "Resumed") * 20:
            s.sendall(patch_vm(state))
        sockets.append(s)
    fresh.do("PUT", "/v1/vm/state", {"state": "stopped"})
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == 0
    for s in sockets:
        s.close()


# --- files ----------------------------------------------------------------------------------------

def test_metrics_lines(fresh, tmp_path):
    path = tmp_path / "metrics"
    fresh.do("PUT", "/metrics", {"metrics_path": str(path)})
    assert fresh.fault("PUT", "/metrics", {"metrics_path": str(path)}).startswith("Metrics error: ")
    fresh.start()
    fresh.do("PUT", "/actions", {"action_type": "FlushMetrics"})
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert sum(line["put_api_requests"]["boot_source_count"] for line in lines) == 1
    assert sum(line["put_api_requests"]["metrics_fails"] for line in lines) == 1


def test_a_limit_of_the_serial_port(fresh, tmp_path):
    """What is above it is dropped and counted; the guest does not notice."""
    path = tmp_path / "serial"
    fresh.do("PUT", "/serial", {"serial_out_path": str(path),
                                "rate_limiter": {"size": 1000, "one_time_burst": 24,
                                                 "refill_time": 3600000}})
    fresh.do("PUT", "/metrics", {"metrics_path": str(tmp_path / "metrics")})
    fresh.do("PUT", "/boot-source", {"kernel_image_path": str(vmm.guest("flood")),
                                     "boot_args": "500"})
    fresh.do("PUT", "/actions", {"action_type": "InstanceStart"})
    assert fresh.process.wait(timeout=vmm.DEADLINE_S) == 0
    assert len(path.read_bytes()) == 1024
    lines = [json.loads(line) for line in (tmp_path / "metrics").read_text().splitlines()]
    assert sum(line["uart"]["rate_limiter_dropped_bytes"] for line in lines) == 1 + 500 * 16 - 1024


def test_targets_that_cannot_be_opened(fresh, tmp_path):
    bad = str(tmp_path / "none" / "file")
    assert fresh.fault("PUT", "/metrics", {"metrics_path": bad}).startswith("Metrics error: ")
    assert fresh.fault("PUT", "/logger", {"log_path": bad}).startswith("Logger error: ")
    config = fresh.get("/vm/config")
    assert config["logger"] is None and config["metrics"] is None
    fresh.problem("PUT", "/v1/vm/config", 422, {"version": 1, "cpus": 9, "logger": {"path": bad}})
    assert fresh.get("/vm/config") == config
    fresh.do("PUT", "/logger", {"log_path": str(tmp_path / "log"), "level": "Debug"})
    fresh.get("/")
    assert b"GET" in (tmp_path / "log").read_bytes()
