# SPDX-License-Identifier: Apache-2.0
"""Whatever dies, nothing is left: no process, no raw terminal, no file."""
import os
import shutil
import signal
import subprocess
import time

import pytest

from support import vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")

MACHINE = "volt-vmm-machine"


@pytest.fixture(name="exe")
def own_copy(tmp_path):
    """A copy of the program, so that its processes are told from all others, in a folder that shows
    files left behind."""
    exe = tmp_path / "volt-vmm"
    shutil.copy(vmm.VMM, exe)
    yield exe
    vmm.wait_until(lambda: not vmm.processes_of(exe), "all processes are gone")
    assert os.listdir(tmp_path) == ["volt-vmm"]


def machine_of(exe):
    return [pid for pid in vmm.processes_of(exe) if vmm.name_of(pid) == MACHINE]


@pytest.fixture(name="terminal")
def spinning_on_a_terminal(exe):
    terminal = vmm.Terminal("--kernel", vmm.guest("spin"), exe=exe)
    terminal.read_until(b"spinning")
    assert terminal.is_raw()
    yield terminal
    terminal.close()


def assert_terminal_restored(terminal):
    vmm.wait_until(lambda: terminal.settings() == terminal.settings_before,
                   "the terminal is as it was")


def test_kill_control(exe, terminal):
    terminal.process.send_signal(signal.SIGKILL)
    assert terminal.wait() == -signal.SIGKILL
    vmm.wait_until(lambda: not vmm.processes_of(exe), "machine has followed")
    assert_terminal_restored(terminal)


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace, to hold control up")
def test_a_signal_before_there_is_a_loop(exe):
    """Machine is started before control can heed a signal, and must not be left behind by one."""
    with subprocess.Popen(["strace", "-DDD", "-qqq", "-o", "/dev/null", "-e", "trace=epoll_create1",
                           "-e", "inject=epoll_create1:delay_enter=1000000", exe, "--kernel",
                           vmm.guest("spin"), "--no-api"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        vmm.wait_until(lambda: machine_of(exe), "machine is there")
        process.terminate()
        status = process.wait(timeout=vmm.DEADLINE_S)
        left = vmm.processes_of(exe)
        assert (status, process.stderr.read(), left) == (128 + signal.SIGTERM, b"", [])


def test_kill_machine(exe, terminal):
    os.kill(machine_of(exe)[0], signal.SIGKILL)
    assert terminal.wait() == 121
    assert b"signal 9" in terminal.output
    assert_terminal_restored(terminal)


def test_kill_the_whole_process_group(exe, terminal):
    os.killpg(terminal.process.pid, signal.SIGKILL)
    terminal.wait()
    vmm.wait_until(lambda: not vmm.processes_of(exe), "machine has followed")
    assert_terminal_restored(terminal)


def test_kill_the_terminal_keeper(exe, terminal):
    def keepers():
        return [pid for pid in vmm.processes_of(exe)
                if open(f"/proc/{pid}/comm").read().startswith("volt-tty")]

    vmm.wait_until(keepers, "the keeper has its name")
    os.kill(keepers()[0], signal.SIGKILL)
    terminal.send(b"\x01x")
    assert terminal.wait() == 0
    assert_terminal_restored(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_signals_end_the_run(terminal, number):
    terminal.process.send_signal(number)
    assert terminal.wait() == 128 + number
    assert_terminal_restored(terminal)


def test_escape_quits(terminal):
    terminal.send(b"\x01h")
    terminal.read_until(b"Ctrl-A x  quit")
    terminal.send(b"\x01x")
    assert terminal.wait() == 0
    assert_terminal_restored(terminal)


def test_control_c_goes_to_the_guest(terminal):
    terminal.send(b"\x03")
    terminal.read_some()
    assert terminal.process.poll() is None
    terminal.send(b"\x01x")
    assert terminal.wait() == 0


def test_stop_and_continue(terminal):
    terminal.process.send_signal(signal.SIGTSTP)
    vmm.wait_until(lambda: not terminal.is_raw(), "the terminal is cooked while we are stopped")
    terminal.process.send_signal(signal.SIGCONT)
    vmm.wait_until(terminal.is_raw, "the terminal is raw again")
    terminal.send(b"\x01x")
    assert terminal.wait() == 0


@pytest.mark.parametrize("victim", ["control", "machine"])
def test_kill_at_any_moment_of_the_start(exe, victim):
    """Kills after 0 to 40 ms, in steps of 1 ms: before, while and after everything is built."""
    for delay_ms in range(40):
        terminal = vmm.Terminal("--kernel", vmm.guest("spin"), exe=exe)
        time.sleep(delay_ms / 1000)
        targets = [terminal.process.pid] if victim == "control" else machine_of(exe)
        for pid in targets:
            os.kill(pid, signal.SIGKILL)
        if not targets:
            terminal.process.kill()
        terminal.wait()
        vmm.wait_until(lambda: not vmm.processes_of(exe), "all processes are gone")
        assert_terminal_restored(terminal)
        terminal.close()


def test_machine_has_nothing_but_its_descriptors(exe):
    """No terminal, no environment, no file of the host by path, and a session of its own."""
    with subprocess.Popen([exe, "--kernel", vmm.guest("spin")], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"spinning\n"
            pid = machine_of(exe)[0]
            assert os.getsid(pid) == pid
            assert open(f"/proc/{pid}/environ", "rb").read() == b""
            status = open(f"/proc/{pid}/status").read()
            assert "NoNewPrivs:\t1" in status
            targets = {os.readlink(f"/proc/{pid}/fd/{fd}").split(":")[0]
                       for fd in os.listdir(f"/proc/{pid}/fd")}
            # The memfd is the page of counters.
            assert targets <= {"/dev/null", "pipe", "socket", "anon_inode", "/dev/kvm", "/memfd"}
        finally:
            process.kill()


def test_a_stalled_terminal_does_not_stall_us(exe):
    """The guest prints without end, nobody reads the terminal: a signal still ends the run."""
    terminal = vmm.Terminal("--kernel", vmm.guest("flood"), "--cmdline", "1000000", exe=exe)
    terminal.read_until(b"line 000001")
    machine = machine_of(exe)[0]

    def is_stalled():
        """No bytes move any more between the processes."""
        before = [open(f"/proc/{pid}/io").read() for pid in (terminal.process.pid, machine)]
        time.sleep(0.2)
        return before == [open(f"/proc/{pid}/io").read()
                          for pid in (terminal.process.pid, machine)]

    vmm.wait_until(is_stalled, "all buffers are full")
    terminal.process.terminate()
    vmm.wait_until(lambda: terminal.process.poll() is not None, "the run has ended")
    assert terminal.process.returncode == 128 + signal.SIGTERM
    terminal.close()


def test_stop_is_prompt_while_the_guest_prints(exe):
    with subprocess.Popen([exe, "--kernel", vmm.guest("flood"), "--cmdline", "1000000"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        for _ in range(10):
            process.stdout.readline()
        process.terminate()
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (128 + signal.SIGTERM, b"")


def test_descriptors_of_our_parent_do_not_reach_machine(exe):
    with open("/etc/passwd", "rb") as secret:
        with subprocess.Popen([exe, "--kernel", vmm.guest("spin")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, pass_fds=[secret.fileno()]) as process:
            assert process.stdout.readline() == b"spinning\n"
            pid = machine_of(exe)[0]
            targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert "/etc/passwd" not in targets
            process.kill()
