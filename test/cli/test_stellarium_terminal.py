# SPDX-License-Identifier: Apache-2.0
"""stellarium and people: keys and passphrases, progress, signals, pipes; and its own sandbox."""
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

from support import stellar, vmm
from support.stellar import MIB, Store, Terminal, data, refused, run, stop

KEY = bytes(range(32))


@pytest.fixture(name="store")
def fixture_store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(name="keys")
def fixture_keys(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    for name, content in {"key": KEY, "other": bytes(32), "short": bytes(31), "long": bytes(4097),
                          "phrase": b"correct horse\n", "empty": b"\n", "wordy": b"x" * 1025,
                          "bare": b"correct horse"}.items():
        (folder / name).write_bytes(content)
    return folder


class TestKeys:
    def test_a_key_file(self, tmp_path, keys):
        store = Store(tmp_path / "s", "--encrypt", "--key-file", keys / "key")
        store.ok("import", "--name", "a", "-", "--key-file", keys / "key", stdin=b"secret content")
        assert store.ok("cat", "a", "--key-file", keys / "key") == b"secret content"
        assert store.json("stats", "--key-file", keys / "key")["is_encrypted"]
        assert not any(b"secret content" in content for content in store.files().values())
        refused(store.run("cat", "a", "--key-file", keys / "other"), 1,
                "the key is not the one of this store")
        refused(store.run("cat", "a"), 1,
                f"store '{store.path}' is encrypted with a key; give --key-file PATH or --key-fd N")
        result = store.run("cat", "a", "--passphrase-file", keys / "phrase")
        assert result.returncode == 1 and b"key file, not a passphrase" in result.stderr

    def test_descriptors(self, tmp_path, keys):
        store = Store(tmp_path / "s", "--encrypt", "--key-file", keys / "key")
        assert store.run("ls", "--key-fd", "0", stdin=KEY).returncode == 0
        result = subprocess.run(["bash", "-c", '"$@" 7<"$0"', keys / "key", stellar.STELLARIUM,
                                 "--store", store.path, "ls", "--key-fd", "7"], check=False)
        assert result.returncode == 0
        refused(store.run("ls", "--key-fd", "99"), 1, "cannot read --key-fd 99: Bad file descriptor")

    def test_a_passphrase_file(self, tmp_path, keys):
        store = Store(tmp_path / "s", "--encrypt", "--passphrase-file", keys / "phrase")
        assert store.run("ls", "--passphrase-file", keys / "bare").returncode == 0
        assert store.run("ls", "--passphrase-fd", "0", stdin=b"correct horse\n").returncode == 0
        refused(store.run("ls", "--passphrase-fd", "0", stdin=b"correct horse\n\n"), 1,
                "the passphrase is not the one of this store")
        refused(store.run("ls"), 1,
                f"store '{store.path}' is encrypted, and there is no terminal to ask for the "
                "passphrase on; give --passphrase-file PATH or --passphrase-fd N")

    @pytest.mark.parametrize("option, file, message", [
        ("--key-file", "short", "a key has 32 to 4096 bytes, and this has 31"),
        ("--key-file", "long", "a key has 32 to 4096 bytes, and this has more than 4096"),
        ("--passphrase-file", "empty", "a passphrase has 1 to 1024 bytes, and this is empty"),
        ("--passphrase-file", "wordy", "a passphrase has 1 to 1024 bytes, and this has more")])
    def test_lengths(self, tmp_path, keys, option, file, message):
        refused(run("init", tmp_path / "s", "--encrypt", option, keys / file), 1,
                f"{option} '{keys / file}': {message}")
        assert not (tmp_path / "s").exists()

    def test_no_file(self, tmp_path, store):
        refused(run("init", tmp_path / "s", "--encrypt", "--key-file", tmp_path / "no"), 1,
                f"cannot open --key-file '{tmp_path}/no': No such file or directory")
        refused(run("init", tmp_path / "s", "--encrypt"), 1,
                "a key is needed, and there is no terminal to ask for a passphrase on; --help "
                "lists the options that give one")
        refused(store.run("key", "change", "--new-key-file", "/dev/null"), 1,
                "--new-key-file '/dev/null': a key has 32 to 4096 bytes, and this has 0")

    def test_a_store_without(self, store, keys):
        refused(store.run("ls", "--key-file", keys / "key"), 1,
                f"store '{store.path}' is not encrypted; leave out --key-file")
        refused(store.run("key", "change", "--new-key-file", keys / "key"), 1,
                f"store '{store.path}' is not encrypted; encryption begins with init --encrypt")

    def test_key_change(self, tmp_path, keys):
        store = Store(tmp_path / "s", "--encrypt", "--key-file", keys / "key")
        store.ok("import", "--name", "a", "-", "--key-file", keys / "key", stdin=b"content")
        changed = store.json("key", "change", "--key-file", keys / "key", "--new-passphrase-file",
                             keys / "phrase")
        assert changed == {"store": str(store.path), "changed": "key"}
        assert store.ok("cat", "a", "--passphrase-file", keys / "phrase") == b"content"
        assert store.run("cat", "a", "--key-file", keys / "key").returncode == 1
        refused(store.run("key", "change", "--passphrase-file", keys / "wordy", "--new-key-file",
                          keys / "key"), 1,
                f"--passphrase-file '{keys}/wordy': a passphrase has 1 to 1024 bytes, and this "
                "has more")
        assert store.ok("cat", "a", "--passphrase-file", keys / "phrase") == b"content"


class TestAsking:
    def test_twice_for_a_new_store_and_once_later(self, tmp_path):
        terminal = Terminal("init", tmp_path / "s", "--encrypt")
        terminal.answer(b"New passphrase of store", b"correct horse")
        terminal.answer(b"The same again: ", b"correct horse")
        status, text = terminal.end()
        assert status == 0 and "correct horse" not in text
        terminal = Terminal("--store", tmp_path / "s", "ls")
        terminal.answer(b"Passphrase of store", b"correct horse")
        status, text = terminal.end()
        assert status == 0 and "NAME" in text and "correct" not in text

    def test_output_can_go_elsewhere(self, tmp_path):
        terminal = Terminal("init", tmp_path / "s", "--encrypt", "--json", stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        terminal.answer(b"New passphrase", b"x")
        terminal.answer(b"again", b"x")
        assert terminal.end()[0] == 0

    @pytest.mark.parametrize("first, second, message", [
        (b"one", b"two", "the two passphrases are not the same; nothing was done"),
        (b"", None, "the passphrase is empty; at least one character is needed"),
        (b"\x04", None, "no passphrase was given"),
        (b"x" * 1025, None, "a passphrase has at most 1024 bytes")])
    def test_mistakes(self, tmp_path, first, second, message):
        terminal = Terminal("init", tmp_path / "s", "--encrypt")
        terminal.answer(b"New passphrase", first)
        if second is not None:
            terminal.answer(b"again", second)
        status, text = terminal.end()
        assert status == 1 and f"stellarium: {message}\r\n" in text
        assert not (tmp_path / "s").exists()

    @pytest.mark.parametrize("how, status", [(b"\x03", 130), (b"\x1c", 131), (signal.SIGTERM, 143),
                                             (signal.SIGHUP, 129)])
    def test_the_terminal_is_as_before_after_a_signal(self, tmp_path, how, status):
        terminal = Terminal("init", tmp_path / "s", "--encrypt")
        terminal.read_until(b"New passphrase")
        vmm.wait_until(terminal.is_silent, "the terminal is silent")
        if isinstance(how, bytes):
            terminal.send(how)
        else:
            terminal.process.send_signal(how)
        assert terminal.end()[0] == status
        assert not (tmp_path / "s").exists()

    def test_a_wrong_one(self, tmp_path):
        run("init", tmp_path / "s", "--encrypt", "--passphrase-fd", "0", stdin=b"right")
        terminal = Terminal("--store", tmp_path / "s", "ls")
        terminal.answer(b"Passphrase", b"wrong")
        status, text = terminal.end()
        assert status == 1 and "the passphrase is not the one of this store" in text


class TestProgress:
    """Imports from a pipe that this test fills as slowly as it likes."""

    def begin(self, store, **kwargs):
        read, write = os.pipe()
        terminal = Terminal("--store", store.path, "import", "--name", "slow", "-", stdin=read,
                            **kwargs)
        os.close(read)
        return terminal, write

    def feed(self, write, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            os.write(write, data(MIB // 2))
            time.sleep(0.05)
        os.close(write)

    def test_of_a_pipe(self, store):
        terminal, write = self.begin(store)
        self.feed(write, 2)
        status, text = terminal.end()
        assert status == 0
        assert re.search(r"\rslow  [\d.]+ .iB, [\d.]+ .iB/s, 0:01\x1b\[K", text), text
        assert re.search(r"\r\x1b\[Kslow: [\d.]+ MiB", text), text

    def test_of_a_file(self, store, tmp_path):
        # Text: what does not compress is quick at any level.
        words = [data(4, seed).hex().encode() for seed in range(4096)]
        text = b" ".join(random.Random(1).choices(words, k=16 * MIB // 9 + 1))
        (tmp_path / "file").write_bytes(text[:16 * MIB])
        terminal = Terminal("--store", store.path, "import", tmp_path / "file", "--threads", "1",
                            "--codec", "zstd:19")
        status, text = terminal.end()
        assert status == 0
        assert re.search(r"\rfile +\d+% \[=*>? *\] [\d.]+ MiB of 16 MiB, [\d.]+ .iB/s, \d:\d\d left"
                         r"\x1b\[K", text), text
        assert all(len(line) < 90 for line in text.split("\r"))

    def test_none_when_quick_or_not_wanted(self, store):
        for args, kwargs, seconds in [(["--quiet"], {}, 1.5), ([], {"term": "dumb"}, 1.5),
                                      ([], {}, 0)]:
            read, write = os.pipe()
            terminal = Terminal("--store", store.path, "import", "--name", "slow", "--force", "-",
                                *args, stdin=read, **kwargs)
            os.close(read)
            self.feed(write, seconds)
            status, text = terminal.end()
            assert status == 0 and "\x1b" not in text

    def test_none_without_a_terminal(self, store):
        read, write = os.pipe()
        process = stellar.start("--store", store.path, "import", "--name", "slow", "-", stdin=read)
        os.close(read)
        self.feed(write, 1.5)
        stdout, stderr = process.communicate(timeout=vmm.DEADLINE_S)
        assert (process.returncode, stderr) == (0, b"") and stdout.startswith(b"slow: ")

    def test_ctrl_c_takes_the_bar_away(self, store):
        terminal, write = self.begin(store)
        try:
            end = time.monotonic() + vmm.DEADLINE_S
            while b"slow  " not in terminal.output and time.monotonic() < end:
                os.write(write, data(MIB // 2))
                time.sleep(0.05)
                terminal.read_some()
            terminal.send(b"\x03")
            status, text = terminal.end()
        finally:
            os.close(write)
        assert status == 130
        assert text.endswith("\r\x1b[K\r\x1b[Kstellarium: stopped by SIGINT\r\n"), text
        assert store.names() == []


class TestSignals:
    @pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                                (signal.SIGHUP, 129)])
    def test_an_import_that_waits(self, store, number, status):
        read, write = os.pipe()
        process = stellar.start("--store", store.path, "import", "--name", "a", "-", stdin=read)
        os.close(read)
        os.write(write, data(60000))
        vmm.wait_until(lambda: list((store.path / "leases").iterdir()), "the import works")
        assert stop(process, number) == (status, b"", f"stellarium: stopped by "
                                         f"{signal.Signals(number).name}\n")
        os.close(write)
        assert store.names() == []
        assert not list((store.path / "leases").iterdir())
        store.put("a", b"afterwards")

    def test_an_import_that_works(self, store):
        with open("/dev/zero", "rb") as zeros:
            process = stellar.start("--store", store.path, "import", "--name", "a", "-",
                                    stdin=zeros)
            vmm.wait_until(lambda: list((store.path / "leases").iterdir()), "the import works")
            time.sleep(0.3)
            assert stop(process)[0] == 130
        assert store.names() == []

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    @pytest.mark.parametrize("is_there", [False, True])
    def test_an_export_leaves_nothing(self, store, tmp_path, number, is_there):
        (tmp_path / "file").write_bytes(data(48 * MIB))
        store.ok("import", tmp_path / "file", "--codec", "zstd:1", "--chunking", "fixed:4K")
        (tmp_path / "file").unlink()
        if is_there:
            (tmp_path / "out").write_bytes(b"old")
        process = stellar.start("--store", store.path, "export", "file", tmp_path / "out",
                                "--threads", "1", "--force")
        vmm.wait_until(lambda: process.poll() is not None or
                       list((store.path / "leases").iterdir()), "the export works")
        process.send_signal(number)
        assert process.wait(vmm.DEADLINE_S) in (143, -9)
        process.communicate()
        assert sorted(path.name for path in tmp_path.iterdir()) == \
            ["out", "store"] if is_there else ["store"]
        if is_there:
            assert (tmp_path / "out").read_bytes() == b"old"

    def test_a_stream_that_nobody_reads(self, store):
        store.put("a", data(8 * MIB))
        process = stellar.start("--store", store.path, "cat", "a")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(vmm.DEADLINE_S) == 130
        process.communicate()

    def test_ignored_ones_stay_ignored(self, store):
        read, write = os.pipe()
        process = subprocess.Popen(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", stellar.STELLARIUM,
                                    "--store", store.path, "import", "--name", "a", "-"],
                                   stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(read)
        vmm.wait_until(lambda: list((store.path / "leases").iterdir()), "the import works")
        process.send_signal(signal.SIGHUP)
        os.write(write, b"content")
        os.close(write)
        process.communicate(timeout=vmm.DEADLINE_S)
        assert process.returncode == 0
        assert store.get("a") == b"content"


class TestPipes:
    def test_a_reader_that_goes(self, store):
        store.put("a", data(8 * MIB))
        process = stellar.start("--store", store.path, "cat", "a")
        assert process.stdout.read(1000) == data(8 * MIB)[:1000]
        process.stdout.close()
        assert process.wait(vmm.DEADLINE_S) == 1
        assert process.stderr.read().decode() == \
            "stellarium: cannot write 'standard output': Broken pipe\n"
        process.stderr.close()

    @pytest.mark.parametrize("words", [["ls"], ["ls", "--json"], ["stats"], ["--help"]])
    def test_output_that_cannot_be_written(self, store, words):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([stellar.STELLARIUM, "--store", store.path, *words],
                                    stdout=full, stderr=subprocess.PIPE, check=False)
        assert (result.returncode, result.stderr.decode()) == \
            (1, "stellarium: cannot write the output: No space left on device\n")

    def test_a_terminal_gets_no_image(self, store):
        store.put("a", b"content")
        for words in [["cat", "a"], ["export", "a", "-"]]:
            status, text = Terminal("--store", store.path, *words).end()
            assert status == 1
            assert text == ("\r\x1b[Kstellarium: standard output is a terminal, which an image "
                            "would upset; connect it to a file or a pipe\r\n")
        status, text = Terminal("--store", store.path, "import", "--name", "b", "-").end()
        assert status == 1 and "standard input is a terminal; connect it" in text

    def test_streams_that_are_closed(self, store):
        store.put("a", b"content")
        for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]:
            result = subprocess.run(["bash", "-c", f'exec "$@" {closed}', "sh", stellar.STELLARIUM,
                                     "--store", store.path, "ls"], check=False,
                                    capture_output=True)
            assert result.returncode == 0, closed
        assert store.ok("fsck").endswith(b"no problems\n")


@pytest.mark.skipif(not stellar.TRAITOR.exists(), reason="a sanitizer needs more")
def test_the_process_gives_up_what_it_does_not_need(store):
    """While it works: no new privileges, and no system calls but those it needs."""
    read, write = os.pipe()
    process = stellar.start("--store", store.path, "import", "--name", "a", "-", stdin=read)
    os.close(read)
    vmm.wait_until(lambda: list((store.path / "leases").iterdir()), "the import works")
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^NoNewPrivs:\s1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\s2$", status, re.MULTILINE)
    os.close(write)
    process.communicate(timeout=vmm.DEADLINE_S)
    assert process.returncode == 0


@pytest.mark.skipif(not stellar.TRAITOR.exists(), reason="a sanitizer needs more")
def test_a_store_cannot_lead_out_of_itself(store, tmp_path):
    layers = json.loads(vmm.run("sandbox", "status", "--json").stdout)["layers"]
    if not any(layer["offered"] for layer in layers if layer["layer"] == "landlock"):
        pytest.skip("no Landlock")
    store.put("a", b"content")
    index = store.path / "index" / "data.mdb"
    index.rename(tmp_path / "elsewhere")
    index.symlink_to(tmp_path / "elsewhere")
    refused(store.run("cat", "a"), 1, "cannot open the index: Permission denied")
