# SPDX-License-Identifier: Apache-2.0
"""Damaged stores: one clear error, the other images still readable, and a repair that ends.

What stellarium says for each damage is in test/golden/should-fail/should-fail-NAME; VOLT_UPDATE=1
writes these files, to be looked at before they are committed.
"""
import fcntl
import hashlib
import json
import os
import re
import shutil
import struct

import golden
import pytest
from golden import damage, reader, writer
from support import stellar

FILES = golden.HERE / "should-fail"
OTHERS = ["fixed/none", "fixed/zstd"]  # which no damage is done to
TOUCHED = [damage.VICTIM, "fixed/lz4", "one", "bad", "good"]  # by some
FEW_BYTES = 1 << 20  # some images that are made have 2^56
DEADLINE_S = 60


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    return golden.unpack("plain", tmp_path_factory.mktemp("golden"))[0]


class Transcript:
    def __init__(self, path, known):
        self.path, self.known, self.lines = path, known, []

    def run(self, *args):
        result = stellar.run("--store", self.path, *args, timeout=DEADLINE_S)
        errors = result.stderr.decode()
        assert result.returncode in (0, 1, 3), (args, result)
        if args[0] != "ls":  # which says so of each name that it leaves out
            assert errors.count("\n") == (result.returncode == 1), (args, result)
        assert all(line.startswith("stellarium: ") and line.isprintable()
                   for line in errors.splitlines()), errors
        return result

    def add(self, args, result, text):
        shown = [text] if text else []
        shown += [result.stderr.decode()] if result.stderr else []
        lines = "".join(shown).replace(str(self.path), "STORE").splitlines()
        self.lines += [f"$ {' '.join(args)}", *lines, f"[{result.returncode}]"]

    def cat(self, name):
        args = ["cat", name, "--bytes", str(FEW_BYTES)]
        result = self.run(*args)
        text = ""
        if name in self.known and result.returncode == 0:
            is_same = hashlib.sha256(result.stdout).hexdigest() == self.known[name]
            text = "as it was\n" if is_same else "NOT AS IT WAS\n"
        elif result.returncode == 0:
            text = f"{len(result.stdout)} bytes\n"
        self.add(args[:2], result, text)
        return text

    def tell(self, *args):
        result = self.run(*args)
        text = re.sub(r"[0-9a-f]{32}\.pack", self._pack, result.stdout.decode())
        text = "".join(f"{line}\n" for line in sorted(text.splitlines()))
        self.add(args, result, text)
        return result

    def _pack(self, match):
        return match[0] if match[0] in self.packs else "NEW.pack"


def known_of(name):
    return golden.KNOWN["plain"][name]["sha256"]


@pytest.mark.parametrize("name", damage.CASES)
def test_should_fail(name, plain, tmp_path):
    path = tmp_path / "store"
    shutil.copytree(plain, path)
    damage.CASES[name](damage.Victim(path))
    t = Transcript(path, {n: known_of(n) for n in (*TOUCHED[:3], *OTHERS)})
    t.packs = {p.name for p in (path / "packs").iterdir()}
    for image in TOUCHED:
        if image in t.known or (path / "roots" / image).exists():
            t.cat(image)
    others = [t.cat(image) for image in OTHERS]
    t.tell("ls", "--quiet")
    t.tell("fsck", "--quiet")
    gc = t.run("gc", "--quiet")
    t.add(["gc"], gc, "")
    # Whatever it was: what is left is sound when it is repaired, and has all other images.
    t.tell("fsck", "--repair", "--quiet")
    after = t.run("fsck", "--quiet")
    if after.returncode != 1:
        assert others == [t.cat(image) for image in OTHERS] or "superblock" in name or \
            "index" in name
    t.tell("fsck", "--quiet")
    text = "\n".join(t.lines) + "\n"
    file = FILES / f"should-fail-{name}"
    if os.environ.get("VOLT_UPDATE"):
        file.write_text(text)
    assert "NOT AS IT WAS" not in text
    assert text == file.read_text()


def test_no_file_is_left_over():
    assert {p.name for p in FILES.iterdir()} == {f"should-fail-{name}" for name in damage.CASES}


# --- encrypted stores -----------------------------------------------------------------------------


@pytest.fixture
def sealed(tmp_path):
    path, key = golden.unpack("keyfile", tmp_path)
    return path, key, reader.Store(path, **golden.secret_of("keyfile"))


def tell(path, *args):
    result = stellar.run("--store", path, *args, timeout=DEADLINE_S)
    assert result.returncode == 1 and result.stdout == b"", result
    return result.stderr.decode().replace(str(path), "STORE").removeprefix("stellarium: ")


