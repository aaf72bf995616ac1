# SPDX-License-Identifier: Apache-2.0
"""The stores that bench/stellar.py compares: how each one imports, exports, removes and collects.

Every store lives below a folder of its own, caches included, and gives commands to run; Runner
runs one and tells its time, processor time and peak of memory. Settings are chosen to be alike:
zstd at its usual level (restic's "auto" is that; casync's default too), nothing encrypted where
that can be turned off (restic always encrypts), files always read again instead of trusted by
their time of change.
"""
import json
import os
import pathlib
import shutil
import subprocess


class Runner:
    """Runs commands by stellar-run in an environment of their own."""

    def __init__(self, build, folder):
        self.measure = str(build / "bench" / "stellar-run")
        self.result = folder / "result"
        self.log = folder / "log"

    def run(self, command, *, env=None, cwd=None, options=()):
        """{"seconds", "cpu", "peak_kib", "output"} of @command, which must succeed."""
        line = [self.measure, *options, str(self.result), *map(str, command)]
        with open(self.log, "wb") as log:
            done = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=log, env=os.environ | (env or {}), cwd=cwd, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(line[2:])}: status {done.returncode}: "
                               f"{self.log.read_text(errors='replace')[-2000:]}")
        return json.loads(self.result.read_text()) | {"output": done.stdout}


