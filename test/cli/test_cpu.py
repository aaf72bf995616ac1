# SPDX-License-Identifier: Apache-2.0
"""CPU templates on whatever /dev/kvm there is: volt-vmm cpu, and --cpu-template."""
import json
import os
import shutil

import pytest

from support import vmm

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no usable /dev/kvm")

KERNEL = vmm.guest("hello")
BUILT_IN = ["C3", "T2", "T2A", "T2CL", "T2S"]


def hello(template):
    return vmm.run("--kernel", KERNEL, "--cpu-template", template)


def assert_refused(result, status, *parts):
    text = result.stderr.decode()
    assert result.returncode == status, text
    assert text.startswith("volt-vmm: error: ") and text.count("\n") == 1, text
    assert result.stdout == b""
    for part in parts:
        assert part in text, text


def write(path, **template):
    path.write_text(json.dumps(template))
    return path


def one_bit(leaf, register, bit, subleaf="0x0"):
    bitmap = "0b" + "".join("1" if b == bit else "x" for b in reversed(range(32)))
    return [{"leaf": leaf, "subleaf": subleaf, "flags": 0,
             "modifiers": [{"register": register, "bitmap": bitmap}]}]


@pytest.fixture(name="dump")
def dump_of_this_host(tmp_path):
    path = tmp_path / "host.json"
    result = vmm.run("cpu", "dump", path)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    return path


def leaf_of(template, leaf, subleaf=0):
    for item in template["cpuid_modifiers"]:
        if (int(item["leaf"], 0), int(item["subleaf"], 0)) == (leaf, subleaf):
            return {m["register"]: m["bitmap"] for m in item["modifiers"]}
    return None


def bit_of(template, leaf, register, bit):
    return leaf_of(template, leaf)[register][::-1][bit]


def test_dump_is_a_normalized_template(dump):
    template = json.loads(dump.read_text())
    assert bit_of(template, 0x1, "ecx", 31) == "1"  # hypervisor
    assert bit_of(template, 0x1, "ecx", 5) == "0"  # vmx
    assert bit_of(template, 0x1, "edx", 28) == "x"  # ht, by the number of vCPUs
    assert leaf_of(template, 0xb) is None
    assert vmm.run("cpu", "dump").stdout == dump.read_bytes()


def test_host_passes_its_own_dump(dump):
    result = vmm.run("cpu", "check", dump)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert json.loads(vmm.run("cpu", "check", "--json", dump).stdout) == {"missing": [], "ok": True}


def test_guest_runs_with_the_dump(dump):
    result = hello(dump)
    assert (result.returncode, result.stderr) == (42, b"")
    many = vmm.run("--kernel", KERNEL, "--cpu-template", dump, "--cpus", 8)
    assert (many.returncode, many.stderr) == (42, b"")


def test_baseline_of_one_host_is_its_dump(dump):
    for args in [[dump], [dump, dump], [dump, dump, dump]]:
        result = vmm.run("cpu", "baseline", *args)
        assert (result.returncode, result.stderr) == (0, b"")
        assert result.stdout == dump.read_bytes()


def test_baseline_passes_on_a_host_with_more(dump, tmp_path):
    """Another host that has less here and more there."""
    template = json.loads(dump.read_text())
    for item in template["cpuid_modifiers"]:
        for modifier in item["modifiers"]:
            if item["leaf"] == "0x1" and modifier["register"] == "ecx":
                modifier["bitmap"] = "0b" + "10" * 16
            if item["leaf"] == "0x7" and item["subleaf"] == "0x0":
                modifier["bitmap"] = "0b" + "1" * 32
    template["cpuid_modifiers"] = [i for i in template["cpuid_modifiers"] if i["leaf"] != "0xd"]
    template["msr_modifiers"] = template["msr_modifiers"][1:]
    other = write(tmp_path / "other.json", **template)
    common = tmp_path / "common.json"
    common.write_bytes(vmm.run("cpu", "baseline", other, dump).stdout)
    for path in [dump, other]:
        assert vmm.run("cpu", "baseline", path, common).stdout
    assert vmm.run("cpu", "check", common).stdout == b""
    result = hello(common)
    assert (result.returncode, result.stderr) == (42, b"")


def test_check_says_which_bit_is_missing(dump, tmp_path):
    host = json.loads(dump.read_text())
    bit = next(b for b in range(32) if bit_of(host, 0x7, "ebx", b) == "0" and b != 22)
    template = write(tmp_path / "t.json", cpuid_modifiers=one_bit("0x7", "ebx", bit))
    result = vmm.run("cpu", "check", template)
    assert result.returncode == 1
    assert result.stdout.decode().startswith(f"leaf 0x7 subleaf 0x0 ebx bit {bit} (")
    missing = json.loads(vmm.run("cpu", "check", "--json", template).stdout)["missing"]
    assert [(m["leaf"], m["register"], m["bit"]) for m in missing] == [("0x7", "ebx", bit)]
    assert_refused(hello(template), 1, "leaf 0x7", "ebx", f"bit {bit} (")


@pytest.mark.parametrize("template,part", [
    ({"cpuid_modifiers": one_bit("0xfe", "ebx", 3)}, "0xfe"),
    ({"msr_modifiers": [{"addr": "0x12345678", "bitmap": "0b0"}]}, "MSR 0x12345678"),
    ({"kvm_capabilities": ["2147483647"]}, "2147483647"),
    ({"cpuid_modifiers": one_bit("0x1", "ecx", 5)}, "vmx"),
])
def test_what_the_host_cannot_provide_is_refused(tmp_path, template, part):
    path = write(tmp_path / "t.json", **template)
    assert_refused(hello(path), 1, part)
    result = vmm.run("cpu", "check", path)
    assert (result.returncode, result.stderr) == (1, b"")
    assert part in result.stdout.decode()


