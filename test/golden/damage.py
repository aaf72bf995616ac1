# SPDX-License-Identifier: Apache-2.0
"""Ways to damage a golden store. Each is a test of its own, and has a file should-fail-NAME with what
stellarium must say then. All that is written has right sums and ids, unless the damage is that."""

import os
import shutil
import struct

import golden
from golden import reader, writer
from golden.reader import DATA, DICTIONARY, IMAGE, NODE, ZERO_ID, Keys
from golden.writer import Chunks, again_with_sum, image_bytes, node_bytes, pack_file, root_file

CASES = {}
PLACE = bytes.fromhex("0123456789abcdef0123456789abcdef")  # the id of a pack that is added
FULL = (1 << 56) - 1  # the longest image
VICTIM = "cdc/auto"


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


class Victim:
    """A golden store that is going to be damaged."""

    def __init__(self, path):
        self.path = path
        self.store = reader.Store(path)
        self.keys = self.store.keys

    def image_id(self, name=VICTIM):
        return self.store.image_id(name)

    def pack(self, name=VICTIM):
        """The file of the pack that has the image."""
        (entry,) = self.store.where[self.image_id(name)]
        return self.path / "packs" / f"{entry.pack.id.hex()}.pack"

    def entries(self, kind, name=VICTIM):
        """What the pack of the image has of @kind, by rising offset."""
        (image,) = self.store.where[self.image_id(name)]
        every = [e for found in image.pack.entries.values() for e in found]
        return sorted((e for e in every if e.kind == kind), key=lambda e: e.offset)

    def root(self, name=VICTIM):
        return self.path / "roots" / name.replace("/", "%2F")

    def flip(self, path, *places):
        """One bit of each byte; places may count from the end."""
        data = bytearray(path.read_bytes())
        for at in places:
            data[at] ^= 0x10
        path.write_bytes(data)

    def add(self, chunks, **how):
        """A pack of these chunks, as a crash might have left it."""
        path = self.path / "packs" / f"{PLACE.hex()}.pack"
        path.write_bytes(pack_file(self.store, PLACE, chunks, **how))

    def name(self, name, image_id, size):
        self.root(name).write_bytes(root_file(self.keys, name, image_id, size))

    def add_image(self, chunks, image, name="bad", **how):
        """The image and its chunks, under a name."""
        image_id = chunks.put(IMAGE, image)
        self.add(chunks, **how)
        self.name(name, image_id, struct.unpack_from("<Q", image, 16)[0] & FULL)

    def add_node(self, node, level=0, size=None, among=None, **image):
        """An image whose root is @node."""
        chunks = among or Chunks(self.keys)
        size = struct.unpack_from("<Q", node, 16)[0] if size is None else size
        root = chunks.put(NODE, node)
        self.add_image(chunks, image_bytes(size, root, level, **image))


# --- packs ----------------------------------------------------------------------------------------


