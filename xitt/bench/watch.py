"""Where the time of a step goes, and its losses, seen from outside: the engine is driven as it is, through a kind that looks on."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

from .machine import now

#: methods of a kind by what they are part of
_PHASE = {"batch": "data", "forward": "forward", "loss": "forward"}


class Steps:
    """Time of an optimizer's steps after the first: setting up and warming up are left out, on every side alike.

    Use as ``with Steps(steps, device) as clock: …; clock.seconds``.
    """

    def __init__(self, steps: int, device: str):
        self.steps, self.device, self.done, self.seconds = steps, device, 0, 0.0

    def __enter__(self) -> Steps:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self._hook = register_optimizer_step_post_hook(self._after)
        return self

    def __exit__(self, *_) -> None:
        self._hook.remove()

    def _after(self, *_) -> None:
        self.done += 1
        if self.done == 1:
            self._begin = now(self.device)
        if self.done == self.steps:
            self.seconds = now(self.device) - self._begin


class Watched:
    """A kind that notes when its methods begin and end, and every loss.

    Time runs from the first batch on a clock with four hands: ``data`` (making a batch), ``forward`` (with the loss), ``backward`` (from the loss to the next
    batch or to the optimizer: clipping is in it), ``optimizer`` (its step); the rest is ``other``. Work on another thread is counted as
    ``data beside``: it costs no time here.

    Use as ``with Watched(kind, device) as watched: fit(model, watched, …)``.
    """

    def __init__(self, inner, device: str):
        self._inner, self._device = inner, device
        self.seconds: dict[str, float] = defaultdict(float)
        self.losses: list[float] = []
        self.computed = 0
        self._state, self._since, self._thread = "", 0.0, threading.get_ident()
        self._parts: list[tuple[Any, Any]] = []

    def __getattr__(self, name: str):
        value = getattr(self._inner, name)
        if name not in _PHASE:
            return value
        return lambda *arguments, **more: self._call(name, value, arguments, more)

    def _call(self, name: str, method, arguments, more):
        if threading.get_ident() != self._thread:
            begin = now("cpu")
            result = method(*arguments, **more)
            self.seconds["data beside"] += now("cpu") - begin
        else:
            self._to(_PHASE[name])
            result = method(*arguments, **more)
            self._to("backward" if name == "loss" else "other")
        if name == "batch":
            self.computed += int(result["input_ids"].size)
        if name == "loss":
            self._parts.append((result[0].detach(), result[1]))
        return result

    def _to(self, state: str) -> None:
        """Move the clock's hand."""
        moment = now(self._device)
        if self._state:  # before the first batch it stands still
            self.seconds[self._state] += moment - self._since
        self._state, self._since = state, moment

    def __enter__(self) -> Watched:
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        self._hooks = [register_optimizer_step_pre_hook(self._before), register_optimizer_step_post_hook(self._after)]
        return self

    def __exit__(self, *_) -> None:
        for hook in self._hooks:
            hook.remove()

    def _before(self, *_) -> None:
        self._to("optimizer")

    def _after(self, *_) -> None:
        self._to("other")
        total = sum(float(t) for t, _ in self._parts)
        self.losses.append(total / max(1.0, sum(float(n) for _, n in self._parts)))
        self._parts.clear()
