# SPDX-License-Identifier: Apache-2.0
"""File systems of Linux guests under load: power cuts, discards, full hosts, shared images.

The guests run in an initramfs and the disk is /dev/vda. VOLT_STRESS_SECONDS is how long the load of
test/support/stress.c goes on.
"""
import fcntl
import os
import random
import re
import select
import signal
import struct
import subprocess
import time

import pytest

from support import linux, running, vmm

STRESS_S = int(os.environ.get("VOLT_STRESS_SECONDS", "20"))
FILES_MIN = 20  # that are claimed when the power is cut; some are claimed again and again
# stress looks at its clock between operations, and a lab machine is slow
DEADLINE_S = 240 + 2 * STRESS_S
MIB = 1 << 20
MOUNT = "mkdir -p /mnt && mount /dev/vda /mnt"

# name: kernel, its file, the initramfs, size of the disk, how to make the file system and check it
GUESTS = {
    "ext4": ("VOLT_KERNEL_LEAN", "vmlinux", "VOLT_INITRAMFS_DISKS_LEAN", 128 * MIB,
             "/mkfs/mkfs.ext4 -q -b 4096", ["e2fsck", "-f", "-n"]),
    "xfs": ("VOLT_KERNEL_6_12", "vmlinuz", "VOLT_INITRAMFS_DISKS_6_12", 320 * MIB,
            "/mkfs/mkfs.xfs -q -f", ["xfs_repair", "-f", "-n"]),
}
# every engine, and both file systems
CASES = [("ext4", "engine=sync"), ("ext4", "engine=io_uring"), ("xfs", "engine=io_uring")]


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    running.kill_all()


def make_file(path, size):
    path.touch()
    os.truncate(path, size)
    return path


def make_image(folder, size):
    return make_file(folder / "disk.img", size)


def arguments(guest, command, *options):
    variable, file, initramfs, _, _, _ = GUESTS[guest]
    words = " ".join(["volt.root=none", linux.encoded(command)])
    return ["--kernel", linux.path_of(variable) / file, "--initrd", linux.path_of(initramfs),
            "--memory", "256M", "--cmdline-append", words, *options]


def run(guest, command, *options):
    """Output of a @command, which must succeed."""
    result = vmm.run(*arguments(guest, command, *options), timeout=DEADLINE_S)
    text = result.stdout.decode(errors="replace").replace("\r\n", "\n")
    assert result.returncode == 0, f"status {result.returncode}\n{text}\n{result.stderr.decode()}"
    return text


def mkfs_and_mount(guest):
    return GUESTS[guest][4] + " /dev/vda && " + MOUNT


