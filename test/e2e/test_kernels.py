# SPDX-License-Identifier: Apache-2.0
"""Kernel files: every format, unpacked by whom it may be, entered by every protocol it allows."""
import re
import subprocess

import pytest

from support import linux

# A packer's command line, and the suffix of what it makes of a vmlinux.
PACKERS = {
    "gz": ["gzip", "-1"],
    "xz": ["xz", "-0"],
    "zst": ["zstd", "-q", "-1"],
    "lz4": ["lz4", "-q"],
    "lz4-legacy": ["lz4", "-q", "-l"],
}

LEAN = [
    ("vmlinux", "auto", "pvh"),
    ("vmlinux", "guest", "linux64"),
    ("vmlinux.unstripped", "auto", "pvh"),
    ("bzImage", "guest", "linux64"),
    ("bzImage", "auto", "pvh"),
    ("bzImage", "host", "linux64"),
    ("vmlinux.gz", "auto", "pvh"),
    ("vmlinux.xz", "host", "linux64"),
    ("vmlinux.zst", "auto", "linux64"),
    ("vmlinux.lz4", "host", "pvh"),
    ("vmlinux.lz4-legacy", "auto", "pvh"),
]


def lean_file(tmp_path, name):
    folder = linux.path_of("VOLT_KERNEL_LEAN")
    if (folder / name).exists():
        return folder / name
    packed = tmp_path / name
    with open(folder / "vmlinux", "rb") as plain, open(packed, "wb") as to:
        subprocess.run(PACKERS[name.split(".")[1]], stdin=plain, stdout=to, check=True)
    return packed


@pytest.mark.parametrize("name,unpacker,protocol", LEAN)
def test_lean(tmp_path, name, unpacker, protocol):
    result = linux.boot("lean-bzimage", "--kernel-decompress", unpacker, "--boot-protocol",
                        protocol, "--memory", "64M", command="exit 7",
                        image=lean_file(tmp_path, name))
    assert (result.returncode, result.stderr) == (7, b""), result.stdout.decode(errors="replace")


# 6.12 has no room in 68 MiB to unpack itself; with less, both are out of memory before init runs.
STOCK = [
    ("stock-6.12", ["--memory", "68M"]),
    ("stock-6.12", ["--memory", "128M", "--kernel-decompress", "host", "--boot-protocol", "pvh"]),
    ("stock-6.1", ["--memory", "80M", "--kernel-decompress", "host"]),
]


@pytest.mark.parametrize("kernel,options", STOCK)
def test_stock_unpacked_on_the_host(kernel, options):
    assert "Kernel code" in linux.run(kernel, "grep Kernel /proc/iomem", *options)


@pytest.mark.parametrize("version,options", [
    ("6_1", ["--kernel-decompress", "host"]),
    ("6_12", []),
])
def test_generic(version, options):
    """The flavour with all drivers; it needs none of them to run what is in an initramfs."""
    image = linux.path_of(f"VOLT_KERNEL_GENERIC_{version}") / "vmlinuz"
    release = linux.run("lean-bzimage", "uname -r", "--memory", "256M", *options, image=image)
    assert re.search(version.replace("_", r"\.") + r"\.\d+\S*-amd64", release)


def test_a_large_kernel_goes_lower_than_it_is_linked():
    """At 64M the kernel starts at 2 MiB, and then lacks memory of its own for what comes later."""
    result = linux.boot("stock-6.12", "--memory", "64M", command="true",
                        append="earlyprintk=ttyS0 loglevel=8")
    assert re.search(rb"Memory: \d+K/6\d{4}K available", result.stdout)


@pytest.mark.parametrize("name", ["vmlinux", "bzImage"])
def test_a_command_line_as_long_as_the_kernel_takes(name):
    base = "console=ttyS0 reboot=k panic=-1 quiet " + linux.encoded("wc -c < /proc/cmdline") + " x="
    image = linux.path_of("VOLT_KERNEL_LEAN") / name

    def boot(length):
        return linux.boot("lean-bzimage", "--cmdline", base + "y" * (length - len(base)),
                          "--boot-protocol", "linux64", image=image)

    fits = boot(2047)
    assert fits.returncode == 0 and b"2048" in fits.stdout  # with its newline
    refused = boot(2048)
    assert refused.returncode != 0
    assert b"has 2048 bytes; this kernel takes at most 2047" in refused.stderr


def test_a_compressed_kernel_is_no_task_for_a_guest(tmp_path):
    result = linux.boot("lean-bzimage", "--kernel-decompress", "guest",
                        image=lean_file(tmp_path, "vmlinux.gz"))
    assert result.returncode not in (0, 7)
    assert b"is a gzip file, which no guest can unpack by itself" in result.stderr

