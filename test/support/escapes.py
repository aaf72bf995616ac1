# SPDX-License-Identifier: Apache-2.0
"""The matrix of escapes and layers: which layer stops which attempt, alone, and which one cannot be
done without. Kept as a table in docs/sandbox-escapes.md, which the tests compare with."""
import pathlib
import subprocess

from support import traitor
from support.traitor import ALL, LAYERS, SECCOMP

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs" / "sandbox-escapes.md"
TWO_LAYERS = {"file", "process", "network"}  # kinds that need them
# Why an escape gets nowhere even without any layer; the others have to work then.
STOPPED_ANYWAY = {
    "ring-of-a-drive": "the ring takes data operations on its own file only",
    "descriptor-with-a-forged-message": "control takes no descriptor once the guest runs",
    "init_module": "a kernel without modules",
    "x32-call": "a kernel without the x32 ABI",
    "vsock": "a kernel without vsock",
}
NEEDS_PRIVILEGE = "needs privilege that the user has not"
# One layer only, and why there is no second one.
ONE_LAYER = {
    "vsock": "AF_VSOCK belongs to no network namespace, and Landlock does not know it",
}
# Settings and devices of the host decide whether these need a capability, or are there at all.
HOST_DEPENDENT = {"bpf", "perf_event_open", "tiocsti", "kernel-log", "new-user-namespace",
                  "init_module", "x32-call", "i386-call", "userfaultfd", "vsock", "netlink",
                  "packet-socket", "open-by-handle"}
DOC_HEAD = """\
# Escapes

What a machine process that a guest has taken over might try, and which layer of the sandbox stops it.
Each row was tried by `volt-vmm-traitor` (test/traitor), from the place where a thread of machine starts
to work: without any layer, where it must work; with each layer alone; with all but one; and with all.
Written by `tools/sandbox-escapes --write`, compared by test/cli/test_escapes.py.

*Alone* lists the layers that stop it when there is no other. *Not without* names a layer whose absence
lets it through though all others are there: no escape to a file, a process or a network may have one.
Parts of the kernel that machine has no use for (kind *kernel*) may: the filter is what stands before
them. What machine may do to control by its socket and the page of counters (kind *control*) no layer
stops; control bears it (test/cli/test_escapes.py).

"""


def layer_sets():
    single = [1 << i for i in range(len(LAYERS))]
    return [0, *single, *[ALL ^ one for one in single], ALL]


def measure(build, user, kinds=None):
    """{name: {layers: outcome}} of all escapes from the loop thread."""
    names = [name for kind, name in traitor.escapes(build) if not kinds or kind in kinds]
    jobs = [(name, "loop", layers) for name in names for layers in layer_sets()]
    outcomes = traitor.run(build, user, jobs)
    matrix = {name: {} for name in names}
    for (name, _, layers), result in zip(jobs, outcomes):
        matrix[name][layers] = result["outcome"]
    return matrix


def alone(row):
    """Names of the layers that stop it by themselves."""
    return [name for i, name in enumerate(LAYERS) if row[1 << i] != "escaped"]


def needed(row):
    return [name for i, name in enumerate(LAYERS) if row[ALL ^ 1 << i] == "escaped"]


def cells(name, row):
    """The two cells of the table for one user."""
    if row[0] != "escaped":
        return [STOPPED_ANYWAY.get(name, NEEDS_PRIVILEGE), "-"]
    return [", ".join(alone(row)), ", ".join(needed(row)) or "-"]


def render(build, matrices):
    """The document, from matrices by user."""
    lines = ["| kind | escape | alone, as root | not without | alone, as a user | not without |",
             "|---|---|---|---|---|---|"]
    for kind, name in traitor.escapes(build):
        if kind == "control" and name not in STOPPED_ANYWAY:
            continue
        row = [kind, f"`{name}`", *cells(name, matrices["root"][name]),
               *cells(name, matrices["nobody"][name])]
        lines.append("| " + " | ".join(row) + " |")
    notes = [f"- `{name}`: {reason}." for name, reason in ONE_LAYER.items()]
    return DOC_HEAD + "\n".join(lines) + "\n\nOne layer only, though there should be two:\n\n" + \
        "\n".join(notes) + "\n\n" + counts(build, matrices) + "\n"


def counts(build, matrices):
    rows = [(kind, name) for kind, name in traitor.escapes(build) if kind != "control"]
    lines = ["| layer | escapes it stops alone, as root | as a user |", "|---|---|---|"]
    for layer in LAYERS:
        per_user = [sum(1 for _, name in rows if matrices[user][name][0] == "escaped" and
                        layer in alone(matrices[user][name])) for user in ("root", "nobody")]
        lines.append(f"| {layer} | {per_user[0]} | {per_user[1]} |")
    works = [sum(1 for _, name in rows if matrices[user][name][0] == "escaped")
             for user in ("root", "nobody")]
    lines.append(f"| escapes that work without any | {works[0]} | {works[1]} |")
    return "\n".join(lines)


def documented(user):
    """{name: (alone, not without)} of the table."""
    first = {"root": 2, "nobody": 4}[user]
    table = {}
    for line in DOC.read_text().splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if len(row) == 6 and row[1].startswith("`"):
            table[row[1].strip("`")] = (row[first], row[first + 1])
    return table


def landlock_abi():
    """0 without Landlock."""
    import ctypes
    sys_landlock_create_ruleset, version_flag = 444, 1
    return max(0, ctypes.CDLL(None).syscall(sys_landlock_create_ruleset, None, 0, version_flag))


def syscall_names():
    """{number: name}, as the kernel's headers have them."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"],
                          check=True, stdout=subprocess.PIPE).stdout.decode()
    pairs = [line.split()[1:] for line in text.splitlines() if line.startswith("#define __NR_")]
    return {int(pair[1]): pair[0].removeprefix("__NR_") for pair in pairs if pair[1].isdigit()}
