# SPDX-License-Identifier: Apache-2.0
"""Pausing and resuming, memory kinds and host CPUs, with freestanding guests."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from support import vmm
from support.running import Running, kill_all

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    kill_all()


@pytest.fixture(name="spinning")
def spinning_guest():
    running = Running("--kernel", vmm.guest("spin"))
    assert running.process.stdout.readline() == b"spinning\n"
    running.wait_for(b"running")
    yield running
    running.stop()


def test_a_paused_guest_does_not_run(spinning):
    spinning.pause()
    before, count = spinning.vcpu_ticks()
    assert count == 1
    # The same number of system calls takes a spinning vCPU several ticks, see the next test.
    for _ in range(2000):
        after, _ = spinning.vcpu_ticks()
    assert after == before
    spinning.resume()
    vmm.wait_until(lambda: spinning.vcpu_ticks()[0] > before + 3, "the guest runs again")


def test_many_pauses(spinning):
    for _ in range(100):
        assert re.search(rb"paused \(after \d+ us\)", spinning.pause())
        spinning.resume()


def test_pause_twice_and_resume_twice(spinning):
    spinning.pause()
    spinning.pause()
    spinning.resume()
    spinning.resume()
    before, _ = spinning.vcpu_ticks()
    vmm.wait_until(lambda: spinning.vcpu_ticks()[0] > before + 3, "the guest runs")


def test_resume_at_once_cancels_a_pause(spinning):
    for _ in range(50):
        spinning.process.send_signal(signal.SIGUSR1)
        spinning.process.send_signal(signal.SIGUSR2)
    spinning.forget_log()
    spinning.resume()
    spinning.pause()
    spinning.resume()


def test_stop_while_paused(spinning):
    spinning.pause()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_waits_for_nothing(number):
    """The first lets machine end by itself, which one that hangs does not within its time."""
    running = Running("--kernel", vmm.guest("spin"))
    running.wait_for(b"running")
    os.kill(running.machine(), signal.SIGSTOP)
    running.process.send_signal(number)
    running.process.send_signal(signal.SIGHUP)
    assert running.process.wait(timeout=vmm.DEADLINE_S) > 128
    running.read_log(0)
    assert b"does not end" not in running.log


@pytest.mark.parametrize("cpus", [4, 64])
def test_vcpus_that_never_started_pause_too(cpus):
    running = Running("--kernel", vmm.guest("spin"), "--cpus", cpus)
    assert running.process.stdout.readline() == b"spinning\n"
    running.wait_for(b"running")
    for _ in range(5):
        running.pause()
        running.resume()
    assert running.vcpu_ticks()[1] == cpus
    running.stop()


def test_pause_with_input_on_its_way():
    """Nothing that was sent while the guest was paused is lost."""
    running = Running("--kernel", vmm.guest("echo"))
    assert running.process.stdout.readline() == b"ready\n"
    running.wait_for(b"running")
    for number in range(20):
        running.pause()
        running.process.stdin.write(b"line %d\n" % number)
        running.process.stdin.flush()
        running.resume()
        assert running.process.stdout.readline() == b"LINE %d\n" % number
    running.process.stdin.write(b".")
    running.process.stdin.flush()
    assert running.process.wait(timeout=60) == 7


def test_escape_key_pauses():
    terminal = vmm.Terminal("--kernel", vmm.guest("spin"), "--log-level", "info")
    terminal.read_until(b"spinning")
    terminal.send(b"\x01p")
    terminal.read_until(b"paused")
    terminal.output = b""
    terminal.send(b"\x01p")
    terminal.read_until(b"running")
    terminal.send(b"\x01x")
    assert terminal.wait() == 0
    terminal.close()


def test_vcpus_stay_on_their_host_cpus():
    allowed = sorted(os.sched_getaffinity(0))
    wanted = [allowed[-1], allowed[0]]
    running = Running("--kernel", vmm.guest("spin"), "--cpus", 2, "--cpu-affinity",
                      ",".join(map(str, wanted)))
    assert running.process.stdout.readline() == b"spinning\n"
    found = {}
    for task in pathlib.Path(f"/proc/{running.machine()}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith("vcpu"):
            found[name] = os.sched_getaffinity(int(task.name))
    assert found == {"vcpu0": {wanted[0]}, "vcpu1": {wanted[1]}}
    running.stop()


def memory_maps(pid, size_kib):
    """(path, flags, resident KiB) of the mapping of guest memory."""
    entry = None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            entry = {"path": line.split(None, 5)[5] if len(line.split(None, 5)) > 5 else ""}
        else:
            key, _, value = line.partition(":")
            entry[key] = value.strip()
            if key == "VmFlags" and entry["Size"] == f"{size_kib} kB":
                return entry
    raise AssertionError("no mapping of guest memory")


@pytest.mark.parametrize("options", [[], ["--hugepages", "off"], ["--memory-shared"],
                                     ["--prefault"], ["--prefault", "--memory-shared"]])
def test_kinds_of_memory(options):
    running = Running("--kernel", vmm.guest("spin"), "--memory", "72M", *options)
    assert running.process.stdout.readline() == b"spinning\n"
    entry = memory_maps(running.machine(), 72 * 1024)
    flags = entry["VmFlags"].split()
    assert "dd" in flags and "dc" in flags  # not in core dumps, not copied on fork
    assert ("sh" in flags) == ("--memory-shared" in options)
    assert ("memfd:guest-memory" in entry["path"]) == ("--memory-shared" in options)
    assert ("nh" in flags) == ("off" in options)
    resident = int(entry["Rss"].split()[0])
    assert (resident == 72 * 1024) == ("--prefault" in options)
    running.stop()


def test_dirty_pages_are_counted_when_asked_for():
    running = Running("--kernel", vmm.guest("spin"), "--track-dirty-pages")
    assert running.process.stdout.readline() == b"spinning\n"
    running.process.send_signal(signal.SIGUSR1)
    first = int(re.search(rb"wrote (\d+) pages", running.wait_for(b"the guest wrote")).group(1))
    assert first > 0
    running.resume()
    running.process.send_signal(signal.SIGUSR1)
    assert re.search(rb"wrote 0 pages", running.wait_for(b"the guest wrote"))
    running.stop()


def test_no_dirty_log_by_default():
    result = vmm.run("--kernel", vmm.guest("hello"), "--log-level", "info")
    assert result.returncode == 42 and b"the guest wrote" not in result.stderr


def test_pit():
    assert vmm.run("--kernel", vmm.guest("hello"), "--pit").returncode == 42


@pytest.mark.parametrize("args,parts", [
    (["--hugepages", "1g"], [b"--hugepages", b"1g", b"thp"]),
    (["--hugepages", "2m", "--memory", "500G"], [b"--hugepages 2m", b"nr_hugepages"]),
    (["--hugepages", "2m", "--memory", "17M"], [b"2 MiB", b"--memory"]),
    (["--cpu-affinity", "1023"], [b"--cpu-affinity", b"1023"]),
    (["--cpu-affinity", "0", "--cpus", "2"], [b"--cpu-affinity", b"--cpus"]),
    (["--cpu-affinity", "1-0"], [b"--cpu-affinity", b"1-0"]),
    (["--cpu-affinity", "zero"], [b"--cpu-affinity", b"zero"]),
    (["--cpu-affinity", ""], [b"--cpu-affinity"]),
    (["--cpu-affinity", "0-1023"], [b"255"]),
    (["--memory", "16777217B"], [b"--memory", b"4096"]),
])
def test_bad_values(args, parts):
    result = vmm.run("--kernel", vmm.guest("hello"), *args)
    assert result.returncode == 2 and result.stdout == b""
    assert result.stderr.count(b"\n") == 1
    for part in parts:
        assert part in result.stderr


def test_a_small_file_size_limit_is_an_error_value(tmp_path):
    """What is too large for RLIMIT_FSIZE fails with a message, not with SIGXFSZ."""
    result = subprocess.run(["prlimit", "--fsize=4096", vmm.VMM, "--kernel", vmm.guest("hello")],
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert result.returncode == 1
    assert b"File too large" in result.stderr
