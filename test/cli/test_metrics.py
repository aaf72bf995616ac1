# SPDX-License-Identifier: Apache-2.0
"""Metrics of a running VM: Firecracker's lines have its names, Prometheus' text its rules."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from support import vmm
from support.api import check_answer

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")

TIMES = {"min_us", "max_us", "sum_us"}


def counts_and_failures(*names):
    return {f"{name}_{what}" for name in names for what in ("count", "fails")}


def with_times(names, *aggregates):
    return {**dict.fromkeys(names.split()), **dict.fromkeys(aggregates, TIMES)}


BLOCK = with_times(
    "activate_fails cfg_fails no_avail_buffer event_fails execute_fails invalid_reqs_count "
    "flush_count queue_event_count rate_limiter_event_count update_count update_fails read_bytes "
    "write_bytes read_count write_count rate_limiter_throttled_events io_engine_throttled_events "
    "remaining_reqs_count", "read_agg", "write_agg")

# Firecracker 1.17: every group with every field, and nothing else.
GROUPS = {
    "api_server": "process_startup_time_us process_startup_time_cpu_us",
    "balloon": "activate_fails inflate_count stats_updates_count stats_update_fails deflate_count "
               "event_fails free_page_report_count free_page_report_freed free_page_report_fails "
               "free_page_hint_count free_page_hint_freed free_page_hint_fails",
    "block": BLOCK,
    "deprecated_api": "deprecated_http_api_calls",
    "entropy": "activate_fails entropy_event_fails entropy_event_count entropy_bytes "
               "host_rng_fails entropy_rate_limiter_throttled rate_limiter_event_count",
    "get_api_requests": "instance_info_count machine_cfg_count mmds_count vmm_version_count "
                        "hotplug_memory_count",
    "i8042": "error_count missed_read_count missed_write_count read_count reset_count write_count",
    "interrupts": "triggers config_updates",
    "latencies_us": "full_create_snapshot diff_create_snapshot load_snapshot pause_vm resume_vm "
                    "vmm_full_create_snapshot vmm_diff_create_snapshot vmm_load_snapshot "
                    "vmm_pause_vm vmm_resume_vm",
    "logger": "missed_metrics_count metrics_fails missed_log_count rate_limited_log_count",
    "memory_hotplug": with_times(
        "activate_fails queue_event_fails queue_event_count plug_count plug_bytes plug_fails "
        "unplug_count unplug_bytes unplug_fails unplug_discard_fails state_count state_fails "
        "unplug_all_count unplug_all_fails",
        "plug_agg", "unplug_agg", "state_agg", "unplug_all_agg"),
    "mmds": "rx_accepted rx_accepted_err rx_accepted_unusual rx_bad_eth rx_invalid_token "
            "rx_no_token rx_count tx_bytes tx_count tx_errors tx_frames connections_created "
            "connections_destroyed",
    "net": with_times(
        "activate_fails cfg_fails no_rx_avail_buffer no_tx_avail_buffer event_fails "
        "rx_queue_event_count rx_event_rate_limiter_count rx_rate_limiter_throttled "
        "rx_tap_event_count rx_bytes_count rx_packets_count rx_fails rx_count tap_read_fails "
        "tap_write_fails tx_bytes_count tx_malformed_frames tx_fails tx_count tx_packets_count "
        "tx_queue_event_count tx_rate_limiter_event_count tx_rate_limiter_throttled "
        "tx_spoofed_mac_count tx_remaining_reqs_count", "tap_write_agg"),
    "patch_api_requests": counts_and_failures("drive", "network", "machine_cfg", "mmds",
                                              "hotplug_memory", "pmem"),
    "pmem": "activate_fails cfg_fails event_fails queue_event_count rate_limiter_throttled_events "
            "rate_limiter_event_count",
    "put_api_requests": counts_and_failures(
        "actions", "boot_source", "drive", "logger", "machine_cfg", "cpu_cfg", "metrics",
        "network", "mmds", "vsock", "pmem", "serial", "hotplug_memory"),
    "seccomp": "num_faults",
    "signals": "sigbus sigsegv sigxfsz sigxcpu sigpipe sighup sigill",
    "uart": "error_count flush_count missed_read_count missed_write_count read_count write_count "
            "rate_limiter_dropped_bytes",
    "vcpu": with_times(
        "exit_io_in exit_io_out exit_mmio_read exit_mmio_write failures kvmclock_ctrl_fails",
        "exit_io_in_agg", "exit_io_out_agg", "exit_mmio_read_agg", "exit_mmio_write_agg"),
    "vmm": "panic_count",
    "vsock": "activate_fails cfg_fails rx_queue_event_fails tx_queue_event_fails "
             "ev_queue_event_fails muxer_event_fails conn_event_fails rx_queue_event_count "
             "tx_queue_event_count rx_bytes_count tx_bytes_count rx_packets_count "
             "tx_packets_count conns_added conns_killed conns_removed killq_resync "
             "tx_flush_fails tx_write_fails rx_read_fails",
}


def no_duplicates(pairs):
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def lines_of(path):
    return [json.loads(line, object_pairs_hook=no_duplicates)
            for line in path.read_text().splitlines()]


def check_fields(group, fields, wanted):
    wanted = dict.fromkeys(wanted.split() if isinstance(wanted, str) else wanted) \
        if not isinstance(wanted, dict) else wanted
    assert set(fields) == set(wanted), group
    for name, value in fields.items():
        if wanted[name]:
            check_fields(f"{group}.{name}", value, wanted[name])
        else:
            assert isinstance(value, int) and value >= 0, (group, name)


def check_line(line, drives=()):
    assert abs(line["utc_timestamp_ms"] - time.time() * 1000) < 60000
    groups = {**GROUPS, **{f"block_{drive}": BLOCK for drive in drives}}
    assert set(line) == {"utc_timestamp_ms", *groups}
    for group, wanted in groups.items():
        check_fields(group, line[group], wanted)


def test_lines_have_firecrackers_fields(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    metrics = tmp_path / "metrics"
    result = vmm.run("--kernel", vmm.guest("hello"), "--metrics-path", metrics, "--drive",
                     f"{disk},id=scratch")
    assert result.returncode == 42, result.stderr
    lines = lines_of(metrics)
    assert len(lines) == 2  # at the start and at the end
    for line in lines:
        check_line(line, ["scratch"])


def test_lines_count_what_the_guest_does(tmp_path):
    metrics = tmp_path / "metrics"
    result = vmm.run("--kernel", vmm.guest("hello"), "--metrics-path", metrics)
    first, last = lines_of(metrics)

    def total(group, name):
        return first[group][name] + last[group][name]
    assert total("uart", "write_count") >= len(result.stdout)
    assert total("vcpu", "exit_io_out") > total("uart", "write_count")  # the exit port, too
    assert total("vcpu", "exit_io_in") == total("uart", "read_count")
    assert total("vcpu", "failures") == 0
    assert last["vcpu"]["exit_io_out_agg"]["max_us"] >= last["vcpu"]["exit_io_out_agg"]["min_us"]


def test_startup_time(tmp_path):
    metrics = tmp_path / "metrics"
    start_us = time.monotonic_ns() // 1000 - 5_000_000
    vmm.run("--kernel", vmm.guest("hello"), "--metrics-path", metrics, "--start-time-us", start_us,
            "--start-time-cpu-us", "1", "--parent-cpu-time-us", "7000000")
    times = lines_of(metrics)[0]["api_server"]
    assert 5_000_000 <= times["process_startup_time_us"] < 60_000_000
    assert 7_000_000 <= times["process_startup_time_cpu_us"] < 60_000_000


def test_fifo_that_nobody_reads(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    result = vmm.run("--kernel", vmm.guest("hello"), "--metrics-path", fifo)
    assert (result.returncode, result.stdout) == (42, b"hello from the guest\n")


def test_bad_target():
    result = vmm.run("--kernel", vmm.guest("hello"), "--metrics-path", "/nonexistent/metrics")
    assert result.returncode in (1, 2)
    assert b"metrics" in result.stderr and b"No such file" in result.stderr


def request(path, method, target, body=None):
    text = json.dumps(body) if body is not None else ""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(vmm.DEADLINE_S)
        client.connect(str(path))
        client.sendall(f"{method} {target} HTTP/1.1\r\nConnection: close\r\n"
                       f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    kind = re.search(rb"Content-Type: (\S+)", head)
    check_answer(method, target, status, kind[1].decode().rstrip(";") if kind else "", body)
    return status, body.decode()


@pytest.fixture(name="spinning")
def run_spinning(tmp_path):
    """A VM that runs without an end: its process, and the path of its API."""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    path = tmp_path / "api"
    with subprocess.Popen([vmm.VMM, "--kernel", vmm.guest("spin"), "--console", "none", "--cpus",
                           "2", "--drive", f"{disk},id=scratch", "--api-sock", path,
                           "--metrics-path", tmp_path / "metrics"]) as process:
        def is_running():
            try:
                return json.loads(request(path, "GET", "/")[1])["state"] == "Running"
            except OSError:
                return False
        vmm.wait_until(is_running, "the VM runs")
        yield process, path
        process.send_signal(signal.SIGTERM)


NAME = r"volt_[a-z0-9_]+"
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:[a-z]+="(?:[^"\\\n]|\\[\\n"])*",?)*)\}})? (\S+)')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


def check_prometheus(text):
    """The rules of the exposition format, and of good names (as promtool check metrics has them).

    Returns the values by name and labels.
    """
    types, helps, values = {}, {}, {}
    current = None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# "):
            _, what, name, rest = line.split(" ", 3)
            table = {"HELP": helps, "TYPE": types}[what]
            assert name not in table and re.fullmatch(NAME, name) and rest, line
            table[name] = rest
            current = name
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        suffixes = SUFFIXES.get(types[current], ("",))
        assert name in [current + suffix for suffix in suffixes], line  # families are together
        assert (name, labels) not in values, line
        values[name, labels] = float(value)
    assert set(types) == set(helps)
    for name, kind in types.items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|us|milliseconds|kib|mib|bytes_sum)(_|$)", name), name
    return values


def test_prometheus_text(spinning):
    _, path = spinning
    request(path, "PUT", "/actions", {"action_type": "nonsense"})
    for paused in "Paused", "Resumed":
        assert request(path, "PATCH", "/vm", {"state": paused})[0] == 204
    status, text = request(path, "GET", "/v1/metrics")
    assert status == 200
    values = check_prometheus(text)
    assert values["volt_api_requests_total",
                  'method="PUT",route="/actions",status="400"'] == 1
    assert values["volt_pauses_total", None] == values["volt_resumes_total", None] == 1
    assert values["volt_drive_requests_total", 'drive="scratch",operation="read"'] == 0
    assert values["volt_vcpu_exits_total", 'vcpu="0",reason="interrupted"'] >= 1
    phases = [values["volt_boot_phase_seconds", f'phase="{phase}"'] for phase in
              "started configured memory vcpus devices loaded running".split()]
    assert phases == sorted(phases) and phases[0] > 0
    buckets = [value for (name, labels), value in values.items()
               if name.endswith("_bucket") and 'route="/actions"' in labels]
    assert buckets == sorted(buckets) and buckets[-1] == 1
    if shutil.which("promtool"):
        check = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                               capture_output=True, check=False)
        assert (check.returncode, check.stderr) == (0, "")


def test_flush_on_request(spinning, tmp_path):
    _, path = spinning
    for _ in range(2):
        assert request(path, "PUT", "/actions", {"action_type": "FlushMetrics"})[0] == 204
    assert request(path, "PATCH", "/vm", {"state": "Paused"})[0] == 204
    assert request(path, "PUT", "/actions", {"action_type": "FlushMetrics"})[0] == 204
    lines = lines_of(tmp_path / "metrics")
    assert len(lines) == 4  # and one at the start
    for line in lines:
        check_line(line, ["scratch"])
    assert lines[2]["put_api_requests"]["actions_count"] == 1  # since the line before
    assert lines[3]["latencies_us"]["pause_vm"] >= lines[3]["latencies_us"]["vmm_pause_vm"] > 0


def test_a_scrape_does_not_disturb_the_guest(spinning):
    """Machine is stopped altogether: its numbers can be read all the same."""
    process, path = spinning
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    machine = int(children.read_text(encoding="utf-8").split()[0])
    os.kill(machine, signal.SIGSTOP)
    try:
        assert request(path, "GET", "/v1/metrics")[0] == 200
    finally:
        os.kill(machine, signal.SIGCONT)
