#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the API costs: until it answers, a request, and a start by it.

Usage: bench/api.py --vmm FILE --hello FILE --guests FOLDER [--rounds N] [--json FILE]

Runs on any /dev/kvm (tools/bench-api does it on this host's own); the guests are freestanding. The
variants of each comparison are interleaved, the first round is dropped, and what is printed are
medians.

answer    from exec to the answer to GET / on the API's socket, and the CPU time of all processes
          until then, against the least program that can do it (bench/hello_socket.c); under the
          name firecracker there is no entry for volt-vmm ps to make
requests  GET / and PATCH /vm, one after the other on one connection: how many in a second, median,
          and the latency that 99 % of a round do not exceed; with a guest that sleeps and one that
          never does
start     from exec to the first byte that the guest writes to its serial port, which it does first
          of all: by options, and by requests for the same machine, there also from the first of them
"""
import argparse
import json
import os
import pathlib
import select
import signal
import socket
import statistics
import sys
import tempfile
import time

DEADLINE_S = 60
POLL_S = 0.0001
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"


def put(path, body, method="PUT"):
    content = json.dumps(body).encode()
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            ).encode() + content


PAUSE = put("/vm", {"state": "Paused"}, "PATCH")
RESUME = put("/vm", {"state": "Resumed"}, "PATCH")

running = []  # for what an error leaves behind


class Process:
    """A program with a socket at @path, in the background."""

    def __init__(self, command, path):
        self.path = str(path)
        self.connection = None
        self.output, write_end = os.pipe2(os.O_CLOEXEC)
        words = [str(word) for word in command]
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_DUP2, write_end, 1)]
        self.begin = time.monotonic()
        self.pid = os.posix_spawn(words[0], words, os.environ, file_actions=actions)
        os.close(write_end)
        running.append(self)

    def wait_for_output(self):
        """When its first byte came."""
        if not select.select([self.output], [], [], DEADLINE_S)[0] or not os.read(self.output, 1):
            raise RuntimeError("no output")
        return time.monotonic()

    def connect(self):
        end = self.begin + DEADLINE_S
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self.path)
                self.connection = connection
                return
            except OSError:
                connection.close()
                if time.monotonic() > end:
                    raise RuntimeError(f"no socket at {self.path}")
                time.sleep(POLL_S)

    def ask(self, request, statuses=(b"200", b"204")):
        """The answer's body. All answers are short: each comes in one piece."""
        self.connection.sendall(request)
        answer = self.connection.recv(65536)
        if answer[9:12] not in statuses:
            raise RuntimeError(f"{request!r} was answered {answer!r}")
        return answer.partition(b"\r\n\r\n")[2]

    def cpu_ms(self):
        """What all of its processes have used so far."""
        return sum(int((task / "schedstat").read_text().split()[0])
                   for pid in family(self.pid)
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e6

    def stop(self):
        if self.connection:
            self.connection.close()
        running.remove(self)
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self.output)
        pathlib.Path(self.path).unlink(missing_ok=True)


def family(pid):
    """@pid and its descendants."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def compare(rounds, variants):
    """Medians of each figure that each of @variants (name: function) gives, interleaved."""
    samples = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, measure in variants.items():
            figures = measure()
            if number > 0:  # the first fills caches
                samples[name].append(figures)
    return {name: [statistics.median(column) for column in zip(*taken)]
            for name, taken in samples.items()}


def answer(command, path):
    """Milliseconds until the answer, and of CPU time."""
    process = Process(command, path)
    process.connect()
    process.ask(GET)
    taken = (time.monotonic() - process.begin) * 1000
    cpu = process.cpu_ms()
    process.stop()
    return taken, cpu


def bench_answer(args, folder):
    path = folder / "answer.sock"
    firecracker = folder / "firecracker"
    firecracker.symlink_to(pathlib.Path(args.vmm).resolve())
    medians = compare(args.rounds * 3, {
        "hello-socket": lambda: answer([args.hello, path], path),
        "volt-vmm": lambda: answer([args.vmm, "--api-sock", path], path),
        "as firecracker": lambda: answer([firecracker, "--api-sock", path], path),
    })
    base = medians["hello-socket"]
    for name, (taken, cpu) in medians.items():
        print(f"answer   {name:14} {taken:8.3f} ms  ratio {taken / base[0]:5.2f}   "
              f"CPU {cpu:8.3f} ms  ratio {cpu / base[1]:5.2f}")
    return medians


def percentile(samples, percent):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def latencies(process, requests, rounds):
    """For each of @requests, made in turn: requests in a second, and median and p99 in us."""
    samples = {name: [] for name in requests}
    for _ in range(rounds):
        for name, request in requests.items():
            begin = time.perf_counter_ns()
            process.ask(request)
            samples[name].append((time.perf_counter_ns() - begin) / 1000)
    return {name: (len(taken) / (sum(taken) / 1e6), percentile(taken, 50), percentile(taken, 99))
            for name, taken in samples.items()}


def bench_requests(args, folder):
    found = {}
    processes = {}
    for load, guest in (("idle", "halt"), ("busy", "spin")):
        path = folder / f"{load}.sock"
        processes[load] = Process([args.vmm, "--kernel", args.guests / f"{guest}.elf",
                                   "--api-sock", path], path)
        processes[load].wait_for_output()
        processes[load].connect()
    sets = [({"GET /": GET}, 1000), ({"PATCH /vm Paused": PAUSE, "PATCH /vm Resumed": RESUME}, 300)]
    samples = {}
    processes["busy"].ask(PAUSE)
    for number in range(args.rounds + 1):
        for load, process in processes.items():
            if load == "busy":
                process.ask(RESUME)
            for requests, rounds in sets:
                for name, figures in latencies(process, requests, rounds).items():
                    if number > 0:  # the first fills caches
                        samples.setdefault((name, load), []).append(figures)
        processes["busy"].ask(PAUSE)  # leaves the processor to the other
    for process in processes.values():
        process.stop()
    for (name, load), taken in samples.items():
        rate, half, most = (statistics.median(column) for column in zip(*taken))
        print(f"requests {name:17} {load}: {rate:8.0f}/s  p50 {half:7.1f} us  "
              f"p99 {most:7.1f} us  p99/p50 {most / half:.2f}")
        found[f"{name}, {load}"] = {"per_second": rate, "p50_us": half, "p99_us": most}
    return found


def bench_start(args, folder):
    path = folder / "start.sock"
    disk = folder / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    kernel = args.guests / "spin.elf"
    requests = [
        GET,
        put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 128}),
        put("/boot-source", {"kernel_image_path": str(kernel)}),
        put("/drives/data", {"drive_id": "data", "path_on_host": str(disk),
                             "is_root_device": False, "is_read_only": False}),
        put("/actions", {"action_type": "InstanceStart"}),
    ]

    def by_options():
        process = Process([args.vmm, "--kernel", kernel, "--memory", "128M", "--cpus", "1",
                           "--hugepages", "off", "--drive",
                           f"{disk},id=data,engine=sync", "--no-api"], path)
        end = process.wait_for_output()
        process.stop()
        return ((end - process.begin) * 1000,)

    def by_requests():
        process = Process([args.vmm, "--api-sock", path], path)
        process.connect()
        first = time.monotonic()
        for request in requests:
            process.ask(request)
        end = process.wait_for_output()
        process.stop()
        return (end - process.begin) * 1000, (end - first) * 1000

    medians = compare(args.rounds, {"by options": by_options, "by requests": by_requests})
    base = medians["by options"][0]
    for name, (whole, *rest) in medians.items():
        print(f"start    {name:12} {whole:8.3f} ms  ratio {whole / base:.2f}"
              + "".join(f"   from the first request {value:.3f} ms" for value in rest))
    return medians


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmm", required=True)
    parser.add_argument("--hello", required=True, help="bench/hello_socket.c, built")
    parser.add_argument("--guests", required=True, type=pathlib.Path, help="folder of the guests")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-api.") as name:
        folder = pathlib.Path(name)
        try:
            found = {"answer": bench_answer(args, folder), "requests": bench_requests(args, folder),
                     "start": bench_start(args, folder)}
        finally:
            for process in running[:]:
                process.stop()
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(found, indent=1))
    sys.stdout.flush()


main()
