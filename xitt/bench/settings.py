"""What a benchmark is asked for, and the sizes of models it knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import ParameterError, unknown
from ..schema import Architecture, Params
from ..study import Study

PARTS = ("training", "inference", "retrieval", "linearity")
#: lr suits training from scratch; micro-batch and evaluation tokens are memory, not results
SIZES = {
    "pocket": Architecture(width=96, layers=4, heads=4, feed_forward=288, vocabulary=2000, max_length=512),
    "small": Architecture(width=384, layers=6, heads=6, feed_forward=1536, vocabulary=16_000, max_length=512),
    # XLM-R Large (Conneau et al. 2020, section 3.1) with its 250,002 pieces
    "large": Architecture(width=1024, layers=24, heads=16, feed_forward=4096, vocabulary=250_002, max_length=512),
}
#: shape → kind of task, task whose data it takes, split, most tokens of a row (paper_facts 2.1, 2.2)
SHAPES = {
    "nli": ("classify", "xnli", "test", 256),
    "squad": ("span", "squad_v1", "train", 384),
    "pos": ("tag", "udpos", "train", 256),
}
#: optimizer steps timed per repeat on a CPU (a step of SQuAD's windows is as long as five of the others) and on a GPU
STEPS = {"cpu": {"nli": 20, "squad": 6, "pos": 30}, "cuda": {"nli": 100, "squad": 50, "pos": 100}}
BATCH = 32
#: why no peer is measured where none is asked for
ALONE = "left out (--alone)"
#: side of a training benchmark: the engine with torch's own matrix products
PLAIN = "xitt, torch's products"


@dataclass(frozen=True)
class Settings:
    """One call of ``xitt bench``.

    Attributes
    ----------
    root : pathlib.Path
        The project's folder.
    device, precision : str
        ``cpu`` or ``cuda``; ``float32`` or ``bfloat16``.
    size : str
        Of the model, see :data:`SIZES`.
    data : pathlib.Path or None
        Folder with ``hub/``; without it generated data (``pocket``) or rows of random pieces with stored lengths.
    repeats : int
        How often each side runs, in turns.
    shapes : tuple of str
        Of the data, see :data:`SHAPES`.
    steps : int or None
        Optimizer steps per repeat; ``None``: :data:`STEPS`.
    examples : int or None
        Test sentences per set for inference; ``None``: all.
    prepare : int
        Steps the model for inference is trained before, so that its labels mean something.
    rows, width : int
        Retrieval: vectors on each side, and their width.
    memory : float
        Retrieval: most memory beside the vectors, in GiB.
    attention_dropout : bool
        Whether attention weights are dropped in training, on all sides alike; without, CUDA has a faster kernel for packed rows.
    unit : int
        Linearity: examples that count as 1×.
    alone : bool
        Whether the peers are left out.
    """

    root: Path
    device: str = "cpu"
    precision: str = "float32"
    size: str = "small"
    data: Path | None = None
    repeats: int = 3
    shapes: tuple[str, ...] = tuple(SHAPES)
    steps: int | None = None
    examples: int | None = 1000
    prepare: int = 60
    rows: int = 20_000
    width: int = 1024
    memory: float = 2.0
    unit: int = 300
    attention_dropout: bool = True
    alone: bool = False

    def __post_init__(self):
        for shape in self.shapes:
            if shape not in SHAPES:
                raise ParameterError(unknown("shape", shape, SHAPES))
        if self.size not in SIZES:
            raise ParameterError(unknown("size", self.size, SIZES))

    @property
    def source(self) -> str:
        """``data``, ``pocket`` or ``lengths``."""
        return "data" if self.data else "pocket" if self.size == "pocket" else "lengths"

    def steps_of(self, shape: str) -> int:
        return self.steps or STEPS[self.device][shape]

    def study(self, precision: str | None = None) -> Study:
        """A study that reads this data on this device: what the engine is driven through."""
        a, large = SIZES[self.size], self.device == "cuda"
        data = {"source": "folder", "folder": str(self.data), "missing": "skip"} if self.data else {"source": "pocket"}
        if not self.data:
            data["limits"] = {"train": 4000, "dev": 50, "test": 600}
        engine = {
            "device": self.device, "precision": precision or self.precision, "checkpoint_seconds": 1e9, "attention_dropout": self.attention_dropout,
            "micro_batch_tokens": 16384 if large else 8192, "eval_batch_tokens": 65536 if large else 16384,
        }  # fmt: skip
        params = Params.model_validate({
            "name": "bench", "title": "benchmark", "designs": ["none"], "data": data, "engine": engine,
            "backbone": {"build": {"text": "pocket", "architecture": a.model_dump()}},
        })  # fmt: skip
        return Study(self.root / "params" / "bench.yaml", params, (), self.root)


def resolve(device: str | None, precision: str | None, size: str | None) -> tuple[str, str, str]:
    """Device, precision and size where they are left open: a GPU if there is one, its fast precision, the size that suits it.

    Raises
    ------
    ParameterError
        If CUDA is asked for and torch sees none.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ParameterError("--device cuda: torch sees no CUDA device; use --device cpu")
    device = device if device in ("cpu", "cuda") else "cuda" if there else "cpu"
    default = ("bfloat16", "large") if device == "cuda" else ("float32", "small")
    return device, precision or default[0], size or default[1]
