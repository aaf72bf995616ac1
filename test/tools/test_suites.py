# SPDX-License-Identifier: Apache-2.0
"""The suites can be named together in one run, as the labs and developers do."""
import pathlib
import subprocess
import sys

import pytest

TEST = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("first, second", [("e2e", "cli"), ("cli", "e2e"), ("store", "tools")])
def test_two_suites_in_one_run(first, second):
    result = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                             "--collect-only", first, second], cwd=TEST, check=False,
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout[-2000:]
    for suite in (first, second):
        assert f"{suite}/test_" in result.stdout
