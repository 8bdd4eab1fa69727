"""Trainings of the same length: a recipe that takes as many steps and reads as many tokens as another one (``qqp+match=mnli``).

Tasks differ in the number of their examples and in how long these are, so two of them trained by their own recipes differ in how much
text is read as well as in what is learned from it. As where pre-training sets are compared (Raffel et al. 2020, sections 3.4.1 and 3.4.2: every set
for the same number of tokens, a small one repeated), the length of the training is held: optimizer steps, because the learning-rate
schedule hangs on them, and tokens read, padding not counted. Examples are repeated epoch by epoch where a set is short, and some
are never seen where it is long. What stays different is the number of examples of a step: fewer where they are long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import data, encoded, mixture, phases, recipes
from .batching import Features, Listed, epoch_tokens, token_shares
from .errors import DataError
from .kinds import kind
from .study import Study

#: hyper-parameters that a matched training takes from the other recipe
REPLACED = ("epochs", "batch", "max_steps")


@dataclass(frozen=True)
class Goal:
    """How long another recipe is trained: what a matched one has to reach."""

    recipe: str
    steps: int
    tokens: int

    def record(self) -> dict:
        """For the record of a matched training, beside its own counts."""
        return {"recipe": self.recipe, "steps": self.steps, "tokens": self.tokens}

    def check(self, recipe: str, used: int, longest: int) -> None:
        """Refuse a training whose tokens cannot come within one example of the goal.

        Raises
        ------
        DataError
            If examples are longer than what a step may read.
        """
        if abs(used - self.tokens) > longest:
            raise DataError(
                f"recipe {recipe}: {self.steps:,} steps of {self.recipe} read {self.tokens:,} tokens, fewer than as many steps "
                f"on examples of up to {longest:,} tokens can read ({used:,}); match a recipe with larger batches"
            )


def goal(study: Study, recipe: str, seed: int, tokenizer) -> Goal | None:
    """Steps and tokens that a recipe is matched to, counted in the reference's own encoded examples; nothing is trained.

    Returns
    -------
    Goal or None
        ``None`` for a recipe without ``match``.
    """
    name = recipes.parse(recipe, study.tasks).match
    if not name:
        return None
    tokens, hypers = {}, {}
    for task in study.tasks_of(name):
        h, row = phases.hyper(study, task), study.tasks[task]
        split = phases.training_set(study, task, "intermediate", name, seed)
        found = encoded.features(study, kind(row.kind), split, tokenizer, h.length, data.labels(study, task))
        tokens[task], hypers[task] = found.unit_tokens, h
    steps = {t: h.steps(len(tokens[t])) for t, h in hypers.items()}
    parsed = recipes.parse(name, study.tasks)
    if parsed.mixed:
        from . import multitask

        total = min(mixture.total_steps(list(steps.values())), multitask.hyper(study, name).max_steps or 2**62)
        p = mixture.probabilities(parsed.sampler, {t: len(n) for t, n in tokens.items()})
        drawn = mixture.draws(p, total, seed)
        steps = {t: int((drawn == i).sum()) for i, t in enumerate(tokens)}
    read = [epoch_tokens(tokens[t], h.batch, steps[t], seed) for t, h in hypers.items()]
    return Goal(name, sum(steps.values()), sum(read))


def order(goal: Goal, features: Features, seed: int, recipe: str) -> Listed:
    """Batches of a single task that is matched to a recipe."""
    tokens = features.unit_tokens
    (batches,), used = token_shares([tokens], np.zeros(goal.steps, int), goal.tokens, seed)
    goal.check(recipe, used, int(tokens.max()))
    return Listed(batches)


def inputs(study: Study, recipe: str, encoder) -> dict:
    """What the length of a matched training depends on, for its specification: the reference's data and hyper-parameters.

    Nothing is tokenised: the tokenizer is the encoder's, which the specification holds as well. ``{}`` without ``match``.
    """
    name = recipes.parse(recipe, study.tasks).match
    if not name:
        return {}
    wanted, parts = ("length", *REPLACED), []
    for task in study.tasks_of(name):
        alone = phases.train_spec(study, task, "intermediate", name, 0, encoder).inputs
        parts.append({"task": alone["task"]["name"], "train": alone["data"]["train"], "kind": alone["versions"]["kind"],
                      **{k: alone["hyper"][k] for k in wanted}})  # fmt: skip
    found = {"recipe": name, "parts": parts}
    if recipes.parse(name, study.tasks).mixed:
        from . import multitask

        found |= {"max_steps": multitask.hyper(study, name).max_steps, "mixture": mixture.VERSION}
    return {"match": found}
