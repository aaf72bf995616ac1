# SPDX-License-Identifier: Apache-2.0
"""The report of bench/stellar.py: medians, the goals with pass or fail, tables and plots."""
import collections
import os
import platform
import statistics
import subprocess

from stellar_stores import OURS, PEERS

MIB = 1 << 20
FASTCDC = "fastcdc:32K auto"  # the default of a new store
SETTINGS = """\
Settings: fastcdc:32K with the codec auto (zstd:3 where it shrinks) is what a new store has. restic
with a repository of version 2 and `--compression auto` (zstd), `--force`, a cache of its own; it
always encrypts and authenticates, the others do not. borg with `--encryption none`, `--compression
zstd,3`, `--files-cache disabled`. casync's index of a blob with chunks of 64 KiB and zstd, as it
comes. zstd+sha256 is a script: `sha256sum` gives the name, `zstd -3 -T0` the file. b3sum maps the
file, which is slow where the host shadows page tables; `cp` says what the copy alone takes.
Everything is on tmpfs if not said otherwise, so no disk is measured. MB/s are millions of bytes of
data (without holes) by second, from and to the page cache; CPU counts all processes and threads."""


def machine():
    """The machine in words."""
    model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                 if line.startswith("model name"))
    total = next(int(line.split()[1]) for line in open("/proc/meminfo", encoding="utf-8"))
    release = ".".join(platform.release().split(".")[:2])
    return (f"{model}, {len(os.sched_getaffinity(0))} cores, {round(total / (1 << 20))} GiB of "
            f"memory, Linux {release}")


def available_memory():
    with open("/proc/meminfo", encoding="utf-8") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if "MemAvailable" in line)


class Figures:
    """Medians of samples."""

    def __init__(self, result):
        self.facts = result["facts"]
        self.images = result["facts"]["images"]
        self.samples = collections.defaultdict(list)
        for sample in result["samples"]:
            key = (sample["experiment"], sample["store"], sample["action"], sample["image"])
            self.samples[key].append(sample)

    def median(self, key, value="seconds"):
        found = [sample[value] for sample in self.samples.get(key, ()) if value in sample]
        return statistics.median(found) if found else None

    def stores(self, experiment):
        names = {key[1] for key in self.samples if key[0] == experiment}
        return [name for name in [*OURS, *PEERS] if name in names]

    def total(self, experiment, store, action, value="seconds"):
        """Sum of the medians of all images that there are, and the bytes of data in them."""
        values = {key[3]: self.median(key, value) for key in self.samples
                  if key[:3] == (experiment, store, action)}
        return sum(values.values()), sum(self.images[image]["data"] for image in values)

    def hash_of_all_cores(self):
        """The store of the experiment "hash" that is BLAKE3 by as many threads as there were."""
        names = [key[1] for key in self.samples if key[0] == "hash" and "thread" in key[1]]
        return max(names, key=lambda name: int(name.split()[1]), default=None)

    def ratio(self, over, under, value="seconds"):
        """Median of the ratios in the same round."""
        pairs = zip(self.samples.get(over, ()), self.samples.get(under, ()))
        found = [top[value] / bottom[value] for top, bottom in pairs]
        return statistics.median(found) if found else None


