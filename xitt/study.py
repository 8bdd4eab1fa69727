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
from typing import Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from . import lock, own, recipes, tasks
from .errors import ParameterError, nearest, unknown
from .parameters import Commit, Model, Recipe, expand, read_extended, read_yaml, validate
from .variants import canonical as canonical_target

__all__ = ["Study", "expand", "find_study", "fingerprint", "load_study", "read_yaml"]


def _rows(info: ValidationInfo) -> tasks.Rows | None:
    """Tasks that a file may name: the study's; without one, those of the package; ``None``: they were checked before."""
    return (info.context or {}).get("rows", tasks.TASKS)


class Limits(Model):
    """How many examples are read at most; ``null`` is all."""

    train: PositiveInt | None = None
    dev: PositiveInt | None = None
    test: PositiveInt | None = None


class Data(Model):
    """Where examples come from."""

    source: Literal["pocket", "folder", "hub"]
    folder: str | None = None  # holds hub/ and local/; ${XITT_DATA} is expanded
    missing: Literal["error", "skip"] = "error"  # what a language without data means
    limits: Limits = Limits()
    task_limits: dict[str, Limits] = {}
    languages: tuple[str, ...] | None = None  # scored languages; null is all that a task has
    benchmark: Literal["xtreme", "xtreme-r"] = "xtreme"  # xtreme-r scores some tasks in more languages
    commits: dict[str, Commit] = {}  # hub repository -> commit to read; a lock file adds to it (xitt.lock)
    offline: bool = False  # hub: read what is in the cache, ask for nothing

    @field_validator("task_limits", mode="after")
    @classmethod
    def _known_tasks(cls, value: dict, info: ValidationInfo) -> dict:
        for name in value:
            _check_task(name, _rows(info))
        return value

    @field_validator("languages", mode="after")
    @classmethod
    def _known_languages(cls, value: tuple | None, info: ValidationInfo) -> tuple | None:
        rows = _rows(info)
        known = sorted({x for t in (rows or {}).values() for x in (*t.languages, *t.more)})
        for code in value or ():
            if rows is not None and code not in known:
                raise ValueError(unknown("language", code, known))
        return value

    @model_validator(mode="after")
    def _folder_given(self) -> Data:
        if self.source == "folder" and not self.folder:
            raise ValueError("source: folder needs `folder:`, for example ${XITT_DATA}")
        return self

    def revision(self, source: tasks.Source) -> str:
        """What to read of a repository: the pinned commit, else what the task's row says (a commit or a name)."""
        return self.commits.get(source.repository, source.revision)


class Architecture(Model):
    """Size of an XLM-R that is built here."""

    width: PositiveInt = 128
    layers: PositiveInt = 4
    heads: PositiveInt = 4
    feed_forward: PositiveInt = 512
    vocabulary: PositiveInt = 8000
    max_length: PositiveInt = 256


class Build(Model):
    """Recipe of a backbone that is trained here, by ``00_backbone``, on raw text."""

    text: Literal["pocket", "folder"]
    languages: tuple[str, ...] | None = None
    lines: PositiveInt | None = None  # per language
    architecture: Architecture = Architecture()
    tokens: PositiveInt = 4_000_000  # tokens seen in training
    batch_tokens: PositiveInt = 8192
    length: PositiveInt = 128
    lr: PositiveFloat = 1e-3
    masked: PositiveFloat = 0.25
    pairs: float = Field(0.5, ge=0, le=1)  # share of batches that are pairs of two languages (pocket text only)
    language_noise: float | None = Field(
        None, ge=0
    )  # pocket: word vectors start as concept vector + noise of this size
    exponent: float = Field(0.5, gt=0, le=1)  # languages are drawn with p ~ size ** exponent
    seed: NonNegativeInt = 0


class Backbone(Model):
    """Exactly one of: a hub repository, a folder in Hugging Face layout, a recipe to build one."""

    hub: str | None = None
    revision: str | None = None
    folder: str | None = None
    build: Build | None = None
    shipped: str | None = (
        None  # name of a built backbone that comes with the package (used while its recipe is unchanged)
    )

    @model_validator(mode="after")
    def _one_source(self) -> Backbone:
        if sum(x is not None for x in (self.hub, self.folder, self.build)) != 1:
            raise ValueError("give exactly one of `hub:`, `folder:` and `build:`")
        if self.revision and not self.hub:
            raise ValueError("`revision:` goes with `hub:`")
        return self


