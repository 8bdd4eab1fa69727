"""A step of training in as much memory as there is: micro-batches are halved until they fit.

The optimizer's step is the same whatever the micro-batches (``xitt.train``), so it is computed anew, from the same random numbers, in
smaller pieces: but for which of them dropout draws, the science is the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .progress import tell

if TYPE_CHECKING:
    import torch

    from .mixture import Part
    from .train import Device


class Room:
    """A device with micro-batches that fit its memory: those that the study says, until they do not."""

    def __init__(self, device: Device):
        self.given = self.device = device

    def step(self, compute, model: torch.nn.Module, part: Part, units, batches: list | None):
        """What ``compute(device, micro-batches)`` returns, once it fits; it leaves gradients in ``model``.

        Parameters
        ----------
        batches : list or None
            Micro-batches made before; ``None``: ``compute`` makes them for the device it is given.

        Raises
        ------
        torch.OutOfMemoryError
            If not even one unit fits.
        """
        import torch

        random = random_state(self.device)
        while True:
            try:
                return compute(self.device, batches)
            except torch.OutOfMemoryError:
                if self.device.micro_batch_tokens <= int(part.lengths[units].max()):
                    raise
            # out of the handler, which holds on to what was computed so far
            for parameter in model.parameters():
                parameter.grad = None
            batches = None
            self._halve(int(part.features.ids.lengths[part.features.rows(units)].sum()))
            set_random_state(self.device, random)

    def _halve(self, tokens: int) -> None:
        """Half of what the step has, or of what was allowed, if that is less."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        most = max(1, min(self.device.micro_batch_tokens, tokens) // 2)
        self.device = replace(self.device, micro_batch_tokens=most)
        tell(f"a micro-batch does not fit the memory; training goes on with {most:,} tokens at a time")

    @property
    def lowered(self) -> dict[str, int]:
        """For the record: the size that fitted, where it is not the one asked for."""
        most = self.device.micro_batch_tokens
        return {} if most == self.given.micro_batch_tokens else {"micro_batch_tokens": most}


# --- random numbers ------------------------------------------------------------------------------------------------
def random_state(device: Device) -> list[torch.Tensor]:
    """Where the random numbers of the CPU, and of a CUDA device, stand: what :func:`set_random_state` takes."""
    import torch

    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device.name)] if device.cuda else [])]


def set_random_state(device: Device, state: list[torch.Tensor]) -> None:
    """Put the random numbers back to where they stood, so that a forward pass drops the same units once more."""
    import torch

    torch.set_rng_state(state[0])
    if len(state) > 1:
        torch.cuda.set_rng_state(state[1], device.name)
