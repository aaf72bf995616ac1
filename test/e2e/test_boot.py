# SPDX-License-Identifier: Apache-2.0
"""Real Linux guests: every kernel, protocol, root, CPU count and memory size boots, pairwise."""
import itertools

import pytest

from support import linux

ROOTS = ["initramfs", "disk"]
CPUS = [1, 2, 4]
MEMORIES = ["small", "128M", "5G"]
# Debian's kernels get as far as their own first programs in less, and are out of memory there.
SMALL = {"stock-6.1": "80M", "stock-6.12": "80M"}
# Column by column: all pairs of values of two columns occur (checked below).
CASES = [(kernel, ROOTS[(k // 2 + k + m) % 2], CPUS[(k + m) % 3], memory)
         for k, kernel in enumerate(linux.KERNELS) for m, memory in enumerate(MEMORIES)]


def test_the_cases_are_pairwise_complete():
    columns = [list(linux.KERNELS), ROOTS, CPUS, MEMORIES]
    for a, b in itertools.combinations(range(len(columns)), 2):
        wanted = set(itertools.product(columns[a], columns[b]))
        assert wanted == {(case[a], case[b]) for case in CASES}


@pytest.mark.parametrize("kernel,root,cpus,memory", CASES)
def test_boot(tmp_path, kernel, root, cpus, memory):
    rootfs = linux.disk(tmp_path) if root == "disk" else None
    size = SMALL.get(kernel, "64M") if memory == "small" else memory
    output = linux.run(kernel, "echo cpus $(nproc); awk '/MemTotal/ { print \"kib\", $2 }' "
                       "/proc/meminfo; awk '$2 == \"/\" && $3 != \"rootfs\" { print \"root\", $3 }' "
                       "/proc/mounts", "--cpus", cpus, "--memory", size, rootfs=rootfs)
    found = dict(line.split() for line in output.splitlines() if len(line.split()) == 2)
    assert found["cpus"] == str(cpus)
    assert found.get("root") == ("ext4" if root == "disk" else None)
    size_kib = {"64M": 64, "80M": 80, "128M": 128, "5G": 5120}[size] * 1024
    # The rest is the kernel's own, which the small guests pay as well.
    assert size_kib - 90 * 1024 - size_kib // 20 < int(found["kib"]) < size_kib


@pytest.mark.parametrize("kernel", ["stock-6.12", "lean-pvh", "lean-linux64"])
def test_memory_above_the_hole_is_used(kernel):
    """3 GiB are below 4 GiB, 2 GiB above; Linux takes user memory from above first."""
    script = """
    free() { awk '/zone +Normal/ { n = 1 } n && /pages free/ { print $3; exit }' /proc/zoneinfo; }
    before=$(free)
    mount -t tmpfs tmpfs /mnt 2>/dev/null || { mkdir -p /mnt && mount -t tmpfs tmpfs /mnt; }
    dd if=/dev/zero of=/mnt/file bs=1M count=64 2>/dev/null
    echo taken $((before - $(free)))
    """
    output = linux.run(kernel, script, "--memory", "5G")
    assert int(output.split("taken")[1].split()[0]) > 60 * 256


def test_without_acpi_the_command_line_names_the_disks(tmp_path):
    """A kernel that has no use for ACPI finds CPUs by the MP table and disks by its command line."""
    other = tmp_path / "other.img"
    other.write_bytes(b"second disk".ljust(1024, b"\0"))
    output = linux.run("lean-pvh", "cat /proc/cmdline; nproc; head -c 11 /dev/vdb; "
                       "test -d /sys/firmware/acpi || echo; echo no acpi",
                       "--no-acpi", "--cpus", "2", "--drive", other,
                       rootfs=linux.disk(tmp_path), append="acpi=off")
    assert "virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=4K@0xc0002000:6" in output
    assert "\n2\nsecond disk" in output


@pytest.mark.parametrize("kernel", ["stock-6.1", "stock-6.12", "lean-pvh"])
def test_power_off(tmp_path, kernel):
    result = linux.boot(kernel, command="poweroff -f", rootfs=linux.disk(tmp_path))
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("kernel", ["stock-6.12", "lean-pvh"])
def test_reboot(tmp_path, kernel):
    result = linux.boot(kernel, command="reboot -f", rootfs=linux.disk(tmp_path))
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.parametrize("reboot", ["triple", "k", "acpi"])
def test_a_panic_ends_the_vm(tmp_path, reboot):
    """The kernel says so itself, whatever way it then takes to reboot."""
    result = linux.boot("lean-pvh", command="echo c > /proc/sysrq-trigger",
                        rootfs=linux.disk(tmp_path), append=f"reboot={reboot}")
    assert result.returncode == 122
    assert b"Kernel panic" in result.stdout
    assert b"the guest's kernel panicked" in result.stderr
    assert b"the guest panicked; it" in result.stderr


def test_a_panic_that_the_kernel_cannot_tell_us(tmp_path):
    """Without ACPI it does not find the port."""
    result = linux.boot("lean-pvh", "--no-acpi", command="echo c > /proc/sysrq-trigger",
                        rootfs=linux.disk(tmp_path), append="reboot=triple")
    assert result.returncode == 120
    assert b"panic" in result.stdout


def test_exit_status_of_the_command(tmp_path):
    assert linux.boot("lean-pvh", command="exit 3", rootfs=linux.disk(tmp_path)).returncode == 3
