# SPDX-License-Identifier: Apache-2.0
"""fsck finds every single bit that is flipped: many of a small store, thousands of one of 1 GiB.

FLIPS_STEP=1 takes every bit of the small one, which takes ten minutes.

FLIPS_MIB, FLIPS_WHOLE, FLIPS_PART and FLIPS_SEED change what test/unit/t_fsck_large.c does.
"""
import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("VOLT_BUILD", "build")).resolve()


def run(capsys, program, *arguments, **settings):
    env = {**settings, **os.environ}
    result = subprocess.run([BUILD / "test" / "unit" / program, *arguments], env=env, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=5400)
    with capsys.disabled():
        print()
        print(result.stdout)
    assert result.returncode == 0


@pytest.mark.parametrize("store, step", [("plain", "13"), ("encrypted", "101")])
def test_every_bit(capsys, store, step):
    run(capsys, "t_fsck_flips", f"test_{store}", FLIPS_STEP=step,
        FLIPS_WORKERS=str(len(os.sched_getaffinity(0))))


def test_large(capsys):
    run(capsys, "t_fsck_large", FLIPS_MIB="1024", FLIPS_WHOLE="24", FLIPS_PART="2000")
