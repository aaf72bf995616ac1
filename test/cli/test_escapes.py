# SPDX-License-Identifier: Apache-2.0
"""The sandbox against a machine process that has gone bad: test/traitor, docs/sandbox-escapes.md."""
import errno
import json
import os
import subprocess

import pytest

from support import escapes, traitor, vmm
from support.traitor import ALL, NUMBERS, SECCOMP

TRAITOR = vmm.BUILD / "test" / "traitor" / "volt-vmm-traitor"

pytestmark = [
    pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="no usable /dev/kvm"),
    pytest.mark.skipif(not TRAITOR.exists(), reason="a build with sanitizers has no sandbox"),
]

# Numbers that a kind of thread may use even with all bits of all arguments set. The calls fail: no
# such descriptor, address or flag; some end the thread or the process.
EXECUTED = {
    "vcpu": {"read", "write", "rt_sigprocmask", "rt_sigreturn", "exit", "clock_gettime"},
    "loop": {"read", "write", "close", "poll", "munmap", "recvmsg", "fdatasync",
             "restart_syscall", "clock_gettime", "exit_group", "epoll_wait", "epoll_ctl", "fstat", "fallocate", "timerfd_settime",
             "preadv2", "pwritev2", "io_uring_enter"},
    "io": {"read", "write", "close", "munmap", "rt_sigprocmask", "exit", "fdatasync",
           "clock_gettime", "epoll_wait", "epoll_ctl", "fstat", "fallocate", "timerfd_settime", "preadv2", "pwritev2", "io_uring_enter"},
}
REFUSED = {"vcpu": {}, "loop": {"statx": "ENOSYS", "fstatfs": "ENOSYS", "brk": "ENOMEM"},
           "io": {"statx": "ENOSYS", "fstatfs": "ENOSYS", "brk": "ENOMEM"}}
# Newer kernels exempt uretprobe and uprobe from filters; who has no probe there gets nothing, or a signal.
NEVER_FILTERED = {335, 336}
NO_RETURN = {"rt_sigreturn", "exit", "exit_group"}
# Without a filter: these end the process or thread, or wait.
NO_RETURN_UNFILTERED = NO_RETURN | {"pause", "uretprobe", "uprobe"}


def test_the_program_has_no_trace_of_it():
    for text in (b"volt-traitor", b"VOLT_TRAITOR", b"traitor: "):
        assert text in TRAITOR.read_bytes()
        assert text not in vmm.VMM.read_bytes()
    symbols = {path: subprocess.run(["nm", path], check=True, stdout=subprocess.PIPE).stdout
               for path in (TRAITOR, vmm.VMM)}
    for text in (b"__wrap_", b"traitor_", b"_escapes"):
        assert text in symbols[TRAITOR]
        assert text not in symbols[vmm.VMM]


@pytest.fixture(name="matrix", scope="module", params=traitor.users())
def measured_as_a_user(request):
    return request.param, escapes.measure(vmm.BUILD, request.param)


def kind_of():
    return {name: kind for kind, name in traitor.escapes(vmm.BUILD)}


def test_nothing_odd_happens(matrix):
    odd = [(name, layers, outcome) for name, row in matrix[1].items()
           for layers, outcome in row.items() if outcome.startswith("odd")]
    assert not odd


def test_every_attempt_works_without_layers(matrix):
    """Or it would prove nothing; of an unprivileged user's some need what root has."""
    user, rows = matrix
    stopped = {name for name, row in rows.items() if row[0] != "escaped"}
    allowed = set(escapes.STOPPED_ANYWAY) | escapes.HOST_DEPENDENT
    if user == "root":
        assert stopped <= allowed
    else:
        documented = escapes.documented(user)
        assert {name for name in stopped - allowed
                if documented[name][0] != escapes.NEEDS_PRIVILEGE} == set()


def test_nothing_works_with_all_layers(matrix):
    kinds = kind_of()
    assert [name for name, row in matrix[1].items()
            if row[ALL] == "escaped" and kinds[name] != "control"] == []


def test_two_layers_stop_what_leads_to_files_processes_and_networks(matrix):
    """Whichever layer is left out, another one stops it."""
    kinds = kind_of()
    single = {name: escapes.needed(row) for name, row in matrix[1].items()
              if kinds[name] in escapes.TWO_LAYERS and name not in escapes.ONE_LAYER}
    assert {name: layers for name, layers in single.items() if layers} == {}


