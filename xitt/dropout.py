"""Dropout on the CPU that draws no random number twice: torch's own numbers, kept for the next training.

On processors for which torch has no vectorised generator (all but Intel's) each element of a dropout mask costs two steps of a Mersenne
twister, one after the other: a good part of training a small encoder. But all trainings of one seed begin from one state and read one
stream (:func:`xitt.batching.torch_seed`); they only cut it into other masks. So what was drawn is kept, one bit an element, and the
trainings that follow in this process read it. :func:`begin` starts that for a training, :func:`end` leaves torch's generator where it
would have been, and :func:`state` says where that is, for checkpoints; a training that goes on from one draws for itself.

It is used where every random number of a training is one of dropout, all with one probability: packed batches on the CPU.
"""

from __future__ import annotations

from functools import cache, lru_cache
from types import SimpleNamespace

import numpy as np
import torch

#: elements that are kept, an eighth of a byte each: 256 MB; what a training reads beyond them it draws
LIMIT = 2**31
#: elements drawn at a time
CHUNK = 2**20


class Tape:
    """What a stream of Bernoulli draws gives, from a state of torch's generator on.

    Parameters
    ----------
    state : Tensor of uint8
        As ``torch.get_rng_state`` gives it.
    p : float
        Probability of a zero.
    """

    def __init__(self, state: torch.Tensor, p: float):
        self.keep = 1 - p
        self.generator = torch.Generator()
        self.generator.set_state(state)
        self.states = [state.clone()]  # at the begin of each chunk, and behind the last
        self.bits = np.empty(LIMIT // 8, np.uint8)  # takes no memory before it is written
        outcomes = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
        self.scaled = torch.from_numpy(outcomes).float().div_(self.keep).numpy()  # one row of eight for each byte

    @property
    def filled(self) -> int:
        """Elements that are kept."""
        return (len(self.states) - 1) * CHUNK

    def fill(self, wanted: int) -> None:
        """Draw until so many elements are kept."""
        while self.filled < wanted:
            drawn = torch.empty(CHUNK, dtype=torch.bool).bernoulli_(self.keep, generator=self.generator)
            self.bits[self.filled // 8 : (self.filled + CHUNK) // 8] = np.packbits(drawn.numpy())
            self.states.append(self.generator.get_state())

    def at(self, place: int) -> torch.Generator:
        """A generator that goes on from a place."""
        self.fill(min(place, LIMIT))
        chunk = min(place // CHUNK, len(self.states) - 1)
        generator = torch.Generator()
        generator.set_state(self.states[chunk])
        torch.empty(place - chunk * CHUNK, dtype=torch.bool).bernoulli_(self.keep, generator=generator)
        return generator


class Draws:
    """One training's place on a tape."""

    def __init__(self, tape: Tape, p: float):
        self.tape, self.p, self.place = tape, p, 0
        self.beyond: torch.Generator | None = None

    def take(self, count: int) -> torch.Tensor:
        """The next elements of the stream: 0 or 1 / (1 - p), float32."""
        first, last = self.place, self.place + count
        self.place = last
        if last > LIMIT:
            return self._draw(first, count)
        self.tape.fill(last)
        rows = self.tape.scaled.take(self.tape.bits[first >> 3 : (last + 7) >> 3], axis=0, mode="clip")
        return torch.from_numpy(rows.reshape(-1)[first & 7 : (first & 7) + count])

    def _draw(self, first: int, count: int) -> torch.Tensor:
        if self.beyond is None:
            self.beyond = self.tape.at(first)
        keep = self.tape.keep
        return torch.empty(count).bernoulli_(keep, generator=self.beyond).div_(keep)

    def state(self) -> torch.Tensor:
        """The state that torch's generator would be in."""
        return (self.beyond or self.tape.at(self.place)).get_state()


_now = SimpleNamespace(draws=None)  # what the training under way reads


# --- for the training loop -----------------------------------------------------------------------------------------
def begin(model: torch.nn.Module | None) -> None:
    """Let a model's dropout read the tape of the state that torch's generator is in now; ``None``, or a model or processor for which
    that would change numbers, draws as torch does.
    """
    _now.draws = None
    if model is None:
        return
    modules = [m for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p > 0]
    if len(found := {m.p for m in modules}) != 1 or not 0 < (p := found.pop()) < 1 or not draws_one_by_one():
        return
    _now.draws = Draws(_tape(torch.get_rng_state().numpy().tobytes(), p), p)
    for module in modules:
        module.forward = _Forward(module)


def end(model: torch.nn.Module) -> None:
    """Leave dropout and generator as torch would have left them."""
    if _now.draws is None:
        return
    torch.set_rng_state(state())
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            vars(module).pop("forward", None)
    _now.draws = None


def state() -> torch.Tensor:
    """The state of torch's generator, as if it had drawn what was read."""
    return torch.get_rng_state() if _now.draws is None else _now.draws.state()


def place() -> int | None:
    """Where the training is on its tape, to :func:`go_back` there; ``None`` without one."""
    return None if _now.draws is None else _now.draws.place


def go_back(to: int | None) -> None:
    """Read once more from a place."""
    if _now.draws is not None and to is not None:
        _now.draws.place, _now.draws.beyond = to, None


def noise(like: torch.Tensor, p: float) -> torch.Tensor:
    """What dropout multiplies a tensor by: 0, or 1 / (1 - p)."""
    empty = torch.empty_like(like)
    if _now.draws is None or p != _now.draws.p:
        return empty.bernoulli_(1 - p).div_(1 - p)
    return _now.draws.take(like.numel()).as_strided(
        empty.shape, empty.stride()
    )  # in the order of memory, as torch draws


class _Forward:
    """Dropout of one module."""

    def __init__(self, module: torch.nn.Dropout):
        self.module = module

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        return values * noise(values, self.module.p) if self.module.training else values


@cache
def draws_one_by_one() -> bool:
    """Whether torch draws element by element here, so that two draws are the same as one of both sizes."""
    generator, found = torch.Generator(), []
    for sizes, kind in (((1000,), torch.float32), ((300, 1, 699), torch.bool)):
        generator.manual_seed(0)
        parts = [torch.empty(n, dtype=kind).bernoulli_(0.9, generator=generator) for n in sizes]
        found.append((torch.cat(parts).bool(), generator.get_state()))
    return all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@lru_cache(maxsize=1)
def _tape(state: bytes, p: float) -> Tape:
    return Tape(torch.frombuffer(bytearray(state), dtype=torch.uint8), p)
