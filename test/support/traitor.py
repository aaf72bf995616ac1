# SPDX-License-Identifier: Apache-2.0
"""Runs attempts of volt-vmm-traitor (test/traitor/traitor.h), each in a VM of its own, against a host
that has something to reach: files, sockets, a process, a terminal.

As a program it is the worker: attempts as JSON on standard input, outcomes on standard output. The
worker may be another user than the test; then it finds a node for KVM that it may open over /dev/kvm,
in mounts of its own.
"""
import concurrent.futures
import ctypes
import errno
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

LAYERS = ["namespaces", "root", "capabilities", "landlock", "limits", "seccomp"]
ALL = (1 << len(LAYERS)) - 1
SECCOMP = 1 << LAYERS.index("seccomp")
NUMBERS = 501
REPORT = struct.Struct("<IIq")  # struct attempt_report
BEGUN, RETURNED, UNAVAILABLE = 1, 2, 3
FORBIDDEN_CALL = 123
TIMEOUT_S = 60
THREAD_ENDS = "numbers 60 60"  # exit()
GONE_S = 1
NOBODY = 65534
PARALLEL = 3
PYTHON = "/usr/bin/python3"  # which every user may run
SEGMENT_KEY = 0x766f6c74

_FAULT = re.compile(r"called (\w+|\d+ of ABI \S+)\(.*, which its filter forbids")