def disk_usage(*folders):
    """(allocated, apparent) bytes of all files below @folders."""
    files = [path.lstat() for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sum(stat.st_blocks * 512 for stat in files), sum(stat.st_size for stat in files)


class Store:
    """What all have: self.data is measured, the rest of self.folder is not."""

    def __init__(self, runner, folder):
        self.runner = runner
        self.folder = folder
        self.data = folder / "store"
        self.env = {}
        self.options = ()
        folder.mkdir(parents=True)

    def run(self, *command, **keywords):
        return self.runner.run(command, env=self.env, options=self.options, **keywords)

    def sizes(self):
        return disk_usage(self.data)

    def close(self):
        shutil.rmtree(self.folder)

    def target(self):
        path = self.folder / "exported"
        path.unlink(missing_ok=True)
        return path


class Stellarium(Store):
    def __init__(self, runner, folder, program, chunking, codec, is_encrypted=False):
        super().__init__(runner, folder)
        self.command = [program, "--store", self.data]
        if is_encrypted:
            key = folder / "key"
            key.write_bytes(os.urandom(32))
            self.command += ["--key-file", key]
        self.run(*self.command, "init", "--chunking", chunking, "--codec", codec,
                 *["--encrypt"] * is_encrypted)

    def take(self, name, path):
        return self.run(*self.command, "import", "--name", name, "--json", path)

    def export(self, name):
        target = self.target()
        return self.run(*self.command, "export", name, target), target

    def remove(self, names):
        self.run(*self.command, "rm", *names)

    def collect(self):
        return self.run(*self.command, "gc", "--json", "--live-percent", "100")

    def show(self, name):
        return json.loads(self.run(*self.command, "show", "--json", name)["output"])


class Restic(Store):
    def __init__(self, runner, folder):
        super().__init__(runner, folder)
        self.env = {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(self.data),
                    "RESTIC_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder)}
        self.snapshots = {}
        self.run("restic", "init", "--quiet", "--repository-version", "2")

    def take(self, name, path):
        done = self.run("restic", "backup", "--json", "--force", "--host", "bench",
                        "--compression", "auto", path)
        summary = json.loads(done["output"].splitlines()[-1])
        self.snapshots[name] = summary["snapshot_id"]
        return done

    def export(self, name):
        self.target()
        done = self.run("restic", "restore", "--quiet", "--target", self.folder / "restored",
                        self.snapshots[name])
        found = next(path for path in (self.folder / "restored").rglob("*") if path.is_file())
        target = self.target()
        found.rename(target)
        shutil.rmtree(self.folder / "restored")
        return done, target

    def remove(self, names):
        self.run("restic", "forget", "--quiet", *[self.snapshots.pop(name) for name in names])

    def collect(self):
        return self.run("restic", "prune", "--quiet", "--max-unused", "0")


class Borg(Store):
    def __init__(self, runner, folder):
        super().__init__(runner, folder)
        self.env = {"BORG_REPO": str(self.data), "BORG_BASE_DIR": str(folder),
                    "TMPDIR": str(folder),
                    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        self.run("borg", "init", "--encryption", "none")

    def take(self, name, path):
        return self.run("borg", "create", "--compression", "zstd,3", "--files-cache", "disabled",
                        f"::{name}", path)

    def export(self, name):
        self.target()
        restored = self.folder / "restored"
        restored.mkdir()
        done = self.run("borg", "extract", "--sparse", f"::{name}", cwd=restored)
        target = self.target()
        next(path for path in restored.rglob("*") if path.is_file()).rename(target)
        shutil.rmtree(restored)
        return done, target

    def remove(self, names):
        self.run("borg", "delete", "::", *names)

    def collect(self):
        return self.run("borg", "compact", "--threshold", "0")


class Casync(Store):
    def __init__(self, runner, folder):
        super().__init__(runner, folder)
        self.env = {"TMPDIR": str(folder)}
        self.chunks = self.data / "chunks.castr"
        self.chunks.mkdir(parents=True)

    def index(self, name):
        return self.data / f"{name}.caibx"

    def take(self, name, path):
        return self.run("casync", "make", "--store", self.chunks, self.index(name), path)

    def export(self, name):
        target = self.target()
        return self.run("casync", "extract", "--store", self.chunks, self.index(name),
                        target), target

    def remove(self, names):
        for name in names:
            self.index(name).unlink()

    def collect(self):
        return self.run("casync", "gc", "--store", self.chunks, *self.data.glob("*.caibx"))


class Copies(Store):
    """What one has without a store: SHA-256 for identity, zstd for size."""

    TAKE = ('sum=$(sha256sum <"$2") && to=${sum%% *}.zst && cd "$1" && '
            '{ [ -e "$to" ] || zstd -q -3 -T0 -o "$to" "$2"; } && ln -f "$to" "$3"')

    def __init__(self, runner, folder):
        super().__init__(runner, folder)
        self.data.mkdir()

    def take(self, name, path):
        return self.run("sh", "-c", self.TAKE, "copy", self.data, path, f"by-name-{name}")

    def export(self, name):
        target = self.target()
        return self.run("zstd", "-q", "-d", "-o", target, self.data / f"by-name-{name}"), target

    def remove(self, names):
        for name in names:
            (self.data / f"by-name-{name}").unlink()

    def collect(self):
        return self.run("find", self.data, "-type", "f", "-links", "1", "-delete")

    def sizes(self):
        """Each file counts once, whatever names it has."""
        files = {path.stat().st_ino: path.stat() for path in self.data.iterdir()}.values()
        return sum(file.st_blocks * 512 for file in files), sum(file.st_size for file in files)


PEERS = {"restic": Restic, "borg": Borg, "casync": Casync, "zstd+sha256": Copies}
# name: (chunking, codec, is_encrypted)
OURS = {
    "fastcdc:32K auto": ("fastcdc:32K", "auto", False),  # what a new store has
    "fastcdc:32K auto encrypted": ("fastcdc:32K", "auto", True),
    "fixed:64K zstd:3": ("fixed:64K", "zstd:3", False),
    "fixed:64K auto": ("fixed:64K", "auto", False),
}


def new_store(name, runner, folder, program):
    if name in PEERS:
        return PEERS[name](runner, folder)
    return Stellarium(runner, folder, program, *OURS[name])


def versions():
    """A line about each peer."""
    found = {}
    for name, command in {"restic": ["restic", "version"], "borg": ["borg", "--version"],
                          "casync": ["casync", "--version"], "zstd": ["zstd", "--version"],
                          "b3sum": ["b3sum", "--version"]}.items():
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
        found[name] = text.splitlines()[0].strip("* ")
    return found


def program_path(build):
    usual = build / "stellarium" / "stellarium"
    return pathlib.Path(os.environ.get("STELLARIUM", usual)).resolve()