def test_wrong_keys(sealed, plain, tmp_path):
    path, _, _ = sealed
    (tmp_path / "wrong").write_bytes(b"w" * 32)
    (tmp_path / "short").write_bytes(b"w" * 31)
    assert tell(path, "ls") == \
        "store 'STORE' is encrypted with a key; give --key-file PATH or --key-fd N\n"
    assert tell(path, "ls", "--key-file", tmp_path / "wrong") == \
        "the key is not the one of this store\n"
    assert "a key has 32 to 4096 bytes" in tell(path, "ls", "--key-file", tmp_path / "short")
    assert tell(path, "ls", "--passphrase-file", tmp_path / "wrong") == \
        "the store is encrypted with a key file, not a passphrase\n"
    assert tell(plain, "ls", "--key-file", tmp_path / "wrong") == \
        "store 'STORE' is not encrypted; leave out --key-file\n"


@pytest.mark.parametrize("changes, message", [
    ({88: struct.pack("<I", 3)}, "it is wrapped in an unknown way"),
    ({92: b"\1"}, "its unused bytes are not zero"),
    ({96: b"\1"}, "it is wrapped by a key file, but has limits or salt"),
    ({112: b"\1"}, "it is wrapped by a key file, but has limits or salt"),
    ({88: struct.pack("<IIQQ", 2, 0, 17, 1 << 20)},
     "it asks for a senseless number of passes over the passphrase"),
    ({88: struct.pack("<IIQQ", 2, 0, 1, 1 << 60)},
     "it asks for a senseless amount of memory for the passphrase"),
    ({128: b"nonce"}, None), ({152: b"sealed key"}, None), ({16: b"uuid"}, None)])
def test_envelopes(sealed, changes, message):
    path, key, _ = sealed
    file = path / "superblock"
    file.write_bytes(writer.again_with_sum(file.read_bytes(), 2048, changes))
    if changes.get(88, b"")[:1] == b"\2":
        key = ["--passphrase-file", key[1]]
    expected = f"the store's sealed key is damaged: {message}" if message else \
        "the key is not the one of this store"
    assert tell(path, *key, "ls") == f"{expected}\n"


@pytest.mark.parametrize("place", [0, 24, -1])  # nonce, ciphertext, tag
def test_broken_seals(sealed, place):
    path, key, store = sealed
    image = store.image(store.image_id("none"))
    (_, _, chunk_id), *_ = store.pieces(image)
    (entry,) = store.where[chunk_id]
    file = path / "packs" / f"{entry.pack.id.hex()}.pack"
    data = bytearray(file.read_bytes())
    data[entry.offset + place % entry.stored] ^= 1
    file.write_bytes(data)
    assert tell(path, *key, "cat", "none") == \
        f"chunk {chunk_id.hex()[:16]} in 'packs/{file.name}' is damaged: its seal is broken\n"
    content = stellar.run("--store", path, *key, "cat", "fixed").stdout
    assert hashlib.sha256(content).hexdigest() == golden.KNOWN["keyfile"]["fixed"]["sha256"]


# --- leases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [b"\3".ljust(40, b"\0"), b"\1\1".ljust(40, b"\0"),
                                    b"\2".ljust(40, b"x")])
def test_a_living_lease_that_makes_no_sense_stops_gc(plain, tmp_path, record):
    path = tmp_path / "store"
    shutil.copytree(plain, path)
    file = path / "leases" / ("0" * 32 + ".lease")
    with open(file, "wb", buffering=0) as lease:
        lease.write(record)
        fcntl.flock(lease, fcntl.LOCK_EX)
        assert tell(path, "gc") == (
            f"lease '{file.name}' in the store's folder 'leases' is damaged: nothing is removed "
            "until the process that holds it has ended\n")
        assert hashlib.sha256(stellar.run("--store", path, "cat", "one").stdout).hexdigest() == \
            known_of("one")
    assert stellar.run("--store", path, "gc").returncode == 0
    assert not file.exists()


def test_a_huge_image_can_be_looked_at(plain, tmp_path):
    """2^55 bytes of few nodes: what must not take for ever."""
    path = tmp_path / "store"
    shutil.copytree(plain, path)
    damage.CASES["image-of-few-nodes-and-2-to-the-55-bytes"](damage.Victim(path))
    shown = json.loads(stellar.run("--store", path, "show", "--json", "huge", timeout=30).stdout)
    assert shown["bytes"] == 1 << 55 and shown["distinct_chunks"] == 1
    end = stellar.run("--store", path, "cat", "huge", "--offset", (1 << 55) - 100, timeout=30)
    assert (end.returncode, end.stdout) == (0, b"\1" * 100)
