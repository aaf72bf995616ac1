# SPDX-License-Identifier: Apache-2.0
"""docs/firecracker-compat.md says what is so: each row of its tables is held against the program."""
import re
import subprocess

import pytest

from support import vmm
from support.api import Api, has_kvm, operations, resolve
from support.running import kill_all

pytestmark = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")

TEXT = (vmm.ROOT / "docs" / "firecracker-compat.md").read_text(encoding="utf-8")
OURS = {(method, path): operation for method, path, operation in operations()
        if operation["tags"] == ["firecracker"]}
ROWS = [(method, path, *[cell.strip() for cell in cells.split("|")])
        for method, path, cells in re.findall(r"^\| `([A-Z]+) (/[^`]*)` \|(.*)\|$", TEXT,
                                              re.MULTILINE)]
FIELDS = re.findall(r"^\| (\w+)\.(\w+) \| (.*) \|$", TEXT, re.MULTILINE)
BEFORE = "The requested operation is not supported before starting the microVM."
AFTER = "The requested operation is not supported after starting the microVM."
NO_PCI = "PCI manager error: PCI is not enabled"
NO_DEVICE = ("Device not found", "No balloon device found.")
# Examples that need something else first, or that name files of theirs.
FILE = str(vmm.guest("spin"))
BODIES = {
    "/boot-source": {"kernel_image_path": FILE},
    "/drives/{id}": {"drive_id": "a", "is_root_device": False, "path_on_host": FILE,
                     "is_read_only": True},
    "/pmem/{id}": {"id": "a", "path_on_host": FILE},
    "/mmds/config": {"network_interfaces": ["n0"]},
    "/logger": {"level": "Info"},
    "/serial": {"serial_out_path": "/dev/null"},
}


@pytest.fixture(autouse=True, scope="module")
def leave_nothing_running():
    yield
    kill_all()


@pytest.fixture(name="fresh")
def fresh_vm():
    with Api() as api:
        yield api


@pytest.fixture(name="live", scope="module")
def vm_that_runs():
    with Api() as api:
        api.start()
        yield api


def content_of(method, path):
    return OURS[method, path].get("requestBody", {}).get("content", {}).get("application/json")


def request_of(method, path, tmp_path):
    """The path with an id, and a good body."""
    media = content_of(method, path)
    if not media:
        return path.replace("{id}", "a"), None
    if "examples" in media:
        body = next(iter(media["examples"].values()))["value"]
    else:
        body = media.get("example", resolve(media["schema"]).get("example", {}))
    if path == "/metrics":
        body = {"metrics_path": str(tmp_path / "metrics")}
    if method == "PUT":
        body = BODIES.get(path, body)
    own_id = next((body[key] for key in ("drive_id", "iface_id", "id") if key in body), "a")
    return path.replace("{id}", own_id), body


def test_each_request_has_a_row_and_each_row_a_test():
    assert {(method, path) for method, path, *_ in ROWS} == set(OURS)
    assert len(ROWS) == len(OURS)
    names = subprocess.run(["grep", "-rhoE", r"(def|class) \w+", vmm.ROOT / "test" / "cli"],
                           capture_output=True, text=True, check=True).stdout
    for row in ROWS:
        found = re.fullmatch(r"`(\w+)`", row[-1])
        assert found and re.search(rf"\b{found[1]}$", names, re.MULTILINE), row


@pytest.mark.parametrize("method,path,when", [row[:3] for row in ROWS],
                         ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_when(fresh, live, tmp_path, method, path, when):
    """The second column: any, before or after the start."""
    if when == "see text":
        return
    target, body = request_of(method, path, tmp_path)
    if path == "/mmds/config":  # its interface is looked for before the time is
        fresh.do("PUT", "/network-interfaces/n0", {"iface_id": "n0", "host_dev_name": "t"})
    early, late = (api.request(method, target, body).text for api in (fresh, live))
    assert (BEFORE in early) == (when == "after"), early
    if path != "/mmds/config":
        assert (AFTER in late or NO_PCI in late and method == "PUT") == (when == "before"), late


@pytest.mark.parametrize("method,path,state", [(*row[:2], row[3]) for row in ROWS],
                         ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_state(fresh, live, tmp_path, method, path, state):
    """The third column: what is done, stored, checked or refused."""
    target, body = request_of(method, path, tmp_path)
    if "stored, no device" in state:
        if path == "/mmds/config":
            fresh.do("PUT", "/network-interfaces/n0", {"iface_id": "n0", "host_dev_name": "t"})
        fresh.do(method, target, body)
        fresh.do("PUT", "/boot-source", {"kernel_image_path": str(vmm.guest("spin"))})
        message = fresh.fault("PUT", "/actions", {"action_type": "InstanceStart"})
        assert "this version cannot provide it" in message
    elif "no device" in state:
        assert any(text in live.fault(method, target, body) for text in NO_DEVICE)
    elif state.startswith("refused"):
        assert NO_PCI in live.fault(method, target, body)
    elif state.startswith("checked, then refused"):
        api = fresh if path == "/snapshot/load" else live
        assert "snapshot" in api.fault(method, target, body)
    elif state.startswith("done") and method == "PUT" and path != "/actions":
        assert fresh.request(method, target, body).status_code == 204
    elif state.startswith("done") and method == "GET":
        assert fresh.request(method, target).status_code == 200


def test_each_field_has_a_row():
    expected = set()
    for method, path in OURS:
        media = content_of(method, path)
        if media:
            name = media["schema"]["$ref"].rsplit("/", 1)[1]
            expected |= {(name, field) for field in resolve(media["schema"]).get("properties", {})}
    assert {(name, field) for name, field, _ in FIELDS} == expected
    assert len(FIELDS) == len(expected)


def test_fields_are_in_the_state_of_their_requests():
    states = {}
    for method, path, _, state, _ in ROWS:
        media = content_of(method, path)
        if media:
            states[media["schema"]["$ref"].rsplit("/", 1)[1]] = state
    for name, field, state in FIELDS:
        if "deprecated" in state or "ignored" in state:
            continue
        assert ("no device" in state) == ("no device" in states[name]), (name, field)