def goal_rows(figures):
    """(goal, figure, whether it is met) for each goal that was measured."""
    def row(text, value, is_met):
        return text, value and f"{value:.2f}", value and is_met(value)

    for chunking in ("fixed:64K", "fixed:2M"):
        name = f"{chunking} none"
        # By b3sum, which reads the file as well, and by the store's own in memory that is there.
        for words, alone in (("b3sum of the same file", "b3sum"),
                             ("BLAKE3 in memory, all cores", figures.hash_of_all_cores())):
            yield row(f"import, {chunking}, no codec, ≥ 0.85 × the speed of {words}",
                      figures.ratio(("hash", alone, "hash", None), ("hash", name, "import", None)),
                      lambda value: value >= 0.85)
        yield row(f"importing it again, {chunking}, ≥ 3 × the speed of the first import",
                  figures.ratio(("hash", name, "import", None), ("hash", name, "again", None)),
                  lambda value: value >= 3)
    have_series = FASTCDC in figures.stores("series")
    for peer in ("restic", "borg"):
        ratio = None
        if have_series:
            ratio = (figures.total("series", peer, "import")[0] /
                     figures.total("series", FASTCDC, "import")[0])
        yield row(f"FastCDC import of the series ≥ 2 × the speed of {peer}", ratio,
                  lambda value: value >= 2)
        # Disks are mostly holes, which restic and borg read as zeros; kernels have none.
        ratios = [figures.ratio(("series", peer, "import", image),
                                ("series", FASTCDC, "import", image))
                  for image, facts in figures.images.items()
                  if have_series and facts["data"] > 0.99 * facts["bytes"]]
        yield row(f"FastCDC import of a file without holes ≥ 2 × the speed of {peer}, the worst",
                  min(ratios) if ratios else None, lambda value: value >= 2)
    again = list(figures.images)[min(1, len(figures.images) - 1)]
    yield row(f"{again} again, FastCDC, ≥ 3 × the speed of its first import",
              figures.ratio(("series", FASTCDC, "import", again),
                            ("series", FASTCDC, "again", again)), lambda value: value >= 3)
    for unit, words in (("allocated", "on the file system"), ("apparent", "lengths of all files")):
        ratio = None
        if have_series:
            last = list(figures.images)[-1]
            best = min(figures.median(("series", peer, "size", last), unit)
                       for peer in ("restic", "borg", "casync"))
            ratio = figures.median(("series", FASTCDC, "size", last), unit) / best
        yield row(f"stored size of the series, {words}, ≤ 1 × the best of restic, borg and casync",
                  ratio, lambda value: value <= 1)
    for chunking in ("fixed:64K", "fixed:2M"):
        yield row(f"random 4 KiB read of a raw chunk, {chunking}, ≤ 1 × `pread` of the image",
                  figures.ratio(("reads", f"{chunking} none", "then", None),
                                ("reads", "pread", "then", None), "nanoseconds"),
                  lambda value: value <= 1)
    yield row("publishing 64 MiB ≤ 2 × the time without waiting for the disk",
              figures.ratio(("publish", "fixed:64K none", "synced", None),
                            ("publish", "fixed:64K none", "unsynced", None)),
              lambda value: value <= 2)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" + " ---: |" * (len(head) - 1)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def number(value, digits=1):
    return "–" if value is None else f"{value:.{digits}f}"


def goals(figures):
    rows = [(text, value or "–", "not measured" if value is None else "met" if met else "NOT MET")
            for text, value, met in goal_rows(figures)]
    return ["## Goals", ""] + table(("goal", "figure", ""), rows)


def speeds(figures, experiment):
    """The table of throughput, processor time and memory."""
    rows = []
    for store in figures.stores(experiment):
        seconds, data = figures.total(experiment, store, "import")
        cpu = figures.total(experiment, store, "import", "cpu")[0]
        peaks = [sample["peak_kib"] for key, samples in figures.samples.items()
                 if key[:3] == (experiment, store, "import") for sample in samples]
        again, again_data = figures.total(experiment, store, "again")
        export, exported = figures.total(experiment, store, "export")
        export_cpu = figures.total(experiment, store, "export", "cpu")[0]
        rows.append((store, number(data / seconds / 1e6, 0), number(cpu / data * 1e9, 2),
                     number(max(peaks) / 1024, 0), number(again_data / again / 1e6, 0),
                     number(exported / export / 1e6, 0), number(export_cpu / exported * 1e9, 2)))
    head = ("store", "import MB/s", "CPU s/GB", "peak MiB", "again MB/s", "export MB/s", "CPU s/GB")
    return table(head, rows)


def each_image(figures):
    stores = figures.stores("series")
    rows = [(image, *(number(facts["data"] / figures.median(("series", store, "import", image)) /
                             1e6, 0) for store in stores))
            for image, facts in figures.images.items()]
    return table(("image", *stores), rows)


def sizes(figures):
    stores = figures.stores("series")
    rows, so_far = [], 0
    for image, facts in figures.images.items():
        so_far += facts["data"]
        rows.append((image, number(so_far / MIB, 0),
                     *(number(figures.median(("series", store, "size", image), "allocated") / MIB)
                       for store in stores)))
    last = list(figures.images)[-1]
    rows.append(("the last, apparent", "", *(number(figures.median(
        ("series", store, "size", last), "apparent") / MIB) for store in stores)))
    rows.append(("after gc", "", *(number(figures.median(
        ("series", store, "size-after-gc", None), "allocated") / MIB) for store in stores)))
    rows.append(("gc, seconds", "", *(number(figures.median(("series", store, "gc", None)), 2)
                                      for store in stores)))
    return table(("after", "data", *stores), rows)


def one_file(figures):
    rows = []
    for key in sorted(figures.samples, key=str):
        if key[0] in ("hash", "publish"):
            samples = figures.samples[key]
            seconds = figures.median(key)
            spread = [min(sample["seconds"] for sample in samples),
                      max(sample["seconds"] for sample in samples)]
            rows.append((f"{key[0]}: {key[1]}, {key[2]}", number(samples[0]["bytes"] / MIB, 0),
                         number(seconds, 3), f"{spread[0]:.3f}–{spread[1]:.3f}",
                         number(samples[0]["bytes"] / seconds / 1e6, 0),
                         number(figures.median(key, "peak_kib") / 1024, 0)))
        elif key[0] == "reads":
            rows.append((f"random 4 KiB reads: {key[1]}, {key[2]}", "",
                         f"{figures.median(key, 'nanoseconds'):.0f} ns", "", "", ""))
    return table(("", "MiB", "seconds", "from–to", "MB/s", "peak MiB"), rows)


