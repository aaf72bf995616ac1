# SPDX-License-Identifier: Apache-2.0
"""stellarium: what each verb does, its options, what it prints, and its exit statuses."""
import json
import os
import re
import stat
import subprocess

import pytest

from support import stellar, vmm
from support.stellar import KIB, MIB, Store, data, refused, run


@pytest.fixture(name="store")
def fixture_store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(name="image")
def fixture_image(tmp_path):
    """A file with data, a hole, zeros that are written, and an end that is no multiple of 4 KiB."""
    path = tmp_path / "disk.img"
    with open(path, "wb") as file:
        file.write(data(300 * KIB) + bytes(200 * KIB) + b"text " * (40 * KIB))
        file.seek(8 * MIB)
        file.write(data(5000, seed=2))
    return path


HEX_ID = re.compile(r"^[0-9a-f]{64}$")
UTC = re.compile(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class TestInit:
    def test_a_new_folder(self, tmp_path):
        result = run("init", "--store", tmp_path / "s", "--chunking", "fastcdc:32K", "--codec", "lz4")
        assert result.returncode == 0
        assert result.stdout.decode() == f"made store '{tmp_path}/s': fastcdc:32K, lz4\n"
        assert stat.S_ISDIR((tmp_path / "s").stat().st_mode)

    def test_an_empty_folder_named_in_any_way(self, tmp_path):
        for number, how in enumerate([["init", "PATH"], ["--store", "PATH", "init"],
                                      ["init", "--store=PATH"], ["init", "--store", "PATH", "PATH"]]):
            path = tmp_path / str(number)
            path.mkdir()
            words = [word.replace("PATH", str(path)) for word in how]
            assert json.loads(run(*words, "--json").stdout)["store"] == str(path)
        path = tmp_path / "env"
        assert run("init", "--quiet", env=stellar.environment(STELLARIUM_STORE=path)).stdout == b""
        assert (path / "superblock").exists()

    def test_json(self, tmp_path):
        result = run("init", tmp_path / "s", "--json", "--codec", "zstd:7", "--chunking", "fixed:4M")
        assert json.loads(result.stdout) == {"store": str(tmp_path / "s"), "is_encrypted": False,
                                             "chunking": "fixed:4M", "codec": "zstd:7"}

    def test_not_twice(self, store):
        before = store.files()
        refused(store.run("init"), 1, f"there is a store in '{store.path}' already")
        assert store.files() == before

    def test_not_among_files(self, tmp_path):
        (tmp_path / "file").write_text("x")
        result = run("init", tmp_path)
        refused(result, 1,
                f"the folder '{tmp_path}' is not empty; a store needs one of its own")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


class TestImport:
    def test_a_file_with_holes(self, store, image):
        result = store.json("import", image)
        assert set(result) == {"name", "id", "bytes", "data_bytes", "zero_bytes", "chunks",
                               "new_chunks", "new_raw_bytes", "new_stored_bytes", "seconds"}
        assert result["name"] == "disk"
        assert result["bytes"] == 8 * MIB + 5000
        assert result["data_bytes"] + result["zero_bytes"] == result["bytes"]
        assert result["data_bytes"] < MIB
        assert HEX_ID.match(result["id"])
        assert store.get("disk") == image.read_bytes()

    def test_again_takes_no_room(self, store, image):
        first = store.json("import", image)
        again = store.json("import", image, "--name", "again")
        assert again["id"] == first["id"]
        assert (again["new_chunks"], again["new_stored_bytes"]) == (0, 0)

    def test_text(self, store, image):
        text = store.ok("import", image).decode()
        assert re.match(r"^disk: 8\.0 MiB, \d+ KiB of them data; \d+ KiB new, which take \d+ KiB; "
                        r"\d+\.\d s, .*/s\n$", text), text
        assert store.ok("import", "--name", "quiet", image, "--quiet") == b""

    @pytest.mark.parametrize("file, name", [("a.img", "a"), ("b.raw", "b"), ("c.qcow2", "c.qcow2"),
                                            ("d.img.raw", "d.img"), ("e", "e")])
    def test_the_name_of_the_file(self, store, tmp_path, file, name):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / file).write_bytes(b"content")
        assert store.json("import", tmp_path / "folder" / file)["name"] == name

    def test_standard_input(self, store):
        content = data(700 * KIB + 3)
        assert store.put("piped", content)["bytes"] == len(content)
        assert store.get("piped") == content

    def test_standard_input_that_is_a_file(self, store, image):
        with open(image, "rb") as file:
            result = subprocess.run([stellar.STELLARIUM, "--store", store.path, "import", "--name",
                                     "in", "-", "--json"], stdin=file, capture_output=True,
                                    check=True)
        assert json.loads(result.stdout)["bytes"] == image.stat().st_size
        assert store.get("in") == image.read_bytes()

    def test_a_name_that_is_taken(self, store):
        store.put("a", b"one")
        refused(store.run("import", "--name", "a", "-", stdin=b"two"), 1,
                "there is an image 'a' already; --force replaces it")
        assert store.get("a") == b"one"
        store.put("a", b"two", "--force")
        assert store.get("a") == b"two"

    @pytest.mark.parametrize("chunking", ["fixed:4K", "fixed:4M", "fastcdc:4K", "fastcdc:1M"])
    @pytest.mark.parametrize("codec", ["none", "lz4", "zstd:1", "auto"])
    def test_chunking_and_codec(self, store, image, chunking, codec):
        store.ok("import", image, "--chunking", chunking, "--codec", codec, "--threads", "3")
        assert store.json("show", "disk")["chunking"] == chunking
        assert store.get("disk") == image.read_bytes()

    def test_nothing(self, store):
        assert store.put("empty", b"")["bytes"] == 0
        assert store.get("empty") == b""
        assert store.json("show", "empty")["chunks"] == 0


