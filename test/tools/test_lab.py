# SPDX-License-Identifier: Apache-2.0
"""Checks of tools/lab: the lab machine must be a transparent place to run a command in.

Each start of a lab machine takes seconds, so each test that has one looks at many things.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
LAB = TREE / "tools" / "lab"
BYTES = bytes(range(256))

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-system-x86_64") is None or "LAB" in os.environ,
    reason="needs qemu-system-x86_64, and not to be in a lab already",
)


@pytest.fixture(scope="module")
def warm_cache():
    """What the first lab of a machine fetches and builds, and says that it does."""
    subprocess.run([LAB, "--machine", "--", "true"], check=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def scratch(tmp_path):
    """A folder with a subfolder for the lab's temporary files, which must be empty afterwards."""
    (tmp_path / "temporary").mkdir()
    yield tmp_path
    assert list((tmp_path / "temporary").iterdir()) == []
    assert processes_naming(tmp_path) == []


def processes_naming(path):
    """Command lines of all processes that mention a path, as QEMU's does that of its files."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if os.fsencode(path) in line:
            found.append(line)
    return found


def start(scratch, *arguments, **options):
    """Starts a lab in a process group of its own."""
    environment = dict(os.environ, TMPDIR=str(scratch / "temporary"), UNNAMED="1", NAMED="2")
    # SIGINT may be ignored where the tests were started; a shell could not catch it then.
    return subprocess.Popen(
        ["/usr/bin/env", "--default-signal=INT", LAB, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        **{"cwd": scratch, "stdin": subprocess.DEVNULL, **options},
    )


def finish(lab):
    """Returns exit status, stdout and stderr, the latter without the line that each run prints."""
    out, err = lab.communicate(timeout=300)
    first, _, rest = err.partition(b"\n")
    assert first.startswith(b"lab: running"), err
    return lab.returncode, out, rest


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bogus"],
        [],
        ["--"],
        ["--memory"],
        ["--memory", "much", "--", "true"],
        ["--timeout", "0", "--", "true"],
        ["--env", "9=1", "--", "true"],
        ["--icount", "--native", "--", "true"],
    ],
)
def test_wrong_usage_is_one_line(arguments):
    done = subprocess.run([LAB, *arguments], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"lab: ")
    assert done.stderr.count(b"\n") == 1


def test_help():
    done = subprocess.run([LAB, "--help"], capture_output=True, check=True)
    assert done.stdout.startswith(b"usage: tools/lab")


# Prints what it finds as NAME=VALUE, then all byte values.
LOOK_AROUND = r"""
import os, subprocess, sys

here, tree, probe = sys.argv[1:]
out = os.environ["LAB_OUT"]
facts = {
    "cwd": os.getcwd(),
    "uid": os.getuid(),
    "named": os.environ.get("NAMED"),
    "unnamed": os.environ.get("UNNAMED"),
    "valued": os.environ.get("VALUED"),
    "lab": os.environ.get("LAB"),
    "seen": open("seen").read(),
    "same tree": os.path.exists(tree + "/tools/lab"),
    "kvm": subprocess.run([probe], capture_output=True, text=True).stdout.split(":")[0],
    "stdin": sys.stdin.read(),
}
with open("written", "w") as file:
    file.write("in the lab")
os.remove("seen")
os.makedirs(out + "/deep")
with open(out + "/deep/bytes", "wb") as file:
    file.write(bytes(range(256)) * 1000)
with open("/dev/stderr", "wb") as file:
    file.write(bytes(reversed(range(256))))