def test_removed_capability_is_not_needed(tmp_path):
    assert hello(write(tmp_path / "t.json", kvm_capabilities=["!2147483647"])).returncode == 42


def test_clearing_bits_and_setting_an_msr(tmp_path):
    path = write(tmp_path / "t.json",
                 cpuid_modifiers=[{"leaf": "0x1", "subleaf": "0x0", "flags": 0,
                                   "modifiers": [{"register": "edx", "bitmap": "0b0_xxxxxxx"}]}],
                 msr_modifiers=[{"addr": "0x174", "bitmap": "0b1000"}])
    result = hello(path)
    assert (result.returncode, result.stderr) == (42, b"")


def test_msr_that_kvm_refuses_is_named(tmp_path):
    """Reserved bits of IA32_FEAT_CTL."""
    path = write(tmp_path / "t.json",
                 msr_modifiers=[{"addr": "0x3a", "bitmap": "0b1" + "0" * 31}])
    assert_refused(hello(path), 1, "MSR 0x3a")


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_templates_run_exactly_where_check_says_so(name):
    checked = vmm.run("cpu", "check", name)
    assert checked.stderr == b""
    result = hello(name)
    if checked.returncode == 0:
        assert (result.returncode, result.stderr) == (42, b"")
    else:
        assert_refused(result, 1, "CPU template")


@pytest.mark.parametrize("text,parts", [
    ("", ["empty"]),
    ("{", ["line 1"]),
    ('{\n"cpuid_modifiers": [}', ["line 2", "column"]),
    ('{"cpu": 1}', ["'cpu'"]),
    ('{"vcpu_features": []}', ["vcpu_features", "aarch64"]),
    ('{"msr_modifiers": [{"addr": "0x10a", "bitmap": "0b2"}]}', ["msr_modifiers[0]", "'0b2'"]),
    ('{"cpuid_modifiers": [{"leaf": "0x20000000", "subleaf": "0x0", "flags": 0, "modifiers": []}]}',
     ["leaf 0x20000000"]),
])
def test_malformed_files(tmp_path, text, parts):
    path = tmp_path / "bad.json"
    path.write_text(text)
    status = 2 if text else 1
    assert_refused(hello(path), status, "bad.json", *parts)
    assert_refused(vmm.run("cpu", "check", path), status, "bad.json", *parts)
    assert_refused(vmm.run("cpu", "baseline", path), status, "bad.json", *parts)


@pytest.mark.parametrize("args,status,parts", [
    (["cpu"], 2, ["dump", "baseline", "check"]),
    (["cpu", "dmp"], 2, ["dmp", "dump"]),
    (["cpu", "dump", "a", "b"], 2, ["dump"]),
    (["cpu", "dump", "--json"], 2, ["--json"]),
    (["cpu", "baseline"], 2, ["FILE"]),
    (["cpu", "check"], 2, ["TEMPLATE"]),
    (["cpu", "check", "T2", "T2S"], 2, ["TEMPLATE"]),
    (["cpu", "check", "--jsn", "T2"], 2, ["--jsn"]),
    (["cpu", "check", "/nonexistent"], 1, ["/nonexistent", "T2CL"]),
    (["cpu", "check", "/"], 1, ["directory"]),
    (["cpu", "dump", "/nonexistent/x"], 1, ["/nonexistent/x"]),
    (["cpu", "dump", "/dev/full"], 1, ["/dev/full"]),
    (["--kernel", "a", "--cpu-template", ""], 2, ["--cpu-template"]),
    (["--kernel", "a", "--cpu-template", "/nonexistent"], 1, ["/nonexistent"]),
])
def test_usage(args, status, parts):
    assert_refused(vmm.run(*args), status, *parts)


def test_vendors_do_not_mix(tmp_path):
    def with_vendor(name, letters):
        return write(tmp_path / name, cpuid_modifiers=[
            {"leaf": "0x0", "subleaf": "0x0", "flags": 0, "modifiers": [
                {"register": "ebx", "bitmap": "0b" + f"{letters:032b}"}]}])
    intel = with_vendor("intel.json", 0x756e6547)
    amd = with_vendor("amd.json", 0x68747541)
    assert_refused(vmm.run("cpu", "baseline", intel, amd), 1, "amd.json", "vendor")


def test_help_fits_a_screen():
    for args in [["cpu", "--help"], ["cpu", "check", "--help"]]:
        lines = vmm.run(*args).stdout.decode().splitlines()
        assert 5 < len(lines) <= 24 and max(map(len, lines)) <= 80


def test_nothing_is_left_behind(dump, tmp_path):
    exe = tmp_path / "volt-vmm"
    shutil.copy(vmm.VMM, exe)
    for args in [["cpu", "dump"], ["cpu", "check", dump], ["cpu", "check", "T2A"],
                 ["--kernel", KERNEL, "--cpu-template", "T2A"]]:
        os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", '"$@" >/dev/null 2>&1', "sh", str(exe),
                                         *map(str, args)])
        vmm.wait_until(lambda: not vmm.processes_of(exe), "all processes are gone")
    assert sorted(os.listdir(tmp_path)) == ["host.json", "volt-vmm"]
