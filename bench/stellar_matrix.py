# SPDX-License-Identifier: Apache-2.0
"""Chooses the default chunking for disks by measurement: bench/stellar.py --matrix.

Each chunking with each codec takes the disks of the series and gives the last one back. The first
read of 4 KiB from a chunk has to read, check and, when it is compressed, decode all of it; the
report says how many times 4 KiB that is on average, before and after compression.
"""

import stellar_report
from stellar_stores import Runner, Stellarium

CHUNKINGS = ("fixed:4K", "fixed:16K", "fixed:32K", "fixed:64K", "fixed:128K", "fixed:256K",
             "fixed:1M", "fixed:2M", "fastcdc:16K", "fastcdc:32K", "fastcdc:64K", "fastcdc:128K")
CODECS = ("none", "lz4", "zstd:3", "auto")
QUICK_CODECS = ("auto",)
PAGE = 4096


def is_disk(name):
    return not name.startswith(("kernel-", "memory-"))


def measure(bench):
    if not bench.has_ours:
        raise RuntimeError(f"no program at {bench.program}")
    disks = {name: path for name, path in bench.images.items() if is_disk(name)}
    runner = Runner(bench.build, bench.memory)
    codecs = QUICK_CODECS if bench.args.quick else CODECS
    for number in range(bench.rounds):
        for chunking, codec in bench.shuffled([(chunking, codec) for chunking in CHUNKINGS
                                               for codec in codecs]):
            name = f"{chunking} {codec}"
            store = Stellarium(runner, bench.memory / "stores" / "matrix", bench.program, chunking,
                               codec)
            for image, path in disks.items():
                bench.add("matrix", number, name, "import", image, **store.take(image, path))
            last = list(disks)[-1]
            done, exported = store.export(last)
            bench.add("matrix", number, name, "export", last, **done)
            bench.check(name, last, exported)
            bench.add_sizes("matrix", number, name, "size", None, store)
            shown = store.show(last)
            bench.add("matrix", number, name, "show", last, chunks=shown["distinct_chunks"],
                      raw=shown["raw_bytes"], stored=shown["stored_bytes"])
            store.close()


def rows(figures):
    for name in sorted({key[1] for key in figures.samples}, key=sort_key):
        imported, data = figures.total("matrix", name, "import")
        exported, back = figures.total("matrix", name, "export")
        cpu = figures.total("matrix", name, "import", "cpu")[0]
        size = figures.median(("matrix", name, "size", None), "allocated")
        shown = next(samples[0] for key, samples in figures.samples.items()
                     if key[1:3] == (name, "show"))
        amplified = [shown[what] / shown["chunks"] / PAGE for what in ("raw", "stored")]
        yield (*name.split(), f"{size / stellar_report.MIB:.1f}", f"{data / imported / 1e6:.0f}",
               f"{cpu / data * 1e9:.2f}", f"{back / exported / 1e6:.0f}",
               *(f"{value:.1f}" for value in amplified))


def sort_key(name):
    chunking, codec = name.split()
    return CODECS.index(codec), CHUNKINGS.index(chunking)


def write(result, path):
    """The table to @path and to standard output."""
    figures = stellar_report.Figures(result)
    head = ("chunking", "codec", "MiB stored", "import MB/s", "CPU s/GB", "export MB/s",
            "first read ×", "of that stored ×")
    lines = stellar_report.table(head, rows(figures))
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["# Chunkings and codecs for disks", "",
                                   "Written by `tools/bench-stellar --matrix`: the disks of the "
                                   "series, base, packages, upgraded and rebuilt, in one store.",
                                   "", f"Machine: {result['facts']['machine']}; "
                                   f"{stellar_report.load(result['facts'])}.", "", *lines]),
                        encoding="utf-8")
    print("\n".join(lines))
