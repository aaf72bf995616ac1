# SPDX-License-Identifier: Apache-2.0
"""Reads stores without the index, as docs/format-store.md says and by nothing else.

    python3 test/golden/reader.py [--key-file F | --passphrase-file F] STORE [NAME]

writes the image NAME to standard output, or lists the names. It is slow, and checks all it reads.
"""

import argparse
import functools
import pathlib
import re
import struct
import sys
from dataclasses import dataclass

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from golden.blake3 import blake3, derive_key, keyed_hash
from golden.foreign import Damaged, argon2id, lz4_block, open_sealed, zstd_frame

VERSION = 1
ZERO_ID = bytes(32)
DATA, NODE, IMAGE, DICTIONARY = 1, 2, 3, 4


class NewerVersion(Exception):
    """It is of a version that this reader does not know."""


class WrongKey(Exception):
    """The key does not open the store."""


def need(condition, what):
    if not condition:
        raise Damaged(what)


class Keys:
    """Section 3."""

    def __init__(self, secret=None):
        self.is_secret = secret is not None
        base = secret or bytes(32)
        self.data = derive_key("stellarium v1 data id", base)
        self.node = derive_key("stellarium v1 node id", base)
        self.sum = derive_key("stellarium v1 checksum", base)
        self.seal = derive_key("stellarium v1 seal", base)

    @functools.lru_cache(maxsize=64)
    def id_of(self, kind, data):
        if kind == DATA:
            return keyed_hash(self.data, data) if self.is_secret else blake3(data)
        return keyed_hash(self.node, data)

    def sum_of(self, data):
        return keyed_hash(self.sum, data)

    def check_sum(self, record, what):
        need(self.sum_of(record[:-32]) == record[-32:], f"{what}: sum")