def images(figures):
    return table(("image", "MiB", "data"), [
        (name, number(facts["bytes"] / MIB, 0), number(facts["data"] / MIB, 0))
        for name, facts in figures.images.items()])


def gnuplot(script):
    subprocess.run(["gnuplot"], input=script.encode(), check=True)


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("_", "\\\\_") + '"'


def plot_sizes(figures, path):
    # Encrypted ones and auto lie on the curves of the others.
    stores = [store for store in figures.stores("series")
              if not store.endswith(("encrypted", "auto"))]
    lines = []
    for at, (image, _) in enumerate(figures.images.items()):
        values = [figures.median(("series", store, "size", image), "allocated") / MIB
                  for store in stores]
        lines.append(" ".join([str(at), quoted(image), *map(str, values)]))
    curves = ", ".join(f"$data using 1:{at + 3}:xtic(2) with linespoints lw 2 "
                       f"pt {at + 4} title {quoted(store)}"
                       for at, store in enumerate(stores))
    gnuplot("$data << EOD\n" + "\n".join(lines) + f"""
EOD
set terminal svg size 900,480 dynamic background "white"
set output "{path}"
set key left top
set grid y
set yrange [0:*]
set xrange [-0.3:{len(lines) - 0.7}]
set xtics rotate by 25 right
set lmargin 12
set bmargin 8
set ylabel "MiB on the file system"
set title "Stored after each further image"
plot {curves}
""")


def plot_speeds(figures, path):
    lines = []
    for store in figures.stores("series"):
        values = []
        for action in ("import", "again", "export"):
            seconds, data = figures.total("series", store, action)
            values.append(data / seconds / 1e6)
        lines.append(" ".join([quoted(store), *map(str, values)]))
    gnuplot("$data << EOD\n" + "\n".join(lines) + f"""
EOD
set terminal svg size 900,480 dynamic background "white"
set output "{path}"
set style data histogram
set style histogram cluster gap 1
set style fill solid 0.8 border -1
set key right top
set grid y
set logscale y
set yrange [5:*]
set xtics rotate by 25 right
set lmargin 14
set bmargin 8
set ylabel "MB/s of data"
set title "Throughput, page cache to page cache"
plot $data using 2:xtic(1) title "import", "" using 3 title "the same again", \\
     "" using 4 title "export"
""")


def load(facts):
    """How busy the machine was with other things: one without them has a load of about 1 before."""
    loads = [f"{facts[key]:.1f}" for key in ("load before", "load after") if key in facts]
    return f"the load average was {' before and '.join(loads)} after"


def text(figures, prefix):
    facts = figures.facts
    lines = ["# The store's figures", "",
             "Written by `make bench-stellar`, which says what each experiment does "
             "(`tools/bench-stellar --help`).", "",
             f"Machine: {facts['machine']}. Medians of {facts['rounds']} round(s), interleaved in "
             f"random order; {load(facts)}." + (" A quick run." if facts["quick"] else ""), "",
             "Peers: " + ", ".join(facts["versions"].values()) + ".", "", SETTINGS, ""]
    lines += goals(figures)
    if figures.stores("series"):
        lines += ["## Speed", "", f"![Throughput]({prefix}-speed.svg)", ""]
        lines += speeds(figures, "series")
        lines += ["Import of each image, MB/s of data:", ""] + each_image(figures)
        lines += ["## Size", "", f"![Stored size]({prefix}-size.svg)", "",
                  "MiB on the file system after each further image:", ""] + sizes(figures)
    if figures.stores("disk"):
        lines += ["## On a disk", "", "One round, each command until the disk has everything:", ""]
        lines += speeds(figures, "disk")
    lines += ["## One file", ""] + one_file(figures)
    return "\n".join(lines + ["## Images", ""] + images(figures))


def write(result, path):
    """The report to @path with its plots beside it; the goals to standard output."""
    figures = Figures(result)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(figures, path.stem), encoding="utf-8")
        if figures.stores("series"):
            plot_sizes(figures, path.with_name(f"{path.stem}-size.svg"))
            plot_speeds(figures, path.with_name(f"{path.stem}-speed.svg"))
    print("\n".join(speeds(figures, "series") if figures.stores("series") else []))
    print("\n".join(goals(figures)), flush=True)
