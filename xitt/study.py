"""Parameters: a scale with its designs, read from YAML, checked and frozen.

A study file (``params/<name>.yaml``) says where data and backbone come from, how much of them is used, which recipe
and seeds; a design file (``params/designs/<name>.yaml``) says which intermediate recipes meet which targets. The
:class:`Study` made of both is what notebooks, commands and the batch runner hand around.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from . import lock, own, recipes, tasks
from .errors import ParameterError, nearest, unknown
from .parameters import expand, read_extended, read_yaml, validate
from .schema import Design, Params
from .variants import canonical as canonical_target

__all__ = ["Study", "expand", "find_study", "fingerprint", "load_study", "read_yaml"]


class Study:
    """A scale and its designs, with the folder its results live in.

    Made by :func:`load_study`. Heavy work is imported when asked for, so that making a study is quick.

    Attributes
    ----------
    params : Params
        Checked parameters.
    designs : tuple of Design
    root : pathlib.Path
        The project folder (above ``params/``).
    out : pathlib.Path
        ``outputs/<name>/``.
    tasks : Rows
        Every task by name: those of the package, and this study's own.
    """

    def __init__(
        self, path: Path, params: Params, designs: tuple[Design, ...], root: Path, rows: tasks.Rows = tasks.TASKS
    ):
        self.path, self.params, self.designs, self.root, self.tasks = path, params, designs, root, rows
        self._frozen = False
        self.out = Path(os.environ.get("XITT_OUTPUTS", root / "outputs")).resolve() / params.name
        self.name = params.name
        self._frozen = True

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_frozen", False):
            raise AttributeError(f"a study is frozen; change its file and load it again (tried to set {name})")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return (
            f"Study {self.name!r}: {len(self.intermediates)} intermediates x {len(self.targets)} targets, "
            f"seeds {', '.join(map(str, self.params.seeds))}, data from {self.params.data.source}"
        )

    @cached_property
    def intermediates(self) -> tuple[str, ...]:
        """Recipes of the rows, in the designs' order, without repetition; ``none`` first."""
        named = [i for d in self.designs for i in d.intermediates]
        if self.params.intermediates is not None:
            named = [i if isinstance(i, str) else i.name for i in self.params.intermediates]
        return tuple(dict.fromkeys(("none", *(recipes.canonical(i, self.tasks) for i in named))))

    @cached_property
    def intermediate_tasks(self) -> tuple[str, ...]:
        """Tasks that the rows are trained on, alone or mixed, in the rows' order."""
        return tuple(dict.fromkeys(t for i in self.intermediates for t in self.tasks_of(i)))

    @cached_property
    def checkpoints(self) -> dict[str, own.Checkpoint]:
        """Encoders from elsewhere that are rows, by name."""
        return {i.name: i for i in self.params.intermediates or () if not isinstance(i, str)}

    def tasks_of(self, recipe: str) -> tuple[str, ...]:
        """Tasks that a recipe is trained on, see :func:`xitt.recipes.tasks_of`."""
        return recipes.tasks_of(recipe, self.intermediates, self.tasks)

    def is_ready(self, recipe: str) -> bool:
        """Whether a recipe trains nothing: ``none``, or a checkpoint from elsewhere."""
        return recipe == "none" or recipe in self.checkpoints

    @cached_property
    def targets(self) -> tuple[str, ...]:
        named = dict.fromkeys(t for d in self.designs for t in d.targets)
        return tuple(named if self.params.targets is None else dict.fromkeys(self.params.targets))

    @cached_property
    def grids(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """Design → its rows (recipes, ``none`` first) and columns (targets).

        The first design is the main table. ``intermediates:`` and ``targets:`` of the study replace its rows and columns; of the
        other designs they leave what they name. A target of theirs that the first has not is no column of the main table.
        """
        named = {d.name: [recipes.canonical(i, self.tasks) for i in d.intermediates] for d in self.designs}
        others = {t for d in self.designs[1:] for t in d.targets} - {*self.designs[0].targets}
        found = {}
        for number, design in enumerate(self.designs):
            rows, columns = named[design.name], list(design.targets)
            if self.params.intermediates is not None:
                rows = [i for i in self.intermediates if number == 0 or i in rows]
            if self.params.targets is not None:
                columns = [t for t in self.targets if (number == 0 and t not in others) or t in columns]
            found[design.name] = (tuple(dict.fromkeys(("none", *rows))), tuple(dict.fromkeys(columns)))
        return found

    @property
    def main(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Rows and columns of the main table: those of the first design."""
        return self.grids[self.designs[0].name]

    def design(self, name: str) -> Design | None:
        """One of the study's designs, in the form that it has here; ``None`` where the study does not have it."""
        return next((d for d in self.designs if d.name == name), None)

    def targets_of(self, recipe: str, trained: bool | None = None) -> tuple[str, ...]:
        """Targets that a recipe meets in some design (a recipe that the study does not name: all); only those that are trained, or are not."""
        met = {t for rows, columns in self.grids.values() if recipe in rows for t in columns}
        some = [t for t in self.targets if t in met or recipe not in self.intermediates]
        return tuple(t for t in some if trained is None or bool(self.tasks[t].train) == trained)

    @cached_property
    def trained_targets(self) -> tuple[str, ...]:
        return tuple(t for t in self.targets if self.tasks[t].train)

    @cached_property
    def retrieval_targets(self) -> tuple[str, ...]:
        return tuple(t for t in self.targets if not self.tasks[t].train)

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.params.seeds

    def check(self, recipe: str, targets: tuple[str, ...] = (), seed: int | None = None) -> str:
        """Canonical form of a recipe, once it and the targets are known to be valid here."""
        for target in targets:
            canonical_target(self.tasks, target)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise ParameterError(f"seed must be a whole number from 0, not {seed!r}")
        self.tasks_of(recipe)
        return recipes.canonical(recipe, self.tasks)

    def choose_targets(self, text: str, recipe: str | None = None) -> tuple[str, ...]:
        """Trained targets from a comma-separated list, or for ``all`` those of the study (that ``recipe`` meets).

        Raises
        ------
        ParameterError
            If one is unknown or is not trained.
        """
        if text.strip() == "all":
            return self.trained_targets if recipe is None else self.targets_of(self.check(recipe), trained=True)
        valid = [t.name for t in self.tasks.values() if "target" in t.roles and t.train]
        names = tuple(dict.fromkeys(x.strip() for x in text.split(",") if x.strip()))
        for name in names:
            if name not in valid:
                raise ParameterError(unknown("trained target", name, ["all", *valid]))
        if not names:
            raise ParameterError(f"targets: give a comma-separated list, or all\n  valid: {', '.join(valid)}")
        return names

    # --- work, in the words of the notebooks -----------------------------------------------------------------------
    def backbone(self):
        """The encoder before any training, see :func:`xitt.pretrained.backbone`."""
        from . import pretrained

        return pretrained.backbone(self)

    def train(self, recipe: str, seed: int = 0):
        """Phase 1: the run of an intermediate recipe; trained unless it is there. ``None`` for ``none`` and for a checkpoint."""
        from . import phases

        return phases.train_intermediate(self, self.check(recipe, seed=seed), seed)

    def evaluate(self, recipe: str, target: str, seed: int = 0):
        """Phases 2 and 3: per-language scores of one target, as a tidy frame; computed unless they are there."""
        from . import scoring

        return scoring.evaluate(self, self.check(recipe, (target,), seed), canonical_target(self.tasks, target), seed)

    def predict(self, recipe: str, target: str, texts, seed: int = 0):
        """A try by hand: what a target's model says of texts, see :func:`xitt.by_hand.predict`."""
        from . import by_hand

        return by_hand.predict(
            self, self.check(recipe, (target,), seed), canonical_target(self.tasks, target), texts, seed
        )

    def results(self):
        """All scores that are there, tidy (DESIGN, section 3)."""
        from . import results

        return results.collect(self)

    def verdict(self, claim: str):
        """Verdict on one claim (``C01`` ...), from results and predictions that are there, see :func:`xitt.claims.verdict`."""
        from . import claims

        return claims.verdict(self, claim)


def find_root(start: Path) -> Path | None:
    """The nearest folder upwards that holds ``params/`` and ``notebooks/``."""
    for folder in (start, *start.parents):
        if (folder / "params").is_dir() and (folder / "notebooks").is_dir():
            return folder
    return None


def find_study(path: str | os.PathLike) -> Path:
    """The file of a study given as a path or a bare name, looked for from the current folder upwards."""
    given = Path(expand(str(path), "study"))
    here = Path.cwd().resolve()
    stem = given.name.removesuffix(given.suffix) if given.suffix in (".yaml", ".yml") else given.name
    names = [given] if given.suffix in (".yaml", ".yml") else [given, Path("params") / f"{given}.yaml"]
    for folder in (here, *here.parents):
        for name in names:
            if (folder / name).is_file():
                return (folder / name).resolve()
    root = find_root(here)
    there = sorted(p.name for p in (root / "params").glob("*.yaml")) if root else []
    raise ParameterError(
        f"study {str(path)!r}: there is no such file here or in a folder above"
        f"{nearest(stem, [t.removesuffix('.yaml') for t in there])}"
        + (f"\n  in {root / 'params'}: {', '.join(there)}" if there else "")
    )


def load_study(path: str | os.PathLike) -> Study:
    """Read, check and freeze a study.

    Parameters
    ----------
    path : str or path
        A YAML file (``params/pocket.yaml``) or a bare study name; relative paths are looked for from the current
        folder upwards, so notebooks find it too.

    Raises
    ------
    ParameterError
        If a file, key, task or value is wrong; the message names it, the valid ones and the nearest match.
    """
    if isinstance(path, Study):
        return path
    file = find_study(path)
    content = read_extended(file)
    rows = own.rows(content, file)
    params = lock.apply(validate(Params, content, file, rows), file, rows)
    folder = file.parent / "designs"
    designs = []
    for name in params.designs:
        designs.append(_design(folder, name, file, rows))
    study = Study(file, params, tuple(designs), find_root(file.parent) or file.parent.parent, rows)
    for recipe in study.intermediates:
        try:
            study.tasks_of(recipe)
        except ParameterError as error:
            raise ParameterError(f"{file}: intermediates: {error}") from None
    return study


def _design(folder: Path, name: str, file: Path, rows: tasks.Rows) -> Design:
    """A design in the form that a study names: ``variants``, or ``variants.reduced``."""
    stem, _, form = name.partition(".")
    there = {p.stem: p for p in sorted(folder.glob("*.yaml"))}  # a name, never a path
    if stem not in there:
        raise ParameterError(f"{file}: designs: {unknown('design', stem, there)}")
    path = there[stem]
    design = validate(Design, read_yaml(path), path, rows)
    if not form:
        return design
    if form not in design.forms:
        raise ParameterError(f"{file}: designs: {unknown(f'form of {stem}', form, design.forms)}")
    return design.in_form(form)


def fingerprint(inputs: Any) -> str:
    """SHA-256 (64 hex digits) of a value's canonical JSON."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