@dataclass
class Chunking:
    method: int
    least: int
    average: int
    most: int

    @classmethod
    def parse(cls, data):
        c = cls(*struct.unpack("<4I", data))
        size = c.average
        need(size >= 4096 and size & size - 1 == 0, "chunking: size")
        if c.method == 1:
            need(size <= 4 << 20 and c.least == c.most == size, "chunking: fixed")
        else:
            need(c.method == 2 and size <= 1 << 20, "chunking: method")
            need(c.least == size // 4 and c.most == 4 * size, "chunking: fastcdc")
        return c


def twin(file, size, magic, keys, parse):
    """One of two equal copies: the first that is valid."""
    found, newer, faults = [], False, []
    for copy in (file[:size], file[size : 2 * size]):
        try:
            need(len(copy) == size and copy[:8] == magic, f"{magic.decode()}: magic")
            keys.check_sum(copy, magic.decode())
            (version,) = struct.unpack_from("<I", copy, 8)
            need(version > 0, "version 0")
            newer |= version > VERSION
            if version == VERSION:
                found.append((copy, parse(copy)))
        except Damaged as e:
            faults.append(e)
    if newer:
        raise NewerVersion(magic.decode())
    if not found:
        raise faults[0]
    need(len(found) == 1 or found[0][0] == found[1][0], "the copies differ")
    return found[0][1]


class Superblock:
    """Section 4."""

    def __init__(self, copy):
        (flags,) = struct.unpack_from("<I", copy, 12)
        need(flags <= 1, "superblock: flags")
        self.is_encrypted = flags == 1
        self.uuid = copy[16:32]
        self.chunking = Chunking.parse(copy[32:48])
        choice, level = struct.unpack_from("<2I", copy, 48)
        need(choice <= 3, "superblock: codec")
        need(1 <= level <= 19 if choice >= 2 else level == 0, "superblock: level")
        self.dictionary = copy[56:88]
        self.envelope = copy[88:200]
        need(self.is_encrypted or not any(self.envelope), "superblock: envelope")
        need(not any(copy[200:2016]), "superblock: zero")

    def secret(self, key, passphrase):
        kind, zero, passes, memory = struct.unpack_from("<2I2Q", self.envelope)
        salt, nonce, sealed = self.envelope[24:40], self.envelope[40:64], self.envelope[64:]
        need(zero == 0 and kind in (1, 2), "envelope")
        if kind == 1:
            need(passes == memory == 0 and not any(salt), "envelope: limits")
            if key is None:
                raise WrongKey("the store takes a key file")
            wrapping = derive_key("stellarium v1 wrap", key)
        else:
            need(1 <= passes <= 16 and 8192 <= memory <= 4 << 30, "envelope: limits")
            if passphrase is None:
                raise WrongKey("the store takes a passphrase")
            wrapping = argon2id(passphrase, salt, passes, memory)
        secret = open_sealed(wrapping, nonce, sealed, self.uuid)
        if secret is None:
            raise WrongKey("the key is not the one of this store")
        return secret


@dataclass
class Entry:
    pack: object
    offset: int
    stored: int
    raw: int
    kind: int
    codec: int
    is_sealed: bool
    payload_sum: bytes


class Pack:
    """Section 5."""

    def __init__(self, path, keys, uuid):
        self.file = path.read_bytes()
        self.id = bytes.fromhex(path.name[:32])
        header = self.file[:4096]
        need(len(header) == 4096 and header[:8] == b"STELPACK", "pack: header")
        keys.check_sum(header, "pack")
        version, zero = struct.unpack_from("<2I", header, 8)
        if version > VERSION:
            raise NewerVersion(path.name)
        need(version == VERSION and zero == 0 and not any(header[80:4064]), "pack: header")
        need(header[16:32] == uuid, "pack: of another store")
        need(header[32:48] == self.id, "pack: another pack")
        self.dictionary = header[48:80]
        self.entries = self._first_valid_table(keys)

    def _first_valid_table(self, keys):
        fault = Damaged("pack: no end")
        for trailer in (self.file[-64:], self.file[-128:-64]):
            for copy in (0, 1):
                try:
                    return self._table(trailer, copy, keys)
                except Damaged as e:
                    fault = e
        raise fault

    def _table(self, trailer, copy, keys):
        need(len(trailer) == 64 and trailer[:8] == b"STELEND.", "trailer")
        keys.check_sum(trailer, "trailer")
        version, count, at, size = struct.unpack_from("<2I2Q", trailer, 8)
        need(version == VERSION and count <= 1 << 20, "trailer")
        need(at >= 4096 and at % 4096 == 0 and size == 96 + 56 * count, "trailer")
        need(at + 2 * size + 128 == len(self.file), "trailer: length of the file")
        table = self.file[at + copy * size : at + (copy + 1) * size]
        need(table[:8] == b"STELTABL", "table")
        keys.check_sum(table, "table")
        version, same = struct.unpack_from("<2I", table, 8)
        (payload_end,) = struct.unpack_from("<Q", table, 32)
        need(version == VERSION and same == count and table[16:32] == self.id, "table")
        need(at - 4096 < payload_end <= at and not any(table[40:64]), "table")
        entries, end = {}, 4096
        for i in range(count):
            raw = table[64 + 56 * i : 120 + 56 * i]
            offset, stored, length, kind, codec, sealed = struct.unpack_from("<Q2I3B", raw, 32)
            need(offset >= end and offset + stored <= payload_end, "entry: place")
            need(1 <= length <= 16 << 20 and 1 <= stored <= (16 << 20) + 40, "entry: length")
            need(1 <= kind <= 4 and codec <= 3 and sealed <= 1, "entry: kind")
            zero, payload_sum = raw[51], raw[52:]
            need(zero == 0, "entry: zero")
            need(not any(payload_sum) or codec > 0 and not sealed, "entry: payload sum")
            entry = Entry(self, offset, stored, length, kind, codec, sealed == 1, payload_sum)
            entries.setdefault(raw[:32], []).append(entry)
            end = offset + stored
        return entries


class Image:
    """Section 9."""

    def __init__(self, data):
        need(len(data) >= 12 and data[:8] == b"STELIMAG", "image")
        (version,) = struct.unpack_from("<I", data, 8)
        if version > VERSION:
            raise NewerVersion("image")
        need(version == VERSION and len(data) == 120, "image")
        self.level, self.bytes = struct.unpack_from("<IQ", data, 12)
        self.root = data[24:56]
        self.chunking = Chunking.parse(data[56:72])
        self.data_bytes, self.chunks = struct.unpack_from("<2Q", data, 72)
        need(self.level <= 12 and self.bytes < 1 << 56 and not any(data[88:]), "image")
        is_empty = self.bytes == 0
        need((self.root == ZERO_ID) == is_empty, "image: root")
        need(not is_empty or self.level == 0, "image: level")


class Store:
    def __init__(self, folder, key=None, passphrase=None):
        self.folder = pathlib.Path(folder)
        self.superblock = twin(
            (self.folder / "superblock").read_bytes(), 2048, b"STELSTOR", Keys(), Superblock
        )
        secret = None
        if self.superblock.is_encrypted:
            secret = self.superblock.secret(key, passphrase)
        self.keys = Keys(secret)
        self.where = {}  # id -> entries, in any pack
        self.damaged_packs = []
        for path in sorted((self.folder / "packs").iterdir()):
            if re.fullmatch(r"[0-9a-f]{32}\.pack", path.name):
                self._add_pack(path)

    def _add_pack(self, path):
        try:
            pack = Pack(path, self.keys, self.superblock.uuid)
        except (Damaged, NewerVersion) as e:
            self.damaged_packs.append((path.name, e))
            return
        for chunk_id, entries in pack.entries.items():
            self.where.setdefault(chunk_id, []).extend(entries)

    def _restore(self, chunk_id, entry):
        """Sections 6 and 7."""
        payload = stored = entry.pack.file[entry.offset : entry.offset + entry.stored]
        need(len(payload) == entry.stored, "chunk: cut short")
        need(entry.is_sealed == self.superblock.is_encrypted, "chunk: seal")
        if entry.is_sealed:
            need(len(payload) > 40, "chunk: seal")
            key = keyed_hash(self.keys.seal, chunk_id)
            facts = chunk_id + struct.pack("<2BI", entry.kind, entry.codec, entry.raw)
            payload = open_sealed(key, payload[:24], payload[24:], facts)
            need(payload is not None, "chunk: its seal is broken")
        if entry.codec == 0:
            return payload
        if not entry.is_sealed:
            need(self.keys.sum_of(stored)[:4] == entry.payload_sum, "chunk: payload sum")
        if entry.codec == 1:
            return lz4_block(payload, entry.raw)
        if entry.codec == 2:
            return zstd_frame(payload, entry.raw)
        return zstd_frame(payload, entry.raw, self.chunk(DICTIONARY, entry.pack.dictionary))

    def chunk(self, kind, chunk_id):
        fault = Damaged(f"there is no chunk {chunk_id.hex()[:16]}")
        for entry in self.where.get(chunk_id, ()):
            try:
                need(entry.kind == kind, "chunk: kind")
                data = self._restore(chunk_id, entry)
                need(len(data) == entry.raw, "chunk: length")
                need(self.keys.id_of(kind, data) == chunk_id, "chunk: its id")
                return data
            except Damaged as e:
                fault = e
        raise fault

    def names(self):
        """Section 10."""
        files = sorted(p.name for p in (self.folder / "roots").iterdir())
        return [f.replace("%2F", "/") for f in files if not f.startswith("+tmp.")]

    def image_id(self, name):
        def parse(copy):
            (length,) = struct.unpack_from("<I", copy, 12)
            need(1 <= length <= 200, "name: length")
            need(copy[64 : 64 + length] == name.encode(), "name: of another file")
            need(not any(copy[64 + length : 264]) and not any(copy[264:480]), "name: zero")
            (size,) = struct.unpack_from("<Q", copy, 48)
            need(size < 1 << 56, "name: length of the image")
            return copy[16:48]

        part = r"(?!\.{1,2}(/|$))[A-Za-z0-9._+@:-]+"
        need(re.fullmatch(rf"[A-Za-z0-9](?=.{{0,199}}$).*", name), "name")
        need(re.fullmatch(rf"{part}(/{part}){{0,25}}", name), "name")
        file = (self.folder / "roots" / name.replace("/", "%2F")).read_bytes()
        return twin(file, 512, b"STELROOT", self.keys, parse)

    def image(self, image_id):
        return Image(self.chunk(IMAGE, image_id))

    def pieces(self, image):
        """What the image is made of: (kind, length, id) from its first byte to its last."""
        waiting = [(image.level, image.bytes, image.root)] if image.bytes else []
        while waiting:
            level, size, node_id = waiting.pop()
            node = self.chunk(NODE, node_id)
            need(node[:8] == b"STELNODE" and not any(node[24:32]), "node")
            own_level, count, own_size = struct.unpack_from("<2IQ", node, 8)
            need(own_level == level and own_size == size, "node: not as its parent says")
            need(1 <= count <= 1024 and len(node) == 32 + 40 * count, "node: count")
            entries = []
            for i in range(count):
                (packed,) = struct.unpack_from("<Q", node, 32 + 40 * i)
                chunk_id = node[40 + 40 * i : 72 + 40 * i]
                kind, length = packed >> 56, packed & (1 << 56) - 1
                need(length > 0, "node: length of an entry")
                if level > 0:
                    need(kind == 2, "node: kind of an entry")
                else:
                    need(kind == 1 or kind == 0 and chunk_id == ZERO_ID, "node: kind of an entry")
                    need(kind == 0 or length <= 16 << 20, "node: length of a chunk")
                entries.append((kind, length, chunk_id))
            need(sum(length for _, length, _ in entries) == size, "node: sum of the lengths")
            if level == 0:
                yield from entries
            else:
                waiting += [(level - 1, length, child) for _, length, child in reversed(entries)]

    def export(self, name):
        """The bytes of the image, piece by piece; a length alone for a run of zeros."""
        image = self.image(self.image_id(name))
        data_bytes = chunks = 0
        for kind, length, chunk_id in self.pieces(image):
            if kind == 0:
                yield length
                continue
            data = self.chunk(DATA, chunk_id)
            need(len(data) == length, "chunk: not as long as its entry says")
            data_bytes += length
            chunks += 1
            yield data
        need((data_bytes, chunks) == (image.data_bytes, image.chunks), "image: counts")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--key-file", type=pathlib.Path)
    parser.add_argument("--passphrase-file", type=pathlib.Path)
    parser.add_argument("store")
    parser.add_argument("name", nargs="?")
    a = parser.parse_args()
    key = a.key_file.read_bytes() if a.key_file else None
    passphrase = a.passphrase_file.read_bytes() if a.passphrase_file else None
    if passphrase is not None and passphrase.endswith(b"\n"):
        passphrase = passphrase[:-1]
    store = Store(a.store, key, passphrase)
    if a.name is None:
        print("\n".join(store.names()))
        return
    for piece in store.export(a.name):
        sys.stdout.buffer.write(bytes(piece) if isinstance(piece, int) else piece)


if __name__ == "__main__":
    main()
