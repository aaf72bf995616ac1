# SPDX-License-Identifier: Apache-2.0
"""Commands as somebody else: an unprivileged user, or a process that the kernel refuses something."""
import functools
import os
import subprocess
import sys

from support import vmm

NOBODY = 65534

# The node of KVM as a user of its group would have it, where only this process and what it starts
# see it. The file system that holds it is let go of as soon as it is bound.
AS_NOBODY = f"""
[ ! -e /dev/kvm ] || {{
	mount -t tmpfs none /mnt
	mknod -m 666 /mnt/kvm c "$(stat -c %Hr /dev/kvm)" "$(stat -c %Lr /dev/kvm)"
	mount --bind /mnt/kvm /dev/kvm
	umount -l /mnt
}}
exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --inh-caps=-all "$@"
"""


def as_nobody(command):
    """The command that runs @command as nobody, with KVM; @command itself without root."""
    if os.geteuid() != 0:
        return [str(word) for word in command]
    return ["unshare", "-m", "sh", "-ec", AS_NOBODY, "sh", *map(str, command)]


@functools.cache
def can_be_nobody():
    """Whether nobody can run volt-vmm here: reach its folder, and be somebody else at all."""
    return subprocess.run(as_nobody([vmm.VMM, "--version"]), capture_output=True,
                          check=False).returncode == 0


def with_limits(command, **limits):
    """@command in a user namespace with sysctls user.max_NAME_namespaces of its own."""
    settings = "".join(f"echo {count} >/proc/sys/user/max_{name}_namespaces\n"
                       for name, count in limits.items())
    return ["unshare", "-Ur", "sh", "-ec", settings + 'exec "$@"', "sh", *map(str, command)]


REFUSE = """
import ctypes, errno, os, struct, sys
numbers = [int(word) for word in sys.argv[1].split(",")]
ins = [struct.pack("<HBBI", 0x20, 0, 0, 0)]  # the number of the call
for number in numbers:
    ins.append(struct.pack("<HBBI", 0x15, 0, 1, number))
    ins.append(struct.pack("<HBBI", 0x06, 0, 0, 0x00050000 | errno.ENOSYS))
ins.append(struct.pack("<HBBI", 0x06, 0, 0, 0x7fff0000))
code = ctypes.create_string_buffer(b"".join(ins))
program = struct.pack("<HxxxxxxQ", len(ins), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
if os.geteuid() != 0:
    libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, program) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[2], sys.argv[2:])
"""


def without_calls(command, *numbers):
    """@command on a kernel that does not know the system calls @numbers (of x86-64)."""
    return [sys.executable, "-c", REFUSE, ",".join(map(str, numbers)), *map(str, command)]
