# SPDX-License-Identifier: Apache-2.0
"""Stores written by version 1, and a reader and writer made from docs/format-store.md alone."""

import json
import pathlib
import tarfile

from golden import recipes

HERE = pathlib.Path(__file__).resolve().parent
KNOWN = json.loads((HERE / "golden.json").read_text())  # store -> image -> what is known of it


def unpack(store, folder):
    """A copy of the golden store in @folder: (its path, the options of its key)."""
    with tarfile.open(HERE / f"{store}.tar.xz") as tar:
        tar.extractall(folder)
    if store not in recipes.SECRETS:
        return folder / store, []
    option, content = recipes.SECRETS[store]
    (folder / "key").write_bytes(content)
    return folder / store, [option, folder / "key"]


def secret_of(store):
    """The arguments of reader.Store() that open it."""
    if store not in recipes.SECRETS:
        return {}
    option, content = recipes.SECRETS[store]
    if option == "--key-file":
        return {"key": content}
    return {"passphrase": content.removesuffix(b"\n")}
