"""What a study file and a design file may hold: keys, types, defaults, and checks that need no other file.

``xitt.study`` reads the files and makes a :class:`~xitt.study.Study` of what they hold.
"""

from __future__ import annotations

from typing import Literal

from pydantic import (
    ByteSize,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from . import own, recipes, tasks
from .errors import ParameterError, unknown
from .parameters import Commit, Model, Recipe
from .similarity.names import MEASURES
from .variants import canonical as canonical_target


def _rows(info: ValidationInfo) -> tasks.Rows | None:
    """Tasks that a file may name: the study's; without one, those of the package; ``None``: they were checked before."""
    return (info.context or {}).get("rows", tasks.TASKS)


class Limits(Model):
    """How many examples are read at most; ``null`` is all."""

    train: PositiveInt | None = None
    dev: PositiveInt | None = None
    test: PositiveInt | None = None


class Vision(Model):
    """What images in files are seen with (``xitt.vision``): a frozen encoder of transformers, from the hub or a folder, and where they are."""

    hub: str | None = None
    revision: str = "main"
    folder: str | None = None  # in Hugging Face layout; goes before `hub`
    images: str | None = None  # null: local/multi30k_images of the data folder
    grid: PositiveInt = 7  # its patches are averaged to so many rows and columns


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
    # of sets whose texts are in two languages (xitt.crossed): English with each and each with English, all pairs, or a list of them
    pairs: Literal["english", "all"] | tuple[str, ...] = "english"
    # pocket: share of words that a translated training set gets wrong (xitt.pocket.translation)
    translation_noise: float = Field(0.0, ge=0, le=1)
    offline: bool = False  # hub: read what is in the cache, ask for nothing
    vision: Vision = Vision()

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
    """How work is done; nothing here may change a result beyond rounding and which numbers dropout draws.

    ``precision`` and ``attention_dropout`` change more and are in the fingerprints. ``attention`` is not: packed and padded rows give the
    same numbers (``tests/test_packing.py``), and dropout draws others with the size of a micro-batch, too.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    attention: Literal["auto", "packed", "padded"] = "auto"  # auto: packed rows wherever the architecture allows them
    attention_dropout: bool = (
        True  # false: none in training; torch's kernel for packed rows on CUDA (bfloat16) knows none
    )
    gradient_checkpointing: bool = (
        False  # a third more time for far less memory: layers are computed again for their gradients
    )
    threads: PositiveInt | None = None  # CPU threads per job; null: the machine's cores over its slots
    micro_batch_tokens: PositiveInt = 8192
    eval_batch_tokens: PositiveInt = 16384
    checkpoint_seconds: PositiveFloat = 60.0
    silent_seconds: PositiveFloat = 3600.0  # a notebook that gives no sign for so long is ended and tried again
    retries: NonNegativeInt = (
        2  # of a job whose process or kernel died, did not start or fell silent; never of an error in a cell
    )
    worker_losses: NonNegativeInt = 10  # times that a job may lose its worker in a cluster before it is given up

    @property
    def identity(self) -> dict:
        """What of it a fingerprint must know, beside the precision: nothing but departures from the reference."""
        return {} if self.attention_dropout else {"attention_dropout": False}


class Retrieval(Model):
    """How sentence vectors are made when nothing is trained (paper_facts 2.5)."""

    layer: int | None = Field(None, ge=0)  # hidden_states index; null: round(14/24 x layers)
    length: PositiveInt = 512
    neighbours: PositiveInt = 4
    # bytes, or a text like 4GiB: vectors held before they go to disk, and as much again for a search beside them
    memory: ByteSize = Field(ByteSize(2**30), ge=2**20)


class Similarity(Model):
    """How measures of task similarity are taken (``xitt.similarity``)."""

    examples: PositiveInt = 200  # of each training set
    steps: PositiveInt = 20  # of the measure few_steps
    measures: tuple[str, ...] | None = None  # null: all

    @field_validator("measures", mode="after")
    @classmethod
    def _known_measures(cls, value: tuple | None) -> tuple | None:
        for name in value or ():
            if name not in MEASURES:
                raise ValueError(unknown("measure", name, MEASURES))
        return value


class Params(Model):
    """Contents of ``params/<study>.yaml``."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)
    title: str
    note: str = ""
    extends: str | None = None
    designs: tuple[str, ...]
    data: Data
    backbone: Backbone
    recipe: Recipe = Recipe()
    recipes: dict[str, Recipe] = {}  # by task; multitask and mlm too, as far as recipes.SETTINGS goes
    retrieval: Retrieval = Retrieval()
    similarity: Similarity = Similarity()
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
        names = [v.partition(".")[0] if isinstance(v, str) else v for v in value]  # a design in one of its forms
        if not value or len(set(names)) != len(names):
            raise ValueError("at least one is needed, each once")
        return value


class Form(Model):
    """Which recipes meet which targets. Free of scale."""

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


class Design(Form):
    """Contents of ``params/designs/<design>.yaml``: a question, and the rows and columns that answer it.

    ``forms`` are other sets of rows and columns for the same question, smaller or larger: a study names ``variants`` for the design
    as it stands or ``variants.reduced`` for one of its forms.
    """

    name: str
    question: str
    forms: dict[str, Form] = {}

    @property
    def whole(self) -> Form | None:
        """The design as it stands, where a study runs it in another form."""
        return self.forms.get("")

    def in_form(self, name: str) -> Design:
        """The design with the rows and columns of one of its forms."""
        chosen = self.forms[name]
        update = {"intermediates": chosen.intermediates, "targets": chosen.targets, "forms": {**self.forms, "": self}}
        return self.model_copy(update=update)


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
