# SPDX-License-Identifier: Apache-2.0
"""Stores that version 1 wrote, read by this version and by a reader made from the document alone."""
import functools
import hashlib
import json
import re
import shutil

import golden
import pytest
from golden import blake3, foreign, reader, recipes, writer
from support import stellar, vmm

STORES = list(recipes.STORES)
DOCUMENT = (vmm.ROOT / "docs" / "format-store.md").read_text()


class Opened:
    """A copy of a golden store, and stellarium in it."""

    def __init__(self, store, folder):
        self.path, self.key = golden.unpack(store, folder)
        self.known = golden.KNOWN[store]

    def run(self, *args, **kwargs):
        return stellar.run("--store", self.path, *self.key, *args, timeout=120, **kwargs)

    def ok(self, *args, **kwargs):
        result = self.run(*args, **kwargs)
        assert (result.returncode, result.stderr) == (0, b""), result
        return result.stdout

    def check(self):
        """All names, and all bytes of the images."""
        listed = {image["name"]: image for image in json.loads(self.ok("ls", "--json"))}
        assert listed.keys() == self.known.keys()
        for name, known in self.known.items():
            assert (listed[name]["id"], listed[name]["bytes"]) == (known["id"], known["bytes"])
            content = self.ok("cat", name)
            assert len(content) == known["bytes"]
            assert hashlib.sha256(content).hexdigest() == known["sha256"], name


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    return Opened(request.param, tmp_path)


def test_every_image_is_as_it_was(store):
    store.check()
    assert store.ok("fsck", "--quiet") == b""


def test_a_golden_store_takes_more(store):
    content = recipes.prose("later", 50000)
    store.ok("import", "--name", "later", "-", stdin=content)
    assert store.ok("cat", "later") == content
    store.ok("gc", "--live-percent", "100")
    assert store.ok("cat", "later") == content
    store.ok("rm", "later")
    store.check()


def test_only_superblock_packs_and_roots_matter(store):
    for path in list(store.path.iterdir()):
        if path.name in ("index", "leases"):
            shutil.rmtree(path)
        elif path.name in ("lock", "gate", "gc"):
            path.write_bytes(b"")
    (store.path / "leases").mkdir()
    result = store.run("fsck", "--rebuild-index", "--quiet")
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == b"the store has no folder 'index' (repaired)\n"
    store.check()


@functools.cache
def opened_by_reader(name, folder):
    return reader.Store(golden.unpack(name, folder)[0], **golden.secret_of(name))


@pytest.fixture(params=STORES)
def read(request, tmp_path_factory):
    """What the reader made from the document says of the store."""
    name = request.param
    folder = tmp_path_factory.getbasetemp() / "read"
    folder.mkdir(exist_ok=True)
    return name, opened_by_reader(name, folder)


def test_the_document_is_enough_to_read(read):
    name, store = read
    assert store.damaged_packs == []
    assert store.names() == sorted(golden.KNOWN[name])
    for image, known in golden.KNOWN[name].items():
        digest, count = hashlib.sha256(), 0
        for piece in store.export(image):
            piece = bytes(piece) if isinstance(piece, int) else piece
            digest.update(piece)
            count += len(piece)
        assert (count, digest.hexdigest()) == (known["bytes"], known["sha256"]), image


def test_the_document_is_enough_to_name(read):
    """Cutting, ids and trees: the same id of the image from its bytes."""
    name, store = read
    init, before, after = recipes.STORES[name]
    for recipe in before + after:
        options = dict(zip(init[::2], init[1::2])) | dict(
            zip(recipe.options[::2], recipe.options[1::2]))
        chunks = writer.Chunks(store.keys)
        found = chunks.put_content(recipe.content, options["--chunking"])
        assert found.hex() == golden.KNOWN[name][recipe.name]["id"], recipe.name
        for chunk_id, (kind, data) in chunks.of.items():
            assert store.chunk(kind, chunk_id) == data


def test_golden_stores_have_all_that_there_is(read):
    """Every codec and kind of chunk, and a tree of more than one node."""
    name, store = read
    entries = [e for found in store.where.values() for e in found]
    if name == "passphrase":
        assert {e.codec for e in entries} >= {0, 1}
        return
    assert {e.codec for e in entries} == {0, 1, 2, 3}
    assert {e.kind for e in entries} == {1, 2, 3, 4}
    assert store.image(store.image_id("tree")).level == 1


