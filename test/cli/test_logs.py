# SPDX-License-Identifier: Apache-2.0
"""The log of a running program: its forms, its targets, and readers that do not read."""
import json
import os
import re
import subprocess

import pytest

from support import vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}"


def run_hello(*args, **kwargs):
    result = vmm.run("--kernel", vmm.guest("hello"), "--id", "log-test", *args, **kwargs)
    assert result.returncode == 42, result.stderr
    return result


def test_plain_form_on_standard_error():
    lines = run_hello("--log-level", "info").stderr.decode().splitlines()
    assert any(re.fullmatch(r"volt-vmm: info: running \(after \d+ us\)", line) for line in lines)
    assert "volt-vmm: info: the guest exits with status 42" in lines


def test_lines_of_the_machine_process_are_marked():
    result = vmm.run("--kernel", vmm.guest("past-ram"), "--memory", "16M")
    assert b"volt-vmm: error: machine: vCPU 0: rip 0x1000000 " in result.stderr


def test_firecracker_form_in_a_file(tmp_path):
    log = tmp_path / "log"
    result = run_hello("--log-path", log, "--level", "Debug", "--show-level", "--show-log-origin")
    assert result.stderr == b""
    form = re.compile(STAMP + r" \[log-test:(main|machine):(ERROR|WARN|INFO|DEBUG)"
                      r":(control|machine|base)/[a-z0-9_/]+\.c:\d+\] \S.*")
    lines = log.read_text().splitlines()
    assert len(lines) >= 3
    for line in lines:
        assert form.fullmatch(line), line
    assert {form.fullmatch(line)[1] for line in lines} == {"main", "machine"}


def test_json_lines(tmp_path):
    log = tmp_path / "log"
    run_hello("--log-path", log, "--log-format", "json", "--level", "Info")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines
    for line in lines:
        assert set(line) == {"time", "level", "id", "thread", "message"}
        assert line["id"] == "log-test"
    assert lines[-1]["message"] == "the guest exits with status 42"


def test_a_log_is_added_to(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    run_hello("--log-path", log)
    run_hello("--log-path", log)
    text = log.read_text()
    assert text.startswith("before\n") and text.count("the guest exits") == 2


def test_module(tmp_path):
    log = tmp_path / "log"
    run_hello("--log-path", log, "--level", "Debug", "--module", "control/session")
    assert "running (after" in log.read_text()
    assert "configuration received" not in log.read_text()


def test_fifo_without_a_reader_holds_up_nobody(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    run_hello("--log-path", fifo, "--level", "Debug")


def test_fifo_with_a_reader(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run_hello("--log-path", fifo)
        assert b"the guest exits with status 42" in os.read(reader, 65536)
    finally:
        os.close(reader)


def test_inherited_descriptor():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as out:
        run_hello("--log-path", f"fd:{writer}", pass_fds=[writer])
        os.close(writer)
        assert b"the guest exits with status 42" in out.read()


@pytest.mark.parametrize("path, reason", [
    ("/", b"Is a directory"),
    ("/nonexistent/log", b"No such file or directory"),
    ("fd:77", b"Bad file descriptor"),
    ("fd:x", b"behind fd: comes a number"),
])
def test_bad_targets(path, reason):
    result = vmm.run("--kernel", vmm.guest("hello"), "--log-path", path)
    assert result.returncode in (1, 2)
    assert result.stdout == b"" and reason in result.stderr


def test_standard_error_that_nobody_reads_holds_up_nobody():
    """The pipe is full before the first line: the guest runs to its end all the same."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        with subprocess.Popen([vmm.VMM, "--kernel", vmm.guest("hello"), "--log-level", "debug"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=writer) as process:
            output, _ = process.communicate(timeout=vmm.DEADLINE_S)
        assert (process.returncode, output) == (42, b"hello from the guest\n")
    finally:
        os.close(reader)
        os.close(writer)
