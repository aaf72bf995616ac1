# SPDX-License-Identifier: Apache-2.0
"""Every request of both APIs with every kind of bad input, before the VM runs and while it does.

The requests, their good bodies and their fields come from docs/api.yaml, so one that is added there
is tried here. Each answer has to be one that the description has; nothing is changed by any, the
program lives, and its memory does not grow.
"""
import json
import pathlib
import random
import re
import socket
import time

import pytest

from support import vmm
from support.api import Api, has_kvm, is_volt, operations, resolve
from support.running import kill_all

pytestmark = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")

HUGE = 10 << 20
GROWTH_KIB = 512
ANY = {
    "none": None, "empty": b"", "cut": b"{", "too much": b"{}}", "nonsense": b"nonsense",
    "not UTF-8": b'{"a":"\xff"}', "list": b"[]", "text": b'"text"', "number": b"-1",
    "huge number": b"9" * 400, "deep": b'{"a":' * 5000, "NUL": b'{"a":"\\u0000"}',
    "zero bytes": bytes(100), "twice": b'{"a":1,"a":2}', "unknown": b'{"no_such":1}',
}
# By type: values that are not of it, as JSON text.
WRONG = {
    "string": ["5", "-1", "true", "[]", "{}"],
    "integer": ['"1"', "-1", "0.5", "1e400", "9" * 30, "-" + "9" * 400, "true", "[]", "{}"],
    "boolean": ['"yes"', "0", "-1", "[]"],
    "array": ["{}", "5", '"text"'],
    "object": ["[]", "5", '"text"'],
}
# What is no fault: requests that need no body, and one that ignores what it does not know.
NEED_NO_BODY = {"/balloon/hinting/start", "/balloon/hinting/stop"}
IGNORES_UNKNOWN = {"/metrics"}
# Metadata is any object.
ANY_OBJECT = {"/mmds"}
STREAMS = {("GET", "/v1/vm/events")}
OPERATIONS = [(method, path, operation) for method, path, operation in operations()
              if (method, path) not in STREAMS]
IDS = [f"{method} {path}" for method, path, _ in OPERATIONS]


@pytest.fixture(autouse=True, scope="module")
def leave_nothing_running():
    yield
    kill_all()


@pytest.fixture(name="api", scope="module", params=["idle", "live"])
def one_that_waits_and_one_that_runs(request):
    with Api() as api:
        if request.param == "live":
            api.start()
        yield api


def state_of(api):
    return [api.get(path) for path in ("/vm/config", "/v1/vm/config", "/v1/vm/state", "/")]


def memory_kib(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1))


def content_of(operation):
    return operation.get("requestBody", {}).get("content", {}).get("application/json")


def good_body(operation):
    media = content_of(operation)
    if not media:
        return {}
    if "examples" in media:
        return next(iter(media["examples"].values()))["value"]
    return media.get("example", resolve(media["schema"]).get("example", {}))


def fields_of(operation):
    """(name, type) of those whose type is one."""
    media = content_of(operation)
    for name, schema in resolve(media["schema"]).get("properties", {}).items() if media else ():
        kind = resolve(schema).get("type")
        if isinstance(kind, list):
            kind = [word for word in kind if word != "null"]
            kind = kind[0] if len(kind) == 1 else None
        if kind in WRONG and not resolve(schema).get("deprecated"):
            yield name, kind


def bad_bodies(path, operation):
    good = good_body(operation)
    for name, body in ANY.items():
        if path not in ANY_OBJECT or name != "unknown":
            yield name, body
    if path not in IGNORES_UNKNOWN | ANY_OBJECT and isinstance(good, dict):
        yield "one field too many", json.dumps({**good, "no_such": 1}).encode()
    for field, kind in fields_of(operation):
        for value in WRONG[kind]:
            text = json.dumps({**good, field: "@@"}).replace('"@@"', value)
            yield f"{field}: {value[:9]}", text.encode()
        yield f"{field} twice", f'{{"{field}":null,"{field}":null}}'.encode()


def is_no_fault(method, path, name):
    if method == "GET":
        return name in ("none", "empty")
    if path in NEED_NO_BODY or method == "DELETE":
        return name in ("none", "empty")
    return path in IGNORES_UNKNOWN and name == "unknown"


def try_all(api, method, path, operation):
    here = path.replace("{id}", "d0")
    for name, body in bad_bodies(path, operation):
        response = api.request(method, here, body)
        if not is_no_fault(method, path, name):
            assert 400 <= response.status_code < 500, (name, response.text)


@pytest.mark.parametrize("method,path,operation", OPERATIONS, ids=IDS)
def test_bad_bodies(api, method, path, operation):
    before = state_of(api)
    try_all(api, method, path, operation)
    assert state_of(api) == before
    before_kib = memory_kib(api.process)
    for _ in range(3):
        try_all(api, method, path, operation)
    assert memory_kib(api.process) - before_kib < GROWTH_KIB


@pytest.mark.parametrize("method,path,operation", OPERATIONS, ids=IDS)
def test_ten_megabytes(api, method, path, operation):
    """Refused by their length; what is sent all the same is read and thrown away."""
    before = state_of(api)
    before_kib = memory_kib(api.process)
    here = path.replace("{id}", "d0")
    head = f"{method} {here} HTTP/1.1\r\nContent-Length: {HUGE}\r\n\r\n".encode()
    answer = api.raw(head + b" " * HUGE)
    status = b"413" if is_volt(path) else b"400"
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:300]
    assert b"larger than the limit" in answer or b"too" in answer or b"at most" in answer
    assert state_of(api) == before
    assert memory_kib(api.process) - before_kib < GROWTH_KIB


