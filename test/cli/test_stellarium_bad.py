# SPDX-License-Identifier: Apache-2.0
"""stellarium and what is wrong: command lines, names, files, folders, other users of the store."""
import fcntl
import os
import pathlib
import shutil
import subprocess

import pytest

from support import stellar, users, vmm
from support.stellar import KIB, MIB, Store, data, refused, run


@pytest.fixture(name="store")
def fixture_store(tmp_path):
    return Store(tmp_path / "store")


VERBS = ["init", "import", "export", "ls", "show", "cat", "diff", "tag", "rm", "gc", "fsck", "stats",
         "key change", "dictionary train", "bench"]

BAD_LINES = [
    ([], "a verb is needed; --help lists all"),
    (["--json"], "a verb is needed; --help lists all"),
    (["imprt"], "there is no verb 'imprt'; the nearest is import, --help lists all"),
    (["import\n\033[2J"], "there is no verb 'import??[2J'; the nearest is import, --help lists all"),
    (["key"], "key needs a verb: change"),
    (["key", "chagne"],
     "key has no verb 'chagne'; the nearest is change, 'stellarium key --help' lists all"),
    (["help", "imprt"], "there is no verb 'imprt'; the nearest is import, --help lists all"),
    (["ls"], "which store? Give --store DIR, or set STELLARIUM_STORE to the folder"),
    (["ls", "--store", ""], "--store is empty: --store DIR"),
    (["--stoer", "s", "ls"], "unknown option '--stoer'; the nearest is --store, --help lists all"),
    (["ls", "--names"], "unknown option '--names'; the nearest is --quiet, --help lists all"),
    (["ls", "extra"], "unexpected argument 'extra'; it is: stellarium ls [option...]"),
    (["import"], "import needs PATH|-; it is: stellarium import [option...] PATH|-"),
    (["export", "a"], "export needs NAME PATH|-; it is: stellarium export [option...] NAME PATH|-"),
    (["rm"], "rm needs NAME...; it is: stellarium rm [option...] NAME..."),
    (["cat", "a", "b"], "unexpected argument 'b'; it is: stellarium cat [option...] NAME"),
    (["ls", "--json", "--json"], "--json is given more than once; give it once"),
    (["ls", "--json=1"], "--json takes no value, but '1' is given"),
    (["import", "--name"], "--name needs a value: --name NAME"),
    (["import", "--name", "--force", "x"],
     "--name needs a value, but '--force' follows; write --name=... if it is one"),
    (["import", "x", "--threads", "0"], "--threads '0': a number from 1 to 1024 is needed"),
    (["import", "x", "--threads", "1025"], "--threads '1025': a number from 1 to 1024 is needed"),
    (["gc", "--live-percent", "101"], "--live-percent '101': a number from 0 to 100 is needed"),
    (["cat", "a", "--offset", "-1"],
     "--offset '-1': a number of bytes is needed, for example 4096, 64K or 1G"),
    (["cat", "a", "--bytes", "99999999999999999999"],
     "--bytes '99999999999999999999': a number of bytes is needed, for example 4096, 64K or 1G"),
    (["dictionary", "train", "--bytes", "2M"], "--bytes '2M': a size from 1K to 1M is needed"),
    (["ls", "--key-fd", "x"], "--key-fd 'x': the number of an open descriptor is needed"),
    (["ls", "--key-file", "k", "--passphrase-fd", "3"],
     "--key-file and --passphrase-fd both give the key; use one of them"),
    (["fsck", "--quick", "--rebuild-index"],
     "--rebuild-index reads what --quick leaves out; give one of them"),
    (["import", "-"], "what comes from standard input has no name; give --name NAME"),
    (["init", "--key-file", "k"], "--key-file is of use for an encrypted store only; add --encrypt"),
    (["--store", "a", "init", "b"], "the folder is given twice, as 'b' and as --store 'a'"),
    (["--store", "s", "bench"], "bench uses no store that there is; leave out --store"),
    (["bench", "--bytes", "100"], "--bytes: from 4K to 64G can be measured with"),
]


@pytest.mark.parametrize("line, message", BAD_LINES)
def test_bad_lines(line, message, tmp_path):
    needs_store = not message.startswith(("which store", "the folder is", "bench", "--bytes: "))
    env = stellar.environment(STELLARIUM_STORE=tmp_path) if needs_store else None
    refused(run(*line, env=env), 1 if message.startswith("--bytes: ") else 2, message)


