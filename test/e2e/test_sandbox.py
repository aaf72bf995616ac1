# SPDX-License-Identifier: Apache-2.0
"""Linux in the whole sandbox, as root and as nobody, on the hosts that there are: the lab with Linux
6.12 has all of Landlock, the one with 6.1 (tools/lab --kernel) lacks parts of it, and says so."""
import json
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from support import linux, users, vmm

PARTS = b"this kernel's Landlock (version 2) lacks truncate (Linux 6.2), TCP (6.7)"
LAYERS = {"namespaces", "root", "capabilities", "landlock", "limits", "seccomp"}


def offered():
    result = vmm.run("sandbox", "status", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(name="folder")
def folder_for_all():
    """What it takes, where nobody can reach it as well: program, kernel and a root disk."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        for file in (vmm.VMM, linux.path_of("VOLT_KERNEL_LEAN") / "vmlinux"):
            shutil.copy(file, folder)
        linux.disk(folder).chmod(0o666)
        yield folder


@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize("engine", ["sync", "io_uring"])
def test_linux_runs_in_all_layers(folder, user, engine):
    command = [folder / "volt-vmm", "--no-api", "--kernel", folder / "vmlinux", "--cpus", 2,
               "--rootfs", f"{folder}/root.img,engine={engine}", "--cmdline-append",
               linux.encoded("echo written >/file && sync && cat /file && uname -s; exit 7")]
    command = [str(word) for word in command]
    result = subprocess.run(users.as_nobody(command) if user == "nobody" else command,
                            stdin=subprocess.DEVNULL, capture_output=True,
                            timeout=linux.DEADLINE_S, check=False)
    assert result.returncode == 7, result.stderr
    assert result.stdout.split()[-2:] == [b"written", b"Linux"]
    host = offered()
    assert {row["layer"] for row in host["layers"] if row["offered"]} == LAYERS
    if host["landlock_abi"] >= 6:
        assert result.stderr == b""
    else:
        assert PARTS in result.stderr and result.stderr.count(b"\n") == 1


def test_the_host_is_told_as_it_is():
    """The kernel that this runs on, by its version."""
    abi = offered()["landlock_abi"]
    release = subprocess.run(["uname", "-r"], capture_output=True, check=True).stdout
    if release.startswith(b"6.1."):
        assert abi == 2
    elif release.startswith(b"6.12."):
        assert abi == 6
    else:
        assert abi >= 6
