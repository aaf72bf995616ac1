# SPDX-License-Identifier: Apache-2.0
"""Shared by all pytest suites: the support package on the path, and sharding for the labs."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))


def pytest_collection_modifyitems(config, items):
    """VOLT_SHARD=i/n keeps every n-th test, so that several labs share a suite."""
    shard = os.environ.get("VOLT_SHARD")
    if not shard:
        return
    index, count = map(int, shard.split("/"))
    kept = [item for number, item in enumerate(items) if number % count == index]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
