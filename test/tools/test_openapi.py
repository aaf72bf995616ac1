# SPDX-License-Identifier: Apache-2.0
"""docs/api.yaml is good OpenAPI, and volt-vmm does what it says.

The judges are not ours: Redocly's linter, and Prism, a proxy that checks requests and answers
against the description. Both are fetched by npx into npm's own cache; where that does not work, the
tests are skipped.
"""
import functools
import http.client
import json
import re
import shutil
import socket
import socketserver
import subprocess
import threading

import pytest

from support import vmm
from support.api import has_kvm

API = vmm.ROOT / "docs" / "api.yaml"
REDOCLY = "@redocly/cli@2.77.0"
PRISM = "@stoplight/prism-cli@5.16.0"
REGISTRY_S = 15
FETCH_S = 300
# They do not answer (events), or end the VM in mid-answer.
LEFT_OUT = {("GET", "/v1/vm/events")}
ENDINGS = ("stopped", "shutdown", "SendCtrlAltDel")


@functools.lru_cache
def why_not():
    """Why the programs cannot be had, or None."""
    if not shutil.which("npx"):
        return "there is no npx (Debian package npm)"
    try:
        for package in (REDOCLY, PRISM):
            subprocess.run(["npm", "view", package, "version"], check=True, capture_output=True,
                           timeout=REGISTRY_S)
    except (subprocess.SubprocessError, OSError):
        return "the npm registry cannot be reached"
    return None


@pytest.fixture(autouse=True)
def need_npm():
    reason = why_not()
    if reason:
        pytest.skip(reason)


def npx(*command, **kwargs):
    return subprocess.run(["npx", "--yes", *map(str, command)], check=False, capture_output=True,
                          text=True, timeout=FETCH_S, **kwargs)


def test_the_description_passes_the_linter(tmp_path):
    result = npx(REDOCLY, "lint", API, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


class Bridge(socketserver.ThreadingTCPServer):
    """Takes what comes by TCP, which is all that Prism knows, to the Unix socket of the VM."""
    allow_reuse_address = True
    daemon_threads = True
    target = None

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.server.connections.append(self.request)
            with socket.socket(socket.AF_UNIX) as other:
                other.connect(str(self.server.target))
                back = threading.Thread(target=copy, args=(other, self.request), daemon=True)
                back.start()
                copy(self.request, other)
                back.join()

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.connections = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def lead_to(self, path):
        """Drops what Prism keeps open to another."""
        while self.connections:
            try:
                self.connections.pop().shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.target = path


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
        source.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Prism:
    """The proxy, in front of the bridge."""

    def __init__(self, folder, bridge):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        with open(folder / "prism.log", "wb") as log:
            self.process = subprocess.Popen(
                ["npx", "--yes", PRISM, "proxy", API, "--port", str(self.port),
                 f"http://127.0.0.1:{bridge.server_address[1]}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        vmm.wait_until(lambda: b"Prism is listening" in (folder / "prism.log").read_bytes(),
                       "Prism is up", FETCH_S)

    def ask(self, method, path, body):
        """The status, and what Prism finds wrong with the request or the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content,
                           {"Content-Type": "application/json"} if content else {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        found = json.loads(answer.headers.get("sl-violations", "[]"))
        return answer.status, found, text

    def close(self):
        # npx starts a shell, which starts Prism; all are in a session of their own
        subprocess.run(["kill", "--", f"-{self.process.pid}"], check=False)
        self.process.wait()


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    """docs/api.yaml with nothing left to look up, as Python objects."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    target = tmp_path_factory.mktemp("api") / "api.json"
    result = npx(REDOCLY, "bundle", API, "--dereferenced", "-o", target, cwd=target.parent)
    assert result.returncode == 0, result.stderr
    return json.loads(target.read_text())


@pytest.fixture(scope="module")
def bridge():
    server = Bridge()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def prism(tmp_path_factory, bridge):
    proxy = Prism(tmp_path_factory.mktemp("prism"), bridge)
    yield proxy
    proxy.close()


@pytest.fixture
def start(tmp_path, bridge):
    """Starts a VM that the bridge then leads to: one that runs, or one that waits."""
    running = []

    def stop():
        while running:
            running[0].terminate()
            running.pop().wait()
            (tmp_path / "api.sock").unlink(missing_ok=True)

    def starter(runs):
        if runs and not has_kvm():
            pytest.skip("no usable /dev/kvm")
        stop()
        path = tmp_path / "api.sock"
        disk = tmp_path / "disk.img"
        disk.write_bytes(bytes(1 << 20))
        # no lock: what is left of the last VM may have it for a moment
        options = ["--kernel", vmm.guest("spin"), "--drive", f"{disk},id=drive1,lock=off"] \
            if runs else []
        running.append(subprocess.Popen([vmm.VMM, "--api-sock", path, *options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, cwd=tmp_path))
        vmm.wait_until(path.exists, "the socket is there")
        bridge.lead_to(path)

    yield starter
    stop()


def bodies(operation):
    """The examples of what it takes."""
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if not media:
        return [None]
    if "examples" in media:
        return [example["value"] for example in media["examples"].values()]
    return [media["example"]] if "example" in media else [media["schema"].get("example", {})]


def requests_of(description):
    for path, item in description["paths"].items():
        for method in ("get", "put", "patch", "delete"):
            if method not in item or (method.upper(), path) in LEFT_OUT:
                continue
            for body in bodies(item[method]):
                if not any(word in json.dumps(body) for word in ENDINGS):
                    yield method.upper(), re.sub(r"\{[^}]*\}", "drive1", path), body


@pytest.mark.parametrize("runs", [False, True])
def test_answers_are_as_described(description, prism, start, runs):
    """Each example of each operation, before the VM runs and while it does."""
    wrong = []
    requests = list(requests_of(description))
    assert len(requests) > 50
    for method, path, body in requests:
        start(runs)
        try:
            status, violations, text = prism.ask(method, path, body)
        except TimeoutError:
            status, violations, text = 504, [], "no answer"
        if violations or status >= 500:
            wrong.append(f"{method} {path} {json.dumps(body)}: {status} {text[:200]} {violations}")
    assert not wrong, "\n".join(wrong)


def test_the_judge_sees_what_is_wrong(tmp_path, prism, bridge, start):
    """The proxy would be of no use if it let everything pass."""
    start(False)
    assert prism.ask("PUT", "/machine-config", {"vcpu_count": "two", "mem_size_mib": 1})[1]
    assert not prism.ask("PUT", "/machine-config", {"vcpu_count": 2, "mem_size_mib": 128})[1]
    with socket.socket(socket.AF_UNIX) as liar:
        liar.bind(str(tmp_path / "liar.sock"))
        liar.listen()
        bridge.lead_to(tmp_path / "liar.sock")
        threading.Thread(target=lie, args=(liar,), daemon=True).start()
        found = prism.ask("GET", "/version", None)[1]
    assert any(violation["location"][0] == "response" for violation in found), found


def lie(listener):
    content = b'{"firecracker_version": 5}'
    with listener.accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 \r\nContent-Type: application/json\r\n"
                           b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(content)
                           + content)