@pytest.mark.parametrize("how, starts", [
    (["--chunking", "fixed:3K"], "--chunking: "), (["--chunking", "fastcdc:2M"], "--chunking: "),
    (["--chunking", "x"], "--chunking: "), (["--codec", "gzip"], "--codec: "),
    (["--codec", "zstd:99"], "--codec: "), (["--codec", ""], "--codec: ")])
def test_bad_ways_to_store(how, starts, tmp_path):
    result = run("init", tmp_path / "s", *how)
    assert result.returncode == 2
    assert result.stderr.decode().startswith("stellarium: " + starts)
    assert not (tmp_path / "s").exists()


def test_help_is_everywhere_and_fits_a_screen():
    for words in [["--help"], ["-h"], ["help"], ["key", "--help"], ["help", "dictionary"]] + \
            [[*verb.split(), how] for verb in VERBS for how in ("--help", "-h")] + \
            [["help", *verb.split()] for verb in VERBS]:
        result = run(*words)
        assert (result.returncode, result.stderr) == (0, b""), words
        lines = result.stdout.decode().splitlines()
        assert 5 < len(lines) <= 24, words
        assert max(map(len, lines)) < 80, words
        assert lines[0].startswith("usage: stellarium "), words
    everything = run("--help").stdout.decode()
    assert all(f"\n  {verb} " in everything for verb in VERBS)


def test_version():
    for words in [["--version"], ["ls", "--version"], ["key", "change", "--version"]]:
        text = run(*words).stdout.decode()
        assert text.startswith("stellarium v") and text.endswith(", store format 1\n")


@pytest.mark.parametrize("name", ["../x", "a/../b", "a//b", "/a", "a/", ".hidden", "-x", "a b",
                                  "new\nline", "\033[31mred", "ü", "x" * 201, ""])
def test_names_that_do_not_work(store, name, tmp_path):
    before = store.files()
    for words in [["import", f"--name={name}", "-"], ["tag", "--", "a", name]]:
        result = store.run(*words, stdin=b"content")
        lines = result.stderr.decode().splitlines()
        assert result.returncode in (1, 2) and len(lines) == 1
        assert lines[0].startswith("stellarium: ") and "\033" not in lines[0]
    for words in [["cat", "--", name], ["rm", "--", name], ["diff", "--", name, name]]:
        result = store.run(*words)
        assert (result.returncode, result.stdout) == (1, b"")
        assert len(result.stderr.decode().splitlines()) == 1
    assert store.files() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_a_file_whose_name_is_none(store, tmp_path):
    path = tmp_path / "two\nlines.img"
    path.write_bytes(b"content")
    result = store.run("import", path)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert result.stderr.decode().endswith("; give --name NAME\n")
    assert store.json("import", path, "--name", "fine")["name"] == "fine"


@pytest.mark.parametrize("name", ["x" * 200, "a/b/c", "A1._-+@:z", "9"])
def test_names_that_work(store, name):
    store.put(name, b"content")
    assert store.names() == [name]
    assert store.get(name) == b"content"


class TestNoImage:
    @pytest.mark.parametrize("words", [["cat", "x"], ["show", "x"], ["diff", "x", "x"],
                                       ["tag", "x", "y"], ["rm", "x"], ["export", "x", "-"]])
    def test_of_this_name(self, store, words):
        refused(store.run(*words), 1, "no image 'x' in the store")

    def test_export_leaves_no_file(self, store, tmp_path):
        refused(store.run("export", "x", tmp_path / "out"), 1, "no image 'x' in the store")
        assert [path.name for path in tmp_path.iterdir()] == ["store"]

    def test_of_this_id(self, store):
        for digits in ["00" * 32, "0", "g" * 64]:
            result = store.run("cat", f"id:{digits}")
            assert (result.returncode, result.stdout) == (1, b"")
            assert len(result.stderr.splitlines()) == 1