@pytest.mark.parametrize("path,size,status", [
    ("/machine-config", 51201, b"400"), ("/machine-config", 2**64 - 1, b"400"),
    ("/v1/vm/config", (1 << 20) + 1, b"413"),
])
def test_a_long_body_is_refused_before_it_comes(api, path, size, status):
    with connect(api) as s:
        s.sendall(f"PUT {path} HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode())
        assert s.recv(65536).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("value,is_taken", [
    ("identity;q=0", False), ("*;q=0", False), ("gzip, identity;q=0", False),
    ("*;q=0, identity", True), ("gzip;q=0", True), ("", True),
])
def test_who_takes_no_plain_answers_gets_none(api, value, is_taken):
    answer = api.raw(f"GET / HTTP/1.1\r\nAccept-Encoding: {value}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200" if is_taken else b"HTTP/1.1 400")


@pytest.mark.parametrize("path", ["/drives", "/network-interfaces", "/pmem", "/v1/drives"])
@pytest.mark.parametrize("bad", ["", "a" * 300, "a-b;", "..", "%2e%2e", "a%00b", "%ff", "%", "%zz",
                                 "{id}", "é".encode().decode("latin-1"), "a\x01b"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_ids(api, path, bad, method):
    body = b"" if method in ("GET", "DELETE") else b'{"drive_id":"a"}'
    target = f"{path}/{bad}".encode("latin-1")
    answer = api.raw(method.encode() + b" " + target +
                     b" HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert re.match(rb"HTTP/1\.1 (200|400|404|405|409) ", answer), answer[:300]
    if answer.startswith(b"HTTP/1.1 200 "):
        assert path == "/v1/drives" and method == "GET" and bad == ""


# --- clients --------------------------------------------------------------------------------------

PAUSE = (b'PATCH /vm HTTP/1.1\r\nContent-Length: 18\r\n\r\n{"state":"Paused"}',
         b'PATCH /vm HTTP/1.1\r\nContent-Length: 19\r\n\r\n{"state":"Resumed"}')


def connect(api):
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(api.path))
    s.settimeout(vmm.DEADLINE_S)
    return s


def send(s, data):
    """As much as the server takes: it may have ended the connection already."""
    try:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def answers_to(api, data):
    answer = b""
    with connect(api) as s:
        send(s, data)
        try:
            while piece := s.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
    return answer


def test_a_thousand_connections(api):
    before_kib = memory_kib(api.process)
    sockets = []
    for _ in range(1000):
        s = connect(api)
        send(s, b"GET / HT")
        sockets.append(s)
    for s in sockets:
        s.close()
    vmm.wait_until(lambda: api.client.get("/").status_code == 200, "others are served")
    assert memory_kib(api.process) - before_kib < GROWTH_KIB


def test_connections_cut_anywhere(api):
    request = b'PUT /machine-config HTTP/1.1\r\nContent-Length: 36\r\n\r\n' \
              b'{"vcpu_count": 2, "mem_size_mib": 1}'
    before = state_of(api)
    before_kib = memory_kib(api.process)
    for end in list(range(len(request))) * 5:
        with connect(api) as s:
            send(s, request[:end])
    assert state_of(api) == before
    assert memory_kib(api.process) - before_kib < GROWTH_KIB


def test_garbage(api):
    """Bytes of all kinds, in front of good requests and behind them: what is good is answered."""
    seed = random.Random(5)
    before = state_of(api)
    before_kib = memory_kib(api.process)
    good = b"GET /version HTTP/1.1\r\n\r\n"
    for number in range(300):
        pieces = [bytes(seed.randrange(256) for _ in range(seed.randrange(200))),
                  b"GET / HTTP/9.9\r\n\r\n", b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                  b"PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                  b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                  b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", b"\r\n" * 1000, b"\0" * 500,
                  b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n"]
        nr_good = seed.randrange(3)
        answer = answers_to(api, good * nr_good + pieces[number % len(pieces)] + good)
        assert answer.count(b'{"firecracker_version":') >= nr_good, answer[:300]
    assert state_of(api) == before
    assert memory_kib(api.process) - before_kib < GROWTH_KIB


def test_a_slow_client_keeps_nobody(api):
    """One byte at a time, from eight of the ten that may be connected: others are served."""
    before_kib = memory_kib(api.process)
    slow = [connect(api) for _ in range(8)]
    request = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for at in range(len(request)):
        for s in slow:
            s.send(request[at:at + 1])
        begin = time.monotonic()
        assert b"firecracker_version" in api.raw(request)
        assert time.monotonic() - begin < vmm.DEADLINE_S / 2
    for s in slow:
        assert b"firecracker_version" in s.recv(4096)
        s.close()
    assert memory_kib(api.process) - before_kib < GROWTH_KIB


def test_a_long_life():
    """Ten thousand requests of all kinds, and not a page more."""
    with Api() as api:
        api.start()
        for number in range(2):
            with connect(api) as s:
                for _ in range(40):
                    s.sendall(b"".join(PAUSE) * 25 + b"GET /foo HTTP/1.1\r\n\r\n" * 25
                              + b"PUT /vsock HTTP/1.1\r\nContent-Length: 1\r\n\r\n{" * 25)
                    answers = b""
                    while answers.count(b"HTTP/1.1 ") < 100:
                        answers += s.recv(65536)
            if number == 0:
                before_kib = memory_kib(api.process)
        assert memory_kib(api.process) - before_kib < GROWTH_KIB