@case
def pack_truncated(v):
    os.truncate(v.pack(), v.pack().stat().st_size // 2)


@case
def pack_cut_by_a_byte(v):
    os.truncate(v.pack(), v.pack().stat().st_size - 1)


@case
def pack_empty(v):
    os.truncate(v.pack(), 0)


@case
def pack_missing(v):
    v.pack().unlink()


@case
def pack_is_a_folder(v):
    path = v.pack()
    path.unlink()
    path.mkdir()


@case
def pack_is_a_pipe(v):
    path = v.pack()
    path.unlink()
    os.mkfifo(path)


@case
def pack_is_a_link(v):
    path = v.pack()
    path.rename(v.path / "packs" / "elsewhere")
    path.symlink_to("elsewhere")


@case
def pack_header_flipped(v):
    v.flip(v.pack(), 16)


@case
def pack_version_flipped(v):
    v.flip(v.pack(), 8)


@case
def pack_compressed_payload_flipped(v):
    entry = next(e for e in v.entries(DATA) if e.codec == 2)
    v.flip(v.pack(), entry.offset + entry.stored // 2)


@case
def pack_lz4_payload_flipped(v):
    entry = next(e for e in v.entries(DATA, "fixed/lz4") if e.codec == 1)
    v.flip(v.pack("fixed/lz4"), entry.offset + entry.stored // 2)


@case
def pack_raw_payload_flipped(v):
    entry = next(e for e in v.entries(DATA) if e.codec == 0)
    v.flip(v.pack(), entry.offset)


@case
def pack_node_flipped(v):
    entry = v.entries(NODE)[0]
    v.flip(v.pack(), entry.offset + entry.stored // 2)


@case
def pack_image_flipped(v):
    entry = v.entries(IMAGE)[0]
    v.flip(v.pack(), entry.offset + entry.stored // 2)


@case
def pack_gap_flipped(v):
    end = max(e.offset + e.stored for kind in (DATA, NODE, IMAGE) for e in v.entries(kind))
    v.flip(v.pack(), end)


@case
def pack_first_table_flipped(v):
    at = struct.unpack_from("<Q", v.pack().read_bytes(), -112)[0]
    v.flip(v.pack(), at + 64)


@case
def pack_both_tables_flipped(v):
    at, size = struct.unpack_from("<2Q", v.pack().read_bytes(), -112)
    v.flip(v.pack(), at + 64, at + size + 64)


@case
def pack_last_trailer_flipped(v):
    v.flip(v.pack(), -1)


@case
def pack_both_trailers_flipped(v):
    v.flip(v.pack(), -1, -65)


@case
def packs_swapped(v):
    a, b = v.pack(), v.pack("fixed/lz4")
    a.rename(v.path / "c")
    b.rename(a)
    (v.path / "c").rename(b)


@case
def pack_duplicated(v):
    shutil.copy(v.pack(), v.path / "packs" / f"{PLACE.hex()}.pack")


@case
def pack_name_strange(v):
    shutil.copy(v.pack(), v.path / "packs" / "x\ny.pack")


@case
def pack_of_another_store(v):
    v.add(Chunks(v.keys), uuid=bytes(16))


@case
def pack_newer_version(v):
    chunks = Chunks(v.keys)
    image = chunks.put_content(b"new", "fixed:4K")
    v.add(chunks, version=2)
    v.name("bad", image, 3)


def _content(v, **how):
    """An image of two chunks, in a pack that is wrong in some way."""
    chunks = Chunks(v.keys)
    image = chunks.put_content(bytes([1]) * 4096 + b"end", "fixed:4K")
    v.add(chunks, **how)
    v.name("bad", image, 4099)
    return chunks


def _first(**fields):
    """Changes what the table says of the first chunk."""
    seen = []

    def change(chunk_id, entry):
        seen.append(chunk_id)
        if len(seen) == 1:
            entry.update({k: f(entry[k]) if callable(f) else f for k, f in fields.items()})

    return {"change": change}


@case
def table_reordered(v):
    _content(v, order=lambda entries: entries[::-1])


@case
def table_entry_twice(v):
    _content(v, order=lambda entries: entries[:1] + entries)


@case
def table_count_wrong(v):
    _content(v, count=1)


@case
def table_count_huge(v):
    _content(v, count=0xFFFFFFFF)


@case
def table_payload_end_wrong(v):
    _content(v, payload_end=4096)


@case
def table_payload_end_huge(v):
    _content(v, payload_end=1 << 63)


@case
def trailer_table_offset_huge(v):
    _content(v, table_offset=(1 << 64) - 4096)


@case
def entry_offset_huge(v):
    _content(v, **_first(offset=(1 << 64) - 1))


@case
def entry_in_the_header(v):
    _content(v, **_first(offset=4095))


@case
def entry_stored_huge(v):
    _content(v, **_first(stored=0xFFFFFFFF))


@case
def entry_stored_nothing(v):
    _content(v, **_first(stored=0))


@case
def entry_raw_nothing(v):
    _content(v, **_first(raw=0))


@case
def entry_raw_huge(v):
    _content(v, **_first(raw=0xFFFFFFFF))


@case
def entry_raw_longer(v):
    _content(v, **_first(raw=4097))


@case
def entry_kind_unknown(v):
    _content(v, **_first(kind=9))


@case
def entry_kind_wrong(v):
    """Data that is said to be a node."""
    _content(v, **_first(kind=NODE))


@case
def entry_codec_unknown(v):
    _content(v, **_first(codec=9))


@case
def entry_codec_wrong(v):
    _content(v, **_first(codec=2))


@case
def entry_sealed_in_a_plain_store(v):
    _content(v, **_first(is_sealed=1))


@case
def entry_unused_bytes(v):
    _content(v, **_first(rest=b"\1\0\0\0\0"))


@case
def chunk_is_not_what_its_id_says(v):
    chunks = Chunks(v.keys)
    wrong = chunks.put(DATA, b"other", v.keys.id_of(DATA, b"right"))
    v.add_image(chunks, image_bytes(
        5, chunks.put(NODE, node_bytes(0, [(1, 5, wrong)])), data_bytes=5, chunks=1))  # fmt: skip


@case
def chunk_twice_once_wrong(v):
    """The first pack that has it holds something else; the second is right."""
    chunks = Chunks(v.keys)
    image = chunks.put_content(b"right", "fixed:4K")
    v.add(chunks)
    v.name("good", image, 5)
    chunks = Chunks(v.keys)
    chunks.put(DATA, b"wrong", v.keys.id_of(DATA, b"right"))
    other = bytes(16)
    path = v.path / "packs" / f"{other.hex()}.pack"
    path.write_bytes(pack_file(v.store, other, chunks))


@case
def dictionary_missing(v):
    _content(v, dictionary=bytes([7]) * 32, **_first(codec=3))


@case
def dictionary_needs_itself(v):
    chunks = Chunks(v.keys)
    dictionary = chunks.put(DICTIONARY, b"dictionary")
    image = chunks.put_content(b"end", "fixed:4K")

    def change(chunk_id, entry):
        entry["codec"] = 3 if entry["kind"] in (DATA, DICTIONARY) else 0

    v.add(chunks, dictionary=dictionary, change=change)
    v.name("bad", image, 3)


@case
def dictionary_is_none(v):
    """The bytes are no dictionary of zstd."""
    chunks = Chunks(v.keys)
    dictionary = chunks.put(DICTIONARY, b"dictionary")
    image = chunks.put_content(b"end", "fixed:4K")

    def change(chunk_id, entry):
        entry["codec"] = 3 if entry["kind"] == DATA else 0

    v.add(chunks, dictionary=dictionary, change=change)
    v.name("bad", image, 3)


# --- manifests ------------------------------------------------------------------------------------


@case
def name_of_a_missing_image(v):
    v.name("bad", bytes([7]) * 32, 3)


@case
def name_of_a_node(v):
    v.name("bad", v.store.image(v.image_id()).root, 3)


@case
def image_names_a_missing_node(v):
    v.add_image(Chunks(v.keys), image_bytes(3, bytes([7]) * 32, data_bytes=3, chunks=1))


@case
def node_names_a_missing_chunk(v):
    v.add_node(node_bytes(0, [(1, 3, bytes([7]) * 32)]), data_bytes=3, chunks=1)


@case
def node_names_a_missing_node(v):
    v.add_node(node_bytes(1, [(2, 3, bytes([7]) * 32)]), level=1, data_bytes=3, chunks=1)


@case
def node_names_one_of_its_own_level(v):
    chunks = Chunks(v.keys)
    low = chunks.put(NODE, node_bytes(0, [(0, 4096, ZERO_ID)]))
    same = chunks.put(NODE, node_bytes(1, [(2, 4096, low)]))
    v.add_node(node_bytes(1, [(2, 4096, same)]), level=1, among=chunks)


@case
def node_names_a_node_at_level_0(v):
    chunks = Chunks(v.keys)
    low = chunks.put(NODE, node_bytes(0, [(0, 4096, ZERO_ID)]))
    v.add_node(node_bytes(0, [(2, 4096, low)]), among=chunks)


@case
def node_names_a_chunk_above_level_0(v):
    chunks = Chunks(v.keys)
    data = chunks.put(DATA, b"abc")
    v.add_node(node_bytes(1, [(1, 3, data)]), level=1, among=chunks)


@case
def node_level_is_not_the_images(v):
    v.add_node(node_bytes(2, [(0, 4096, ZERO_ID)]), level=1)


@case
def node_length_is_not_its_parents(v):
    chunks = Chunks(v.keys)
    low = chunks.put(NODE, node_bytes(0, [(0, 4096, ZERO_ID)]))
    v.add_node(node_bytes(1, [(2, 8192, low)]), level=1, among=chunks)


@case
def node_length_is_not_the_images(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), size=8192)


@case
def node_length_is_not_its_sum(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)], size=8192))


@case
def node_lengths_overflow(v):
    v.add_node(node_bytes(0, [(0, FULL, ZERO_ID)] * 257, size=FULL), size=FULL)


@case
def node_without_entries(v):
    v.add_node(node_bytes(0, []), size=1)


@case
def node_with_too_many_entries(v):
    v.add_node(node_bytes(0, [(0, 1, ZERO_ID)] * 1025))


@case
def node_entry_of_no_length(v):
    v.add_node(node_bytes(0, [(0, 0, ZERO_ID), (0, 1, ZERO_ID)]))


@case
def node_entry_of_unknown_kind(v):
    v.add_node(node_bytes(0, [(3, 4096, ZERO_ID)]))


@case
def node_zeros_with_an_id(v):
    v.add_node(node_bytes(0, [(0, 4096, bytes([1]) * 32)]))


@case
def node_chunk_longer_than_chunks_are(v):
    v.add_node(node_bytes(0, [(1, (16 << 20) + 1, bytes([1]) * 32)]))


@case
def node_chunk_length_wrong(v):
    chunks = Chunks(v.keys)
    data = chunks.put(DATA, b"abc")
    v.add_node(node_bytes(0, [(1, 4, data)]), among=chunks, data_bytes=4)


@case
def node_unused_bytes(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)], zero=b"unused.."))


