#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disks of volt-vmm against those of QEMU's microvm machine: the same file, kernel and fio jobs.

Usage: bench/block.py --vmm FILE --kernel FILE --initrd FILE [--rounds N] [--backing tmpfs|disk]
                      [--only NAME]... [--volt-drive OPTIONS] [--timeline JOB] [--json FILE]

Runs where /dev/kvm is true, as root (tools/bench-block does it in the lab, whose clock counts
instructions and which has one processor, so all work for a request adds up). The initramfs must
have fio, see tools/guest-fio. The variants are interleaved, what is printed are medians.

backing    tmpfs: a file in the host's memory, through the page cache. disk: a file on ext4 on a
           loop device, around the page cache. QEMU has an iothread and aio=io_uring in both.
latency    fio's median from submission to completion, in microseconds
u-exits    exits to user space by request: the kernel's own count by the event kvm_userspace_exit
exits      all exits by request (kvm_exit)
irqs       interrupts of the disk by request, as the guest has counted them
A first round, which is not timed, counts; what fio costs with one request is subtracted.
"""
import argparse
import base64
import collections
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time

from common import TRACING, Trace

MEMORY_MIB = 256
DISK_MIB = 64
STALL_S = 8
BOOT_STALL_S = 60  # programs are read from a slow file system
ATTEMPTS = 12
RTC = pathlib.Path("/sys/class/rtc/rtc0/since_epoch")
LOOP = "stty -echo -onlcr; echo %%ready; while IFS= read -r l; do eval \"$l\"; echo %%end $?; done"
FIO = ("/fio/ld-linux-x86-64.so.2 --library-path /fio /fio/fio --name=job --filename=/dev/vda "
       "--direct=1 --ioengine=libaio --thread --norandommap --randrepeat=1 --invalidate=0 "
       "--lat_percentiles=1 --clat_percentiles=0 --output-format=json --output=/tmp/out")
JOBS = {
    "4k randread qd1": ("randread", "4k", 1, 1000),
    "4k randwrite qd1": ("randwrite", "4k", 1, 1000),
    "4k randread qd32": ("randread", "4k", 32, 4000),
    "4k randwrite qd32": ("randwrite", "4k", 32, 4000),
    "128k read qd4": ("read", "128k", 4, 256),
    "128k write qd4": ("write", "128k", 4, 256),
}
COUNTED = ("kvm_userspace_exit", "kvm_exit")


def progress():
    """What changes while a guest does something: exits to user space, ports and HLT."""
    return [int((pathlib.Path("/sys/kernel/debug/kvm") / name).read_text())
            for name in ("mmio_exits", "io_exits", "halt_exits")]


def real_s():
    """Seconds outside: a guest that spins on PAUSE slows the clock that counts instructions."""
    if RTC.exists():
        return int(RTC.read_text())
    return time.monotonic()


def is_alive(pid):
    """Whether any thread of @pid is more than a zombie."""
    for stat in pathlib.Path("/proc", str(pid), "task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
                return True
    return False


class Stalled(Exception):
    pass


class Guest:
    """A monitor with a guest whose shell runs one line after the other."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.text = b""
        try:
            self.read_until(rb"%%ready\s", BOOT_STALL_S)
        except Stalled:
            self.kill()
            raise

    def read_until(self, pattern, stall_s=STALL_S):
        """What the guest has said up to @pattern; it may do nothing for @stall_s at most."""
        done, since = progress(), real_s()
        while not (found := re.search(pattern, self.text)):
            if select.select([self.process.stdout], [], [], 0.05)[0]:
                chunk = os.read(self.process.stdout.fileno(), 65536)
                if not chunk:
                    raise RuntimeError(f"the monitor ended: {self.text!r}")
                self.text += chunk
            elif progress() != done:
                done, since = progress(), real_s()
            elif real_s() - since > stall_s:
                raise Stalled(f"the guest stands still ({self.threads()}); "
                              f"so far: {self.text!r}")
        before, self.text = self.text[:found.start()], self.text[found.end():]
        return before.decode(), found

    def threads(self):
        """State of each thread: a vCPU that spins runs (R), one that waits for something sleeps."""
        states = []
        for pid in self.processes():
            for stat in pathlib.Path("/proc", str(pid), "task").glob("*/stat"):
                name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
                states.append(f"{name} {rest.split()[0]}")
        return ", ".join(states)

    def processes(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()] + [self.process.pid]

    def shell(self, line):
        """Output of @line, which must succeed."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        output, end = self.read_until(rb"%%end (\d+)\s")
        if int(end.group(1)):
            raise RuntimeError(f"{line!r} failed in the guest: {output}")
        return output

    def interrupts(self):
        """Interrupts of all virtio devices so far; the disk is the only one."""
        lines = self.shell("grep virtio /proc/interrupts").splitlines()
        return sum(int(line.split()[1]) for line in lines)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()

    def kill(self):
        """Ends all processes at once, also those of a guest that no longer exits."""
        pids = self.processes()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        while any(is_alive(pid) for pid in pids):
            time.sleep(0.01)


class Counters:
    """How often the events of COUNTED have happened, by the kernel's histograms."""

    def __enter__(self):
        self.set("hist:keys=common_pid")
        return self

    def __exit__(self, *_):
        self.set("!hist:keys=common_pid")

    @staticmethod
    def set(text):
        for event in COUNTED:
            (TRACING / "events/kvm" / event / "trigger").write_text(text)

    @staticmethod
    def read():
        return [int(re.search(r"Hits: (\d+)", (TRACING / "events/kvm" / event / "hist").read_text())
                    .group(1)) for event in COUNTED]


