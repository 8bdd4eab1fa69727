"""What a number came from: code, versions, machine, time."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any


@cache
def commit(root: str) -> str:
    """Commit of the project, with ``+changes`` if the tree differs from it; empty outside a checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, timeout=20, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+changes" if head and git("status", "--porcelain", "--", "xitt", "params", "notebooks") else "")
    except (OSError, subprocess.TimeoutExpired):
        return ""


def provenance(root: Path, device: str, precision: str, attention: str = "padded, sdpa") -> dict[str, Any]:
    """What a number came from: code, versions, machine, time; ``attention`` is what ``xitt.packing.path`` says."""
    from importlib.metadata import version

    import torch

    from . import __version__

    name = torch.cuda.get_device_name() if device.startswith("cuda") else _processor()
    return {
        "commit": commit(str(root)),
        "versions": {
            "xitt": __version__,
            "python": platform.python_version(),
            **{p: version(p) for p in ("torch", "transformers", "datasets", "tokenizers", "numpy")},
        },
        "device": name,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "attention": attention,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
