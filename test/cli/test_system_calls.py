# SPDX-License-Identifier: Apache-2.0
"""The table of system calls (jail/policy.c) against what threads do: none runs the guest before it
is filtered, and nothing is allowed that nothing uses."""
import os
import shutil
import subprocess

import pytest

from support import tracing, traitor, vmm

VCPU_CALLS_MAX = 13
MACHINE_CALLS_MAX = 30

needs_strace = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("strace") or not os.access("/dev/kvm", os.R_OK),
    reason="needs root (machine cannot be traced by others), strace and /dev/kvm")
pytestmark = pytest.mark.skipif(not (vmm.BUILD / "test/traitor/volt-vmm-traitor").exists(),
                                reason="a build with sanitizers has no sandbox")

# Together they make every call that is allowed.
USES = [
    "test_disk_ops.py",
    "test_confine.py",
    "test_corners.py",
    "test_machine.py::test_instruction_past_the_end_of_ram_is_a_crash_with_registers",
    "test_machine.py::test_flood_of_output_arrives_whole",
    "test_lifecycle.py::test_escape_key_pauses",
    "test_cli.py::test_service_manager_is_told",
    "test_api_v1.py::test_a_life",
    "test_api_v1.py::test_drives",
    "test_api_v1.py::test_bad_changes_of_a_drive",
    "test_api_v1.py::test_events",
    "test_ps.py",
]


def test_the_lists_are_short():
    rows = tracing.policy()
    assert len(tracing.distinct(rows, "vcpu")) <= VCPU_CALLS_MAX
    assert len(tracing.distinct(rows, "vcpu", "loop", "io")) <= MACHINE_CALLS_MAX


def test_each_row_has_a_reason():
    assert [row for row in tracing.policy() if not row.reason.strip()] == []


def guest_runs_of(program, folder, env=None):
    """Threads in the order in which they are filtered and run the guest: [(what, thread)]."""
    trace = folder / "trace"
    disk = folder / "disk"
    disk.write_bytes(bytes(1 << 20))
    result = subprocess.run(
        ["strace", "-f", "-qqq", "-s", "0", "-e", "raw=all", "-e", "signal=none", "-o", trace, "-e",
         "trace=ioctl,seccomp", program, "--kernel", vmm.guest("ipi"), "--cpus", "4", "--drive",
         f"{disk},iothread=io", "--console", "none", "--no-api"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, env=env, timeout=120)
    assert result.returncode == 0, result.stderr
    return tracing.filters_and_runs(trace)


@needs_strace
def test_no_thread_is_in_the_guest_before_its_filter(tmp_path):
    events = guest_runs_of(vmm.VMM, tmp_path)
    runners = {thread for what, thread in events if what == "runs"}
    assert len(runners) == 4
    start = next(i for i, (what, _) in enumerate(events) if what == "runs")
    filtered = {thread for what, thread in events[:start] if what == "filtered"}
    assert runners <= filtered
    assert len(filtered) >= 4 + 2  # the loop's and the iothread before the first vCPU, too


@needs_strace
def test_that_test_would_notice(tmp_path):
    env = dict(os.environ, VOLT_TRAITOR_LAYERS=hex(traitor.ALL ^ traitor.SECCOMP))
    events = guest_runs_of(vmm.BUILD / "test/traitor/volt-vmm-traitor", tmp_path, env)
    runners = {thread for what, thread in events if what == "runs"}
    assert len(runners) == 4
    assert not runners & {thread for what, thread in events if what == "filtered"}


@needs_strace
def test_nothing_is_allowed_that_nothing_uses(tmp_path):
    """A call that no test makes says in its reason when it is made: "rare: ..."."""
    build = tracing.Build(tmp_path)
    result = build.run_tests(*[f"test/cli/{name}" for name in USES])
    assert result.returncode == 0, result.stdout.decode()
    rows = tracing.policy()
    used = tracing.used_rows(build.traces, rows)
    unused = tracing.unused_rows(rows, used, "vcpu", "loop", "io", "control")
    assert not unused, "\n".join(unused)
