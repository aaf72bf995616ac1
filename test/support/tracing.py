# SPDX-License-Identifier: Apache-2.0
"""Programs under strace: which system calls each kind of thread makes once its filter is there, and
which row of the table of calls (jail/policy.c) allows each."""
import collections
import os
import pathlib
import re
import subprocess

from support import vmm

ROWS = vmm.BUILD / "test" / "policy-rows"
KVM_RUN = 0xae80
SECCOMP_FILTER = 1  # SECCOMP_SET_MODE_FILTER

Row = collections.namedtuple("Row", "number name threads error checks reason")
# strace -e raw=all: name(0x1, 0x2) = 0x0; a call that did not return has "?" or no result.
_CALL = re.compile(r"(\w+)\(([^)]*)\)?(?:.*= (\S+).*)?")


def policy():
    rows = []
    for line in subprocess.run([ROWS], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines():
        number, name, threads, error, checks, reason = line.split("\t")
        checks = [tuple(int(part, 0) for part in check.split(":")) for check in checks.split()]
        rows.append(Row(int(number), name, threads.split(), int(error), checks, reason))
    return rows


def row_text(row):
    """How a person finds it in the table."""
    checks = "".join(f", argument {n} & {mask:#x} == {value:#x}" for n, mask, value in row.checks)
    return f"{row.name}{checks} ({row.reason})"


def distinct(rows, *kinds):
    return {row.name for row in rows if row.error == 0 and set(kinds) & set(row.threads)}


def unused_rows(rows, used, *kinds):
    """As text. Those that no test gets to have a reason that begins with "rare: "."""
    return [f"{kind}: {row_text(row)}" for index, row in enumerate(rows) for kind in kinds
            if kind in row.threads and index not in used[kind] and row.error == 0 and
            not row.reason.startswith("rare: ")]


class Build:
    """A build folder one of whose programs is traced: for VOLT_BUILD."""

    def __init__(self, folder, name="volt-vmm"):
        self.folder, self.traces = folder / "build", folder / "traces"
        self.traces.mkdir()
        program = self.folder / name
        program.parent.mkdir(parents=True)
        for place in {self.folder, program.parent}:
            for entry in (vmm.BUILD / place.relative_to(self.folder)).iterdir():
                if entry not in (vmm.BUILD / name, (vmm.BUILD / name).parent):
                    (place / entry.name).symlink_to(entry)
        program.write_text(f'#!/bin/sh\nexec {" ".join(self.traced(vmm.BUILD / name))} "$@"\n')
        program.chmod(0o755)

    def traced(self, program):
        """-DDD: the process keeps its parent and its id, strace is out of its way."""
        return ["strace", "-DDD", "-ff", "-qqq", "-s", "0", "-e", "raw=all", "-e", "signal=none",
                "-o", str(self.traces / "t"), str(program)]

    def run_tests(self, *names):
        env = dict(os.environ, VOLT_BUILD=str(self.folder))
        return subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p",
                               "no:cacheprovider", *names], env=env, stdout=subprocess.PIPE,
                              cwd=pathlib.Path(__file__).resolve().parents[2], check=False)


def parse(line):
    """(name, [arguments], result or None) of a line of a trace, or None."""
    match = _CALL.match(line)
    if not match:
        return None
    try:
        arguments = [int(word, 0) for word in match[2].replace(" ", "").split(",") if word]
    except ValueError:
        return None
    result = match[3]
    return match[1], arguments, int(result, 0) if result and re.fullmatch(r"-?(0x)?[\da-f]+", result) \
        else None


def calls_of(path):
    """The calls that one thread made after it was filtered, as set of (name, arguments)."""
    calls, is_filtered = [], False
    with open(path, encoding="ascii", errors="replace") as trace:
        for line in trace:
            call = parse(line)
            if not call:
                continue
            name, arguments, result = call
            if is_filtered:
                calls.append((name, tuple(arguments)))
            elif name == "seccomp" and arguments[0] == SECCOMP_FILTER and result is not None and \
                    result >= 0:
                is_filtered = True
    return set(calls) if is_filtered else None


def allows(row, name, arguments):
    return row.name == name and all(
        n < len(arguments) and arguments[n] & mask == value & mask for n, mask, value in row.checks)


def used_rows(traces, rows):
    """{kind of thread: indices of the rows that allowed something it did}, over all traces."""
    used = collections.defaultdict(set)
    for path in traces.iterdir():
        calls = calls_of(path)
        if calls is None:
            continue
        kind = kind_of(path)
        for name, arguments in calls:
            for index, row in enumerate(rows):
                if kind in row.threads and allows(row, name, arguments):
                    used[kind].add(index)
    return used


def used_by_stellarium(traces, rows):
    """As used_rows(), for "store" and "fsck": a row of both is used when one of them uses it. Threads
    and processes that come after the filter have it too."""
    used = set()

    def follow(path, kind):
        with open(path, encoding="ascii", errors="replace") as trace:
            for call in filter(None, map(parse, trace)):
                name, arguments, result = call
                if kind:
                    used.update(index for index, row in enumerate(rows)
                                if kind in row.threads and allows(row, name, arguments))
                    child = path.with_suffix(f".{result}")
                    if name == "clone" and child.exists():
                        follow(child, kind)
                elif name == "seccomp" and arguments[0] == SECCOMP_FILTER and result == 0:
                    kind = "fsck" if "\nsocketpair(" in path.read_text() else "store"

    for path in traces.iterdir():
        if path.read_text(errors="replace").startswith("execve("):
            follow(path, None)
    return {"store": used, "fsck": used}


def filters_and_runs(trace):
    """Of a trace of all threads in one file, in order: ("filtered", thread) when a filter is in force,
    ("runs", thread) when the thread asks to enter the guest."""
    events = []
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        call = call.strip()
        if re.match(rf"ioctl\(0x[0-9a-f]+, {KVM_RUN:#x}", call):
            events.append(("runs", thread))
        elif re.match(r"(seccomp\(0x1, |<\.\.\. seccomp resumed).*\) += (0x)?[0-9a-f]+$", call):
            events.append(("filtered", thread))
    return events


def kind_of(path):
    """From what a thread does: KVM_RUN is a vCPU's, machine receives its configuration as the loop's
    thread does, control has executed the program with another name."""
    with open(path, encoding="ascii", errors="replace") as trace:
        text = trace.read()
    if re.search(rf"ioctl\(0x[0-9a-f]+, {KVM_RUN:#x}", text):
        return "vcpu"
    if re.search(r"^execve\(", text, re.MULTILINE):
        return "control"
    if re.search(r"^execveat\(", text, re.MULTILINE):
        return "loop"
    return "io"