@case
def node_with_another_magic(v):
    v.add_node(b"STELNODF" + node_bytes(0, [(0, 4096, ZERO_ID)])[8:])


@case
def node_followed_by_more(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]) + b"more")


@case
def image_of_2_to_the_56_bytes(v):
    node = node_bytes(0, [(0, 4096, ZERO_ID)])
    v.add_node(node, size=1 << 56)


@case
def image_of_2_to_the_64_bytes(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), size=(1 << 64) - 1)


@case
def image_level_too_high(v):
    v.add_node(node_bytes(13, [(2, 4096, bytes([7]) * 32)]), level=13)


@case
def image_empty_with_a_root(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), size=0)


@case
def image_without_a_root(v):
    v.add_image(Chunks(v.keys), image_bytes(4096))


@case
def image_data_longer_than_it_is(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), data_bytes=4097, chunks=1)


@case
def image_data_in_no_chunk(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), data_bytes=4096)


@case
def image_counts_wrong(v):
    """Possible, but not true: only fsck sees it."""
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), data_bytes=4096, chunks=1)


@case
def image_cut_short(v):
    v.add_image(Chunks(v.keys), image_bytes(4096)[:-1])


@case
def image_newer_version(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), version=2)


@case
def image_of_version_0(v):
    v.add_node(node_bytes(0, [(0, 4096, ZERO_ID)]), version=0)


