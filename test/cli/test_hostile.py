# SPDX-License-Identifier: Apache-2.0
"""A hostile guest: the attacks of test/hostile through real exits, with the outcomes that the
in-process form has."""
import os
import struct
import subprocess

import pytest

from support import vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")

# As in test/hostile/port.h: 64-bit word n of the disk holds n; the second half may be written to.
DISK_BYTES = 4096 * 512
DISK = struct.pack(f"<{DISK_BYTES // 8}Q", *range(DISK_BYTES // 8))
MEMORY = "3088M"
LOG_LINES_MAX = 24  # of one device, in all its life
TIMEOUT_S = 300


def expected_table():
    return subprocess.run([vmm.BUILD / "test" / "hostile" / "t_hostile_blk", "--table"],
                          stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()


@pytest.mark.parametrize("words", ["engine=sync", "engine=auto,queues=8"])
def test_attacks_on_a_disk(tmp_path, words):
    disk, read_only_disk = tmp_path / "disk", tmp_path / "read-only-disk"
    disk.write_bytes(DISK)
    read_only_disk.write_bytes(DISK)
    result = vmm.run("--kernel", vmm.guest("hostile-blk"), "--memory", MEMORY, "--cpus", 2,
                     "--drive", f"{disk},{words}", "--drive", f"{read_only_disk},ro", timeout=TIMEOUT_S)
    log = result.stderr.decode().splitlines()
    assert result.returncode == 0, log
    assert result.stdout.decode().splitlines() == expected_table()
    assert all("drive" in line or "were suppressed" in line for line in log), log
    assert len(log) <= LOG_LINES_MAX, log
    assert len(disk.read_bytes()) == DISK_BYTES
    assert disk.read_bytes()[:DISK_BYTES // 2] == DISK[:DISK_BYTES // 2]
    assert read_only_disk.read_bytes() == DISK