class TestExport:
    def test_holes_come_back(self, store, image, tmp_path):
        store.ok("import", image)
        out = tmp_path / "out.img"
        result = store.json("export", "disk", out)
        assert set(result) == {"name", "id", "bytes", "path", "seconds"}
        assert out.read_bytes() == image.read_bytes()
        assert out.stat().st_blocks * 512 < MIB
        assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.img", "out.img", "store"]

    def test_a_file_that_is_there(self, store, tmp_path):
        store.put("a", b"new")
        out = tmp_path / "out"
        out.write_bytes(b"old, and longer")
        out.chmod(0o640)
        refused(store.run("export", "a", out), 1,
                f"'{out}' is there already; --force replaces it")
        assert out.read_bytes() == b"old, and longer"
        assert store.ok("export", "--force", "a", out, "--quiet") == b""
        assert out.read_bytes() == b"new"
        assert stat.S_IMODE(out.stat().st_mode) == 0o640

    def test_what_a_link_leads_to(self, store, tmp_path):
        store.put("a", b"new")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "real").write_bytes(b"old")
        (tmp_path / "link").symlink_to("folder/real")
        store.ok("export", "a", tmp_path / "link", "--force", "--no-sync")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "real").read_bytes() == b"new"

    def test_standard_output(self, store, image):
        store.ok("import", image)
        assert store.ok("export", "disk", "-", "--json") == image.read_bytes()

    def test_a_fifo(self, store, tmp_path):
        content = data(2 * MIB)
        store.put("a", content)
        os.mkfifo(tmp_path / "fifo")
        process = stellar.start("--store", store.path, "export", "a", tmp_path / "fifo")
        assert (tmp_path / "fifo").read_bytes() == content
        assert process.wait(vmm.DEADLINE_S) == 0

    def test_a_device_that_takes_all(self, store):
        store.put("a", b"content")
        store.ok("export", "a", "/dev/null")
        result = store.run("export", "a", "/dev/full")
        refused(result, 1, "cannot write '/dev/full': No space left on device")

    def test_by_id(self, store, tmp_path):
        image_id = store.put("a", b"content")["id"]
        store.ok("export", f"id:{image_id}", tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == b"content"


@pytest.fixture(name="device")
def fixture_device(tmp_path):
    """A block device of 8 MiB, full of 0xff."""
    (tmp_path / "backing").write_bytes(b"\xff" * (8 * MIB))
    made = subprocess.run(["losetup", "--find", "--show", tmp_path / "backing"],
                          capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("no loop devices")
    path = made.stdout.decode().strip()
    yield path
    subprocess.run(["losetup", "--detach", path], check=True)


class TestDevice:
    def test_written_in_place_with_its_zeros(self, store, device):
        content = data(100 * KIB) + bytes(MIB) + data(100 * KIB, seed=2)
        store.put("a", content)
        refused(store.run("export", "a", device), 1,
                f"'{device}' is a block device; --force overwrites what is on it")
        store.ok("export", "a", device, "--force")
        with open(device, "rb") as file:
            assert file.read(len(content)) == content
            assert set(file.read()) == {0xff}

    def test_too_short(self, store, device):
        store.put("big", bytes(9 * MIB))
        refused(store.run("export", "big", device, "--force"), 1,
                f"block device '{device}' has 8388608 bytes, and the image has 9437184")

    def test_imported(self, store, device):
        assert store.json("import", device, "--name", "dev")["bytes"] == 8 * MIB
        assert set(store.get("dev")) == {0xff}


class TestLook:
    def test_ls(self, store):
        assert store.json("ls") == []
        assert store.ok("ls").split() == [b"NAME", b"LENGTH", b"MADE", b"ID"]
        made = store.put("debian/12", data(5000))
        store.put("a", b"x")
        listed = store.json("ls")
        assert [image["name"] for image in listed] == ["a", "debian/12"]
        assert set(listed[0]) == {"name", "id", "bytes", "created_at"}
        assert (listed[1]["id"], listed[1]["bytes"]) == (made["id"], 5000)
        assert UTC.match(listed[1]["created_at"])
        line = store.ok("ls").decode().splitlines()[2].split()
        assert line[:3] == ["debian/12", "4.9", "KiB"]
        assert made["id"].startswith(line[-1])

    def test_show(self, store):
        made = store.put("a", data(64 * KIB) * 3 + bytes(MIB), "--chunking", "fixed:64K")
        shown = store.json("show", "a")
        assert set(shown) == {"name", "id", "bytes", "chunking", "data_bytes", "chunks",
                              "distinct_chunks", "raw_bytes", "stored_bytes", "nodes",
                              "node_bytes", "created_at"}
        assert (shown["id"], shown["bytes"]) == (made["id"], 192 * KIB + MIB)
        assert (shown["chunks"], shown["distinct_chunks"]) == (3, 1)
        assert (shown["raw_bytes"], shown["stored_bytes"]) == (64 * KIB, 64 * KIB)
        text = store.ok("show", "a").decode()
        assert f"id        {made['id']}\n" in text
        assert "chunks    3, 1 of them distinct: 64 KiB, stored in 64 KiB\n" in text
        by_id = store.json("show", f"id:{made['id']}")
        assert by_id["bytes"] == shown["bytes"]

    def test_cat(self, store):
        content = data(300 * KIB) + bytes(300 * KIB) + data(77)
        store.put("a", content)
        for offset, nr_bytes in [(0, 1), (4095, 2), (300 * KIB - 1, 2), (400 * KIB, 5),
                                 (65536, 200000), (len(content) - 1, 9), (len(content), 1), (7, 0)]:
            assert store.ok("cat", "a", "--offset", offset, "--bytes", nr_bytes) == \
                content[offset:offset + nr_bytes]
        assert store.ok("cat", "a", "--offset", "300K") == content[300 * KIB:]
        refused(store.run("cat", "a", "--offset", len(content) + 1), 1,
                f"--offset {len(content) + 1} is behind the end of image 'a', at {len(content)}")

    def test_diff(self, store):
        content = bytearray(data(MIB))
        store.put("a", content, "--chunking", "fixed:64K")
        store.put("same", content, "--chunking", "fixed:64K")
        content[70000] ^= 1
        content[500000:500010] = bytes(10)
        store.put("b", content, "--chunking", "fixed:64K")
        assert store.ok("diff", "a", "same") == b"the images are the same\n"
        result = store.run("diff", "a", "b")
        assert result.returncode == 3
        assert result.stdout.decode().splitlines()[1:] == ["only in a: 2 chunks, 128 KiB",
                                                           "only in b: 2 chunks, 128 KiB"]
        different = store.json("diff", "a", "b", "--ranges", status=3)
        assert set(different) == {"different_bytes", "different_ranges", "only_a_chunks",
                                  "only_a_bytes", "only_b_chunks", "only_b_bytes", "ranges"}
        covered = {at for r in different["ranges"]
                   for at in range(r["offset"], r["offset"] + r["bytes"])}
        original = data(MIB)
        assert covered == {at for at in range(MIB) if original[at] != content[at]}
        assert different["different_bytes"] == len(covered)
        text = store.run("diff", "--ranges", "a", "b").stdout.decode()
        assert text.splitlines()[0] == "70000 1"
        quiet = store.run("diff", "a", "b", "--quiet")
        assert (quiet.returncode, quiet.stdout) == (3, b"")

    def test_stats(self, store):
        store.put("a", data(MIB))
        stats = store.json("stats")
        assert set(stats) == {"store", "uuid", "version", "is_encrypted", "has_dictionary",
                              "chunking", "codec", "images", "image_bytes", "packs", "pack_bytes",
                              "pack_disk_bytes", "chunks", "raw_bytes", "stored_bytes",
                              "index_bytes", "leases"}
        assert (stats["images"], stats["image_bytes"], stats["leases"]) == (1, MIB, 0)
        assert stats["stored_bytes"] >= MIB
        assert re.match(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", stats["uuid"])
        text = store.ok("stats").decode()
        assert "images    1, together 1.0 MiB\n" in text and stats["uuid"] in text


class TestNames:
    def test_tag(self, store):
        image_id = store.put("a", b"content")["id"]
        assert store.ok("tag", "a", "b") == b""
        assert store.json("tag", f"id:{image_id}", "c/d") == {"image": f"id:{image_id}",
                                                              "name": "c/d"}
        assert {image["id"] for image in store.json("ls")} == {image_id}
        refused(store.run("tag", "a", "b"), 1, "there is an image 'b' already; --force replaces it")
        store.put("e", b"other")
        store.ok("tag", "e", "b", "--force")
        assert store.get("b") == b"other"

    def test_rm(self, store):
        for name in "abc":
            store.put(name, b"content")
        assert store.ok("rm", "a") == b""
        result = store.run("rm", "--json", "no", "b", "neither", "c")
        assert json.loads(result.stdout) == {"removed": ["b", "c"]}
        assert result.returncode == 1
        assert result.stderr.decode().splitlines() == [
            "stellarium: no image 'no' in the store", "stellarium: no image 'neither' in the store"]
        assert store.names() == []


class TestGc:
    def test_gives_back_what_nothing_needs(self, store):
        store.put("kept", data(MIB))
        store.put("gone", data(8 * MIB, seed=2))
        store.ok("rm", "gone")
        dry = store.json("gc", "--dry-run")
        assert dry["is_dry_run"] and dry["dead_bytes"] >= 8 * MIB
        assert store.json("stats")["stored_bytes"] >= 9 * MIB
        done = store.json("gc")
        assert set(done) == {"is_dry_run", "seconds", "images", "live_chunks", "live_bytes",
                             "dead_chunks", "dead_bytes", "packs_removed", "packs_repacked",
                             "packs_kept", "packs_pinned", "moved_bytes", "freed_bytes",
                             "leftovers"}
        assert not done["is_dry_run"] and done["freed_bytes"] >= 8 * MIB
        assert store.json("stats")["stored_bytes"] < 2 * MIB
        assert store.get("kept") == data(MIB)

    def test_text(self, store):
        store.put("a", data(MIB))
        store.ok("rm", "a")
        assert store.ok("gc", "--quiet", "--dry-run") == b""
        assert b"would be given back" in store.ok("gc", "--dry-run")
        assert b" given back" in store.ok("gc", "--live-percent", "100", "--threads", "1")


class TestFsck:
    def test_a_good_store(self, store):
        store.put("a", data(MIB))
        for options in [[], ["--quick"], ["--repair"], ["--rebuild-index"], ["--threads", "1"]]:
            assert store.ok("fsck", *options).endswith(b"no problems\n")
            assert store.ok("fsck", "--quiet", *options) == b""
        found = store.json("fsck")
        assert set(found) == {"packs", "chunks", "bytes", "images", "damaged_images", "repaired",
                              "problems", "leftovers", "seconds"}
        assert (found["images"], found["damaged_images"], found["problems"]) == (1, 0, [])
        assert found["leftovers"] == []

    def test_what_dead_processes_left(self, store):
        store.put("a", data(MIB))
        names = ["roots/+tmp.b", "index/+tmp.data.mdb"]
        for name in names:
            (store.path / name).write_bytes(b"half")
        found = store.json("fsck")
        assert found["problems"] == [] and len(found["leftovers"]) == 2
        lines = store.ok("fsck").decode().splitlines()
        assert lines[-2:] == ["leftovers: 2", "no problems"]
        for text in found["leftovers"]:
            assert f"{text} (harmless)" in lines
        assert store.ok("fsck", "--quiet") == b""
        assert store.json("fsck", "--repair")["leftovers"] == []

    def test_a_flipped_bit(self, store):
        store.put("good", b"small")
        store.put("bad", data(MIB))
        pack = max((store.path / "packs").iterdir(), key=lambda path: path.stat().st_size)
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 4
        pack.chmod(0o600)
        pack.write_bytes(content)
        found = store.json("fsck", status=3)
        assert found["damaged_images"] == 1
        assert found["problems"] and set(found["problems"][0]) == {"text", "is_repaired"}
        result = store.run("fsck")
        assert result.returncode == 3
        assert b"damaged images: 1" in result.stdout
        assert store.get("good") == b"small"
        assert store.run("cat", "bad").returncode == 1

    def test_an_index_that_is_gone(self, store):
        store.put("a", data(MIB))
        (store.path / "index" / "data.mdb").unlink()
        assert store.run("cat", "a").returncode == 1
        store.run("fsck", "--rebuild-index")
        assert store.get("a") == data(MIB)
        assert store.ok("fsck").endswith(b"no problems\n")


def test_dictionary_train(store):
    words = [b"%d items of the kind that comes again and again\n" % i for i in range(200000)]
    store.put("text", b"".join(words), "--chunking", "fixed:4K", "--codec", "zstd")
    assert store.ok("dictionary", "train", "--quiet") == b""
    assert store.json("stats")["has_dictionary"]
    store.put("more", b"".join(reversed(words)), "--chunking", "fixed:4K", "--codec", "zstd")
    assert store.get("more") == b"".join(reversed(words))
    assert store.json("dictionary", "train", "--bytes", "4K")["changed"] == "dictionary"
    assert store.ok("fsck").endswith(b"no problems\n")


class TestBench:
    def test_hash_only(self):
        result = json.loads(run("bench", "--hash-only", "--json", "--bytes", "1M", "--threads", "2")
                            .stdout)
        assert [row["name"] for row in result["results"]] == ["BLAKE3, 1 thread",
                                                              "BLAKE3, 2 threads"]
        assert (result["data"], result["bytes"], result["threads"]) == ("made up", MIB, 2)
        assert all(row["bytes_per_s"] > 0 for row in result["results"])

    def test_all_of_it_on_a_file(self, image, tmp_path):
        (tmp_path / "there").mkdir()
        result = json.loads(run("bench", image, "--json", "--folder", tmp_path / "there").stdout)
        assert result["bytes"] == image.stat().st_size
        rows = {row["name"]: row for row in result["results"]}
        assert {"zero scan", "cutting fastcdc:64K", "lz4", "zstd:3", "import", "import again",
                "export", "random 4K reads, again", "random 4K reads of a file"} <= set(rows)
        assert rows["zstd:3"]["decode_bytes_per_s"] > 0 and rows["zstd:3"]["ratio"] > 1
        assert rows["random 4K reads, again"]["latency_us"] > 0
        assert not list((tmp_path / "there").iterdir())

    def test_text(self):
        text = run("bench", "--hash-only", "--bytes", "64K").stdout.decode()
        assert re.match(r"^data: made up, 64 KiB; \d+ threads\nBLAKE3, 1 thread +[\d.]+ .iB/s\n", text)


class TestForeign:
    def test_a_sealed_pack_in_a_plain_store_is_not_lost(self, store, tmp_path):
        """Its sums are of a key that this store does not have, so it looks like one that was torn."""
        key = tmp_path / "key"
        key.write_bytes(bytes(range(32)))
        sealed = Store(tmp_path / "sealed", "--encrypt", "--key-file", key)
        sealed.ok("import", "--name", "a", "-", "--key-file", key, stdin=data(KIB))
        store.put("mine", data(KIB))
        pack = next((sealed.path / "packs").iterdir())
        content = pack.read_bytes()
        (store.path / "packs" / pack.name).write_bytes(content)
        store.ok("gc")
        assert (store.path / "packs" / pack.name).read_bytes() == content
        store.run("fsck", "--repair", "--quiet")
        kept = [path for path in store.path.rglob(pack.name) if path.read_bytes() == content]
        assert len(kept) == 1
        assert store.get("mine") == data(KIB)
