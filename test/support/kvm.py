# SPDX-License-Identifier: Apache-2.0
"""What this /dev/kvm does with the CPUID it is given, asked of KVM and not of the monitor."""
import array
import fcntl
import os

CREATE_VM, CREATE_VCPU = 0xae01, 0xae41
GET_SUPPORTED_CPUID, SET_CPUID2, GET_CPUID2 = 0xc008ae05, 0x4008ae90, 0xc008ae91

# struct kvm_cpuid2 and its kvm_cpuid_entry2, in words of 32 bits
HEADER_WORDS, ENTRY_WORDS, ENTRIES_MAX = 2, 10, 256
FUNCTION, INDEX, EBX = 0, 1, 4


def ask(fd, request):
    """The entries that KVM answers with."""
    words = array.array("I", [ENTRIES_MAX, 0] + [0] * (ENTRY_WORDS * ENTRIES_MAX))
    fcntl.ioctl(fd, request, words)
    starts = range(HEADER_WORDS, HEADER_WORDS + words[0] * ENTRY_WORDS, ENTRY_WORDS)
    return [list(words[start:start + ENTRY_WORDS]) for start in starts]


def find(entries, leaf):
    return next((entry for entry in entries if entry[FUNCTION:INDEX + 1] == [leaf, 0]), None)


def ebx_told_and_kept(leaf):
    """EBX of a leaf: what a vCPU is told, each second feature of those offered, and what KVM says
    afterwards that it has. Two numbers, alike where KVM keeps to it, or None without the leaf.
    """
    fds = [os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)]
    try:
        fds.append(fcntl.ioctl(fds[0], CREATE_VM, 0))
        fds.append(fcntl.ioctl(fds[1], CREATE_VCPU, 0))
        entries = ask(fds[0], GET_SUPPORTED_CPUID)
        entry = find(entries, leaf)
        if entry is None:
            return None
        entry[EBX] &= 0x55555555
        words = [word for each in entries for word in each]
        fcntl.ioctl(fds[2], SET_CPUID2, array.array("I", [len(entries), 0] + words))
        return entry[EBX], find(ask(fds[2], GET_CPUID2), leaf)[EBX]
    finally:
        for fd in reversed(fds):
            os.close(fd)
