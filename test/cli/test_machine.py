# SPDX-License-Identifier: Apache-2.0
"""The machine as freestanding guests see it: memory, ports, the hole, interrupts, several CPUs."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from support import vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")

MIB = 1 << 20
GIB = 1 << 30
LOW_RAM = ("ram", 0, 0x9fc00)
FIRMWARE = ("other", 0x9fc00, MIB)
HOLE_START = 3 * GIB
HOLE_END = 4 * GIB


def expected_map(memory_bytes):
    regions = [LOW_RAM, FIRMWARE, ("ram", MIB, min(memory_bytes, HOLE_START))]
    if memory_bytes > HOLE_START:
        regions.append(("ram", HOLE_END, HOLE_END + memory_bytes - HOLE_START))
    return regions


@pytest.mark.parametrize("memory_mib", [16, 64, 3072, 3073, 5120, 200 * 1024])
def test_memory_is_where_the_map_says(memory_mib):
    result = vmm.run("--kernel", vmm.guest("memory"), "--memory", f"{memory_mib}M")
    *regions, words = [line.split() for line in result.stdout.decode().splitlines()]
    assert [(kind, int(start, 16), int(end, 16)) for kind, start, end in regions] == \
        expected_map(memory_mib * MIB)
    assert words[0] == "words" and int(words[1]) > 30
    assert (result.returncode, result.stderr) == (0, b"")


def test_ports_of_every_width():
    result = vmm.run("--kernel", vmm.guest("ports"))
    assert result.stdout.decode().splitlines() == [
        "nobody 1 ff",
        "nobody 2 ffff",
        "nobody 4 ffffffff",
        "last 1 ff",
        "scratch 5a",
        "wide 5a",
        "wide written a5",
        "across the end ffff",
        "repeated 00ffffffffffff00",
        "repeated 0000ffffffff0000",
        "repeated ffffffff00000000",
        "repeated 00000000ffffffff",
        "repeated scratch 7777777777777777",
        "repeated not at all 7777777777777777",
        "one instruction wrote this line",
    ]
    assert (result.returncode, result.stderr) == (0, b"")


def all_ones(address):
    return [f"{address:08x} {width} {'ff' * width}" for width in (1, 2, 4, 8)]


def run_hole(*args):
    result = vmm.run("--kernel", vmm.guest("hole"), "--memory", "16M", *args)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode().splitlines()


def test_hole_takes_writes_and_reads_all_ones():
    assert run_hole() == [
        *all_ones(0x1000000),
        "00fffffc 8 ffffffff11223344",
        *all_ones(0xc0000000),
        *all_ones(0xffffff00),
        "c0001000 4 ffffffff",
        "c0001004 4 ffffffff",
        "c0001008 4 ffffffff",
        "c0000ffc 8 ffffffffffffffff",
        "c0001ffc 8 ffffffffffffffff",
        "goes on",
    ]


def test_drive_is_in_the_first_virtio_window(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    assert run_hole("--drive", disk)[-6:] == [
        "c0001000 4 74726976",  # "virt"
        "c0001004 4 00000002",
        "c0001008 4 00000002",  # a block device
        "c0000ffc 8 74726976ffffffff",
        "c0001ffc 8 ffffffff00000000",
        "goes on",
    ]


def test_interrupts_of_serial_port_and_timers():
    result = vmm.run("--kernel", vmm.guest("interrupts"))
    sources = ["ab serial 3", "cause 2", "one-shot 1", "deadline 1", "in time"]
    assert result.stdout.decode().splitlines() == ["apic in memory", *sources, "x2apic", *sources]
    assert (result.returncode, result.stderr) == (0, b"")


def test_two_cpus_interrupt_each_other():
    result = vmm.run("--kernel", vmm.guest("ipi"), "--cpus", "2")
    assert result.stdout == b"cpu 1 received 100\ncpu 0 received 100\n"
    assert (result.returncode, result.stderr) == (0, b"")


def test_instruction_past_the_end_of_ram_is_a_crash_with_registers():
    result = vmm.run("--kernel", vmm.guest("past-ram"), "--memory", "16M")
    assert (result.returncode, result.stdout) == (120, b"jumping\n")
    assert b"the guest crashed: " in result.stderr
    assert b"vCPU 0: rip 0x1000000 " in result.stderr


def test_flood_of_output_arrives_whole():
    """The reader stalls long enough for every buffer on the way to fill up."""
    # 100 KiB. In the lab a port access takes two emulated world switches of a nested guest.
    nr_lines = 800 if os.environ.get("LAB") else 6400
    with subprocess.Popen([vmm.VMM, "--kernel", vmm.guest("flood"), "--cmdline", str(nr_lines)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          pipesize=4096) as process:
        output = process.stdout.read(1)
        time.sleep(2)
        output += process.stdout.read()
    assert output == b"\n" + b"".join(b"line %06d abc\n" % i for i in range(nr_lines))
    assert process.returncode == 0


class Background:
    """A guest that never ends by itself, run from a copy of the program so that its processes are
    told from all others."""

    def __init__(self, folder, guest, ready):
        self.exe = folder / guest
        shutil.copy(vmm.VMM, self.exe)
        self.process = subprocess.Popen([self.exe, "--kernel", vmm.guest(guest)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == ready

    def cpu_ticks(self):
        total = 0
        for pid in vmm.processes_of(self.exe):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
        return total

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=vmm.DEADLINE_S)
        self.process.stdout.close()
        vmm.wait_until(lambda: not vmm.processes_of(self.exe), "all processes are gone")
        return status


def test_halted_guest_costs_no_processor_time(tmp_path):
    spin = Background(tmp_path, "spin", b"spinning\n")
    before = spin.cpu_ticks()
    begin = time.monotonic()
    vmm.wait_until(lambda: spin.cpu_ticks() >= before + 20, "the measure sees an endless loop")
    seconds = time.monotonic() - begin
    assert spin.end() == 128 + signal.SIGTERM

    halt = Background(tmp_path, "halt", b"halting\n")
    before = halt.cpu_ticks()
    time.sleep(seconds)
    assert halt.cpu_ticks() <= before + 4
    assert halt.end() == 128 + signal.SIGTERM
