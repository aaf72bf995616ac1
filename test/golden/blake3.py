# SPDX-License-Identifier: Apache-2.0
"""BLAKE3 in plain Python, slow: hash, keyed hash and key derivation, of any output length."""

import struct

OUT_BYTES = 32
KEY_BYTES = 32
BLOCK_BYTES = 64
CHUNK_BYTES = 1024

_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
_KEYED_HASH, _DERIVE_KEY_CONTEXT, _DERIVE_KEY_MATERIAL = 16, 32, 64
_IV = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_MASK = 0xFFFFFFFF
_COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_QUARTERS = _COLUMNS + _DIAGONALS


def _schedule():
    """Which word of the block each half of a quarter round takes, for all rounds."""
    order = list(range(16))
    for _ in range(7):
        yield tuple(order)
        order = [order[i] for i in _PERMUTATION]


_SCHEDULE = tuple(_schedule())


def _compress(chaining, block, counter, block_len, flags):
    words = struct.unpack("<16I", block)
    v = list(chaining) + list(_IV[:4])
    v += [counter & _MASK, counter >> 32 & _MASK, block_len, flags]
    for order in _SCHEDULE:
        for i, (a, b, c, d) in enumerate(_QUARTERS):
            x = v[a] + v[b] + words[order[2 * i]] & _MASK
            w = v[d] ^ x
            w = w >> 16 | w << 16 & _MASK
            y = v[c] + w & _MASK
            z = v[b] ^ y
            z = z >> 12 | z << 20 & _MASK
            v[a] = x = x + z + words[order[2 * i + 1]] & _MASK
            w ^= x
            v[d] = w = w >> 8 | w << 24 & _MASK
            v[c] = y = y + w & _MASK
            z ^= y
            v[b] = z >> 7 | z << 25 & _MASK
    return [v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ chaining[i] for i in range(8)]


class _Node:
    """A compression that is not done yet: a root is done differently."""

    def __init__(self, chaining, block, counter, block_len, flags):
        self.chaining, self.block, self.counter = chaining, block, counter
        self.block_len, self.flags = block_len, flags

    def value(self):
        return _compress(self.chaining, self.block, self.counter, self.block_len, self.flags)[:8]

    def root(self, length):
        out = b""
        counter = 0
        while len(out) < length:
            words = _compress(
                self.chaining, self.block, counter, self.block_len, self.flags | _ROOT
            )
            out += struct.pack("<16I", *words)
            counter += 1
        return out[:length]


def _chunk(data, counter, key, flags):
    chaining = key
    blocks = [data[i : i + BLOCK_BYTES] for i in range(0, len(data), BLOCK_BYTES)] or [b""]
    for i, block in enumerate(blocks):
        f = flags | (_CHUNK_START if i == 0 else 0)
        padded = block.ljust(BLOCK_BYTES, b"\0")
        if i == len(blocks) - 1:
            return _Node(chaining, padded, counter, len(block), f | _CHUNK_END)
        chaining = _compress(chaining, padded, counter, BLOCK_BYTES, f)[:8]
    raise AssertionError


def _parent(left, right, key, flags):
    block = struct.pack("<16I", *left.value(), *right.value())
    return _Node(key, block, 0, BLOCK_BYTES, flags | _PARENT)


def _hash(data, key, flags, length):
    """The left subtree of each parent is the largest whole power of two of chunks."""
    waiting = []  # subtrees that have no right sibling yet, the largest first
    count = max(1, -(-len(data) // CHUNK_BYTES))
    for i in range(count - 1):
        node = _chunk(data[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES], i, key, flags)
        done = i + 1
        while done % 2 == 0:
            node = _parent(waiting.pop(), node, key, flags)
            done //= 2
        waiting.append(node)
    node = _chunk(data[(count - 1) * CHUNK_BYTES :], count - 1, key, flags)
    while waiting:
        node = _parent(waiting.pop(), node, key, flags)
    return node.root(length)


def blake3(data, length=OUT_BYTES):
    return _hash(data, list(_IV), 0, length)


def keyed_hash(key, data, length=OUT_BYTES):
    assert len(key) == KEY_BYTES
    return _hash(data, list(struct.unpack("<8I", key)), _KEYED_HASH, length)


def derive_key(context, material, length=OUT_BYTES):
    context_key = _hash(context.encode(), list(_IV), _DERIVE_KEY_CONTEXT, KEY_BYTES)
    return _hash(
        material, list(struct.unpack("<8I", context_key)), _DERIVE_KEY_MATERIAL, length
    )
