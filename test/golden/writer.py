# SPDX-License-Identifier: Apache-2.0
"""Writes the files of stores as docs/format-store.md says, right ones and, for tests, wrong ones."""

import pathlib
import struct
import sys
from dataclasses import dataclass, field

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from golden.blake3 import derive_key, keyed_hash
from golden.foreign import seal
from golden.reader import DATA, IMAGE, NODE, ZERO_ID, Keys

BLOCK = 4096
MASK_64 = (1 << 64) - 1
GEAR = struct.unpack("<256Q", derive_key("stellarium v1 gear table", b"", 2048))


def chunking_of(text):
    """(method, least, average, most) of "fixed:64K" or "fastcdc:64K"."""
    method, size = text.split(":")
    size = int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]
    return (1, size, size, size) if method == "fixed" else (2, size // 4, size, 4 * size)


# --- cutting: section 8 ---------------------------------------------------------------------------


def mask_of(bits):
    return sum(1 << 63 - 48 * i // bits for i in range(bits))


def _fastcdc(data, begin, end, chunking):
    _, least, average, most = chunking
    left = end - begin
    if left <= least:
        return left
    most, middle = min(left, most), min(left, most, average)
    bits = average.bit_length() - 1
    hard, easy = mask_of(bits + 2), mask_of(bits - 2)
    h = 0
    for byte in data[begin + least - 64 : begin + least]:
        h = 2 * h + GEAR[byte] & MASK_64
    for length in range(least, most):
        if h & (hard if length < middle else easy) == 0:
            return length
        h = 2 * h + GEAR[data[begin + length]] & MASK_64
    return most


def cut(data, chunking):
    """The pieces: (is it zeros, begin, length)."""
    runs = []
    for begin in range(0, len(data), BLOCK):
        block = data[begin : begin + BLOCK]
        is_zero = not any(block)
        if runs and runs[-1][0] == is_zero:
            runs[-1][2] += len(block)
        else:
            runs.append([is_zero, begin, len(block)])
    for is_zero, begin, length in runs:
        end = begin + length
        if is_zero:
            yield True, begin, length
            continue
        while begin < end:
            if chunking[0] == 1:
                n = min(end, (begin // chunking[3] + 1) * chunking[3]) - begin
            else:
                n = _fastcdc(data, begin, end, chunking)
            yield False, begin, n
            begin += n


# --- manifests: section 9 -------------------------------------------------------------------------


def node_bytes(level, entries, size=None, zero=bytes(8)):
    """@entries: (kind, length, id)."""
    total = sum(length for _, length, _ in entries) if size is None else size
    head = struct.pack("<8s2IQ8s", b"STELNODE", level, len(entries), total & MASK_64, zero)
    return head + b"".join(
        struct.pack("<Q32s", kind << 56 | length, chunk_id) for kind, length, chunk_id in entries
    )


def image_bytes(
    size, root_id=ZERO_ID, level=0, chunking="fixed:4K", data_bytes=0, chunks=0, version=1
):
    return struct.pack(
        "<8s2IQ32s4I2Q32s", b"STELIMAG", version, level, size, root_id, *chunking_of(chunking),
        data_bytes, chunks, bytes(32),
    )  # fmt: skip


def ends_node(kind, length, chunk_id):
    if kind == 0:
        mark = (-(-length // BLOCK) * 0x9E3779B97F4A7C15 & MASK_64) >> 32
    else:
        (mark,) = struct.unpack_from("<Q", chunk_id)
    return mark & 255 == 0


@dataclass
class Chunks:
    """Chunks of a store with these keys: what a pack will hold."""

    keys: Keys = field(default_factory=Keys)
    of: dict = field(default_factory=dict)  # id -> (kind, bytes)

    def put(self, kind, data, chunk_id=None):
        chunk_id = chunk_id or self.keys.id_of(kind, data)
        self.of[chunk_id] = (kind, data)
        return chunk_id

    def put_tree(self, entries, level=0):
        """The nodes of a level and of those above: (level, id) of the root."""
        if not entries:
            return 0, ZERO_ID
        nodes, begin = [], 0
        for i, entry in enumerate(entries):
            count = i + 1 - begin
            if count == 1024 or count >= 64 and ends_node(*entry) or i + 1 == len(entries):
                nodes.append(entries[begin : i + 1])
                begin = i + 1
        ids = [self.put(NODE, node_bytes(level, node)) for node in nodes]
        if len(nodes) == 1:
            return level, ids[0]
        above = [(2, sum(e[1] for e in node), i) for node, i in zip(nodes, ids)]
        return self.put_tree(above, level + 1)

    def put_image(self, entries, chunking="fixed:4K"):
        level, root = self.put_tree(entries)
        data = [length for kind, length, _ in entries if kind == 1]
        size = sum(length for _, length, _ in entries)
        return self.put(IMAGE, image_bytes(size, root, level, chunking, sum(data), len(data)))

    def put_content(self, content, chunking):
        """An image as an import makes it: its id."""
        entries = []
        for is_zero, begin, length in cut(content, chunking_of(chunking)):
            piece = content[begin : begin + length]
            entries.append((0, length, ZERO_ID) if is_zero else (1, length, self.put(DATA, piece)))
        return self.put_image(entries, chunking)


# --- files ----------------------------------------------------------------------------------------


def with_sum(keys, record):
    return record + keys.sum_of(record)


def pack_file(store, pack_id, chunks, dictionary=ZERO_ID, change=None, version=1, **wrong):
    """
    @store: a reader's, for its uuid and keys. @change may alter what the table says of a chunk:
    change(id, fields) with fields kind, codec, stored, raw, offset, is_sealed, rest.
    """
    keys, uuid = store.keys, wrong.get("uuid", store.superblock.uuid)
    head = struct.pack("<8s2I16s16s32s", b"STELPACK", version, 0, uuid, pack_id, dictionary)
    out = with_sum(keys, head.ljust(4064, b"\0"))
    entries = []
    for chunk_id, (kind, data) in chunks.of.items():
        payload = data
        if keys.is_secret:
            facts = chunk_id + struct.pack("<2BI", kind, 0, len(data))
            payload = bytes(24) + seal(keyed_hash(keys.seal, chunk_id), bytes(24), data, facts)
        elif len(data) % BLOCK == 0:
            out = out.ljust(-(-len(out) // BLOCK) * BLOCK, b"\0")
        fields = {
            "offset": len(out), "stored": len(payload), "raw": len(data), "kind": kind,
            "codec": 0, "is_sealed": int(keys.is_secret), "rest": bytes(5),
        }  # fmt: skip
        if change:
            change(chunk_id, fields)
        entries.append(struct.pack("<32sQ2I3B5s", chunk_id, *fields.values()))
        out += payload
    entries = wrong.get("order", list)(entries)
    payload_end = wrong.get("payload_end", len(out))
    out = out.ljust(-(-len(out) // BLOCK) * BLOCK, b"\0")
    table = struct.pack(
        "<8s2I16sQ24s", b"STELTABL", version, wrong.get("count", len(entries)), pack_id,
        payload_end, bytes(24),
    )  # fmt: skip
    table = with_sum(keys, table + b"".join(entries))
    trailer = struct.pack(
        "<8s2I2Q", b"STELEND.", version, len(entries), wrong.get("table_offset", len(out)),
        len(table),
    )  # fmt: skip
    return out + 2 * table + 2 * with_sum(keys, trailer)


def root_file(keys, name, image_id, size, version=1, name_bytes=None, rest=bytes(216)):
    record = struct.pack(
        "<8s2I32s2Q200s216s", b"STELROOT", version, len(name) if name_bytes is None else name_bytes,
        image_id, size, 0, name.encode() if isinstance(name, str) else name, rest,
    )  # fmt: skip
    return 2 * with_sum(keys, record)


def again_with_sum(file, size, changes, keys=None):
    """Two equal copies of a changed record: @changes maps an offset to bytes."""
    record = bytearray(file[: size - 32])
    for at, data in changes.items():
        record[at : at + len(data)] = data
    return 2 * with_sum(keys or Keys(), bytes(record))
