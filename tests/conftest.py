"""Shared fixtures. Tests that need real data find it by XITT_DATA and are skipped, visibly, without it.

Before any library is imported, and for every process that a test starts: no test asks the hub (``test_hub`` and those like it have a server
of their own on loopback and clear the variable), since its client tries a machine without network for half a minute per question; and
the workers of ``pytest -n`` share the cores, since two pools of threads on the same cores wait for each other.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("HF_HUB_OFFLINE", "1")
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("XITT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the real data: set XITT_DATA to a folder with hub/ and local/")
    return Path(folder).resolve()
