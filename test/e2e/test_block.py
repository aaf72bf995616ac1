# SPDX-License-Identifier: Apache-2.0
"""Disks of real Linux guests: what is written stays, what is read-only is left alone."""
import hashlib

import pytest

from support import linux


@pytest.mark.parametrize("kernel", ["stock-6.1", "stock-6.12", "lean-pvh"])
def test_a_file_survives_a_reboot(tmp_path, kernel):
    rootfs = linux.disk(tmp_path)
    result = linux.boot(kernel, command="seq 100000 > /root/file && sync && reboot", rootfs=rootfs)
    assert result.returncode == 0, result.stdout
    output = linux.run(kernel, "sha256sum /root/file", rootfs=rootfs)
    expected = hashlib.sha256("".join(f"{i}\n" for i in range(1, 100001)).encode()).hexdigest()
    assert expected in output


@pytest.mark.parametrize("kernel", ["stock-6.12", "lean-pvh"])
def test_a_read_only_disk_refuses_writes(tmp_path, kernel):
    rootfs = linux.disk(tmp_path)
    other = linux.disk(tmp_path, "other.img")
    before = hashlib.sha256(other.read_bytes()).digest()
    output = linux.run(kernel, "cat /sys/block/vdb/ro; mount /dev/vdb /mnt 2>&1; touch /mnt/x 2>&1; "
                       "dd if=/dev/zero of=/dev/vdb bs=512 count=1 conv=fsync 2>&1; "
                       "mount -o remount,rw /mnt 2>&1; true",
                       "--drive", f"{other},ro", rootfs=rootfs)
    assert output.startswith("1\n")
    assert "Read-only file system" in output
    assert hashlib.sha256(other.read_bytes()).digest() == before


def test_a_read_only_root(tmp_path):
    rootfs = linux.disk(tmp_path)
    before = hashlib.sha256(rootfs.read_bytes()).digest()
    output = linux.run("lean-pvh", "touch /root/x || echo refused", rootfs=f"{rootfs},ro")
    assert "refused" in output
    assert hashlib.sha256(rootfs.read_bytes()).digest() == before


def test_many_drives_keep_order_size_and_id(tmp_path):
    options = []
    for number in range(15):
        path = tmp_path / f"{number}.img"
        path.write_bytes(f"disk {number:2}".encode().ljust(512 * (number + 1), b"\0"))
        options += ["--drive", f"{path},id=data-{number}"]
    output = linux.run("lean-pvh", "for d in /sys/block/vd*; do "
                       "echo $(cat $d/size) $(cat $d/serial) $(head -c 7 /dev/${d##*/} | tr -d '\\0'); "
                       "done", *options, rootfs=linux.disk(tmp_path))
    lines = output.splitlines()
    assert lines[0].split()[1] == "rootfs"
    for number in range(15):
        assert lines[number + 1].split() == [str(number + 1), f"data-{number}", "disk", str(number)]


def test_whole_disk_is_read_and_written(tmp_path):
    """Every byte of a disk, in large and odd requests, from the guest and back on the host."""
    data = tmp_path / "data.img"
    pattern = hashlib.shake_256(b"disk").digest(3 * 1024 * 1024)
    data.write_bytes(pattern + bytes(3 * 1024 * 1024))
    linux.run("lean-pvh", "dd if=/dev/vdb of=/dev/vdb bs=1M count=3 seek=3 conv=fsync 2>/dev/null",
              "--drive", data, rootfs=linux.disk(tmp_path))
    assert data.read_bytes() == pattern + pattern