class Host:
    """What there is to reach. All of it is open to every user; what keeps machine away is the sandbox."""

    def __init__(self, build):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="volt-traitor-"))
        self.folder.chmod(0o777)
        for name, size in (("file", 64), ("cut", 64), ("moved", 64), ("disk", 1 << 20)):
            (self.folder / name).write_bytes(b"x" * size)
            (self.folder / name).chmod(0o666)
        (self.folder / "mount").mkdir()
        for source in ("test/traitor/volt-vmm-traitor", "test/traitor/executed",
                       "test/guest/power-off.elf"):
            shutil.copy(build / source, self.folder)
        self.sockets = []
        self.port = self.listen()
        self.victim = subprocess.Popen(["sleep", "3600"])
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.segment = self.libc.shmget(SEGMENT_KEY + os.getuid(), 4096, 0o1666)
        assert self.segment >= 0, "no shared memory segment"

    def listen(self):
        tcp = socket.create_server(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", port))
        by_path, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        by_path.bind(str(self.folder / "socket"))
        (self.folder / "socket").chmod(0o777)
        abstract.bind(f"\0volt-traitor-{port}")
        self.sockets = [tcp, udp, by_path, abstract]
        for listener in (tcp, by_path, abstract):
            listener.listen(128)
            threading.Thread(target=self.accept, args=(listener,), daemon=True).start()
        return port

    @staticmethod
    def accept(listener):
        try:
            while True:
                listener.accept()[0].close()
        except OSError:
            pass

    def close(self):
        self.victim.kill()
        self.victim.wait()
        self.libc.shmctl(self.segment, 0, None)
        for opened in self.sockets:
            opened.close()
        shutil.rmtree(self.folder)


def classify(result, reports, log):
    """escaped; executed; forbidden CALL; refused ERRNO; unavailable; or something that is odd."""
    state, _, value = reports[0]
    fault = _FAULT.search(log)
    if "traitor: executed" in log:
        return "escaped"
    if state == UNAVAILABLE:
        return "unavailable"
    if fault and result.returncode == FORBIDDEN_CALL and state == BEGUN:
        return f"forbidden {fault[1]}"
    if state == RETURNED and not fault:
        return "escaped" if value >= 0 else f"refused {errno.errorcode.get(-value, -value)}"
    return f"odd: status {result.returncode}, state {state}, value {value}, {log}"


def run_traitor(command, env, report):
    """To its end; with @report only until its first attempt has begun, and a moment more, for a VM
    whose thread has ended does not end."""
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    if report:
        place = int(THREAD_ENDS.split()[1]) * REPORT.size
        end = time.monotonic() + TIMEOUT_S
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
            if os.pread(report.fileno(), REPORT.size, place)[0] != 0:
                time.sleep(GONE_S)
                process.kill()
    try:
        _, log = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(command, process.returncode, b"", log)


def attempt(host, name, thread, layers):
    metrics, options = pathlib.Path(tempfile.mktemp(dir=host.folder)), []
    if name == "scribbled-counters":
        options = ["--metrics-path", metrics]
    with tempfile.NamedTemporaryFile(dir=host.folder, prefix="report-") as report:
        report.truncate(NUMBERS * REPORT.size)
        env = {"VOLT_TRAITOR_ATTEMPT": name, "VOLT_TRAITOR_THREAD": thread,
               "VOLT_TRAITOR_LAYERS": hex(layers), "VOLT_TRAITOR_REPORT": report.name,
               "VOLT_TRAITOR_FOLDER": str(host.folder), "VOLT_TRAITOR_PORT": str(host.port),
               "VOLT_TRAITOR_VICTIM": str(host.victim.pid),
               "VOLT_TRAITOR_SEGMENT": str(SEGMENT_KEY + os.getuid()), "PATH": os.environ["PATH"],
               "TMPDIR": str(host.folder)}
        result = run_traitor(
            [host.folder / "volt-vmm-traitor", "--kernel", host.folder / "power-off.elf",
             "--memory", "16M", "--console", "none", "--no-api", "--log-level", "warn",
             "--drive", f"{host.folder}/disk,ro,iothread=io", *options],
            env, report if name == THREAD_ENDS else None)
        log = result.stderr.decode(errors="replace")
        reports = list(REPORT.iter_unpack(report.read()))
        if name.startswith("numbers"):
            first, last = map(int, name.split()[1:])
            fault = _FAULT.search(log)
            return {"reports": [(state, value) for state, _, value in reports[first:last + 1]],
                    "forbidden": fault[1] if fault else None, "status": result.returncode,
                    "log": log}
        return {"outcome": classify(result, reports, log), "status": result.returncode, "log": log,
                "metrics": metrics.read_text() if metrics.exists() else ""}


def attempt_or_say(host, job):
    try:
        return attempt(host, *job)
    except subprocess.TimeoutExpired:
        return {"outcome": "odd: does not end", "reports": [], "forbidden": None, "status": None,
                "log": ""}


def work():
    request = json.load(sys.stdin)
    host = Host(pathlib.Path(request["build"]))
    try:
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            outcomes = list(pool.map(lambda job: attempt_or_say(host, job), request["jobs"]))
    finally:
        host.close()
    json.dump(outcomes, sys.stdout)


def as_nobody(command):
    """@command as an unprivileged user, with a KVM of the same number that it may open."""
    number = os.stat("/dev/kvm").st_rdev
    node = f"mknod {{0}}/kvm c {os.major(number)} {os.minor(number)}"
    script = ('folder=$(mktemp -d) && ' + node.format('"$folder"') + ' && chmod 666 "$folder/kvm" && '
              'mount --bind "$folder/kvm" /dev/kvm && rm -r "$folder" && '
              f'exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --inh-caps=-all '
              '--bounding-set=-all "$@"')
    return ["unshare", "-m", "sh", "-c", script, "sh", *command]


def run(build, user, jobs):
    """Outcomes of @jobs, each (attempt, thread, layers), as "root", as "nobody" or as who we are."""
    command = [PYTHON, os.path.abspath(__file__)]
    with tempfile.TemporaryDirectory() as folder:
        if user == "nobody" and os.geteuid() == 0:
            # The tree may lie where others do not get to.
            os.chmod(folder, 0o755)
            place = pathlib.Path(folder)
            for name in ("test/traitor/volt-vmm-traitor", "test/traitor/executed",
                         "test/guest/power-off.elf"):
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(build / name, place / name)
            shutil.copy(__file__, place)
            build = place
            command = as_nobody([PYTHON, str(place / os.path.basename(__file__))])
        result = subprocess.run(command, input=json.dumps({"build": str(build), "jobs": jobs}).encode(),
                                stdout=subprocess.PIPE, check=True, cwd="/")
        return json.loads(result.stdout)


def escapes(build):
    """(kind, name) of each."""
    listing = subprocess.run([build / "test/traitor/volt-vmm-traitor", "--list-escapes"], check=True,
                             stdout=subprocess.PIPE).stdout.decode()
    return [tuple(line.split()) for line in listing.splitlines()]


def users():
    """As whom attempts can be run here."""
    if os.geteuid() == 0:
        return ["root", "nobody"]
    return ["nobody"]


def layer_names(mask):
    return [name for number, name in enumerate(LAYERS) if mask & 1 << number]


if __name__ == "__main__":
    work()