sys.stdout.write(repr(facts) + "\n")
sys.stdout.flush()
sys.stdout.buffer.write(bytes(range(256)) * 4096)
sys.stdout.flush()
os._exit(3)
"""


@needs_qemu
def test_command_sees_the_host_and_reports_back(warm_cache, scratch):
    probe = scratch / "kvm-probe"
    source = TREE / "tools" / "kvm-probe.c"
    subprocess.run(
        ["cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-static", "-o", probe, source], check=True
    )
    (scratch / "seen").write_text("on the host")
    script = scratch / "look around's.py"
    script.write_text(LOOK_AROUND)
    options = ["--machine", "--out", "kept", "--env", "NAMED", "--env", "VALUED=a 'b' \"c\" $d"]
    command = ["/usr/bin/python3", script, scratch, TREE, probe]
    lab = start(scratch, *options, "--", *command, stdin=subprocess.PIPE)
    lab.stdin.write(b"typed")
    status, out, err = finish(lab)

    assert status == 3, err
    facts, _, rest = out.partition(b"\n")
    assert eval(facts) == {  # pylint: disable=eval-used
        "cwd": str(scratch),
        "uid": 0,
        "named": "2",
        "unnamed": None,
        "valued": "a 'b' \"c\" $d",
        "lab": "1",
        "seen": "on the host",
        "same tree": True,
        "kvm": "hardware",
        "stdin": "typed",
    }
    assert rest == BYTES * 4096
    assert err == BYTES[::-1]
    assert (scratch / "kept" / "deep" / "bytes").read_bytes() == BYTES * 1000
    assert (scratch / "seen").read_text() == "on the host"
    assert not (scratch / "written").exists()


@needs_qemu
def test_two_side_by_side_death_by_signal_and_success(scratch):
    # The second also leaves a process behind, which must not keep the lab.
    killed = start(scratch, "--machine", "--", "sh", "-c", "kill -TERM $$")
    left = start(scratch, "--machine", "--", "sh", "-c", "sleep 1000 & echo done")
    assert finish(killed) == (143, b"", b"")
    assert finish(left) == (0, b"done\n", b"")


@needs_qemu
def test_death_of_the_machine_is_told_from_failure_of_the_command(scratch):
    crash = "echo 1 >/proc/sys/kernel/sysrq; echo before; sleep 1; echo c >/proc/sysrq-trigger"
    lab = start(scratch, "--machine", "--", "sh", "-c", crash)
    slow = start(scratch, "--machine", "--timeout", 3, "--", "sleep", 1000)
    status, out, err = finish(lab)
    assert (status, out) == (125, b"before\n")
    assert b"lab: the lab machine died" in err
    assert b"sysrq triggered crash" in err
    status, out, err = finish(slow)
    assert (status, out) == (124, b"")
    assert err.startswith(b"lab: out of time after 3 s")


@needs_qemu
def test_interrupts_leave_nothing(scratch):
    command = ["--machine", "--", "sh", "-c", "echo up; exec sleep 1000"]
    interrupted, terminated, killed = (start(scratch, *command) for _ in range(3))
    for lab in interrupted, terminated, killed:
        assert lab.stdout.readline() == b"up\n"
    assert len(processes_naming(scratch)) > 3

    os.killpg(interrupted.pid, signal.SIGINT)
    os.kill(terminated.pid, signal.SIGTERM)
    assert finish(interrupted) == (130, b"", b"")
    assert finish(terminated) == (143, b"", b"")

    # SIGKILL leaves no chance to remove files, yet no process may stay.
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    deadline = time.monotonic() + 20
    while processes_naming(scratch) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_naming(scratch) == []
    for rest in (scratch / "temporary").iterdir():
        shutil.rmtree(rest)


@needs_qemu
def test_nobody_reads_the_output(scratch):
    lab = start(scratch, "--machine", "--", "yes")
    assert lab.stdout.readline() == b"y\n"
    lab.stdout.close()
    assert lab.wait(timeout=60) == 141
    lab.stderr.close()


def test_native_run_has_the_same_interface(scratch):
    options = ["--native", "--out", "kept", "--env", "NAMED"]
    script = 'cat; echo "$LAB $NAMED $UNNAMED $PWD"; echo x >"$LAB_OUT/file"; echo err >&2; exit 7'
    lab = start(scratch, *options, "--", "sh", "-c", script, stdin=subprocess.PIPE)
    lab.stdin.write(b"typed\n")
    status, out, err = finish(lab)
    assert (status, err) == (7, b"err\n")
    assert out == b"typed\n1 2  %s\n" % os.fsencode(scratch)
    assert (scratch / "kept" / "file").read_text() == "x\n"

    assert finish(start(scratch, "--native", "--", "sh", "-c", "kill -9 $$"))[0] == 137
    slow = start(scratch, "--native", "--timeout", 1, "--", "sleep", 1000)
    assert finish(slow) == (124, b"", b"lab: out of time after 1 s\n")