class TestFiles:
    def test_import_of_what_is_no_file(self, store, tmp_path):
        refused(store.run("import", tmp_path / "none"), 1,
                f"cannot open '{tmp_path}/none': No such file or directory")
        (tmp_path / "folder").mkdir()
        refused(store.run("import", tmp_path / "folder"), 1,
                f"'{tmp_path}/folder' is a folder; an image is a file, a block device or - for "
                "standard input")
        refused(store.run("import", "--name", "a", tmp_path / "store" / "superblock" / "x"), 1,
                f"cannot open '{tmp_path}/store/superblock/x': Not a directory")
        assert store.names() == []

    def test_export_to_what_is_no_file(self, store, tmp_path):
        store.put("a", b"content")
        (tmp_path / "folder").mkdir()
        refused(store.run("export", "a", tmp_path / "folder"), 1,
                f"'{tmp_path}/folder' is a folder; give the name of a file")
        refused(store.run("export", "a", tmp_path / "none" / "out"), 1,
                f"cannot open the folder of '{tmp_path}/none/out': No such file or directory")
        refused(store.run("export", "a", str(tmp_path) + "/new/"), 1,
                f"'{tmp_path}/new/' does not end in a file's name")

    def test_a_full_disk(self, store, tmp_path):
        """RLIMIT_FSIZE stands for it: no more than 1 MiB in a file."""
        store.put("a", data(4 * MIB))
        limited = ["prlimit", "--fsize=1048576", stellar.STELLARIUM, "--store", store.path]
        result = subprocess.run([*limited, "export", "a", tmp_path / "out"], capture_output=True,
                                check=False)
        refused(result, 1, f"cannot make '{tmp_path}/out' 4194304 bytes long: File too large")
        result = subprocess.run([*limited, "import", "--name", "b", "-"], capture_output=True,
                                check=False, input=data(4 * MIB, seed=2))
        assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
        assert store.names() == ["a"]
        assert store.get("a") == data(4 * MIB)
        assert [path.name for path in tmp_path.iterdir()] == ["store"]

    def test_16_tib_of_holes(self, store, tmp_path):
        try:
            with open("/dev/shm/stellarium-test-16T", "wb") as file:
                file.truncate(16 << 40)
                file.seek((16 << 40) - MIB)
                file.write(b"the end")
            made = store.json("import", "--name", "huge", "/dev/shm/stellarium-test-16T")
            assert made["bytes"] == 16 << 40
            assert made["data_bytes"] <= 64 * KIB
            assert store.ok("cat", "huge", "--offset", (16 << 40) - MIB, "--bytes", 7) == b"the end"
            store.ok("export", "huge", "/dev/shm/stellarium-test-16T", "--force")
            assert os.stat("/dev/shm/stellarium-test-16T").st_blocks * 512 <= MIB
        finally:
            pathlib.Path("/dev/shm/stellarium-test-16T").unlink()