def check_is_clean(guest, image):
    """The file system checker of this host finds nothing to repair."""
    result = subprocess.run([*GUESTS[guest][5], image], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("guest,options", CASES)
def test_a_load_leaves_a_clean_file_system(tmp_path, guest, options):
    image = make_image(tmp_path, GUESTS[guest][3])
    seed = random.randrange(1 << 32)
    output = run(guest, f"{mkfs_and_mount(guest)} && "
                 f"stress run /mnt {STRESS_S} {seed} > /tmp/claims; status=$?; "
                 "tail -n 1 /tmp/claims; [ $status = 0 ] && umount /mnt && mount /dev/vda /mnt && "
                 "stress check /mnt < /tmp/claims && umount /mnt", "--drive", f"{image},{options}")
    found = re.search(r"(\d+) operations\nstress: (\d+) claims hold", output)
    assert found and int(found.group(1)) > 100, f"seed {seed}: {output}"
    check_is_clean(guest, image)


class Claims:
    """What a guest says on its console, and of that what stress claims."""

    def __init__(self, guest):
        self.guest = guest
        self.text = b""
        os.set_blocking(guest.process.stdout.fileno(), False)

    def read_some(self, timeout):
        if select.select([self.guest.process.stdout], [], [], timeout)[0]:
            self.text += self.guest.process.stdout.read() or b""

    def wait_for(self, count):
        def has_them():
            self.read_some(0.05)
            assert self.guest.process.poll() is None, self.text
            return self.text.count(b"\nS ") > count and self.lines().count(b"\n") > FILES_MIN
        vmm.wait_until(has_them, f"{count} claims", timeout=DEADLINE_S)

    def lines(self):
        """The last claim for each file; a line that was cut off is none."""
        found = re.findall(rb"^S (\S+) (\d+) ([0-9a-f]{8})\r*\n", self.text, re.MULTILINE)
        last = {name: (size, crc) for name, size, crc in found}
        return b"".join(b"S %s %s %s\n" % (name, *rest) for name, rest in last.items())


def cut_power(guest):
    """Ends control and machine at the same moment, without a chance to do anything."""
    machine = guest.machine()
    os.kill(guest.process.pid, signal.SIGSTOP)
    os.kill(machine, signal.SIGKILL)
    os.kill(guest.process.pid, signal.SIGKILL)
    guest.process.wait()


def wait_for_unlock(image):
    """The kernel may take a moment to end what was in flight."""
    def is_free():
        return subprocess.run(["flock", "-n", image, "true"], check=False).returncode == 0
    vmm.wait_until(is_free, "nobody holds the image")


def start_load(guest, drive, seed):
    """A guest with the load, when it has claimed some files and then gone on for a random time."""
    command = f"{mkfs_and_mount(guest)} && stress run /mnt {DEADLINE_S} {seed}"
    load = running.Running(*arguments(guest, command, "--drive", drive))
    claims = Claims(load)
    claims.wait_for(40 + seed % 60)
    time.sleep(seed % 997 / 997)
    return load, claims


def check_claims(tmp_path, guest, drive, claims):
    """After a boot that replays the file system's log, all that was claimed is there."""
    listing = tmp_path / "claims.img"
    lines = claims.lines()
    listing.write_bytes(lines + b"\n" * (-len(lines) % 512))
    output = run(guest, f"{MOUNT} && stress check /mnt < /dev/vdb && umount /mnt",
                 "--drive", drive, "--drive", f"{listing},ro")
    found = re.search(r"stress: (\d+) claims hold", output)
    assert found and int(found.group(1)) == lines.count(b"\n") > FILES_MIN, output


@pytest.mark.parametrize("guest,options", CASES)
def test_what_was_synced_survives_the_end_of_the_monitor(tmp_path, guest, options):
    image = make_image(tmp_path, GUESTS[guest][3])
    drive = f"{image},cache=writeback,{options}"
    load, claims = start_load(guest, drive, random.randrange(1 << 32))
    cut_power(load)
    claims.text += load.process.stdout.read() or b""
    wait_for_unlock(image)
    check_claims(tmp_path, guest, drive, claims)
    check_is_clean(guest, image)


class FragileFolder:
    """A file system of the host whose power can be cut: what was not synced is lost."""

    SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
    NO_LOG_FLUSH = 2

    def __init__(self, tmp_path):
        self.device = tmp_path / "host.img"
        self.path = tmp_path / "host"
        self.path.mkdir()
        make_file(self.device, 512 * MIB)
        subprocess.run(["mkfs.ext4", "-q", self.device], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.device, self.path], check=True)

    def umount(self):
        """Waits for the kernel to end what was in flight."""
        def is_done():
            return subprocess.run(["umount", self.path], check=False,
                                  capture_output=True).returncode == 0
        vmm.wait_until(is_done, "nobody uses the host's file system")

    def cut_power(self):
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, self.SHUTDOWN, struct.pack("I", self.NO_LOG_FLUSH))
        os.close(fd)