def fio_line(job, count=None):
    """The job as a line for the guest's shell; @count is how many requests."""
    direction, size, depth, usual = JOBS[job]
    return (f"{FIO} --rw={direction} --bs={size} --iodepth={depth} --number_ios={count or usual} "
            f"--size={DISK_MIB}m")


def run_job(guest, job):
    guest.shell(fio_line(job))
    result = json.loads(guest.shell("cat /tmp/out"))["jobs"][0]
    done = result["write" if "write" in job else "read"]
    if result["error"] or done["total_ios"] != JOBS[job][3]:
        raise RuntimeError(f"{job}: error {result['error']}, {done['total_ios']} requests")
    return {"iops": done["iops"], "latency": done["lat_ns"]["percentile"]["50.000000"] / 1000}


def count_window(guest, line):
    interrupts = guest.interrupts()
    before = Counters.read()
    guest.shell(line)
    counts = [after - start for after, start in zip(Counters.read(), before)]
    return counts + [guest.interrupts() - interrupts]


def count_job(guest, job):
    """Exits to user space, exits and interrupts by request."""
    start = count_window(guest, fio_line(job, 1))
    busy = count_window(guest, fio_line(job))
    return [(all_of - first) / (JOBS[job][3] - 1) for all_of, first in zip(busy, start)]


def run_all(name, command, work, jobs=JOBS):
    """{job: work(guest, job)} with one guest for all jobs.

    Where QEMU emulates SVM, as in the lab machine, it delivers an injected interrupt a second time
    when the budget of counted instructions ends between VMRUN and the next #VMEXIT (its
    helper_vmrun() leaves exception_index set). A guest that holds a lock at that moment waits for
    itself for ever, whatever its monitor. Such a guest is given up and the job repeated.
    """
    results = {}
    guest = None
    for job in jobs:
        for attempt in range(ATTEMPTS):
            try:
                guest = guest or Guest(command)
                results[job] = work(guest, job)
                print(f"{name}, {job}: done", file=sys.stderr, flush=True)
                break
            except Stalled as stalled:
                print(f"{name}, {job}, attempt {attempt + 1}: {stalled}", file=sys.stderr,
                      flush=True)
                if guest:
                    guest.kill()
                guest = None
        else:
            raise RuntimeError(f"{job}: {ATTEMPTS} guests have stood still")
    guest.stop()
    return results