class TestStore:
    def test_there_is_none(self, tmp_path):
        for verb in VERBS[1:]:
            words = {"import": ["-", "--name=a"], "export": ["a", "b"], "show": ["a"], "cat": ["a"],
                     "diff": ["a", "b"], "tag": ["a", "b"], "rm": ["a"]}.get(verb, [])
            if verb != "bench":
                refused(run("--store", tmp_path / "none", *verb.split(), *words), 1,
                        f"there is no store '{tmp_path}/none'; 'stellarium init --store DIR' "
                        "makes one")

    def test_not_a_store(self, tmp_path):
        result = run("--store", tmp_path, "ls")
        assert result.returncode == 1 and b"'stellarium init'" in result.stderr
        (tmp_path / "file").write_text("x")
        refused(run("--store", tmp_path / "file", "ls"), 1,
                f"cannot open store '{tmp_path}/file': Not a directory")

    def test_of_a_newer_version(self, store):
        path = store.path / "superblock"
        content = bytearray(path.read_bytes())
        for copy in (0, 2048):
            content[copy + 8] = 2
        path.chmod(0o600)
        path.write_bytes(content)
        for verb in [["ls"], ["stats"], ["fsck"]]:
            result = store.run(*verb)
            assert result.returncode == 1 and len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize("verb", [["key", "change"], ["dictionary", "train"],
                                      ["fsck", "--repair"], ["fsck", "--rebuild-index"]])
    def test_in_use(self, store, tmp_path, verb):
        (tmp_path / "k").write_bytes(bytes(32))
        with open(store.path / "lock", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            if verb[0] == "key":
                shutil.rmtree(store.path)
                Store(store.path, "--encrypt", "--key-file", tmp_path / "k")
                with open(store.path / "lock", "rb") as again:
                    fcntl.flock(again, fcntl.LOCK_SH)
                    result = store.run(*verb, "--key-file", tmp_path / "k", "--new-key-file",
                                       tmp_path / "k")
            else:
                result = store.run(*verb)
        refused(result, 1,
                f"the store '{store.path}' is in use by another process; this needs it alone")

    def test_two_gcs(self, store):
        with open(store.path / "gc", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            refused(store.run("gc"), 1, f"another gc runs in the store '{store.path}'")

    def test_a_name_that_is_damaged(self, store):
        store.put("good", b"content")
        store.put("bad", b"content")
        path = store.path / "roots" / "bad"
        path.chmod(0o600)
        path.write_bytes(b"x" * 1024)
        result = store.run("ls")
        assert result.returncode == 1
        assert result.stderr.decode() == ("stellarium: the name in roots/'bad' cannot be read; "
                                          "'stellarium fsck' says why\n")
        assert b"good" in result.stdout
        assert store.get("good") == b"content"


@pytest.mark.skipif(os.geteuid() != 0 or not users.can_be_nobody(),
                    reason="needs root, to become somebody else")
class TestOthers:
    def as_nobody(self, *words, **kwargs):
        return subprocess.run(users.as_nobody([stellar.STELLARIUM, *words]), capture_output=True,
                              check=False, **kwargs)

    @pytest.fixture(autouse=True)
    def reachable(self, tmp_path):
        for folder in (tmp_path, *tmp_path.parents[:3]):
            if folder.owner() == "root" and folder.is_relative_to("/tmp"):
                folder.chmod(folder.stat().st_mode | 0o011)

    def test_no_permission(self, store):
        store.put("a", b"content")
        store.path.chmod(0o700)
        result = self.as_nobody("--store", store.path, "ls")
        assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
        assert b"Permission denied" in result.stderr

    def test_no_permission_for_a_file(self, store, tmp_path):
        (tmp_path / "secret").write_bytes(b"x")
        (tmp_path / "secret").chmod(0o600)
        refused(self.as_nobody("--store", store.path, "import", tmp_path / "secret"), 1,
                f"cannot open '{tmp_path}/secret': Permission denied")

    def test_a_read_only_file_system(self, store):
        store.put("a", data(MIB))
        script = ('mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"')

        def run_ro(*words, **kwargs):
            return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", store.path,
                                   stellar.STELLARIUM, "--store", store.path, *words],
                                  capture_output=True, check=False, **kwargs)
        assert run_ro("cat", "a").stdout == data(MIB)
        assert run_ro("ls").returncode == 0
        for words in [["import", "--name", "b", "-"], ["rm", "a"], ["tag", "a", "b"], ["gc"]]:
            refused(run_ro(*words, input=b"x"), 1,
                    f"the store '{store.path}' is on a read-only file system")
        assert store.names() == ["a"]


def test_documents():
    page = (vmm.BUILD / "docs" / "stellarium.1").read_text()
    for verb in VERBS:
        assert f".It Cm {verb}" in page
    for words in [".It Fl -passphrase-fd Ar N", ".It Ev STELLARIUM_STORE", ".It 128+N"]:
        assert words in page


def complete(*words, store=None):
    script = (f'source {vmm.BUILD}/docs/stellarium\nCOMP_WORDS=("$@")\n'
              "COMP_CWORD=$(($# - 1))\ncompopt() { :; }\n_stellarium\n"
              'printf "%s\\n" "${COMPREPLY[@]}"')
    env = stellar.environment(PATH=f"{stellar.STELLARIUM.parent}:{os.environ['PATH']}")
    return subprocess.run(["bash", "-c", script, "bash", "stellarium", *words], capture_output=True,
                          check=True, env=env | ({"STELLARIUM_STORE": str(store)} if store else {})
                          ).stdout.decode().split()


def test_completion(store):
    assert complete("im") == ["import"]
    assert {"ls", "key", "--help"} <= set(complete(""))
    assert complete("key", "ch") == ["change"]
    assert complete("--store", "x", "dictionary", "t") == ["train"]
    assert complete("import", "--ch") == ["--chunking"]
    store.put("debian/12", b"x")
    assert complete("export", "deb", store=store.path) == ["debian/12"]
