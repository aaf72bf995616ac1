# SPDX-License-Identifier: Apache-2.0
"""The machine as Linux sees it: processors, memory of every size and kind, pauses under load."""
import pathlib
import re
import subprocess

import pytest

from support import linux, vmm
from support.running import Running, kill_all


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    kill_all()


@pytest.mark.parametrize("cpus", [1, 2, 4])
@pytest.mark.parametrize("kernel", ["stock-6.12", "lean-pvh"])
def test_topology(tmp_path, kernel, cpus):
    """One socket of as many cores as configured, one thread each, as lscpu reads it."""
    output = linux.run(kernel, "lscpu", "--cpus", cpus, rootfs=linux.disk(tmp_path))
    found = dict(re.findall(r"^ *([^:]+): +(.*)$", output, re.MULTILINE))
    assert found["CPU(s)"] == str(cpus)
    assert found["Thread(s) per core"] == "1"
    assert found["Core(s) per socket"] == str(cpus)
    assert found["Socket(s)"] == "1"
    assert found["Hypervisor vendor"] == "KVM"
    assert "svm" not in found["Flags"].split() and "vmx" not in found["Flags"].split()


@pytest.mark.parametrize("memory,mib", [("64M", 64), ("3G", 3072), ("3584M", 3584), ("5G", 5120),
                                        ("200G", 204800)])
def test_memory_size(memory, mib):
    output = linux.run("lean-pvh", "grep MemTotal /proc/meminfo; grep RAM /proc/iomem",
                       "--memory", memory)
    total = int(re.search(r"MemTotal: +(\d+) kB", output).group(1))
    # Linux keeps 1/64 to describe the memory, 64 MiB to bounce what is above 4 GiB, and some more.
    kept = mib * 1024 / 40 + 24 * 1024 + (64 * 1024 if mib > 3072 else 0)
    assert mib * 1024 - kept < total < mib * 1024
    ranges = [[int(x, 16) for x in found]
              for found in re.findall(r"([0-9a-f]+)-([0-9a-f]+) : System RAM", output)]
    low = min(mib, 3072) * 2**20
    assert [0x100000, low - 1] in ranges
    assert ([2**32, 2**32 + mib * 2**20 - low - 1] in ranges) == (mib > 3072)


def test_pauses_under_load():
    """100 pauses of a busy guest: its clock never goes back, its watchdogs see no lock-up."""
    script = """
    (while :; do :; done) &
    (last=0; while :; do
        read up rest < /proc/uptime; now=${up%.*}${up#*.}
        [ "$now" -ge "$last" ] || echo went back from $last to $now >> /tmp/clock
        last=$now; done) &
    echo started; read line
    cat /tmp/clock 2>/dev/null; dmesg | grep -i -E 'lockup|stall|hung' ; echo checked
    """
    folder, file, protocol, initramfs = linux.KERNELS["lean-pvh"]
    running = Running("--kernel", linux.path_of(folder) / file, *protocol,
                      "--initrd", linux.path_of(initramfs), "--cpus", 2, "--cmdline-append",
                      linux.encoded(script))
    running.wait_for_output(b"started")
    for _ in range(100):
        running.pause()
        running.resume()
    running.process.stdin.write(b"\n")
    running.process.stdin.flush()
    output = running.wait_for_output(b"checked")
    assert running.process.wait(timeout=linux.DEADLINE_S) == 0
    assert b"went back" not in output and b"lockup" not in output and b"stall" not in output


def test_many_cpus():
    output = linux.run("lean-pvh", "nproc; dmesg | grep -i lockup; true", "--cpus", 32)
    assert output.split() == ["32"]


def test_255_cpus():
    """All are enumerated, and the first and last come up. Bringing up all of them takes the lab, whose
    one emulated CPU they share, time that grows with the square of their number."""
    output = linux.run("lean-pvh", "nproc; cat /sys/devices/system/cpu/present; "
                       "echo 1 > /sys/devices/system/cpu/cpu254/online; nproc; "
                       "cat /sys/devices/system/cpu/online", "--cpus", 255, "--memory", "512M",
                       append="maxcpus=2")
    assert output.split() == ["2", "0-254", "3", "0-1,254"]


def test_pool_of_huge_pages():
    """In auto and 2m the pool is used when it suffices; in 2m alone its lack is an error."""
    pool = pathlib.Path("/proc/sys/vm/nr_hugepages")
    free = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
    pool.write_text("80")
    try:
        for kind in ("2m", "auto"):
            running = Running("--kernel", vmm.guest("spin"), "--memory", "128M",
                              "--hugepages", kind)
            assert running.process.stdout.readline() == b"spinning\n"
            reserved = int(free.with_name("resv_hugepages").read_text())
            assert 80 - int(free.read_text()) + reserved >= 64
            running.stop()
        assert int(free.read_text()) == 80
        result = vmm.run("--kernel", vmm.guest("hello"), "--memory", "256M", "--hugepages", "2m")
        assert result.returncode == 2
        assert b"80 free pages" in result.stderr and b"needs 128" in result.stderr
    finally:
        pool.write_text("0")


def test_linux_in_huge_pages_and_in_a_memfd():
    for options in (["--hugepages", "thp"], ["--memory-shared"], ["--prefault"]):
        assert "MemTotal" in linux.run("lean-pvh", "grep MemTotal /proc/meminfo", *options)


def test_linux_with_a_pit():
    output = linux.run("lean-pvh", "cat /proc/cmdline", append="notsc")
    assert "notsc" in output


def test_a_template_of_this_host_boots(tmp_path):
    template = tmp_path / "host.json"
    dump = subprocess.run([vmm.VMM, "cpu", "dump"], check=True, capture_output=True, timeout=60)
    template.write_bytes(dump.stdout)
    output = linux.run("lean-pvh", "grep -c processor /proc/cpuinfo", "--cpu-template", template)
    assert output.strip() == "1"
