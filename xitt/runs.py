"""A finished run of a study, where runs are, and the device that a process makes them on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import DataError
from .store import cores, note_use
from .study import Study
from .train import Device


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    path : pathlib.Path
    record : dict
        Contents of ``record.json``.
    """

    study: Study
    path: Path
    record: dict

    def __post_init__(self):
        note_use(self.path, self.record)

    @property
    def model(self) -> Path:
        """Folder of the trained model.

        Raises
        ------
        DataError
            If the weights were not kept.
        """
        folder = self.path / "model"
        if not folder.is_dir():
            job = f"{self.path.name[:2]}.{self.record['recipe']}.s{self.record['seed']}"
            raise DataError(
                f"{self.path.name}: the weights were not kept (keep: {self.study.params.keep})\n"
                f"  with `keep: all` in {self.study.path.name}, `xitt run {self.study.path} --force '{job}'` makes and keeps them"
            )
        return folder

    def predict(self, target: str, texts):
        """A try by hand with this run's recipe and seed, see :func:`xitt.by_hand.predict`."""
        return self.study.predict(self.record["recipe"], target, texts, self.record["seed"])

    @property
    def log(self):
        """Learning curve: a frame with ``step, loss, lr, tokens, seconds, dev``."""
        import pandas as pd

        return pd.read_json(self.path / "log.jsonl", lines=True)


def runs_folder(study: Study) -> Path:
    return study.out / "runs"


def device(study: Study, alone: bool = False) -> Device:
    """The device of this process, with its threads set; ``alone`` takes all cores (the backbone is built before all else).

    Raises
    ------
    DataError
        If the study asks for CUDA and there is none.
    """
    import torch

    engine = study.params.engine
    if engine.device == "cuda" and not torch.cuda.is_available():
        raise DataError("engine.device: cuda, but torch sees no CUDA device; use `device: auto` or `cpu`")
    name = "cuda" if engine.device != "cpu" and torch.cuda.is_available() else "cpu"
    if alone or engine.threads:
        torch.set_num_threads(cores() if alone else engine.threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    return Device(
        name, engine.precision, engine.micro_batch_tokens, engine.eval_batch_tokens, engine.checkpoint_seconds,
        engine.attention, engine.attention_dropout, engine.gradient_checkpointing,
    )  # fmt: skip
