# SPDX-License-Identifier: Apache-2.0
"""jailer: Firecracker's command line, folders and steps, and what its jailer lets happen."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest

from support import jail, vmm
from support.jail import JAILER, NAME, Jail

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not jail.is_static(vmm.VMM),
                       reason="a program of a sanitizer needs libraries in the jail"),
]
needs_kvm = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="no /dev/kvm")


@pytest.fixture(autouse=True)
def leave_nothing_running():
    yield
    jail.kill_all()


@pytest.fixture(name="home")
def fixture_home(tmp_path):
    # The jail's user has to get through to it.
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.owner() == "root" and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    return Jail(tmp_path)


def refused(result, text):
    """One line that says @text, and the status of Firecracker's jailer."""
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("jailer: ")
    assert re.search(text, lines[0]), lines[0]


def listing(folder):
    """Everything below it, with what a change would show in."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        st = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(st.st_mode) else b""
        found[str(path.relative_to(folder))] = (st.st_mode, st.st_uid, st.st_gid, content)
    return found


def wait_for_end(pid):
    vmm.wait_until(lambda: not jail.is_running(pid), f"process {pid} ends")


@needs_kvm
class TestRun:
    def test_a_configuration_file(self, home):
        home.put_guest()
        result = home.run()
        assert (result.returncode, result.stderr) == (42, b"")
        assert b"hello from the guest" in result.stdout

    def test_the_api_from_outside(self, home):
        home.put(vmm.guest("hello"), "kernel")
        process = home.start(program=["--api-sock", "/api.sock"])
        with home.client("api.sock") as client:
            assert client.get("/").json()["id"] == home.vm
            home.put_to(client, "/machine-config", {"vcpu_count": 1, "mem_size_mib": 32})
            home.put_to(client, "/boot-source", {"kernel_image_path": "/kernel"})
            home.put_to(client, "/actions", {"action_type": "InstanceStart"})
        stdout, _ = process.communicate(timeout=vmm.DEADLINE_S)
        assert process.returncode == 42
        assert b"hello from the guest" in stdout

    def test_the_socket_of_default(self, home):
        process = home.start(program=[])
        with home.client() as client:
            assert client.get("/version").json()["firecracker_version"] == "1.17.0"
        assert stat.S_ISSOCK((home.root / "run" / "firecracker.socket").stat().st_mode)
        process.terminate()
        process.communicate()

    def test_layout(self, home):
        home.put_guest()
        previous = os.umask(0o022)
        try:
            process = subprocess.Popen(home.command(), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL)
        finally:
            os.umask(previous)
        assert process.wait(timeout=vmm.DEADLINE_S) == 42
        owner = (home.uid, home.gid)
        root = (0, 0)
        expected = {
            "": (stat.S_IFDIR | 0o700, owner),
            "dev": (stat.S_IFDIR | 0o700, owner),
            "dev/kvm": (stat.S_IFCHR | 0o600, owner),
            "dev/net": (stat.S_IFDIR | 0o700, owner),
            "dev/net/tun": (stat.S_IFCHR | 0o600, owner),
            "dev/urandom": (stat.S_IFCHR | 0o600, owner),
            NAME: (stat.S_IFREG | stat.S_IMODE(vmm.VMM.stat().st_mode), owner),
            f"{NAME}.pid": (stat.S_IFREG | 0o644, root),
            "kernel": (stat.S_IFREG | 0o644, root),
            "run": (stat.S_IFDIR | 0o700, owner),
            "vm.json": (stat.S_IFREG | 0o644, root),
        }
        if " userfaultfd\n" in pathlib.Path("/proc/misc").read_text():
            expected["dev/userfaultfd"] = (stat.S_IFCHR | 0o600, owner)
        found = {}
        for path in [home.root, *home.root.rglob("*")]:
            st = path.lstat()
            name = str(path.relative_to(home.root)).removeprefix(".")
            found[name] = (st.st_mode, (st.st_uid, st.st_gid))
        assert found == expected
        numbers = {name: (os.major(dev), os.minor(dev)) for name, dev in
                   ((name, (home.root / "dev" / name).stat().st_rdev)
                    for name in ("kvm", "net/tun", "urandom"))}
        assert numbers == {"kvm": (10, 232), "net/tun": (10, 200), "urandom": (1, 9)}
        assert (home.root / NAME).read_bytes() == vmm.VMM.read_bytes()
        assert home.pid_file.read_bytes() == str(process.pid).encode()
        for folder in (home.root.parent, home.root.parent.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o755

    def test_what_the_program_is_given(self, home):
        home.put_guest("spin")
        read_end, write_end = os.pipe()
        process = home.start(pass_fds=[write_end], env={"SECRET": "x", "PATH": "/bin"})
        os.close(write_end)
        assert home.pid() == process.pid
        proc = pathlib.Path(f"/proc/{process.pid}")
        vmm.wait_until(lambda: (proc / "cmdline").read_bytes().startswith(f"/{NAME}\0".encode()),
                       "the program runs")
        words = (proc / "cmdline").read_bytes().decode().split("\0")
        pattern = (rf"/{NAME} --id vm-1 --start-time-us \d+ --start-time-cpu-us \d+ "
                   r"--parent-cpu-time-us \d+ --no-api --config-file /vm.json ")
        assert re.fullmatch(pattern, " ".join(words))
        assert (proc / "environ").read_bytes() == b""
        assert os.stat(proc / "root").st_ino == home.root.stat().st_ino
        assert os.stat(proc / "cwd").st_ino == home.root.stat().st_ino
        fields = jail.status(process.pid)
        assert fields["Uid"].split() == [str(home.uid)] * 4
        assert fields["Gid"].split() == [str(home.gid)] * 4
        assert fields["Groups"] == ""
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(fields[name], 16) == 0
        assert limits(process.pid)["Max open files"] == ("2048", "2048")
        # The last to hold the writing end was the jailer.
        os.set_blocking(read_end, False)
        assert os.read(read_end, 1) == b""
        os.close(read_end)
        # No mount of the host's is left.
        points = [line.split()[4] for line in (proc / "mountinfo").read_text().splitlines()]
        assert points == ["/"]
        process.terminate()
        process.communicate()

    @pytest.mark.parametrize("uid", [0, 1234])
    def test_machine_is_in_its_sandbox(self, tmp_path, home, uid):
        """Without /proc, which an unprivileged user namespace is usually set up with."""
        home = Jail(tmp_path, uid=uid, gid=uid)
        home.put_guest("spin")
        process = home.start()
        vmm.wait_until(lambda: machines_of(process.pid), "machine runs")
        machine = machines_of(process.pid)[0]
        vmm.wait_until(lambda: has_filters(machine), "all threads are filtered")
        fields = jail.status(machine)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(fields[name], 16) == 0, name
        assert fields["NoNewPrivs"] == "1"
        assert "0" not in fields["Uid"].split()
        kinds = ["mnt", "net", "ipc", "uts", "pid", "cgroup"] + (["user"] if uid else [])
        for kind in kinds:
            assert os.stat(f"/proc/{machine}/ns/{kind}").st_ino != \
                os.stat(f"/proc/{process.pid}/ns/{kind}").st_ino, kind
        assert os.listdir(f"/proc/{machine}/root") == []
        process.terminate()
        process.communicate()

    def test_starting_without_streams(self, home):
        home.put_guest()
        words = " ".join(home.command())
        result = subprocess.run(["sh", "-c", f"exec {words} <&- >&- 2>&-"], check=False,
                                timeout=vmm.DEADLINE_S)
        assert result.returncode == 42

    def test_daemon(self, home):
        home.put_guest("spin")
        pid = home.start_apart("--daemonize")
        assert os.getsid(pid) not in (pid, os.getsid(0))
        for number in range(3):
            assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)

    @pytest.mark.parametrize("options", [["--new-pid-ns"], ["--new-pid-ns", "--daemonize"]])
    def test_pid_namespace(self, home, options):
        home.put_guest("spin")
        pid = home.start_apart(*options)
        assert jail.status(pid)["NSpid"].split() == [str(pid), "1"]
        assert os.stat(f"/proc/{pid}/ns/pid").st_ino != os.stat("/proc/self/ns/pid").st_ino
        with pytest.raises(ProcessLookupError):
            vmm.wait_until(lambda: os.kill(pid, signal.SIGTERM), "it ends")

    def test_limits(self, home):
        home.put_guest("spin")
        process = home.start("--resource-limit", "no-file=99", "--resource-limit", "fsize=1048576",
                             "--resource-limit", "no-file=100")
        vmm.wait_until(lambda: limits(process.pid)["Max open files"] == ("100", "100"),
                       "the limits are there")
        assert limits(process.pid)["Max file size"] == ("1048576", "1048576")
        process.terminate()
        process.communicate()

    def test_network_namespace_behind_a_link(self, home, tmp_path):
        (tmp_path / "run" / "netns").mkdir(parents=True)
        (tmp_path / "var-run").symlink_to("run")
        name = tmp_path / "run" / "netns" / "mine"
        name.touch()
        subprocess.run(["unshare", f"--net={name}", "true"], check=True)
        try:
            home.put_guest("spin")
            pid = home.start_apart("--daemonize", "--netns", tmp_path / "var-run/netns/mine")
            assert os.stat(f"/proc/{pid}/ns/net").st_ino == name.stat().st_ino
            os.kill(pid, signal.SIGTERM)
            wait_for_end(pid)
        finally:
            subprocess.run(["umount", name], check=True)

    def test_paths_of_the_operator_may_lead_over_links(self, home, tmp_path):
        (tmp_path / "link").symlink_to("base")
        home.put_guest()
        assert home.run(chroot_base_dir=tmp_path / "link").returncode == 42

    def test_mounts_made_later_arrive(self, home, tmp_path):
        """Clients mount disks of containers into running jails."""
        home.put_guest("spin")
        home.put("", "disk")
        disk = tmp_path / "disk.img"
        disk.write_text("a layer")
        os.chmod(disk, 0o644)
        script = (f"mount --bind {home.base} {home.base} && mount --make-shared {home.base} && "
                  f"{' '.join(home.command('--daemonize'))} && "
                  f"mount --bind {disk} {home.root}/disk && "
                  f"cat /proc/$(cat {home.pid_file})/root/disk")
        result = subprocess.run(["unshare", "--mount", "sh", "-c", script], check=False,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, timeout=vmm.DEADLINE_S)
        jail.started.append(home.pid())
        assert (result.stdout, result.stderr) == (b"a layer", b"")


def machines_of(pid):
    words = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words if vmm.name_of(word) == "volt-vmm-machine"]


def has_filters(pid):
    threads = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    return len(threads) > 1 and all("\nSeccomp:\t2\n" in (thread / "status").read_text()
                                    for thread in threads)


def limits(pid):
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]:
        name, soft, hard = re.match(r"(.{25}) (\S+) +(\S+)", line).groups()
        found[name.strip()] = (soft, hard)
    return found


# --- cgroups --------------------------------------------------------------------------------------

def mounts_of(kind):
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, path, found, options, *_ = line.split()
        if found == kind:
            yield pathlib.Path(path), options.split(",")


def hierarchy(version, controller):
    """The mount of a controller that we may use, or None."""
    for path, options in mounts_of("cgroup2" if version == 2 else "cgroup"):
        there = (path / "cgroup.controllers").read_text().split() if version == 2 else options
        if controller in there and os.access(path, os.W_OK):
            return path
    return None


SETTINGS = {
    1: {"cpu.shares": "512", "memory.limit_in_bytes": "268435456", "pids.max": "100",
        "cpuset.cpus": "0", "blkio.weight": "500"},
    2: {"cpu.weight": "50", "memory.max": "268435456", "pids.max": "100", "io.weight": "default 50",
        "cpuset.cpus": "0", "hugetlb.2MB.max": "2097152"},
}


def usable_settings(version):
    """Settings whose file is there: a kernel may lack a part of a controller."""
    usable = {}
    for file, value in SETTINGS[version].items():
        top = hierarchy(version, file.split(".")[0])
        if top is None:
            continue
        probe = top / "volt-probe"
        probe.mkdir()
        try:
            if version == 2:
                (top / "cgroup.subtree_control").write_text("+" + file.split(".")[0])
            if (probe / file).exists():
                usable[file] = value
        except OSError:
            continue
        finally:
            probe.rmdir()
    return usable


@pytest.fixture(name="parent")
def fixture_parent():
    """A parent cgroup of two names, gone afterwards."""
    name = f"volt-test-{os.getpid()}"
    yield f"{name}/below"
    jail.kill_all()
    for kind in ("cgroup", "cgroup2"):
        for path, _ in mounts_of(kind):
            for folder in (*(path / name).glob("below/*/"), path / name / "below", path / name):
                if folder.exists():
                    vmm.wait_until(lambda f=folder: try_rmdir(f), f"{folder} is empty")


def try_rmdir(folder):
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def cgroups_left(name):
    return [str(folder) for kind in ("cgroup", "cgroup2") for path, _ in mounts_of(kind)
            for folder in path.rglob(name)]


def cgroup_of(pid, version, controller):
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" if version == 2 else controller in controllers.split(","):
            return path
    return None


@needs_kvm
class TestCgroups:
    @pytest.fixture(name="home")
    def fixture_home(self, home, tmp_path):
        """Of a name that no other run of these tests on this host gives to a cgroup."""
        assert home.base.exists()
        return Jail(tmp_path, vm=f"vm-{os.getpid()}")

    @pytest.mark.parametrize("version", [1, 2])
    def test_settings(self, home, parent, version):
        settings = usable_settings(version)
        if not settings:
            pytest.skip(f"no controller in a writable hierarchy of version {version}")
        options = ["--cgroup-version", version, "--parent-cgroup", parent]
        for file, value in settings.items():
            options += ["--cgroup", f"{file}={value}"]
        home.put_guest("spin")
        process = home.start(*options)
        for file, value in settings.items():
            controller = file.split(".")[0]
            folder = hierarchy(version, controller) / parent / home.vm
            assert value in (folder / file).read_text().splitlines()[0]
            assert cgroup_of(process.pid, version, controller) == f"/{parent}/{home.vm}"
        refused(home.cleanup("--parent-cgroup", parent), "still runs in the jail")
        process.terminate()
        process.communicate()
        result = home.cleanup("--parent-cgroup", parent)
        assert (result.returncode, result.stderr) == (0, b"")
        assert not cgroups_left(home.vm)

    def test_default_parent_is_the_program(self, home):
        if not hierarchy(1, "pids"):
            pytest.skip("no pids controller in a writable hierarchy of version 1")
        home.put_guest("spin")
        process = home.start("--cgroup", "pids.max=50")
        assert cgroup_of(process.pid, 1, "pids") == f"/{NAME}/{home.vm}"
        process.terminate()
        process.communicate()
        assert home.cleanup().returncode == 0
        assert not cgroups_left(home.vm)
        try_rmdir(hierarchy(1, "pids") / NAME)

    @pytest.mark.parametrize("is_there", [True, False])
    def test_version_2_joins_the_parent(self, home, parent, is_there):
        tops = [path for path, _ in mounts_of("cgroup2")]
        if not tops or not os.access(tops[0], os.W_OK):
            pytest.skip("no writable hierarchy of version 2")
        if is_there:
            (tops[0] / parent).mkdir(parents=True)
        before = cgroup_of("self", 2, None)
        home.put_guest("spin")
        process = home.start("--cgroup-version", "2", "--parent-cgroup", parent)
        assert cgroup_of(process.pid, 2, None) == (f"/{parent}" if is_there else before)
        assert not cgroups_left(home.vm)
        process.terminate()
        process.communicate()

    def test_what_cannot_be_written_leaves_nothing(self, home, parent):
        if not hierarchy(1, "pids"):
            pytest.skip("no pids controller in a writable hierarchy of version 1")
        home.put_guest()
        before = listing(home.base)
        for setting, text in (("pids.max=many", "cannot write 'many' to the cgroup's file"),
                              ("pids.nothing=1", "has no file 'pids.nothing'")):
            refused(home.run("--cgroup", "pids.max=5", "--cgroup", setting,
                             "--parent-cgroup", parent), text)
            assert listing(home.base) == before
            assert not cgroups_left(parent.split("/")[0])


# --- bad input ------------------------------------------------------------------------------------

BAD = {
    "no id": ({"id": None}, [], "--id is missing: --id ID"),
    "no program": ({"exec_file": None}, [], "--exec-file is missing"),
    "no uid": ({"uid": None}, [], "--uid is missing"),
    "no gid": ({"gid": None}, [], "--gid is missing"),
    "id empty": ({"id": ""}, [], "--id '': 1 to 64 letters"),
    "id too long": ({"id": "a" * 65}, [], "--id 'a.*1 to 64 letters"),
    "id with a slash": ({"id": "../x"}, [], "--id '../x': 1 to 64"),
    "id with a dot": ({"id": "a.b"}, [], "--id 'a.b': 1 to 64"),
    "program a folder": ({"exec_file": "/usr/"}, [], "does not end in a file's name"),
    "program dots": ({"exec_file": "/usr/.."}, [], "does not end in a file's name"),
    "program not there": ({"exec_file": "/nowhere/firecracker"}, [],
                          "cannot open --exec-file '/nowhere/firecracker': No such file"),
    "program no regular file": ({"exec_file": "/dev/null"}, [], "is no regular file"),
    "program not executable": ({"exec_file": "/etc/passwd"}, [], "is not executable"),
    "program a script": ({"exec_file": vmm.ROOT / "tools" / "lint"}, [], "no program for this"),
    "program dynamic": ({"exec_file": "/bin/true"}, [], "its loader '/lib64/.*' is not in"),
    "uid no number": ({"uid": "root"}, [], "--uid 'root': a number"),
    "uid negative": ({"uid": "-1"}, [], "--uid '-1': a number"),
    "uid of nobody at all": ({"uid": "4294967295"}, [], "from 0 to 4294967294"),
    "gid too large": ({"gid": "4294967296"}, [], "--gid '4294967296'"),
    "base not there": ({"chroot_base_dir": "/nowhere"}, [],
                       "cannot open --chroot-base-dir '/nowhere': No such file"),
    "base a file": ({"chroot_base_dir": "/etc/passwd"}, [], "Not a directory"),
    "base empty": ({"chroot_base_dir": ""}, [], "--chroot-base-dir is empty"),
    "netns not there": ({}, ["--netns", "/nowhere"], "cannot open --netns '/nowhere'"),
    "netns a file": ({}, ["--netns", "/etc/passwd"], "'/etc/passwd' is no network namespace"),
    "netns another": ({}, ["--netns", "/proc/self/ns/uts"], "is no network namespace"),
    "cgroup without value": ({}, ["--cgroup", "cpu.shares"], "FILE=VALUE"),
    "cgroup empty value": ({}, ["--cgroup", "cpu.shares="], "FILE=VALUE"),
    "cgroup outside": ({}, ["--cgroup", "../cpu.shares=1"], "is no file of a cgroup"),
    "cgroup no controller": ({}, ["--cgroup", "shares=1"], "is no file of a cgroup"),
    "cgroup unknown": ({}, ["--cgroup", "nothing.max=1"], "the controller 'nothing' is not among"),
    "cgroup version": ({}, ["--cgroup-version", "3"], "--cgroup-version '3': there are 1 and 2"),
    "parent absolute": ({}, ["--parent-cgroup", "/a"], "--parent-cgroup '/a': a path"),
    "parent dots": ({}, ["--parent-cgroup", "a/../b"], "'a/../b': a path of plain names"),
    "parent empty": ({}, ["--parent-cgroup", ""], "a path of plain names"),
    "limit unknown": ({}, ["--resource-limit", "cpu=1"], "there are fsize=BYTES and no-file"),
    "limit no number": ({}, ["--resource-limit", "fsize=1M"], "--resource-limit 'fsize=1M'"),
    "limit negative": ({}, ["--resource-limit", "no-file=-1"], "'no-file=-1'"),
    "limit without value": ({}, ["--resource-limit", "no-file"], "'no-file'"),
    "limit too high": ({}, ["--resource-limit", "no-file=18446744073709551615"],
                       "cannot set --resource-limit no-file=18446744073709551615"),
    "unknown": ({}, ["--nothing"], "unknown option '--nothing'"),
    "no option": ({}, ["nothing"], "unknown option 'nothing'"),
    "twice": ({}, ["--uid", "3"], "--uid is given more than once"),
    "no value": ({}, ["--netns"], "--netns needs a value: --netns PATH"),
    "a value too many": ({}, ["--daemonize=yes"], "--daemonize takes no value, but 'yes'"),
    "escapes": ({}, ["--\x1b[31m"], r"unknown option '--\?\[31m'"),
}


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_is_refused_and_leaves_nothing(self, home, name):
        changes, options, text = BAD[name]
        result = home.run(*options, **changes)
        refused(result, text)
        assert list(home.base.iterdir()) == []
        assert not cgroups_left(home.vm)

    def test_version_and_help(self):
        def output(*words):
            return subprocess.run([JAILER, *words], check=True, stdout=subprocess.PIPE,
                                  text=True).stdout.splitlines()
        assert output("--version")[:2] == ["Jailer v1.17.0", ""]
        assert output("--id", "a", "--version") == output("--version")
        text = output("--help")
        assert text == output("-h")
        assert len(text) <= 24
        assert max(map(len, text)) < 80
        for option in ("--id", "--exec-file", "--uid", "--gid", "--chroot-base-dir", "--netns",
                       "--daemonize", "--new-pid-ns", "--cgroup", "--cgroup-version",
                       "--parent-cgroup", "--resource-limit", "--version", "--cleanup"):
            assert any(line.startswith(f"  {option} ") for line in text)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            assert subprocess.run([JAILER, "--help"], stdout=full, check=False).returncode == 1

    def test_values_behind_an_equals_sign(self, home):
        command = [JAILER, f"--id={home.vm}", "--exec-file=/nowhere/x", "--uid=1", "--gid=1"]
        refused(subprocess.run(command, stderr=subprocess.PIPE, check=False), "cannot open --exec")

    @pytest.mark.parametrize("options", [[], ["--daemonize"], ["--new-pid-ns"],
                                         ["--daemonize", "--new-pid-ns"]])
    def test_a_program_that_the_kernel_refuses(self, home, tmp_path, options):
        """Everything is made by then, and the jailer no longer root."""
        broken = tmp_path / "broken" / NAME
        broken.parent.mkdir()
        data = bytearray(vmm.VMM.read_bytes()[:4096])
        data[56:58] = b"\0\0"  # no program headers
        broken.write_bytes(data)
        broken.chmod(0o755)
        settings, parent = [], f"volt-broken-{os.getpid()}"
        if hierarchy(1, "pids"):
            settings = ["--cgroup", "pids.max=20", "--parent-cgroup", parent]
        refused(home.run(*options, *settings, exec_file=broken), f"cannot execute .*/{NAME}'")
        assert list(home.base.iterdir()) == []
        assert not cgroups_left(parent)

    @pytest.mark.parametrize("options", [[], ["--daemonize"]])
    def test_a_failure_does_not_wait_for_other_children(self, home, options):
        words = " ".join(home.command(*options, "--resource-limit", f"no-file={2**64 - 1}"))
        result = subprocess.run(["sh", "-c", f"sleep 1000 >&- 2>&- & echo $!; exec {words}"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, check=False, timeout=vmm.DEADLINE_S)
        os.kill(int(result.stdout), signal.SIGKILL)
        refused(result, "cannot set --resource-limit")

    def test_interrupted_at_any_time_there_is_a_whole_jail_or_none(self, tmp_path):
        for quarter in range(40):
            home = Jail(tmp_path, vm=f"vm-{quarter}")
            process = subprocess.Popen(home.command(program=["--version"]),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(quarter / 4000)
            process.terminate()
            process.communicate(timeout=vmm.DEADLINE_S)
            assert home.root.parent.exists() == home.pid_file.exists()
            if process.returncode == 0:
                assert home.pid_file.exists()

    def test_a_file_system_without_execution(self, home):
        script = f"mount -t tmpfs -o noexec none {home.base} && {' '.join(home.command())}"
        refused(subprocess.run(["unshare", "-m", "sh", "-c", script], stderr=subprocess.PIPE,
                               check=False), "file system mounted noexec")


# --- what somebody else has prepared --------------------------------------------------------------

FOLDERS = ["", "vm-1", "vm-1/root", "vm-1/root/dev", "vm-1/root/dev/net", "vm-1/root/run"]
FILES = [f"vm-1/root/{NAME}", f"vm-1/root/{NAME}.pid", "vm-1/root/dev/kvm",
         "vm-1/root/dev/urandom", "vm-1/root/dev/net/tun"]


@pytest.fixture(name="victim")
def fixture_victim(tmp_path):
    """A folder and a file of root's that must stay as they are."""
    folder = tmp_path / "victim"
    (folder / "below").mkdir(parents=True)
    (folder / "secret").write_text("root's alone")
    (folder / "secret").chmod(0o600)
    return folder