class Engine(Model):
    """How work is done; nothing here may change a result beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: PositiveInt | None = None  # CPU threads per job; null: the machine's cores over its slots
    micro_batch_tokens: PositiveInt = 8192
    eval_batch_tokens: PositiveInt = 16384
    checkpoint_seconds: PositiveFloat = 60.0


class Retrieval(Model):
    """How sentence vectors are made when nothing is trained (paper_facts 2.5)."""

    layer: int | None = Field(None, ge=0)  # hidden_states index; null: round(14/24 x layers)
    length: PositiveInt = 512
    neighbours: PositiveInt = 4


class Params(Model):
    """Contents of ``params/<study>.yaml``."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str
    note: str = ""
    extends: str | None = None
    designs: tuple[str, ...]
    data: Data
    backbone: Backbone
    recipe: Recipe = Recipe()
    recipes: dict[str, Recipe] = {}  # by task; multitask and mlm too, as far as recipes.SETTINGS goes
    retrieval: Retrieval = Retrieval()
    tasks: dict[str, own.Own] = {}  # the user's own rows (xitt.own)
    intermediates: tuple[str | own.Checkpoint, ...] | None = None  # other rows than the designs name
    targets: tuple[str, ...] | None = None
    seeds: tuple[NonNegativeInt, ...] = (0,)
    keep: Literal["all", "intermediates", "none"] = "intermediates"
    engine: Engine = Engine()

    @field_validator("recipes", mode="after")
    @classmethod
    def _known_tasks(cls, value: dict, info: ValidationInfo) -> dict:
        for name, recipe in value.items():
            if name not in recipes.SETTINGS:
                _check_task(name, _rows(info))
            elif wrong := [k for k in recipe.model_dump(exclude_none=True) if k not in recipes.SETTINGS[name]]:
                raise ValueError(f"{name}: {unknown('setting', wrong[0], recipes.SETTINGS[name])}")
        return value

    @field_validator("intermediates", mode="after")
    @classmethod
    def _known_recipes(cls, value: tuple | None, info: ValidationInfo) -> tuple | None:
        for entry in value or ():
            if isinstance(entry, str):
                _check_recipe(entry, _rows(info))
        return value

    @field_validator("targets", mode="after")
    @classmethod
    def _known_targets(cls, value: tuple | None, info: ValidationInfo) -> tuple | None:
        return value and tuple(_target(name, _rows(info)) for name in value)

    @field_validator("designs", "seeds", mode="after")
    @classmethod
    def _some_each_once(cls, value: tuple) -> tuple:
        if not value or len(set(value)) != len(value):
            raise ValueError("at least one is needed, each once")
        return value


class Design(Model):
    """Contents of ``params/designs/<design>.yaml``: which recipes meet which targets. Free of scale."""

    name: str
    question: str
    intermediates: tuple[str, ...]
    targets: tuple[str, ...]

    @field_validator("intermediates", mode="after")
    @classmethod
    def _known_recipes(cls, value: tuple, info: ValidationInfo) -> tuple:
        for name in value:
            _check_recipe(name, _rows(info))
        return value

    @field_validator("targets", mode="after")
    @classmethod
    def _known_targets(cls, value: tuple, info: ValidationInfo) -> tuple:
        return tuple(_target(name, _rows(info)) for name in value)


def _check_recipe(name: str, rows: tasks.Rows) -> None:
    try:
        recipes.parse(name, rows)
    except ParameterError as error:
        raise ValueError(str(error)) from None


def _check_task(name: str, rows: tasks.Rows | None) -> None:
    if rows is not None and name not in rows:
        raise ValueError(unknown("task", name, list(rows)))


def _target(name: str, rows: tasks.Rows) -> str:
    try:
        return canonical_target(rows, name)
    except ParameterError as error:
        raise ValueError(str(error)) from None


# --- the study -----------------------------------------------------------------------------------------------------
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

    def choose_targets(self, text: str) -> tuple[str, ...]:
        """Trained targets from a comma-separated list, or all of the study for ``all``.

        Raises
        ------
        ParameterError
            If one is unknown or is not trained.
        """
        if text.strip() == "all":
            return self.trained_targets
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
        design = folder / f"{name}.yaml"
        if not design.is_file():
            valid = sorted(p.stem for p in folder.glob("*.yaml"))
            raise ParameterError(f"{file}: designs: {unknown('design', name, valid)}")
        designs.append(validate(Design, read_yaml(design), design, rows))
    study = Study(file, params, tuple(designs), find_root(file.parent) or file.parent.parent, rows)
    for recipe in study.intermediates:
        try:
            study.tasks_of(recipe)
        except ParameterError as error:
            raise ParameterError(f"{file}: intermediates: {error}") from None
    return study


def fingerprint(inputs: Any) -> str:
    """SHA-256 (64 hex digits) of a value's canonical JSON."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
