"""Shared fixtures. Tests that need real data find it by XITT_DATA and are skipped, visibly, without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("XITT_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the real data: set XITT_DATA to a folder with hub/ and local/")
    return Path(folder).resolve()