class TestTraps:
    def spring(self, home, victim, text):
        before, own = listing(victim), listing(home.base)
        refused(home.run(), text)
        assert listing(victim) == before
        assert listing(home.base) == own

    @pytest.mark.parametrize("place", FOLDERS)
    @pytest.mark.parametrize("target", ["victim", "victim/none"])
    def test_a_link_in_place_of_a_folder(self, home, victim, place, target):
        trap = home.base / NAME / place
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.symlink_to(victim.parent / target)
        self.spring(home, victim, f"cannot make .*'{trap.name}': this is a symbolic link")

    @pytest.mark.parametrize("place", FILES)
    @pytest.mark.parametrize("target", ["victim/secret", "victim/none"])
    def test_a_link_in_place_of_a_file(self, home, victim, place, target):
        trap = home.base / NAME / place
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.symlink_to(victim.parent / target)
        self.spring(home, victim, "already|File exists|has been used before")

    @pytest.mark.parametrize("place", FILES)
    def test_a_hard_link(self, home, victim, place):
        trap = home.base / NAME / place
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.hardlink_to(victim / "secret")
        self.spring(home, victim, "already|File exists|has been used before")

    @pytest.mark.parametrize("place", FOLDERS)
    def test_a_file_in_place_of_a_folder(self, home, victim, place):
        trap = home.base / NAME / place
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.write_text("")
        self.spring(home, victim, f"cannot make .*'{trap.name}': this is no folder")

    def test_a_fifo_in_place_of_the_program(self, home, victim):
        home.root.mkdir(parents=True)
        os.mkfifo(home.root / NAME)
        self.spring(home, victim, "no regular file")

    def test_a_copy_that_is_there_is_replaced(self, home):
        home.put("not a program", NAME)
        assert home.run(program=["--version"]).returncode == 0
        assert (home.root / NAME).read_bytes() == vmm.VMM.read_bytes()

    def test_folders_of_somebody_else_become_the_users(self, home):
        (home.root / "dev" / "net").mkdir(parents=True)
        for folder in (home.root, home.root / "dev", home.root / "dev" / "net"):
            os.chown(folder, 4321, 4321)
            folder.chmod(0o777)
        assert home.run(program=["--version"]).returncode == 0
        for folder in (home.root, home.root / "dev", home.root / "dev" / "net"):
            st = folder.stat()
            assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (1234, 1235, 0o700)

    def test_a_jail_is_used_once(self, home):
        assert home.run(program=["--version"]).returncode == 0
        before = listing(home.base)
        refused(home.run(program=["--version"]), "has been used before; use another id")
        assert listing(home.base) == before

    def test_another_jailer_at_work(self, home):
        home.root.mkdir(parents=True)
        with subprocess.Popen(["flock", home.root.parent, "sh", "-c", "echo; read -r line"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            refused(home.run(), "another jailer is at work on 'vm-1'")
            holder.stdin.close()


# --- without root ---------------------------------------------------------------------------------

NOBODY = 65534


@pytest.fixture(name="nobody")
def fixture_nobody(home, tmp_path):
    """A jail whose caller is the user nobody, who may use a /dev/kvm of his own."""
    home.uid = home.gid = NOBODY
    os.chown(home.base, NOBODY, NOBODY)
    shutil.copy(vmm.VMM, tmp_path / "program")
    shutil.copy(JAILER, tmp_path / "jailer")
    (tmp_path / "program").chmod(0o755)
    (tmp_path / "jailer").chmod(0o755)
    home.program.unlink()
    home.program.symlink_to("program")
    kvm = tmp_path / "kvm"
    os.mknod(kvm, stat.S_IFCHR, os.makedev(10, 232))
    kvm.chmod(0o666)
    script = (f'mount --bind {kvm} /dev/kvm && shift && '
              f'exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {tmp_path}/jailer "$@"')
    home.prefix = ["unshare", "--mount", "sh", "-c", script, "sh"]
    probe = subprocess.run(["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY),
                            "--clear-groups", "unshare", "--user", "--mount", "true"],
                           stderr=subprocess.PIPE, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no user namespaces without root: {probe.stderr.decode()}")
    return home


@needs_kvm
class TestRootless:
    def put_guest(self, home, guest):
        home.put_guest(guest)
        for path in (home.root.parent.parent, *home.root.parent.parent.rglob("*")):
            os.chown(path, NOBODY, NOBODY)

    def test_a_guest(self, nobody):
        self.put_guest(nobody, "hello")
        result = nobody.run()
        assert (result.returncode, result.stderr) == (42, b"")
        assert b"hello from the guest" in result.stdout
        # What the devices were mounted on.
        assert stat.S_ISREG((nobody.root / "dev" / "kvm").stat().st_mode)
        result = nobody.cleanup()
        assert (result.returncode, result.stderr) == (0, b"")
        assert list((nobody.base / NAME).iterdir()) == []

    @pytest.mark.parametrize("options", [[], ["--daemonize", "--new-pid-ns"]])
    def test_what_the_program_is_given(self, nobody, options):
        self.put_guest(nobody, "spin")
        if options:
            pid = nobody.start_apart(*options)
        else:
            pid = nobody.start().pid
        vmm.wait_until(lambda: vmm.name_of(pid) == f"/{NAME}", "the program runs")
        fields = jail.status(pid)
        assert fields["Uid"].split() == [str(NOBODY)] * 4
        assert int(fields["CapPrm"], 16) == int(fields["CapEff"], 16) == 0
        assert os.stat(f"/proc/{pid}/root").st_ino == nobody.root.stat().st_ino
        points = [line.split()[4] for line in
                  pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
        assert set(points) <= {"/", "/dev/kvm", "/dev/net/tun", "/dev/urandom", "/dev/userfaultfd"}
        refused(nobody.cleanup(), "still runs in the jail")
        assert nobody.root.exists()
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
        assert nobody.cleanup().returncode == 0

    def test_another_user(self, nobody):
        refused(nobody.run(uid=1), "--uid and --gid must be the caller's own, 65534 and 65534")
        refused(nobody.run(gid=0), "--uid and --gid must be the caller's own")
        assert list(nobody.base.iterdir()) == []

    def test_a_failure_leaves_nothing(self, nobody, tmp_path):
        self.put_guest(nobody, "hello")
        before = listing(nobody.base)
        refused(nobody.run("--resource-limit", "no-file=18446744073709551615"), "cannot set")
        assert listing(nobody.base) == before
        broken = tmp_path / "broken" / NAME
        broken.parent.mkdir()
        data = bytearray(vmm.VMM.read_bytes()[:4096])
        data[56:58] = b"\0\0"
        broken.write_bytes(data)
        broken.chmod(0o755)
        for options in ([], ["--daemonize"], ["--new-pid-ns"]):
            refused(nobody.run(*options, exec_file=broken), "cannot execute")
            assert listing(nobody.base) == before

    def test_folders_of_somebody_else(self, nobody):
        nobody.root.mkdir(parents=True)
        refused(nobody.run(), "cannot .*Operation not permitted|cannot .*Permission denied")

    def test_a_base_of_somebody_else(self, nobody):
        os.chown(nobody.base, 0, 0)
        refused(nobody.run(), "Permission denied")


# --- cleaning up ----------------------------------------------------------------------------------

class TestCleanup:
    def test_removes_the_jail_and_only_it(self, home, victim, tmp_path):
        other = Jail(tmp_path, vm="vm-2")
        assert other.run(program=["--version"]).returncode == 0
        assert home.run(program=["--version"]).returncode == 0
        # What a program may leave to harm whoever removes it.
        (home.root / "link").symlink_to(victim)
        (home.root / "dev" / "up").symlink_to("../../../vm-2")
        (home.root / "secret").hardlink_to(victim / "secret")
        (home.root / "a" / "b" / "c").mkdir(parents=True)
        before, others = listing(victim), listing(other.root)
        result = home.cleanup()
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
        assert not home.root.parent.exists()
        assert listing(victim) == before
        assert listing(other.root) == others
        refused(home.cleanup(), "there is no jail 'vm-1' for 'firecracker' below")

    @needs_kvm
    @pytest.mark.parametrize("options", [["--daemonize"], ["--new-pid-ns"]])
    def test_refuses_while_it_runs(self, home, options):
        home.put_guest("spin")
        pid = home.start_apart(*options)
        before = sorted(home.base.rglob("*"))
        # Also when the pid file tells nothing.
        for text in (str(pid), "1", ""):
            home.pid_file.write_text(text)
            refused(home.cleanup(), f"process {pid} still runs in the jail 'vm-1'")
        assert sorted(home.base.rglob("*")) == before
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)
        assert home.cleanup().returncode == 0
        assert not home.root.parent.exists()

    @pytest.mark.parametrize("place", ["", "vm-1"])
    def test_follows_no_link(self, home, victim, place):
        (victim / "vm-1" / "root").mkdir(parents=True)
        trap = home.base / NAME / place
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.symlink_to(victim)
        before = listing(victim)
        refused(home.cleanup(), "this is a symbolic link|this is no folder")
        assert listing(victim) == before

    def test_a_mount_in_the_jail(self, home, victim):
        assert home.run(program=["--version"]).returncode == 0
        (home.root / "disk").mkdir()
        script = (f"mount --bind {victim} {home.root}/disk && exec {JAILER} --cleanup --id vm-1 "
                  f"--exec-file {NAME} --chroot-base-dir {home.base}")
        before = listing(victim)
        result = subprocess.run(["unshare", "-m", "sh", "-c", script], stderr=subprocess.PIPE,
                                check=False)
        refused(result, "cannot remove 'disk': something is mounted there")
        assert listing(victim) == before

    def test_needs_little(self, home):
        command = [JAILER, "--cleanup"]
        refused(subprocess.run(command, stderr=subprocess.PIPE, check=False), "--id is missing")
        command += ["--id", "a"]
        refused(subprocess.run(command, stderr=subprocess.PIPE, check=False), "--exec-file is mis")


# --- documents ------------------------------------------------------------------------------------

def test_manual_lists_every_option():
    page = (vmm.BUILD / "docs" / "jailer.1").read_text()
    result = subprocess.run([JAILER, "--help"], check=True, stdout=subprocess.PIPE, text=True)
    names = re.findall(r"^  --([a-z-]+)", result.stdout, re.MULTILINE)
    assert len(names) == 15
    for name in names:
        assert f"\n.It Fl -{name}" in page


def test_completion_offers_options_and_choices():
    script = (vmm.BUILD / "docs" / "jailer").read_text() + """
complete_for() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	_jailer
	printf '%s\\n' "${COMPREPLY[@]}"
}
complete_for jailer --cg
complete_for jailer --cgroup-version ''
"""
    result = subprocess.run(["bash", "-c", script], check=True, stdout=subprocess.PIPE, text=True)
    assert result.stdout.split() == ["--cgroup", "--cgroup-version", "1", "2"]
