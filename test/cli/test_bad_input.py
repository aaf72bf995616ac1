# SPDX-License-Identifier: Apache-2.0
"""Bad input: one line that names the object, the value and what would work; nothing left behind."""
import os
import struct

import pytest

from support import vmm
from support.api import has_kvm

needs_kvm = pytest.mark.skipif(not has_kvm(), reason="no usable /dev/kvm")
KERNEL = vmm.guest("hello")


def assert_refused(result, status, *parts):
    text = result.stderr.decode()
    assert result.returncode == status, text
    assert text.startswith("volt-vmm: error: ") and text.count("\n") == 1, text
    assert result.stdout == b""
    for part in parts:
        assert part in text, text


@pytest.mark.parametrize("args,parts", [
    ([], ["--kernel"]),
    (["--kernel"], ["--kernel", "needs"]),
    (["--kernel", "a", "--kernel", "b"], ["--kernel"]),
    (["--kernl", "a"], ["--kernl", "--kernel"]),
    (["--kernel", "a", "guest"], ["guest"]),
    (["--kernel", "a", "--memory", "0"], ["--memory"]),
    (["--kernel", "a", "--memory", "0M"], ["--memory", "0M", "16"]),
    (["--kernel", "a", "--memory", "1B"], ["--memory", "1B"]),
    (["--kernel", "a", "--memory", "128"], ["--memory", "128", "128M"]),
    (["--kernel", "a", "--memory", "-1M"], ["--memory", "-1M"]),
    (["--kernel", "a", "--memory", "1000T"], ["--memory", "1000T", "512"]),
    (["--kernel", "a", "--memory", "99999999999999999999G"], ["--memory"]),
    (["--kernel", "a", "--memory", "20000001B"], ["--memory", "4096"]),
    (["--kernel", "a", "--cpus", "0"], ["--cpus", "0", "255"]),
    (["--kernel", "a", "--cpus", "256"], ["--cpus", "256", "255"]),
    (["--kernel", "a", "--cpus", "two"], ["--cpus", "two"]),
    (["--kernel", "a", "--console", "tty"], ["--console", "tty"]),
    (["--kernel", "a", "--boot-protocol", "efi"], ["--boot-protocol", "efi", "pvh"]),
    (["--kernel", "a", "--rootfs", "x,rw"], ["rw"]),
    (["--kernel", "a", "--drive", "x,id=a b"], ["id"]),
    (["--kernel", "a", "--drive", "x,id=a", "--drive", "y,id=a"], ["'a'"]),
    (["--kernel", "a", "--drive", ",ro"], ["--drive"]),
    (["--kernel", "a", "--cmdline", "a\nb"], ["--cmdline"]),
    (["--kernel", "a"] + ["--drive", "x"] * 17, ["16"]),
])
def test_usage(args, parts):
    assert_refused(vmm.run(*args), 2, *parts)


def elf(**fields):
    """A small x86-64 ELF kernel with a PVH note; @fields override header values."""
    entry = fields.get("entry", 0x100000)
    header = struct.pack("<16sHHIQQQIHHHHHH",
                         fields.get("ident", b"\x7fELF\x02\x01\x01").ljust(16, b"\0"),
                         fields.get("type", 2), fields.get("machine", 62), 1, entry,
                         fields.get("phoff", 64), 0, 0, 64, 56, fields.get("phnum", 2), 0, 0, 0)
    code = bytes(4096)
    load = struct.pack("<IIQQQQQQ", 1, 7, 4096, 0, fields.get("paddr", 0x100000),
                       fields.get("filesz", 4096), fields.get("memsz", 4096), 4096)
    other = struct.pack("<IIQQQQQQ", 1, 7, 4096, 0, fields.get("paddr2", 0x200000), 4096, 4096,
                        4096)
    return (header + load + other).ljust(4096, b"\0") + code