def variants(args, image, backing):
    cmdline = "console=ttyS0 reboot=k panic=-1 quiet loglevel=0 volt.root=none"
    code = base64.urlsafe_b64encode(LOOP.encode()).decode().rstrip("=")
    cmdline += f" volt.cmd64={code}"
    is_direct = backing == "disk"
    qemu = ["qemu-system-x86_64", "-M", "microvm", "-enable-kvm", "-cpu", "host", "-smp", "1",
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-serial", "stdio", "-kernel", args.kernel, "-initrd", args.initrd,
            "-append", cmdline, "-global", "virtio-mmio.force-legacy=false",
            "-object", "iothread,id=io", "-device", "virtio-blk-device,drive=disk,iothread=io",
            "-drive", f"if=none,id=disk,format=raw,file={image},aio=io_uring,"
            f"cache={'none' if is_direct else 'writeback'}"]

    def volt(options):
        return [args.vmm, "--memory", f"{MEMORY_MIB}M", "--cpus", "1", "--kernel", args.kernel,
                "--initrd", args.initrd, "--cmdline", cmdline, "--drive", f"{image}{options}"]

    direct = f"direct={'on' if is_direct else 'off'}"
    volt_drives = args.volt_drive or [
        f",engine={engine},{direct}" for engine in ("sync", "io_uring", "auto")]
    found = {"qemu": qemu}
    for options in volt_drives:
        name = options.split(",")[1].split("=")[-1] if args.volt_drive is None else options
        found[f"volt {name}"] = volt(options)
    return {name: command for name, command in found.items() if not args.only or name in args.only}


@contextlib.contextmanager
def backing_file(backing):
    """A file of DISK_MIB whose blocks are all there."""
    folder = pathlib.Path("/dev/shm/bench-block")
    folder.mkdir()
    image = folder / "disk.img"
    mount = None
    if backing == "disk":
        subprocess.run(["modprobe", "ext4"], check=True)
        under = folder / "ext4.img"
        os.truncate(os.open(under, os.O_CREAT | os.O_RDWR), (DISK_MIB + 64) << 20)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", under], check=True)
        mount = folder / "mount"
        mount.mkdir()
        subprocess.run(["mount", "-o", "loop", under, mount], check=True)
        image = mount / "disk.img"
    with open(image, "wb") as file:
        for _ in range(DISK_MIB):
            file.write(b"volt" * (1 << 18))
        os.fsync(file.fileno())
        # A cached page costs the first direct write to it, so whoever is measured first.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        yield image
    finally:
        if mount:
            subprocess.run(["umount", mount], check=False)
        shutil.rmtree(folder)


