# SPDX-License-Identifier: Apache-2.0
"""The README's first command, as a user types it."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def make_run(command):
    # Not as a part of the make that runs the tests.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", "run", f"CMD={command}"], cwd=ROOT, env=env, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


def test_answers_and_status_are_the_guests():
    result = make_run('uname -r; nproc; cat /proc/cmdline; ls /; echo "$((6 * 7)), (a,b)"; exit 3')
    lines = result.stdout.replace("\r\n", "\n").splitlines()
    assert result.returncode == 3, result.stderr
    assert "cloud-amd64" in lines[0] and lines[1] == "1"
    assert lines[2].startswith("console=ttyS0 reboot=k panic=-1 quiet")
    assert "sbin" in result.stdout.split() and lines[-1] == "42, (a,b)"


def test_a_panic_is_no_success():
    assert make_run("echo c > /proc/sysrq-trigger").returncode == 120