@pytest.fixture
def fragile_folder(tmp_path):
    if subprocess.run(["modprobe", "ext4"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no right to mount")
    folder = FragileFolder(tmp_path)
    yield folder
    running.kill_all()
    folder.umount()


@pytest.mark.parametrize("options", ["engine=sync", "engine=io_uring", "engine=io_uring,direct=on"])
def test_what_was_synced_survives_a_power_cut_of_the_host(tmp_path, fragile_folder, options):
    image = make_image(fragile_folder.path, GUESTS["ext4"][3])
    os.sync()
    drive = f"{image},cache=writeback,{options}"
    load, claims = start_load("ext4", drive, random.randrange(1 << 32))
    fragile_folder.cut_power()
    cut_power(load)
    claims.text += load.process.stdout.read() or b""
    fragile_folder.umount()
    fragile_folder.mount()
    check_claims(tmp_path, "ext4", drive, claims)
    check_is_clean("ext4", image)


def blocks_of(image):
    os.sync()
    return os.stat(image).st_blocks * 512


@pytest.mark.parametrize("options", ["engine=sync", "engine=io_uring"])
def test_discarded_space_is_given_back_to_the_host(tmp_path, options):
    image = make_image(tmp_path, 128 * MIB)
    drive = ["--drive", f"{image},{options}"]
    run("ext4", f"{mkfs_and_mount('ext4')} && "
        "dd if=/dev/urandom of=/mnt/file bs=1M count=40 2>/dev/null && umount /mnt", *drive)
    full = blocks_of(image)
    assert full >= 40 * MIB
    run("ext4", f"{MOUNT} && rm /mnt/file && sync && fstrim /mnt && umount /mnt", *drive)
    trimmed = blocks_of(image)
    assert trimmed <= full - 36 * MIB
    check_is_clean("ext4", image)

    run("ext4", f"{MOUNT} -o discard && dd if=/dev/urandom of=/mnt/file bs=1M count=40 "
        "2>/dev/null && sync && rm /mnt/file && sync && umount /mnt", *drive)
    assert blocks_of(image) <= trimmed + 4 * MIB
    run("ext4", "blkdiscard /dev/vda", *drive)
    assert blocks_of(image) <= MIB


def test_an_image_belongs_to_one_machine(tmp_path):
    image = make_image(tmp_path, MIB)
    spin = ["--kernel", vmm.guest("spin")]
    first = running.Running(*spin, "--drive", image)
    first.wait_for(b"running")
    for words in ("", ",ro"):
        second = vmm.run(*spin, "--drive", f"{image}{words}")
        assert second.returncode != 0
        assert b"by another virtual machine" in second.stderr and b"lock=off" in second.stderr
    other = running.Running(*spin, "--drive", f"{image},lock=off")
    other.wait_for(b"running")
    other.stop()
    first.stop()
    readers = [running.Running(*spin, "--drive", f"{image},ro") for _ in range(2)]
    for reader in readers:
        reader.wait_for(b"running")
    assert vmm.run(*spin, "--drive", image).returncode != 0
    for reader in readers:
        reader.stop()
    last = running.Running(*spin, "--drive", image)
    last.wait_for(b"running")
    last.stop()


@pytest.fixture
def small_folder(tmp_path):
    """A file system of 16 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", folder], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("no right to mount")
    yield folder
    running.kill_all()
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("options", ["engine=sync", "engine=io_uring"])
def test_a_full_host_is_an_error_of_the_disk(small_folder, options):
    image = make_image(small_folder, 64 * MIB)
    write = "dd if=/dev/zero of=/dev/vda bs=1M count=32 oflag=direct 2>&1"
    command = f"{write}; echo first $?; read line; {write}; echo second $?; read line"
    guest = running.Running(*arguments("ext4", command, "--drive", f"{image},{options}"))
    assert b"Input/output error" in guest.wait_for_output(b"first 1\r\n")
    guest.wait_for(b"No space left on device")
    subprocess.run(["mount", "-o", "remount,size=64M", small_folder], check=True)
    guest.process.stdin.write(b"\n")
    guest.process.stdin.flush()
    guest.wait_for_output(b"second 0\r\n")
    guest.stop()