class Timeline:
    """Who has the lab's one processor: by the trace of switches, and of entries into the guest."""

    EVENTS = ("sched/sched_switch", "kvm/kvm_entry", "kvm/kvm_exit")
    SYSCALLS = "events/raw_syscalls/sys_enter"
    KEYS = "hist:keys=common_pid.execname,id.syscall"

    def __enter__(self):
        Trace.write("buffer_size_kb", "65536")
        Trace.write("trace", "")
        Trace.write(f"{self.SYSCALLS}/trigger", self.KEYS)
        for event in self.EVENTS:
            Trace.write(f"events/{event}/enable", "1")
        Trace.write("tracing_on", "1")
        return self

    def __exit__(self, *_):
        Trace.write("tracing_on", "0")
        for event in self.EVENTS:
            Trace.write(f"events/{event}/enable", "0")
        text = (TRACING / self.SYSCALLS / "hist").read_text()
        Trace.write(f"{self.SYSCALLS}/trigger", "!" + self.KEYS)
        self.seconds = self.read_seconds()
        self.calls = collections.Counter()
        for name, call, count in re.findall(
                r"common_pid: (\S+)\s.*id: sys_(\S+)\s.*hitcount: +(\d+)", text):
            self.calls[name, call] += int(count)

    @staticmethod
    def read_seconds():
        """{thread: seconds}; what is the guest's own is "(guest)"."""
        spent = collections.Counter()
        owner = thread = before = None
        with open(TRACING / "trace", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                found = re.search(r" (\d+\.\d+): (sched_switch|kvm_entry|kvm_exit):", line)
                if not found:
                    continue
                now = float(found.group(1))
                if owner:
                    spent[owner] += now - before
                before = now
                if found.group(2) == "sched_switch":
                    thread = re.search(r"next_comm=(.*) next_pid", line).group(1)
                owner = "(guest)" if found.group(2) == "kvm_entry" else thread
        return spent


def show_timeline(name, command, job):
    """Processor time and system calls by request, without what fio costs with one request."""
    others = JOBS[job][3] - 1

    def work(guest, _):
        timelines = []
        for line in (fio_line(job), fio_line(job, 1)):
            with Timeline() as timeline:
                guest.shell(line)
            timelines.append(timeline)
        return timelines

    busy, start = run_all(name, command, work, [job])[job]
    print(f"{name}, {job}: processor time by thread, microseconds by request")
    busy.seconds.subtract(start.seconds)
    for owner, seconds in busy.seconds.most_common(8):
        print(f"{owner:24} {seconds * 1e6 / others:8.2f}")
    print("system calls by request")
    busy.calls.subtract(start.calls)
    for (owner, call), calls in busy.calls.most_common(12):
        print(f"{owner:24} {call:20} {calls / others:6.3f}")
    sys.stdout.flush()


def measure(args, image, backing):
    commands = variants(args, image, backing)
    if args.timeline:
        for name, command in commands.items():
            show_timeline(name, command, args.timeline)
        return {}
    with Counters():
        counts = {name: run_all(name, command, count_job) for name, command in commands.items()}
    samples = {name: [] for name in commands}
    for number in range(args.rounds):
        for name, command in commands.items():
            begin = time.monotonic()
            samples[name].append(run_all(name, command, run_job))
            print(f"{backing} round {number + 1}/{args.rounds} {name}: "
                  f"{time.monotonic() - begin:.1f} s", file=sys.stderr, flush=True)
    return {name: {job: {key: statistics.median(sample[job][key] for sample in samples[name])
                         for key in ("iops", "latency")} |
                   dict(zip(("u-exits", "exits", "irqs"), counts[name][job]))
                   for job in JOBS} for name in commands}


def show(backing, results):
    qemu = results.get("qemu")
    print(f"{backing:20} {'':18} {'IOPS':>8} {'ratio':>6} {'latency':>8} {'ratio':>6} "
          f"{'u-exits':>8} {'exits':>7} {'irqs':>6}")
    for job in JOBS:
        for name, jobs in results.items():
            row = jobs[job]
            ratio = [f"{row[key] / qemu[job][key]:.2f}" if qemu and name != "qemu" else ""
                     for key in ("iops", "latency")]
            print(f"{job:20} {name:18} {row['iops']:8.0f} {ratio[0]:>6} {row['latency']:8.1f} "
                  f"{ratio[1]:>6} {row['u-exits']:8.3f} {row['exits']:7.3f} {row['irqs']:6.3f}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmm", required=True)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backing", choices=["tmpfs", "disk"], action="append")
    parser.add_argument("--only", action="append", help="this variant only; may be repeated")
    parser.add_argument("--volt-drive", action="append", metavar="OPTIONS",
                        help="variants of --drive in place of the three engines, like ',queues=2'")
    parser.add_argument("--timeline", metavar="JOB", choices=list(JOBS),
                        help="instead, show where time goes in one job")
    parser.add_argument("--json")
    args = parser.parse_args()
    Trace()
    results = {}
    for backing in args.backing or ["tmpfs", "disk"]:
        with backing_file(backing) as image:
            results[backing] = measure(args, image, backing)
        if not args.timeline:
            show(backing, results[backing])
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=1))
    sys.stdout.flush()
    os._exit(0)


main()
