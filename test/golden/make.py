# SPDX-License-Identifier: Apache-2.0
"""Makes the golden stores anew, by hand:

    python3 test/golden/make.py build/stellarium/stellarium [STORE...]

writes STORE.tar.xz and what is known of the images to golden.json beside this file. The files that
are there were written by version 1 and must be readable for ever: a later version adds its own.
(tiny.tar.xz was made by the two commands in docs/format-store.md.)
"""

import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from golden import recipes



def make(program, store, folder):
    """Makes the store @store in @folder and returns what is known of its images."""
    init, first, second = recipes.STORES[store]
    path, key = folder / store, []
    if store in recipes.SECRETS:
        option, content = recipes.SECRETS[store]
        (folder / "key").write_bytes(content)
        key = [option, str(folder / "key")]

    def run(*args, content=b""):
        command = [program, "--store", str(path), *key, *args]
        return subprocess.run(command, input=content, check=True, stdout=subprocess.PIPE).stdout

    def put(recipe):
        run("import", "--name", recipe.name, *recipe.options, "-", content=recipe.content)

    run("init", *(["--encrypt"] if key else []), *init)
    for recipe in first:
        put(recipe)
    if second:
        run("dictionary", "train", "--bytes", str(recipes.DICTIONARY_BYTES))
    for recipe in second:
        put(recipe)
    known = {}
    for recipe in first + second:
        shown = json.loads(run("show", "--json", recipe.name))
        known[recipe.name] = {
            "bytes": len(recipe.content),
            "sha256": hashlib.sha256(recipe.content).hexdigest(),
            "id": shown["id"],
        }
    return known


def pack(folder, target):
    """A small archive that depends on the files alone; without LMDB's table of readers."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz", preset=9) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            if path.name == "lock.mdb":
                continue
            info = tar.gettarinfo(path, str(path.relative_to(folder.parent)))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            with open(path, "rb") if path.is_file() else io.BytesIO() as f:
                tar.addfile(info, f)
    target.write_bytes(data.getvalue())


def main():
    if len(sys.argv) < 2 or any(s not in recipes.STORES for s in sys.argv[2:]):
        sys.exit(__doc__)
    known_path = HERE / "golden.json"
    known = json.loads(known_path.read_text()) if known_path.exists() else {}
    for store in sys.argv[2:] or recipes.STORES:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            known[store] = make(sys.argv[1], store, folder)
            pack(folder / store, HERE / f"{store}.tar.xz")
    known_path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
