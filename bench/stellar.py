#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The store against restic, borg, casync and copies with zstd and SHA-256, on the same images.

Usage: bench/stellar.py [--build DIR] [--rounds N] [--quick] [--matrix] [--only EXPERIMENT]...
                        [--memory DIR] [--disk DIR] [--seed N] [--report FILE] NAME=PATH...

The images, in the order of the series, are those of tools/stellar-data; tools/bench-stellar gives
them. In each round every store takes the next image before any takes the one after it, in an order
drawn anew each time, so that all meet the same noise; what counts are medians of the rounds. All
raw values go to BUILD/bench-stellar.json, the report to --report (docs/bench/stellar.md), with its
plots next to it.

series   a store for each tool on tmpfs takes the series, then one image again; gives three images
         back, which are compared; loses every second image and collects
disk     the same once on a disk, each command up to the moment when the disk has it all
hash     a dense file (no zeros) through BLAKE3 alone and into stores with fixed chunks as they are
reads    random 4 KiB reads of that file: pread of it, and of a volume whose chunks are as they are
publish  64 MiB into a store on the disk, with and without waiting for it

STELLARIUM names the program (BUILD/stellarium/stellarium); without one, only the others are measured.
"""
import argparse
import filecmp
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import stellar_matrix
import stellar_report
from stellar_stores import OURS, PEERS, Runner, Stellarium, new_store, program_path, versions

EXPERIMENTS = ("series", "disk", "hash", "reads", "publish")
AGAIN = "again"
DENSE_BYTES = 1 << 30
QUICK_DENSE_BYTES = 256 << 20
PUBLISH_BYTES = 64 << 20
PUBLISH_ROUNDS = 3  # for each round of the others: a disk is noisier than memory
READS = 200000
PAGE = 4096
FIXED = ("fixed:64K", "fixed:2M")
# Memory needed for each byte of data in the series: the series and what the stores keep of it.
ROOM = 4


def data_bytes(path):
    """Bytes of @path that are not holes."""
    total = position = 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        while position < size:
            try:
                begin = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:
                break
            position = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            total += position - begin
    return total


class Bench:
    def __init__(self, args):
        self.args = args
        self.rounds = args.rounds
        self.random = random.Random(args.seed)
        self.build = pathlib.Path(args.build).resolve()
        self.program = program_path(self.build)
        self.has_ours = self.program.exists()
        self.memory = pathlib.Path(args.memory) / f"bench-stellar.{os.getpid()}"
        self.disk = pathlib.Path(args.disk or self.build).resolve() / f"bench-stellar.{os.getpid()}"
        self.samples = []
        self.images = {}
        self.facts = {"versions": versions(), "machine": stellar_report.machine(),
                      "seed": args.seed, "rounds": args.rounds, "quick": args.quick}

    def say(self, text):
        print(f"bench-stellar: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def load(self):
        """Copies the images to memory, so that no reading is measured."""
        paths = dict(pair.split("=", 1) for pair in self.args.image)
        needed = sum(data_bytes(path) for path in paths.values()) * ROOM
        free = shutil.disk_usage(self.memory.parent).free
        available = stellar_report.available_memory()
        if needed > min(free, available):
            self.say(f"WARNING: about {needed >> 20} MiB of memory are needed, "
                     f"{min(free, available) >> 20} MiB are there")
        folder = self.memory / "images"
        folder.mkdir(parents=True)
        for name, path in paths.items():
            subprocess.run(["cp", "--sparse=always", path, folder / name], check=True)
            self.images[name] = folder / name
        self.facts["images"] = {name: {"bytes": path.stat().st_size, "data": data_bytes(path)}
                                for name, path in self.images.items()}

    def add(self, experiment, number, store, action, image=None, **values):
        values.pop("output", None)
        self.samples.append({"experiment": experiment, "round": number, "store": store,
                             "action": action, "image": image, **values})
        if "seconds" in values:
            self.say(f"{experiment} {number + 1}: {store}: {action} {image or ''} "
                     f"{values['seconds']:.2f} s")

    def shuffled(self, items):
        return self.random.sample(list(items), len(items))

    def store_names(self):
        return [*PEERS, *(OURS if self.has_ours else ())]

    def removed(self):
        return list(self.images)[::2]

    def exported(self):
        """One image of each kind, as far as there are: the largest disk, a kernel, memory."""
        kinds = {}
        for name in self.images:
            kinds[name.split("-")[0] if "-" in name else "disk"] = name
        return kinds.values()

    # --- series -----------------------------------------------------------------------------------

    def series(self, experiment="series", place=None, rounds=None, options=()):
        place = place or self.memory
        for number in range(rounds or self.rounds):
            runner = Runner(self.build, place)
            folder = place / "stores"
            stores = {name: new_store(name, runner, folder / name.replace(" ", "_"), self.program)
                      for name in self.shuffled(self.store_names())}
            for store in stores.values():
                store.options = options
            self.fill(experiment, number, stores)
            self.give_back(experiment, number, stores)
            self.shrink(experiment, number, stores)
            for store in stores.values():
                store.close()

    def fill(self, experiment, number, stores):
        for image, path in self.images.items():
            for name in self.shuffled(stores):
                self.add(experiment, number, name, "import", image,
                         **stores[name].take(image, path))
                self.add_sizes(experiment, number, name, "size", image, stores[name])
        image = list(self.images)[min(1, len(self.images) - 1)]
        for name in self.shuffled(stores):
            self.add(experiment, number, name, "again", image,
                     **stores[name].take(AGAIN, self.images[image]))

    def add_sizes(self, experiment, number, name, action, image, store):
        allocated, apparent = store.sizes()
        self.add(experiment, number, name, action, image, allocated=allocated, apparent=apparent)

    def check(self, name, image, path):
        if not filecmp.cmp(path, self.images[image], shallow=False):
            raise RuntimeError(f"{name} has given back another {image}")

    def give_back(self, experiment, number, stores):
        for image in self.exported():
            for name in self.shuffled(stores):
                done, path = stores[name].export(image)
                self.add(experiment, number, name, "export", image, **done)
                self.check(name, image, path)
                path.unlink()

    def shrink(self, experiment, number, stores):
        left = [image for image in self.images if image not in self.removed()]
        for name in self.shuffled(stores):
            stores[name].remove(self.removed() + [AGAIN])
            self.add(experiment, number, name, "gc", **stores[name].collect())
            self.add_sizes(experiment, number, name, "size-after-gc", None, stores[name])
            if left:
                path = stores[name].export(left[-1])[1]
                self.check(name, left[-1], path)
                path.unlink()

    def on_disk(self):
        self.disk.mkdir(parents=True)
        try:
            self.series("disk", self.disk, 1, ("--sync", str(self.disk)))
        finally:
            shutil.rmtree(self.disk)

    # --- one file ---------------------------------------------------------------------------------

    def dense(self):
        """A file without a page of zeros, from all images but the first."""
        path = self.memory / "dense"
        limit = QUICK_DENSE_BYTES if self.args.quick else DENSE_BYTES
        if path.exists():
            return path
        zeros = bytes(PAGE)
        with open(path, "wb") as output:
            for image in list(self.images.values())[1:]:
                with open(image, "rb") as file:
                    while output.tell() < limit and (page := file.read(PAGE)):
                        if page != zeros:
                            output.write(page)
        return path

    def hash(self):
        dense = self.dense()
        runner = Runner(self.build, self.memory)
        cores = len(os.sched_getaffinity(0))
        size = dense.stat().st_size
        commands = {"b3sum": ["b3sum", f"--num-threads={cores}", dense],
                    "cp": ["cp", dense, self.memory / "copied"]}
        ours = {f"{chunking} none": chunking for chunking in FIXED}
        for number in range(self.rounds * 2 + 1):
            for name in self.shuffled([*commands, *(ours if self.has_ours else ())]):
                if name in commands:
                    self.add("hash", number, name, "hash", bytes=size,
                             **runner.run(commands[name]))
                    (self.memory / "copied").unlink(missing_ok=True)
                    continue
                store = Stellarium(runner, self.memory / "stores" / "hash", self.program,
                                   ours[name], "none")
                self.add("hash", number, name, "import", bytes=size, **store.take("a", dense))
                self.add("hash", number, name, "again", bytes=size, **store.take("b", dense))
                store.close()
            if self.has_ours:
                self.hash_only(number, runner, dense, size)

    def hash_only(self, number, runner, dense, size):
        """BLAKE3 as the store calls it, in memory that is there already: no file is read."""
        done = runner.run([self.program, "bench", "--hash-only", "--json", "--bytes", str(size),
                           "--chunking", FIXED[0], dense])
        for row in json.loads(done["output"])["results"]:
            self.add("hash", number, row["name"], "hash", bytes=size,
                     seconds=size / row["bytes_per_s"], peak_kib=done["peak_kib"])

    def reads(self):
        program = str(self.build / "bench" / "stellar-read")
        readers = {"pread": []}
        stores = []
        for chunking in FIXED if self.has_ours else ():
            stores.append(Stellarium(Runner(self.build, self.memory), self.memory / "stores" /
                                     chunking, self.program, chunking, "none"))
            stores[-1].take("dense", self.dense())
            readers[f"{chunking} none"] = [stores[-1].data, "dense"]
        for number in range(self.rounds * 2 + 1):
            sums = set()
            for name in self.shuffled(readers):
                done = subprocess.run([program, self.dense(), str(READS), str(number),
                                       *readers[name]], check=True, stdout=subprocess.PIPE)
                first, then, total = done.stdout.split()
                self.add("reads", number, name, "first", nanoseconds=float(first))
                self.add("reads", number, name, "then", nanoseconds=float(then))
                sums.add(total)
            if len(sums) > 1:
                raise RuntimeError("not all have read the same bytes")
        for store in stores:
            store.close()

    def publish(self):
        self.disk.mkdir(parents=True)
        batch = self.memory / "batch"
        with open(self.dense(), "rb") as file:
            batch.write_bytes(file.read(PUBLISH_BYTES))
        try:
            runner = Runner(self.build, self.memory)
            for number in range(self.rounds * PUBLISH_ROUNDS):
                for name in self.shuffled(["dd", *(["fixed:64K none"] * self.has_ours)]):
                    self.publish_one(number, name, runner, batch)
        finally:
            shutil.rmtree(self.disk)

    def publish_one(self, number, name, runner, batch):
        for action in self.shuffled(["synced", "unsynced"]):
            options = ("--no-sync",) if action == "unsynced" else ()
            if name == "dd":
                done = runner.run(["dd", f"if={batch}", f"of={self.disk}/dd", "bs=1M",
                                   "conv=fdatasync"], options=options)
                (self.disk / "dd").unlink()
            else:
                store = Stellarium(runner, self.disk / "store", self.program, "fixed:64K", "none")
                store.options = options
                done = store.take("a", batch)
                store.close()
            os.sync()  # what was left is not to disturb the next one
            self.add("publish", number, name, action, bytes=PUBLISH_BYTES, **done)

    def save(self):
        """All raw values so far, as {"facts", "samples"} and to a file."""
        path = self.build / f"bench-stellar{'-matrix' if self.args.matrix else ''}.json"
        result = {"facts": self.facts, "samples": self.samples}
        path.write_text(json.dumps(result, indent=1))
        self.say(f"all raw values are in {path}")
        return result

    def run(self):
        steps = {"series": self.series, "disk": self.on_disk, "hash": self.hash,
                 "reads": self.reads, "publish": self.publish}
        self.facts["load before"] = os.getloadavg()[0]
        self.memory.mkdir(parents=True)
        try:
            self.load()
            if self.args.matrix:
                stellar_matrix.measure(self)
            else:
                for name in self.args.only or EXPERIMENTS:
                    steps[name]()
                    self.save()
            self.facts["load after"] = os.getloadavg()[0]
        finally:
            shutil.rmtree(self.memory)


def parse():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("image", nargs="+")
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--matrix", action="store_true")
    parser.add_argument("--only", action="append", choices=EXPERIMENTS)
    parser.add_argument("--memory", default="/dev/shm")
    parser.add_argument("--disk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)
    if args.quick and not args.only:
        args.only = [name for name in EXPERIMENTS if name != "disk"]
    return args


def main():
    args = parse()
    bench = Bench(args)
    bench.run()
    result = bench.save()
    write = stellar_matrix.write if args.matrix else stellar_report.write
    write(result, args.report and pathlib.Path(args.report))


if __name__ == "__main__":
    main()
