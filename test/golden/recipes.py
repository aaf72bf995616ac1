# SPDX-License-Identifier: Apache-2.0
"""What the golden stores were made of: the same bytes on every run."""

import hashlib
from dataclasses import dataclass, field

KIB = 1024
SECRETS = {  # store -> option and content of the key
    "keyfile": ("--key-file", b"thirty-two bytes of a golden key"),
    "passphrase": ("--passphrase-file", b"a golden passphrase\n"),
}


def noise(seed, count):
    """Bytes that do not compress."""
    return hashlib.shake_128(seed.encode()).digest(count)


def prose(seed, count):
    """Bytes that do."""
    words = [noise(f"word {i}", 2 + i % 7).hex() for i in range(200)]
    choices = noise(seed, count // 4 + 1)
    return " ".join(words[c % len(words)] for c in choices).encode()[:count]


def repeated(seed, pieces, count):
    """A tree of more than one level from few chunks: @count blocks out of some, and zeros."""
    blocks = [noise(f"{seed} {i}", 4 * KIB) for i in range(pieces)] + [bytes(4 * KIB)]
    return b"".join(blocks[c % len(blocks)] for c in noise(seed, count))


@dataclass
class Recipe:
    name: str
    content: bytes
    options: list = field(default_factory=list)


def _plain():
    mixed = prose("mixed", 60 * KIB) + noise("mixed", 9 * KIB) + bytes(30 * KIB)
    mixed += prose("more", 20 * KIB + 17)
    yield Recipe("empty", b"")
    yield Recipe("zeros", bytes(5 * KIB * KIB + 123))
    yield Recipe("one", b"1")
    yield Recipe("fixed/none", noise("none", 6 * KIB) + bytes(64 * KIB) + noise("end", 2500),
                 ["--chunking", "fixed:4K", "--codec", "none"])
    yield Recipe("fixed/lz4", bytes(12 * KIB) + prose("lz4", 30 * KIB) + noise("lz4", 3000),
                 ["--chunking", "fixed:16K", "--codec", "lz4"])
    yield Recipe("fixed/zstd", prose("zstd", 90 * KIB),
                 ["--chunking", "fixed:64K", "--codec", "zstd:19"])
    yield Recipe("cdc/auto", mixed, ["--chunking", "fastcdc:4K", "--codec", "auto"])
    yield Recipe("cdc/shifted", b"!" + mixed, ["--chunking", "fastcdc:4K", "--codec", "lz4"])
    yield Recipe("cdc/large", mixed, ["--chunking", "fastcdc:64K", "--codec", "zstd:1"])
    yield Recipe("tree", repeated("tree", 3, 4000), ["--chunking", "fixed:4K"])


def _dictionary(size):
    yield Recipe("dictionary/fixed", prose("dictionary", size), ["--codec", "zstd:5"])
    yield Recipe("dictionary/cdc", noise("d", 700) + prose("dictionary", size),
                 ["--chunking", "fastcdc:4K", "--codec", "auto:7"])


def _encrypted():
    yield Recipe("fixed", prose("secret", 40 * KIB) + bytes(9 * KIB) + noise("secret", 8 * KIB))
    yield Recipe("cdc", prose("secret", 50 * KIB), ["--chunking", "fastcdc:4K", "--codec", "lz4"])
    yield Recipe("none", prose("bare", 6 * KIB), ["--codec", "none"])
    yield Recipe("tree", repeated("secret", 2, 1500), ["--codec", "none"])


# store -> (options of init, images before a dictionary is trained, images after)
STORES = {
    "plain": (["--chunking", "fixed:4K", "--codec", "zstd:3"], list(_plain()),
              list(_dictionary(40 * KIB))),
    "keyfile": (["--chunking", "fixed:4K", "--codec", "auto"], list(_encrypted()),
                list(_dictionary(20 * KIB))),
    "passphrase": (["--chunking", "fixed:4K", "--codec", "lz4"],
                   [Recipe("a", prose("a", 10 * KIB)), Recipe("b", noise("b", 5 * KIB))], []),
}
DICTIONARY_BYTES = 2 * KIB
