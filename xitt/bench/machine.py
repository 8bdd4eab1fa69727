"""The machine: its measured matmul rate, its nominal peak where a maker states one, its memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import re
import time
from pathlib import Path

from ..store import cores, provenance
from .work import Shape

#: Peak rates without sparsity, in TFLOP/s: (name in what CUDA calls the device, bfloat16 on tensor cores, float32 without TF32). Makers
#: state them in data sheets ("NVIDIA H200 Tensor Core GPU", "… H100 …", "… A100 …", "… L40S …", "… L4 …", "… A10 …", "… A30 …", "NVIDIA
#: GB200 NVL72" for B200), for bfloat16 often with sparsity, which is twice this; RTX cards: white papers "NVIDIA Ampere GA102" and "NVIDIA Ada GPU
#: Architecture", with float32 accumulation. The first pattern that fits counts. A processor has none: its clock under load is not stated.
PEAKS = (
    (r"B200", 2250.0, 75.0),
    (r"GH200", 989.0, 67.0),
    (r"H200 NVL", 835.0, 60.0),
    (r"H200", 989.0, 67.0),
    (r"H100 PCIe", 756.0, 51.0),
    (r"H100 NVL", 835.0, 60.0),
    (r"H100", 989.0, 67.0),
    (r"A100", 312.0, 19.5),
    (r"A30", 165.0, 10.3),
    (r"A10G?\b", 125.0, 31.2),
    (r"L40S", 362.0, 91.6),
    (r"L4\b", 121.0, 30.3),
    (r"RTX 4090", 165.2, 82.6),
    (r"RTX 3090", 71.0, 35.6),
)


def nominal(device: str, precision: str) -> float | None:
    """Nominal peak in FLOP/s, or ``None`` where none is known (every processor)."""
    found = next((row for row in PEAKS if re.search(row[0], device, re.IGNORECASE)), None)
    return found and 1e12 * found[1 if precision == "bfloat16" else 2]


def describe(root: Path, device, shape: Shape) -> dict:
    """What the results say of the machine, with its matmul rates measured now."""
    import torch

    made = provenance(root, device.name, device.precision)
    names = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "bfloat16")}[device.name.split(":")[0]]
    about = {"device": made["device"], "threads": made["threads"] if device.name == "cpu" else None, "cores": cores(), "matmul": {p: matmul_rates(device.name, p, shape) for p in names},
             "nominal": {p: nominal(made["device"], p) for p in names}}  # fmt: skip
    if device.name.startswith("cuda"):
        about["memory"] = torch.cuda.get_device_properties(0).total_memory
        about["cuda"] = torch.version.cuda
    return about


def products(shape: Shape, tokens: int) -> dict[str, list[tuple[int, int, int]]]:
    """Matrix products to time: those of one layer on so many tokens, and a large square one that any library is tuned for."""
    d, f = shape.width, shape.feed_forward
    side = 2048 if tokens <= 4096 else 8192
    return {"model": [(tokens, d, d)] * 4 + [(tokens, d, f), (tokens, f, d)], "square": [(side, side, side)]}


def matmul_rates(device: str, precision: str, shape: Shape, seconds: float = 1.0) -> dict[str, float]:
    """Best measured rates of :func:`products`, in FLOP/s.

    The best of many, and of all libraries at hand (:mod:`xitt.products`), since what is asked is what the hardware can do; anything beside it
    only slows it down.
    """
    import torch

    from .. import products as ours

    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    tokens = 4096 if device == "cpu" else 16384
    found = {}
    for name, sizes in products(shape, tokens).items():
        pairs = [
            (torch.randn(a, b, device=device).to(kind), torch.randn(b, c, device=device).to(kind)) for a, b, c in sizes
        ]
        work, best, begin = sum(2 * a * b * c for a, b, c in sizes), math.inf, time.monotonic()
        while time.monotonic() - begin < seconds or best == math.inf:
            for make in (torch.mm, ours.product):
                start = now(device)
                for a, b in pairs:
                    make(a, b)
                best = min(best, now(device) - start)
        found[name] = work / best
    return found


def now(device: str) -> float:
    """Seconds, once the device has done what it was given."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


class Memory:
    """Peak memory of a piece of work beside what is held before it, in bytes: ``with Memory(device) as memory: …; memory.peak``.

    On CUDA what torch allocates; on Linux what the process holds at most (``VmHWM``, set back before); elsewhere ``None``.
    """

    def __init__(self, device: str):
        self.device, self.peak = device, None

    def __enter__(self) -> Memory:
        gc.collect()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(None).malloc_trim(0)  # give back what earlier work has freed, or later work looks smaller
            self._before = self._reset()
        return self

    def __exit__(self, *_) -> None:
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize()
            self.peak = torch.cuda.max_memory_allocated() - self._before
        elif self._before is not None:
            self.peak = max(0, _status("VmHWM") - self._before)

    @staticmethod
    def _reset() -> int | None:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back (man 5 proc)
            return _status("VmRSS")
        except OSError:
            return None


def _status(key: str) -> int:
    """A size from /proc/self/status, in bytes."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(key))
    return 1024 * int(line.split()[1])
