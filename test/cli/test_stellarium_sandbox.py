# SPDX-License-Identifier: Apache-2.0
"""stellarium against itself gone bad (test/traitor/stellarium.c), and its table of system calls
(jail/policy.c) against what it does."""
import errno
import os
import shutil
import signal

import pytest

from support import stellar, tracing, traitor
from support.stellar import Store, data

pytestmark = pytest.mark.skipif(not stellar.TRAITOR.exists(),
                                reason="a build with sanitizers has no sandbox")

FORBIDDEN = ["execute", "map-code", "make-code", "start-namespace", "use-network", "signal-other",
             "trace", "type-for-user", "make-ring", "set-process"]
VERB = {"store": "ls", "fsck": "fsck", "child": "fsck"}

# Together they make every call that is allowed.
USES = [
    "test_stellarium.py",
    "test_stellarium_terminal.py",
    "test_store_golden.py::test_only_superblock_packs_and_roots_matter",
]
STORE_CALLS_MAX = 53
FSCK_CALLS_MAX = 62


@pytest.fixture(name="store")
def fixture_store(tmp_path):
    store = Store(tmp_path / "store")
    store.put("a", data(1 << 16))
    return store


def attempt(store, thread, name, layers=traitor.ALL):
    """How the command ended; what it tried: None when it was stopped in it, 0 or more when it got
    through, else -errno."""
    report = store.path.parent / "report"
    report.write_bytes(bytes(traitor.REPORT.size))
    env = stellar.environment(VOLT_TRAITOR_ATTEMPT=name, VOLT_TRAITOR_THREAD=thread,
                              VOLT_TRAITOR_LAYERS=hex(layers), VOLT_TRAITOR_REPORT=report)
    result = store.run(VERB[thread], env=env, program=stellar.TRAITOR)
    state, _, value = traitor.REPORT.unpack(report.read_bytes())
    assert state in (traitor.BEGUN, traitor.RETURNED)
    return result, value if state == traitor.RETURNED else None


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("thread", VERB)
def test_a_forbidden_call_ends_the_process(store, thread, name):
    result, value = attempt(store, thread, name)
    assert value is None
    if thread == "child":  # fsck is told of by fsck
        assert result.returncode == 3
        assert b"the index is damaged: it cannot be read to its end\n" in result.stdout
    else:
        assert result.returncode == -signal.SIGSYS
        assert result.stdout == b""


def test_only_fsck_starts_a_process(store):
    assert attempt(store, "store", "start-process")[1] is None
    assert attempt(store, "fsck", "start-process")[1] > 0
    assert attempt(store, "child", "start-process")[1] == -errno.EPERM


def test_the_child_of_fsck_opens_nothing(store):
    assert attempt(store, "child", "open-file")[1] == -errno.EPERM


@pytest.mark.parametrize("thread", VERB)
def test_those_tests_would_notice(store, thread):
    """Without the filter, which is how it runs on a kernel that has none."""
    result, value = attempt(store, thread, "map-code", traitor.ALL ^ traitor.SECCOMP)
    assert (result.returncode, value) == (0, 0)


def test_the_lists_are_short():
    rows = tracing.policy()
    assert len(tracing.distinct(rows, "store")) <= STORE_CALLS_MAX
    assert len(tracing.distinct(rows, "fsck")) <= FSCK_CALLS_MAX


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("strace"),
                    reason="needs root (who keeps a key cannot be traced by others) and strace")
def test_nothing_is_allowed_that_nothing_uses(tmp_path):
    """A call that no test makes says in its reason when it is made: "rare: ..."."""
    build = tracing.Build(tmp_path, "stellarium/stellarium")
    result = build.run_tests(*[f"test/cli/{name}" for name in USES])
    assert result.returncode == 0, result.stdout.decode()
    rows = tracing.policy()
    used = tracing.used_by_stellarium(build.traces, rows)
    unused = tracing.unused_rows(rows, used, "store", "fsck")
    assert not unused, "\n".join(unused)
