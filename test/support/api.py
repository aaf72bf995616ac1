# SPDX-License-Identifier: Apache-2.0
"""A client of the APIs, for tests. Every answer is held against docs/api.yaml."""
import json
import os
import pathlib
import re
import shutil
import socket
import tempfile

import httpx
import jsonschema
import yaml

from support import vmm
from support.running import Running

DESCRIPTION = yaml.safe_load((vmm.ROOT / "docs" / "api.yaml").read_text(encoding="utf-8"))
METHODS = ("get", "put", "patch", "delete")


def resolve(node):
    while "$ref" in node:
        target = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/")]
        node = target
    return node


def check_schema(schema, value):
    """@value against a schema whose references are those of the description."""
    whole = {**schema, "components": DESCRIPTION["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


def operations():
    for path, item in DESCRIPTION["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def find_operation(method, path):
    """The operation that @path belongs to, or None."""
    for known, template, operation in operations():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if known == method and re.fullmatch(pattern, path):
            return operation
    return None


def is_volt(path):
    return re.match(r"/(v1|health|openapi\.yaml)(/|$)", path) is not None


def check_answer(method, path, status, kind, content):
    """Fails unless the description allows an answer with @content (bytes) of type @kind."""
    operation = find_operation(method, path)
    if operation is None:
        schema = "Problem" if is_volt(path) else "Fault"
        check_schema({"$ref": f"#/components/schemas/{schema}"}, json.loads(content))
        return
    expected = operation["responses"].get(str(status))
    assert expected, f"{method} {path}: status {status} is not in docs/api.yaml"
    expected = resolve(expected)
    if "content" not in expected:
        assert content == b"" and not kind
        return
    media = expected["content"].get(kind.split(";")[0])
    assert media, f"{method} {path}: type {kind} is not in docs/api.yaml"
    if "json" in kind:
        check_schema(media["schema"], json.loads(content))
    if "problem" in kind:
        problem = json.loads(content)
        assert problem["status"] == status
        assert problem["instance"] == path


def check_response(method, path, response):
    check_answer(method, path, response.status_code, response.headers.get("content-type", ""),
                 response.content)


class Api:
    """volt-vmm with an API socket, and a client of it."""

    def __init__(self, *args):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="api-"))
        self.path = self.folder / "api.sock"
        self.running = Running("--api-sock", self.path, *args, cwd=self.folder)
        self.process = self.running.process
        vmm.wait_until(lambda: self.path.exists() or self.process.poll() is not None,
                       "the socket is there")
        self.client = httpx.Client(transport=httpx.HTTPTransport(uds=str(self.path)),
                                   base_url="http://localhost", timeout=vmm.DEADLINE_S)

    def request(self, method, path, body=None, **kwargs):
        """Sends @body: bytes as they are, all else as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        response = self.client.request(method, path, content=content, **kwargs)
        check_response(method, path, response)
        return response

    def get(self, path):
        response = self.request("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    def do(self, method, path, body):
        """Expects success."""
        response = self.request(method, path, body)
        assert response.status_code == 204, response.text

    def fault(self, method, path, body=None):
        """Expects a refusal by Firecracker's API, and returns its message."""
        response = self.request(method, path, body)
        assert response.status_code == 400, response.text
        assert set(response.json()) == {"fault_message"}
        return response.json()["fault_message"]

    def problem(self, method, path, status, body=None):
        """Expects a refusal by Volt's API, and returns its detail."""
        response = self.request(method, path, body)
        assert response.status_code == status, response.text
        return response.json()["detail"]

    def start(self, guest="spin", **drives):
        self.do("PUT", "/boot-source", {"kernel_image_path": str(vmm.guest(guest))})
        for name, path in drives.items():
            self.do("PUT", f"/drives/{name}", {"drive_id": name, "is_root_device": False,
                                               "is_read_only": False, "path_on_host": str(path)})
        self.do("PUT", "/actions", {"action_type": "InstanceStart"})

    def raw(self, data, end=True):
        """What the server says to these bytes, up to its end of the connection."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(vmm.DEADLINE_S)
            s.connect(str(self.path))
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := s.recv(65536):
                answer += piece
            return answer

    def close(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
        _, log = self.process.communicate(timeout=vmm.DEADLINE_S)
        assert b"Sanitizer" not in log and b"runtime error" not in log, log.decode()
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def has_kvm():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)
