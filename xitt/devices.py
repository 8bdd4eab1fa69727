"""The GPUs of this machine, as the driver's tools list them: the process that runs a study never touches CUDA itself."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
from collections.abc import Iterator
from itertools import cycle, islice

from .store import cores
from .study import Study


def listed(study: Study) -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` calls the GPUs that a study's jobs may use; none where the study asks for the CPU."""
    if study.params.engine.device == "cpu":
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        names = [x.strip() for x in given.split(",")]
        # as CUDA reads it: what stands after an empty or a negative entry is not seen
        end = next((i for i, x in enumerate(names) if not x or x.startswith("-")), len(names))
        return names[:end]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
        if done.returncode == 0:
            # a GPU that is cut into parts (MIG) is used by its parts
            parts = re.findall(r"^\s+MIG .*\(UUID:\s*(MIG-[^)\s]+)\)", done.stdout, re.MULTILINE)
            return parts or re.findall(r"^GPU (\d+):", done.stdout, re.MULTILINE)
    return []


class Slots:
    """Room for notebooks on this machine: one per GPU, else two; each job is given its device and hands it back.

    Parameters
    ----------
    study : Study
    count : int, optional
        Notebooks at a time; more than there are GPUs share them in turns.
    """

    def __init__(self, study: Study, count: int | None = None):
        self.devices = listed(study)
        self.count = count or len(self.devices) or min(2, cores())
        self.cpu = study.params.engine.device == "cpu"
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        for name in islice(cycle(self.devices or [None]), self.count):
            self._free.put(name)

    @contextlib.contextmanager
    def one(self) -> Iterator[dict[str, str]]:
        """A free slot, as what a job's process finds in its environment."""
        name = self._free.get()
        try:
            yield self._environment(name)
        finally:
            self._free.put(name)

    def _environment(self, name: str | None) -> dict[str, str]:
        if self.cpu:
            return self.shared()
        # the order in which nvidia-smi counts them
        return {} if name is None else {"CUDA_VISIBLE_DEVICES": name, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def shared(self) -> dict[str, str]:
        """What every slot's job finds in its environment."""
        return {"CUDA_VISIBLE_DEVICES": ""} if self.cpu else {}

    def __str__(self) -> str:
        return f"{self.count} at a time" + (f" on {len(self.devices)} GPUs" if self.devices else "")
