"""The measures of similarity by name: what each is, what it needs, and where it is defined.

``needs`` says what must be there before a measure can be taken, and so which runs it saves:

``data``
    Training sets alone.
``backbone``
    The encoder before any training, and training sets.
``encoder``
    The encoder trained on the intermediate task: only fine-tuning on the target is saved.

Every measure grows with the transfer that it expects. None reads a test split.
"""

from __future__ import annotations

from dataclasses import dataclass

NEEDS = ("data", "backbone", "encoder")


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes
    ----------
    module : str
        Of this package; its ``value(bench, recipe, target, seed)`` computes it (or the function ``<name>`` of the module).
    version : int
        In the fingerprint of its records; raised when numbers change.
    labels : bool
        Whether it reads the target's labels; text and sizes alone otherwise.
    """

    name: str
    title: str
    needs: str
    module: str
    source: str
    labels: bool = False
    version: int = 1


_ALL = (
    Measure("size", "data size", "data", "sets", "log10 of the training examples; Vu et al. 2020 (DataSize)"),
    Measure("kind", "same kind of task", "data", "sets", "Pruksachatkun et al. 2020 compare kinds of tasks"),
    Measure("vocabulary", "shared vocabulary", "data", "sets", "Dai et al. 2019 (target vocabulary covered)"),
    Measure("terms", "similar word frequencies", "data", "sets", "Plank and van Noord 2011; Ruder and Plank 2017 (Jensen-Shannon)"),
    Measure("text", "text embedding", "backbone", "texts", "Vu et al. 2020 (TextEmb)"),
    Measure("task", "task embedding", "backbone", "fisher", "Vu et al. 2020 (TaskEmb)", labels=True),
    Measure("task2vec", "task embedding, normalised", "backbone", "fisher", "Achille et al. 2019 (Task2Vec)", labels=True),
    Measure("leep", "LEEP", "encoder", "scores", "Nguyen et al. 2020", labels=True),
    Measure("logme", "LogME", "encoder", "scores", "You et al. 2021", labels=True),
    Measure("hscore", "shrunk H-score", "encoder", "scores", "Bao et al. 2019; Ibrahim et al. 2022", labels=True),
    Measure("probe", "probe of few steps", "encoder", "heads", "Poth et al. 2021 (linear proxy)", labels=True),
    Measure("few_steps", "fine-tuning of few steps", "encoder", "finetune", "Poth et al. 2021 (few-shot fine-tuning)", labels=True),
)  # fmt: skip

#: every measure by name, in the order of what they need
MEASURES: dict[str, Measure] = {m.name: m for m in _ALL}
#: the baseline of choosing a task without looking at the target
LARGEST = "size"


class Undefined(Exception):
    """A measure does not exist for a pair of tasks; the message says why."""
