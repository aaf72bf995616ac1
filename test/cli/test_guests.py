# SPDX-License-Identifier: Apache-2.0
"""Freestanding guests on whatever /dev/kvm there is: how a VM runs and how it ends."""
import os

import pytest

from support import vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")


def test_guest_speaks_and_chooses_the_exit_status():
    result = vmm.run("--kernel", vmm.guest("hello"))
    assert (result.returncode, result.stdout, result.stderr) == (42, b"hello from the guest\n", b"")


@pytest.mark.parametrize("guest", ["power-off", "reboot", "reset-register"])
def test_orderly_ends_are_a_success(guest):
    result = vmm.run("--kernel", vmm.guest(guest))
    assert (result.returncode, result.stderr) == (0, b"")


def test_triple_fault_is_a_crash_that_is_named():
    result = vmm.run("--kernel", vmm.guest("triple-fault"))
    assert result.returncode == 120
    assert b"triple fault" in result.stderr


def test_nothing_runs_after_the_end():
    """The vCPU that ends the VM does not enter the guest again, however late others are told."""
    for _ in range(20):
        result = vmm.run("--kernel", vmm.guest("run-on"))
        assert (result.returncode, result.stdout, result.stderr) == (9, b"", b"")


def test_input_from_a_pipe_reaches_the_guest_whole():
    text = b"the quick brown fox jumps over the lazy dog\n" * 40
    result = vmm.run("--kernel", vmm.guest("echo"), stdin=text + b".")
    assert result.returncode == 7
    assert result.stdout == b"ready\n" + text.upper()


def test_console_in_a_file(tmp_path):
    log = tmp_path / "console"
    result = vmm.run("--kernel", vmm.guest("hello"), "--console", f"file:{log}")
    assert (result.returncode, result.stdout) == (42, b"")
    assert log.read_bytes() == b"hello from the guest\n"


def test_no_console():
    result = vmm.run("--kernel", vmm.guest("hello"), "--console", "none")
    assert (result.returncode, result.stdout, result.stderr) == (42, b"", b"")


@pytest.mark.parametrize("memory", ["16M", "64M", "3G", "3073M", "5G", "200G"])
def test_memory_sizes_start(memory):
    assert vmm.run("--kernel", vmm.guest("hello"), "--memory", memory).returncode == 42


@pytest.mark.parametrize("cpus", [1, 2, 4, 255])
def test_cpu_counts_start(cpus):
    assert vmm.run("--kernel", vmm.guest("hello"), "--cpus", cpus).returncode == 42


def test_standard_output_gone_does_not_stop_the_guest():
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = vmm.subprocess.run([vmm.VMM, "--kernel", vmm.guest("hello")], stdin=-3,
                                stdout=write_end, stderr=-1, timeout=60, check=False)
    os.close(write_end)
    assert result.returncode == 42
    assert b"standard output is gone" in result.stderr


def test_closed_standard_streams():
    command = f"exec {vmm.VMM} --kernel {vmm.guest('hello')} <&- >&- 2>&-"
    assert vmm.subprocess.run(["sh", "-c", command], timeout=60, check=False).returncode == 42