def test_layers_stop_what_the_documentation_says(matrix):
    if escapes.landlock_abi() < 6:
        pytest.skip("the table is of a whole Landlock; this kernel's lacks a part")
    user, rows = matrix
    documented = escapes.documented(user)
    kinds = kind_of()
    differences = []
    for name, row in rows.items():
        if (kinds[name] == "control" and name not in escapes.STOPPED_ANYWAY) or \
                name in escapes.HOST_DEPENDENT:
            continue
        got, wanted = escapes.cells(name, row), list(documented[name])
        if got != wanted:
            differences.append((name, got, wanted))
    assert not differences
    assert set(documented) == {name for name, kind in kinds.items()
                               if kind != "control" or name in escapes.STOPPED_ANYWAY}


@pytest.mark.parametrize("thread", ["vcpu", "io"])
def test_other_threads_get_no_further(thread):
    kinds = kind_of()
    jobs = [(name, thread, layers) for name, kind in kinds.items() if kind != "control"
            for layers in (ALL, SECCOMP)]
    for (name, _, layers), result in zip(jobs, traitor.run(vmm.BUILD, traitor.users()[0], jobs)):
        outcome = result["outcome"]
        assert not outcome.startswith("odd"), (name, outcome)
        if name.endswith("ring-made-before") and layers == SECCOMP and thread == "io":
            continue  # a ring does what a filter forbids; it is Landlock and the root that stop it
        assert outcome != "escaped", (name, layers)


@pytest.mark.parametrize("thread", ["vcpu", "loop", "io"])
def test_every_number(thread):
    """The filter of each kind of thread against system calls 0 to 500, each in a process of its own."""
    names = escapes.syscall_names()
    jobs = [(f"numbers {n} {n}", thread, ALL) for n in range(NUMBERS)]
    results = traitor.run(vmm.BUILD, traitor.users()[0], jobs)
    executed, refused, wrong = set(), {}, []
    for number, result in enumerate(results):
        name = names.get(number)
        state, value = result["reports"][0]
        if number in NEVER_FILTERED:
            assert state == traitor.BEGUN or value == -errno.ENXIO
        elif result["forbidden"]:
            expected = name or f"{number} of ABI 0xc000003e"
            if (result["forbidden"], result["status"], state) != (expected, 123, traitor.BEGUN) and \
                    name is not None:
                wrong.append((number, name, result))
        elif state == traitor.RETURNED and name in REFUSED[thread]:
            refused[name] = value
        elif state == traitor.RETURNED or (state == traitor.BEGUN and name in NO_RETURN):
            executed.add(name)
        else:
            wrong.append((number, name, result))
    assert not wrong
    assert executed == EXECUTED[thread]
    assert refused == {name: -getattr(errno, text) for name, text in REFUSED[thread].items()}


@pytest.mark.parametrize("user", traitor.users())
def test_the_filter_is_what_stops_numbers(user):
    """All other layers let every call be executed."""
    names = escapes.syscall_names()
    result, = traitor.run(vmm.BUILD, user, [(f"numbers 0 {NUMBERS - 1}", "loop", ALL ^ SECCOMP)])
    states = [state for state, _ in result["reports"]]
    assert all(states)
    assert {names[n] for n, state in enumerate(states) if state == traitor.BEGUN and n in names} <= \
        NO_RETURN_UNFILTERED
    assert (result["status"], result["forbidden"]) == (0, None)


CONTROL_BEARS = {
    "messages-of-wrong-sizes": (0, "sent a message of"),
    "forged-events": (0, "sent an unknown event"),
    "forged-end": (0, ""),  # the true one follows, and counts
    "empty-message": (121, ""),
    "scribbled-counters": (0, ""),
}


@pytest.mark.parametrize("thread", ["vcpu", "loop", "io"])
@pytest.mark.parametrize("name", CONTROL_BEARS)
def test_control_bears_it(name, thread):
    """What machine has to keep is what it can misuse: control goes on, and ends as it should."""
    status, text = CONTROL_BEARS[name]
    result, = traitor.run(vmm.BUILD, traitor.users()[0], [(name, thread, ALL)])
    assert result["outcome"] == "escaped", result
    assert result["status"] == status, result
    assert text in result["log"]
    assert all(line.isprintable() for line in result["log"].splitlines())
    assert all(json.loads(line) for line in result["metrics"].splitlines())


@pytest.mark.parametrize("thread", ["vcpu", "loop", "io"])
def test_no_descriptor_gets_to_control(thread):
    job = ("descriptor-with-a-forged-message", thread)
    without, = traitor.run(vmm.BUILD, traitor.users()[0], [(*job, 0)])
    filtered, = traitor.run(vmm.BUILD, traitor.users()[0], [(*job, ALL)])
    assert without["outcome"] == "refused ECONNREFUSED"
    assert filtered["outcome"].startswith("forbidden ")
