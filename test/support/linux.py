# SPDX-License-Identifier: Apache-2.0
"""Linux guests for tests: which kernels there are, and how to run a command in one.

What they boot is made by tools/test (see prepare_guests there) and named by VOLT_* variables.
"""
import base64
import os
import pathlib
import shutil

from support import vmm

DEADLINE_S = 240


def path_of(variable):
    return pathlib.Path(os.environ[variable])


# name: kernel file below the folder named by the variable, options, variable of the initramfs
KERNELS = {
    "stock-6.1": ("VOLT_KERNEL_6_1", "vmlinuz", [], "VOLT_INITRAMFS_6_1"),
    "stock-6.12": ("VOLT_KERNEL_6_12", "vmlinuz", [], "VOLT_INITRAMFS_6_12"),
    "lean-pvh": ("VOLT_KERNEL_LEAN", "vmlinux", ["--boot-protocol", "pvh"],
                 "VOLT_INITRAMFS_LEAN"),
    "lean-linux64": ("VOLT_KERNEL_LEAN", "vmlinux", ["--boot-protocol", "linux64"],
                     "VOLT_INITRAMFS_LEAN"),
    "lean-bzimage": ("VOLT_KERNEL_LEAN", "bzImage", [], "VOLT_INITRAMFS_LEAN"),
}


def is_stock(kernel):
    return kernel.startswith("stock")


def disk(tmp_path, name="root.img"):
    """A fresh copy of the root file system."""
    copy = tmp_path / name
    shutil.copy(path_of("VOLT_ROOTFS"), copy)
    return copy


def encoded(command):
    return "volt.cmd64=" + base64.urlsafe_b64encode(command.encode()).decode().rstrip("=")


def boot(kernel, *options, command=None, rootfs=None, initramfs=None, append="",
         image=None):
    """Boots @kernel from the disk @rootfs, or in the initramfs alone, and runs @command in it.

    @image is another file with the same kernel in it.
    """
    variable, file, protocol, initramfs_variable = KERNELS[kernel]
    args = ["--kernel", image or path_of(variable) / file, *protocol, *options]
    # A stock kernel needs the modules of its initramfs to find a disk.
    if initramfs is None:
        initramfs = rootfs is None or is_stock(kernel)
    if initramfs:
        args += ["--initrd", path_of(initramfs_variable)]
    if rootfs:
        args += ["--rootfs", rootfs]
    words = [append] if append else []
    if command:
        words.append(encoded(command))
    if words:
        args += ["--cmdline-append", " ".join(words)]
    return vmm.run(*args, timeout=DEADLINE_S)


def run(kernel, command, *options, **kwargs):
    """As boot(), for a command that must succeed: returns its output as text."""
    result = boot(kernel, *options, command=command, **kwargs)
    text = result.stdout.decode(errors="replace")
    assert result.returncode == 0, f"status {result.returncode}\n{text}\n{result.stderr.decode()}"
    return text.replace("\r\n", "\n")
