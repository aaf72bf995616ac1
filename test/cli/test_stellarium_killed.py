# SPDX-License-Identifier: Apache-2.0
"""An import of 2 GiB that is killed at 50 points: nothing of it shows, and repeated it is the same."""
import random
import shutil
import subprocess
import tempfile
import time

import pytest

from support import stellar, vmm

IMAGE_BYTES = 2 << 30
PIECE_BYTES = 8 << 20
PIECES = 40  # the rest are holes
POINTS = 50


@pytest.fixture(name="folder")
def fixture_folder():
    """On tmpfs where there is one: what is killed here is the process, not the host."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if vmm.pathlib.Path("/dev/shm").is_dir()
                                     else None) as path:
        if shutil.disk_usage(path).free < 2 << 30:
            pytest.skip("needs 2 GiB in memory")
        yield vmm.pathlib.Path(path)


@pytest.fixture(name="image")
def fixture_image(folder):
    chance = random.Random(7)
    places = chance.sample(range(IMAGE_BYTES // PIECE_BYTES), PIECES)
    path = folder / "image"
    with open(path, "wb") as file:
        file.truncate(IMAGE_BYTES)
        for number, place in enumerate(places):
            file.seek(place * PIECE_BYTES)
            file.write(stellar.data(PIECE_BYTES, number) if number % 2 else
                       b"the same again and again %03d\n" % number * (PIECE_BYTES // 29))
    return path


def test_fifty_points(folder, image):
    whole = stellar.Store(folder / "whole")
    begin = time.monotonic()
    expected = whole.json("import", "--name", "image", image)
    seconds = time.monotonic() - begin
    killed = stellar.Store(folder / "killed")
    chance = random.Random(11)
    ended = 0
    for point in range(POINTS):
        process = stellar.start("--store", killed.path, "import", "--name", "image", image)
        try:
            process.wait(seconds * (point + chance.random()) / POINTS)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        names = killed.names()
        assert process.returncode in (0, -9) and names in ([], ["image"])
        if names:  # it was named before it was killed, or quicker: once more from nothing
            ended += 1
            killed.ok("rm", "image")
            killed.ok("gc")
        else:
            assert process.returncode == -9
    assert ended < POINTS // 2
    again = killed.json("import", "--name", "image", image)
    assert again["id"] == expected["id"]
    killed.ok("gc")
    killed.ok("fsck", "--quiet")
    sizes = [store.json("stats")["stored_bytes"] for store in (whole, killed)]
    assert sizes[0] == sizes[1]
    killed.ok("export", "--quiet", "image", folder / "copy")
    subprocess.run(["cmp", image, folder / "copy"], check=True)
    assert not list((killed.path / "leases").iterdir())
