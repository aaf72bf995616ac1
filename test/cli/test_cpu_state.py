# SPDX-License-Identifier: Apache-2.0
"""CPUID and MSRs as the guest's CPUs see them, against what the monitor promises."""
import collections
import os

import pytest

from support import kvm, vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")

Leaf = collections.namedtuple("Leaf", "eax ebx ecx edx")
Cpu = collections.namedtuple("Cpu", "id count leaves msrs")

ZERO = Leaf(0, 0, 0, 0)
MSR_MISC_ENABLE = 0x1a0
MSR_MTRR_DEF_TYPE = 0x2ff
ZERO_MSRS = [0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102]


def parse(text, count):
    cpus = []
    for line in text.splitlines():
        what, *values = line.split()
        if what == "cpu":
            cpus.append(Cpu(int(values[0]), count, {}, {}))
        elif what == "cpuid":
            leaf, subleaf, *registers = [int(value, 16) for value in values]
            cpus[-1].leaves[leaf, subleaf] = Leaf(*registers)
        else:
            cpus[-1].msrs[int(values[0], 16)] = values[1]
    return cpus


@pytest.fixture(scope="module", name="cpus", params=[1, 2, 4])
def all_cpus(request):
    result = vmm.run("--kernel", vmm.guest("cpu-dump"), "--cpus", request.param,
                     "--cmdline", request.param)
    assert (result.returncode, result.stderr) == (0, b"")
    cpus = parse(result.stdout.decode(), request.param)
    assert [cpu.id for cpu in cpus] == list(range(request.param))
    return cpus


def bits(value, low, high):
    """Bits @low to @high, both included, as the manuals write them."""
    return value >> low & (1 << high - low + 1) - 1


def bit(value, number):
    return bits(value, number, number)


def is_amd(cpu):
    leaf = cpu.leaves[0, 0]
    return (leaf.ebx, leaf.edx, leaf.ecx) == (0x68747541, 0x69746e65, 0x444d4163)


def id_bits(count):
    return (count - 1).bit_length()


def test_features(cpus):
    absent = {"DTES64": 2, "MONITOR": 3, "DS_CPL": 4, "VMX": 5, "SMX": 6, "PDCM": 15}
    for cpu in cpus:
        leaf = cpu.leaves[1, 0]
        assert [name for name, number in absent.items() if bit(leaf.ecx, number)] == []
        assert bit(leaf.ecx, 24), "TSC deadline timer"
        assert bit(leaf.ecx, 31), "hypervisor"
        assert bits(leaf.ebx, 8, 15) == 8, "CLFLUSH size in units of 8 bytes"
        assert bits(leaf.ebx, 24, 31) == cpu.id
        assert bits(leaf.ebx, 16, 23) == cpu.count
        # Of one CPU the flag says nothing, and some KVMs set it whatever they are told.
        assert bit(leaf.edx, 28) or cpu.count == 1, "HTT"


def test_structured_features(cpus):
    told, kept = kvm.ebx_told_and_kept(7) or (0, 0)
    if told != kept:
        pytest.skip(f"this KVM does not virtualize leaf 7: told EBX {told:#x}, it keeps {kept:#x}")
    absent_ebx = {"HLE": 4, "RTM": 11, "RDT-M": 12, "MPX": 14, "RDT-A": 15}
    for cpu in cpus:
        leaf = cpu.leaves[7, 0]
        assert [name for name, number in absent_ebx.items() if bit(leaf.ebx, number)] == []
        assert not bit(leaf.ecx, 5), "WAITPKG"


def test_cleared_leaves(cpus):
    for cpu in cpus:
        power = cpu.leaves[6, 0]
        # ARAT may stay: without it Linux has no high-resolution timer on a machine with no PIT.
        assert power._replace(eax=power.eax & ~(1 << 2)) == ZERO
        assert cpu.leaves[0xa, 0] == ZERO, "performance counters"


def test_cache_sharing(cpus):
    """Levels 1 and 2 are each CPU's own, the last level is everybody's."""
    for cpu in cpus:
        function = 0x8000001d if is_amd(cpu) else 4
        levels = set()
        for (leaf, _), cache in cpu.leaves.items():
            if leaf != function or not bits(cache.eax, 0, 4):
                continue
            level = bits(cache.eax, 5, 7)
            levels.add(level)
            sharers = 1 if level < 3 else 1 << id_bits(cpu.count)
            assert bits(cache.eax, 14, 25) == sharers - 1
            if function == 4:
                assert bits(cache.eax, 26, 31) == (1 << id_bits(cpu.count)) - 1
        assert {1, 2} <= levels


def test_topology(cpus):
    for cpu in cpus:
        smt, core, end = (cpu.leaves[0xb, i] for i in range(3))
        assert smt == Leaf(0, 1, 0x100, cpu.id)
        assert core == Leaf(id_bits(cpu.count), cpu.count, 0x201, cpu.id)
        assert (end.eax, end.ebx, bits(end.ecx, 8, 15), end.edx) == (0, 0, 0, cpu.id)


def test_extended_topology_agrees(cpus):
    """Linux prefers 0x1f to 0xb where it is not empty."""
    for cpu in cpus:
        if cpu.leaves[0, 0].eax < 0x1f or cpu.leaves[0x1f, 0].ebx == 0:
            continue
        for i in range(3):
            assert cpu.leaves[0x1f, i] == cpu.leaves[0xb, i]


def test_amd_topology(cpus):
    for cpu in cpus:
        if not is_amd(cpu):
            pytest.skip("not an AMD processor")
        leaf = cpu.leaves[0x8000001e, 0]
        assert (leaf.eax, bits(leaf.ebx, 0, 7), bits(leaf.ebx, 8, 15)) == (cpu.id, cpu.id, 0)
        assert bits(leaf.ecx, 0, 10) == 0
        assert bits(cpu.leaves[0x80000008, 0].ecx, 0, 7) == cpu.count - 1


def test_kvm_signature(cpus):
    for cpu in cpus:
        leaf = cpu.leaves[0x40000000, 0]
        text = b"".join(part.to_bytes(4, "little") for part in leaf[1:])
        assert text == b"KVMKVMKVM\0\0\0"
        assert leaf.eax >= 0x40000001


def test_extended_features(cpus):
    for cpu in cpus:
        leaf = cpu.leaves[0x80000001, 0]
        assert bit(leaf.edx, 11), "SYSCALL"
        assert bit(leaf.edx, 20), "NX"
        assert bit(leaf.edx, 29), "LM"


def test_brand_string(cpus):
    strings = {b"".join(register.to_bytes(4, "little") for number in (2, 3, 4)
                        for register in cpu.leaves[0x80000000 + number, 0])
               for cpu in cpus}
    assert len(strings) == 1
    text, _, rest = strings.pop().partition(b"\0")
    assert text.decode("ascii").strip().isprintable() and text.strip()
    assert not rest.strip(b"\0")


def test_nothing_but_the_invariant_tsc_in_power_management(cpus):
    for cpu in cpus:
        leaf = cpu.leaves[0x80000007, 0]
        assert leaf[:3] == (0, 0, 0)
        assert leaf.edx & ~(1 << 8) == 0


def test_msrs(cpus):
    for cpu in cpus:
        assert int(cpu.msrs[MSR_MISC_ENABLE], 16) & 1, "fast strings"
        assert int(cpu.msrs[MSR_MTRR_DEF_TYPE], 16) == 0x806, "enabled, write-back"
        assert {cpu.msrs[msr] for msr in ZERO_MSRS} == {"0" * 16}