def bzimage(**fields):
    data = bytearray(64 * 1024)
    data[0x1f1] = fields.get("setup_sects", 1)
    data[0x1fe:0x200] = b"\x55\xaa"
    data[0x200:0x202] = b"\xeb\x66"
    data[0x202:0x206] = fields.get("magic", b"HdrS")
    struct.pack_into("<H", data, 0x206, fields.get("version", 0x20f))
    struct.pack_into("<I", data, 0x1f4, fields.get("syssize", (64 * 1024 - 1024) // 16))
    data[0x211] = 1
    struct.pack_into("<I", data, 0x22c, 0x7fffffff)
    struct.pack_into("<I", data, 0x230, fields.get("alignment", 0x200000))
    data[0x234] = 1
    struct.pack_into("<H", data, 0x236, fields.get("xloadflags", 1))
    struct.pack_into("<I", data, 0x238, fields.get("cmdline_size", 2047))
    struct.pack_into("<Q", data, 0x258, fields.get("pref", 0x1000000))
    struct.pack_into("<I", data, 0x260, fields.get("init_size", 0x100000))
    return bytes(data)


KERNEL_FILES = {
    "empty": (b"", ["empty"]),
    "four bytes": (b"\x7fELF", []),
    "script": (b"#!/bin/sh\n", []),
    "compressed": (b"\x1f\x8b\x08\x00" + bytes(600), ["gzip"]),
    "elf 32": (elf(ident=b"\x7fELF\x01\x01\x01"), ["32"]),
    "elf aarch64": (elf(machine=183), []),
    "elf object": (elf(type=1), []),
    "elf cut": (elf()[:100], []),
    "elf outside RAM": (elf(paddr=0x10000000, entry=0x10000000), ["128 MiB", "--memory"]),
    "elf huge": (elf(memsz=2**63), []),
    "elf wrapping": (elf(paddr=2**64 - 4096, memsz=8192), []),
    "elf overlapping": (elf(paddr2=0x100800), ["overlap"]),
    "elf in low memory": (elf(paddr=0x1000), []),
    "elf more in file than in memory": (elf(filesz=2**40), []),
    "elf many headers": (elf(phnum=65535), []),
    "elf headers nowhere": (elf(phoff=2**63), []),
    "elf entry nowhere": (elf(entry=0x500000), []),
    "bzImage old": (bzimage(version=0x201), []),
    "bzImage 32 bit": (bzimage(xloadflags=0), ["64"]),
    "bzImage larger than its file": (bzimage(syssize=2**28), []),
    "bzImage all setup": (bzimage(setup_sects=255), []),
    "bzImage alignment": (bzimage(alignment=3), []),
    "bzImage too large for RAM": (bzimage(init_size=2**31 - 1), ["--memory"]),
}


@needs_kvm
@pytest.mark.parametrize("content,parts", KERNEL_FILES.values(), ids=KERNEL_FILES.keys())
def test_kernel_files(tmp_path, content, parts):
    kernel = tmp_path / "kernel"
    kernel.write_bytes(content)
    assert_refused(vmm.run("--kernel", kernel), 1, "kernel", *parts)
    assert os.listdir(tmp_path) == ["kernel"]


def test_missing_files(tmp_path):
    missing = tmp_path / "missing"
    for option in ("--initrd", "--rootfs", "--drive"):
        assert_refused(vmm.run("--kernel", KERNEL, option, missing), 1, str(missing),
                       "No such file")
    assert_refused(vmm.run("--kernel", missing), 1, str(missing), "No such file")


def test_folders_instead_of_files(tmp_path):
    for option in ("--initrd", "--rootfs", "--drive"):
        assert_refused(vmm.run("--kernel", KERNEL, option, tmp_path), 1, str(tmp_path), "directory")
    assert_refused(vmm.run("--kernel", tmp_path), 1, str(tmp_path), "directory")


def test_unreadable_kernel(tmp_path):
    kernel = tmp_path / "kernel"
    kernel.write_bytes(KERNEL.read_bytes())
    kernel.chmod(0)
    tmp_path.chmod(0o755)
    args = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] \
        if os.geteuid() == 0 else []
    result = vmm.subprocess.run([*args, vmm.VMM, "--kernel", kernel], capture_output=True,
                                check=False, timeout=60)
    if b"setpriv" in result.stderr or result.returncode == 127:
        pytest.skip("the program is not reachable for another user")
    assert_refused(result, 1, str(kernel), "Permission denied")


@needs_kvm
def test_initrd_larger_than_memory(tmp_path):
    initrd = tmp_path / "initrd"
    with open(initrd, "wb") as file:
        file.truncate(200 * 2**20)
    assert_refused(vmm.run("--kernel", KERNEL, "--initrd", initrd), 1, "initrd", "--memory")


def test_empty_initrd(tmp_path):
    initrd = tmp_path / "initrd"
    initrd.touch()
    assert_refused(vmm.run("--kernel", KERNEL, "--initrd", initrd), 1, str(initrd), "empty")


@pytest.mark.parametrize("size", [0, 1, 511, 1000])
def test_disk_sizes(tmp_path, size):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(size))
    assert_refused(vmm.run("--kernel", KERNEL, "--drive", disk), 1, str(disk))


@needs_kvm
def test_command_line_longer_than_the_kernel_takes():
    assert_refused(vmm.run("--kernel", KERNEL, "--cmdline", "x" * 3000), 1, "3000", "2047")


def test_no_kvm():
    """In a mount namespace where /dev/kvm is not there, or is something else."""
    script = ("mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec \"$@\"")
    result = vmm.subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", vmm.VMM, "--kernel",
                                 KERNEL], capture_output=True, check=False, timeout=60)
    if b"unshare" in result.stderr:
        pytest.skip("no mount namespaces here")
    assert_refused(result, 1, "/dev/kvm", "No such file")
    script = script.replace("mknod", "cp /proc/version /dev/kvm && mknod")
    result = vmm.subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", vmm.VMM, "--kernel",
                                 KERNEL], capture_output=True, check=False, timeout=60)
    assert_refused(result, 1, "/dev/kvm")


def test_help_and_version():
    text = vmm.run("--help").stdout.decode()
    lines = text.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert "--kernel" in text
    assert vmm.run("--version").stdout.startswith(b"volt-vmm v")
