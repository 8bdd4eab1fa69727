"""Tests of claims that are facts about tasks, data and method: looked up, not measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .. import data, languages, recipes
from ..matrix import NINE as XTREME
from ..study import Study
from ..tasks import TASKS
from .book import Missing


@dataclass(frozen=True)
class Fact:
    """Whether it holds here, the number that was found (if the claim has one), and what was looked at."""

    holds: bool
    detail: str
    found: float | None = None


#: tests by name: study, number of the claim and options → fact
FACTS: dict[str, Callable[..., Fact]] = {}


def _fact(function: Callable[..., Fact]) -> Callable[..., Fact]:
    FACTS[function.__name__] = function
    return function


@_fact
def untrained(study: Study, number: float | None, targets: list[str]) -> Fact:
    """No target is fine-tuned on anything, nor does its source have a training split that is used."""
    trained = [t for t in targets if study.tasks[t].train or "train" in study.tasks[t].source.splits]
    return Fact(not trained, f"tasks table: {', '.join(trained) or 'none of ' + ', '.join(targets)} has training data")


@_fact
def backbone(study: Study, number: float | None, name: str) -> Fact:
    """The encoder that the study's runs start from."""
    given = study.params.backbone
    if (given.hub or "").split("/")[-1] != name:
        here = given.hub or given.folder or "an encoder built here"
        raise Missing(f"this study starts from {here}; the claim is about {name}")
    extra = f", and {', '.join(study.checkpoints)} from elsewhere" if study.checkpoints else ""
    return Fact(not study.checkpoints, f"parameters of the study: {given.hub}{extra}")


@_fact
def phases(study: Study, number: float | None) -> Fact:
    """The study's own jobs: 00 (encoder), 01 (intermediate), 02 and 03 (targets), each after the one before."""
    from ..graph import jobs

    needs = {j.name: j.needs for j in jobs(study)}
    scored = [n for n in needs if n[:3] in ("02.", "03.") and not study.is_ready(n[3:].rpartition(".s")[0])]
    if not scored:
        raise Missing("this study has no intermediate training")
    # 00 before each 01, and the 01 of its own recipe before each 02 and 03
    ordered = all(f"01.{n[3:]}" in needs[n] and "00" in needs[f"01.{n[3:]}"] for n in scored)
    trained = {study.tasks[t].train for t in study.trained_targets}
    plain = [r for r in study.intermediates if recipes.parse(r, study.tasks).options]
    detail = f"{len(scored)} jobs of phases 2 and 3 each need one of phase 1, and that needs the encoder; {len(trained)} English sets"
    return Fact(ordered, detail + (f"; {len(plain)} variants leave the scheme on purpose" if plain else ""))


@_fact
def intermediate_tasks(study: Study, number: float, kinds: list[str]) -> Fact:
    """The paper's intermediate tasks in the tasks table: how many, of which kinds."""
    there = [t for t in recipes.NINE if t in TASKS and "intermediate" in TASKS[t].roles]
    found = {TASKS[t].kind for t in there}
    here = [t for t in there if t in study.intermediates]
    detail = f"tasks table: {len(there)} of kinds {', '.join(sorted(found))}; {len(here)} are rows of this study"
    return Fact(len(there) == number and found == set(kinds), detail, len(there))


@_fact
def target_tasks(study: Study, number: float) -> Fact:
    """XTREME's targets in the tasks table."""
    there = [t for t in XTREME if t in TASKS and "target" in TASKS[t].roles]
    here = [t for t in there if t in study.targets]
    return Fact(len(there) == number, f"tasks table: {len(there)}; {len(here)} are targets of this study", len(there))


@_fact
def most_languages(study: Study, number: float) -> Fact:
    """The largest number of languages of one XTREME task, as the benchmark's ``evaluate.py`` lists them."""
    sizes = {t: len(languages.XTREME[t]) for t in XTREME}
    most = max(sizes, key=sizes.__getitem__)
    here = max((len(data.languages(study, t)) for t in XTREME if t in study.targets), default=0)
    return Fact(sizes[most] == number, f"tasks table: {TASKS[most].title}; at most {here} in this study", sizes[most])


@_fact
def training_examples(study: Study, number: float, task: str) -> Fact:
    """Rows of the training set at hand, counted; a generated or a partial set cannot tell."""
    if study.params.data.source == "pocket":
        raise Missing(f"the pocket generates its own {TASKS[task].title}")
    there = data.status(study, task)
    if there.state != "yes" or "train" not in there.here:
        raise Missing(f"the training set of {TASKS[task].title} is not here in full ({there.state})")
    return Fact(there.here["train"] == number, "rows counted", there.here["train"])


@_fact
def kind_of(study: Study, number: float | None, task: str, kind: str) -> Fact:
    """The kind of a task in the tasks table; where its texts are from is not looked at."""
    row = TASKS[task]
    return Fact(
        row.kind == kind, f"tasks table: kind {row.kind}, {row.source.repository}; the texts' origin is not tested"
    )