@case
def image_chunking_unknown(v):
    chunks = Chunks(v.keys)
    root = chunks.put(NODE, node_bytes(0, [(0, 4096, ZERO_ID)]))
    image = bytearray(image_bytes(4096, root))
    image[56] = 3
    v.add_image(chunks, bytes(image))


@case
def image_of_few_nodes_and_2_to_the_55_bytes(v):
    """Not damaged at all: 1024 times the same node, on five levels. fsck and gc must end."""
    chunks = Chunks(v.keys)
    data = chunks.put(DATA, bytes([1]) * 32)
    node, size = chunks.put(NODE, node_bytes(0, [(1, 32, data)] * 1024)), 32 << 10
    for level in range(1, 5):
        node = chunks.put(NODE, node_bytes(level, [(2, size, node)] * 1024))
        size <<= 10
    v.add_image(chunks, image_bytes(size, node, 4, data_bytes=size, chunks=size // 32), "huge")


# --- names ----------------------------------------------------------------------------------------


@case
def root_one_copy_flipped(v):
    v.flip(v.root(), 20)


@case
def root_both_copies_flipped(v):
    v.flip(v.root(), 20, 532)


@case
def root_copies_differ(v):
    other = root_file(v.keys, VICTIM, v.image_id("one"), 1)
    v.root().write_bytes(v.root().read_bytes()[:512] + other[512:])


@case
def root_truncated(v):
    os.truncate(v.root(), 100)


@case
def root_too_long(v):
    v.root().write_bytes(v.root().read_bytes() + b"x")


@case
def root_newer_version(v):
    v.root().write_bytes(root_file(v.keys, VICTIM, v.image_id(), 1, version=2))


@case
def root_version_0(v):
    v.root().write_bytes(root_file(v.keys, VICTIM, v.image_id(), 1, version=0))


@case
def root_of_2_to_the_56_bytes(v):
    v.root().write_bytes(root_file(v.keys, VICTIM, v.image_id(), 1 << 56))


@case
def root_length_wrong(v):
    v.root().write_bytes(root_file(v.keys, VICTIM, v.image_id(), 1))


@case
def root_unused_bytes(v):
    v.root().write_bytes(root_file(v.keys, VICTIM, v.image_id(), 1, rest=b"x".ljust(216, b"\0")))


@case
def root_name_too_long(v):
    v.root().write_bytes(root_file(v.keys, VICTIM, v.image_id(), 1, name_bytes=201))


@case
def roots_swapped(v):
    a, b = v.root(), v.root("one")
    a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_bytes)
    b.write_bytes(a_bytes)


@case
def root_with_a_newline(v):
    path = v.path / "roots" / "a\nb"
    path.write_bytes(root_file(v.keys, "a\nb", v.image_id(), 1))


@case
def root_of_dots(v):
    path = v.path / "roots" / "..%2Fx"
    path.write_bytes(root_file(v.keys, "../x", v.image_id(), 1))


@case
def root_record_of_dots(v):
    v.root().write_bytes(root_file(v.keys, "../../x", v.image_id(), 1))


@case
def root_record_with_a_newline(v):
    v.root().write_bytes(root_file(v.keys, "cdc/a\nto", v.image_id(), 1))


@case
def root_is_a_pipe(v):
    v.root().unlink()
    os.mkfifo(v.root())


@case
def root_is_a_link(v):
    v.root().unlink()
    v.root().symlink_to("/etc/passwd")


@case
def root_left_on_its_way(v):
    """What a crash leaves; no damage."""
    (v.path / "roots" / "+tmp.x").write_bytes(b"part")


# --- superblock -----------------------------------------------------------------------------------


def _superblock(v, changes):
    path = v.path / "superblock"
    path.write_bytes(again_with_sum(path.read_bytes(), 2048, changes))


@case
def superblock_one_copy_flipped(v):
    v.flip(v.path / "superblock", 20)


@case
def superblock_both_copies_flipped(v):
    v.flip(v.path / "superblock", 20, 2068)


@case
def superblock_truncated(v):
    os.truncate(v.path / "superblock", 1000)


@case
def superblock_missing(v):
    (v.path / "superblock").unlink()


@case
def superblock_newer_version(v):
    _superblock(v, {8: struct.pack("<I", 2)})


@case
def superblock_unknown_flag(v):
    _superblock(v, {12: struct.pack("<I", 2)})


@case
def superblock_unknown_chunking(v):
    _superblock(v, {32: struct.pack("<I", 3)})


@case
def superblock_unknown_codec(v):
    _superblock(v, {48: struct.pack("<I", 4)})


@case
def superblock_missing_dictionary(v):
    _superblock(v, {56: bytes([7]) * 32})


@case
def superblock_says_encrypted(v):
    _superblock(v, {12: struct.pack("<I", 1), 88: struct.pack("<I", 1)})


@case
def superblock_of_another_store(v):
    _superblock(v, {16: bytes([7]) * 16})


# --- index ----------------------------------------------------------------------------------------


@case
def index_missing(v):
    (v.path / "index" / "data.mdb").unlink()


@case
def index_flipped(v):
    v.flip(v.path / "index" / "data.mdb", 3 * 4096 + 100)


@case
def index_truncated(v):
    os.truncate(v.path / "index" / "data.mdb", 4096)


@case
def index_empty(v):
    os.truncate(v.path / "index" / "data.mdb", 0)


@case
def index_is_no_index(v):
    (v.path / "index" / "data.mdb").write_bytes(b"no index" * 4096)
    (v.path / "index" / "digest").unlink()


@case
def index_digest_flipped(v):
    v.flip(v.path / "index" / "digest", 40)


@case
def index_digest_newer_version(v):
    path = v.path / "index" / "digest"
    record = path.read_bytes()
    record = record[:8] + struct.pack("<I", 2) + record[12:64]
    path.write_bytes(writer.with_sum(Keys(), record))


@case
def index_digest_missing(v):
    (v.path / "index" / "digest").unlink()


# --- two stores -----------------------------------------------------------------------------------


def _other(v):
    folder = v.path.parent / "other"
    folder.mkdir()
    return golden.unpack("keyfile", folder)[0]


@case
def index_of_another_store(v):
    shutil.rmtree(v.path / "index")
    shutil.copytree(_other(v) / "index", v.path / "index")


@case
def two_stores_in_one_folder(v):
    """Packs and names of another one, over its own where they have the same."""
    other = _other(v)
    for folder in ("packs", "roots"):
        for path in (other / folder).iterdir():
            shutil.copy(path, v.path / folder / path.name)