def test_the_same_input_is_the_same_image(tmp_path):
    """Written now and then: image ids, and which chunks there are. How they compress may differ."""
    init, before, after = recipes.STORES["plain"]
    now = stellar.Store(tmp_path / "now", *init)
    for recipe in before:
        now.ok("import", "--name", recipe.name, *recipe.options, "-", stdin=recipe.content)
    now.ok("dictionary", "train", "--bytes", recipes.DICTIONARY_BYTES)
    for recipe in after:
        now.ok("import", "--name", recipe.name, *recipe.options, "-", stdin=recipe.content)
    ids = {image["name"]: image["id"] for image in now.json("ls")}
    assert ids == {name: known["id"] for name, known in golden.KNOWN["plain"].items()}

    def chunks(path):
        where = reader.Store(path).where
        return {(i, e.kind, e.raw) for i, entries in where.items() for e in entries
                if e.kind != reader.DICTIONARY}

    assert chunks(now.path) == chunks(golden.unpack("plain", tmp_path)[0])


# --- the document's own claims --------------------------------------------------------------------


def test_the_example_is_what_the_files_hold(tmp_path):
    """Each line of the dumps, and that the reader finds the image."""
    path, _ = golden.unpack("tiny", tmp_path)
    example = DOCUMENT[DOCUMENT.index("## 16."):]
    files = {"superblock": 6, "packs/db4711aa7a92a85fd9795a073a706312.pack": 45,
             "roots/boot%2Ftiny": 8, "index/digest": 6}
    for name, least in files.items():
        dump = example[example.index(f"`{name}`"):]
        content, count = (path / name).read_bytes(), 0
        for line in dump.splitlines()[2:]:
            found = re.match(r"\t([0-9a-f]{4}): ((?:[0-9a-f]{4} ){7}[0-9a-f]{4})", line)
            if found:
                at = int(found[1], 16)
                assert content[at:at + 16].hex() == found[2].replace(" ", ""), line
                count += 1
            elif line and not line.startswith("\t*"):
                break
        assert count >= least
    store = reader.Store(path)
    data = b"".join(bytes(p) if isinstance(p, int) else p for p in store.export("boot/tiny"))
    assert data == b"a" * 4096 + bytes(8192) + b"hello"
    assert stellar.run("--store", path, "cat", "boot/tiny").stdout == data


def test_the_keys_and_masks_of_the_document():
    keys = reader.Keys()
    for name, key in (("data", keys.data), ("node", keys.node), ("sum", keys.sum)):
        assert re.search(rf"\t{name} key +{key.hex()}", DOCUMENT)
    masks = re.findall(r"\| (\d\d) \| ([0-9a-f]{16}) (?=\|)", DOCUMENT)
    assert sorted(int(bits) for bits, _ in masks) == list(range(10, 23))
    for bits, mask in masks:
        assert writer.mask_of(int(bits)) == int(mask, 16)
    for place, value in re.findall(r"gear\[(\d+)\] = 0x([0-9a-f]{16})", DOCUMENT):
        assert writer.GEAR[int(place)] == int(value, 16)


# --- what the reader is made of -------------------------------------------------------------------

# From BLAKE3's test vectors: length of the input (bytes i mod 251), hash, keyed hash, derived key.
VECTORS = [
    (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
     "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
    (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
     "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
     "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
    (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
     "357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69",
     "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"),
    (31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
     "efa53b389ab67c593dba624d898d0f7353ab99e4ac9d42302ee64cbf9939a419",
     "39772aef80e0ebe60596361e45b061e8f417429d529171b6764468c22928e28e"),
]


@pytest.mark.parametrize("count, plain, keyed, derived", VECTORS)
def test_blake3(count, plain, keyed, derived):
    data = bytes(i % 251 for i in range(count))
    context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
    assert blake3.blake3(data).hex() == plain
    assert blake3.keyed_hash(b"whats the Elvish word for friend", data).hex() == keyed
    assert blake3.derive_key(context, data).hex() == derived
    assert blake3.derive_key(context, data, 100)[:32].hex() == derived


def test_lz4():
    # "ab" and a match of 16 bytes two back, then "end".
    assert foreign.lz4_block(b"\x2cab\x02\0\x30end", 21) == b"ab" * 9 + b"end"
    # 300 literals: 15 + 255 + 30.
    assert foreign.lz4_block(b"\xf0\xff\x1e" + b"x" * 300, 300) == b"x" * 300
    for bad in (b"", b"\x2cab\x03\0\x30end", b"\x2cab\x02\0\x40end", b"\x2cab\0\0\x30end"):
        with pytest.raises(foreign.Damaged):
            foreign.lz4_block(bad, 21)
