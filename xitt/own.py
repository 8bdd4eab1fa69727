"""A user's own rows: tasks (``tasks:``) and encoders from elsewhere (entries of ``intermediates:``) in a study's file.

A task is trained, scored and reported like those of ``xitt.tasks``: it becomes one more row, known to that study alone. Its
data are a hub repository (``source:``) or files (``files:``, paths relative to the study's file; read by ``xitt.own_files``).
What a run depends on is the row's content and data, never the name or the place of its files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from . import recipes
from .errors import DataError, ParameterError, nearest, unknown
from .parameters import Model, Recipe, expand, validate
from .tasks import TASKS, Source, Task
from .variants import Rows

#: kind → (fields it needs, fields it may have, its metrics). Dual encoders and mining need layouts of their own (``xitt.pools``)
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "classify": (("first", "label"), ("second",), ("accuracy",)),
    "choose": (("prompt", "choices", "label"), ("choice_prefix", "asks"), ("accuracy",)),
    "tag": (("tokens", "tags"), ("text",), ("f1", "accuracy")),
    "span": (("context", "question", "answers"), ("starts",), ("f1", "em")),
    "bitext": (("first", "second"), (), ("accuracy",)),
}
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # a part of file names
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,4}(?:\+[a-z]{2,3})?")
#: names that mean something else where a task's or a recipe's stands
_TAKEN = ("none", recipes.MULTITASK, "mlm", "all", "avg", "best")
Part = Literal["train", "dev", "test"]


class Hub(Model):
    """A hub repository; ``config`` may hold ``{code}``, the language. See :class:`xitt.tasks.Source`."""

    repository: str
    config: str = "default"
    splits: dict[Part, str]
    revision: str = "main"
    unlabelled: bool = False


class Own(Model):
    """One entry of ``tasks:``. Fields are those of :class:`xitt.tasks.Task`; ``files`` stands in place of ``source``."""

    kind: str
    title: str | None = None  # default: the name
    roles: tuple[Literal["intermediate", "target"], ...] = ("target",)
    source: Hub | None = None
    files: dict[Part, str | dict[str, str]] | None = None  # a path, or paths by language
    language_column: str | None = None  # where one file (or config) holds several languages
    columns: dict[str, str | tuple[str, ...]]
    labels: tuple[str, ...] = ()  # default: those of the training data, sorted
    languages: tuple[str, ...] = ()  # default: those of `files: {test: ...}`, else en
    train: str | None = None  # default: itself, where it has a train split
    metrics: tuple[str, ...] = ()  # default: all of the kind
    answer_rules: Literal["squad", "squad_v2", "mlqa"] = "squad"
    recipe: Recipe = Recipe()
    licence: str = ""

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_are_text(cls, value: Any) -> Any:
        """``[0, 1]`` are labels too."""
        plain = isinstance(value, list) and not any(isinstance(v, bool) for v in value)
        return [str(v) if isinstance(v, int) else v for v in value] if plain else value

    @field_validator("kind", mode="after")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(unknown("kind", value, KINDS))
        return value

    @field_validator("languages", mode="after")
    @classmethod
    def _language_codes(cls, value: tuple) -> tuple:
        for code in value:
            _check_language(code)
        return value

    @field_validator("files", mode="after")
    @classmethod
    def _readable(cls, value: dict | None) -> dict | None:
        for part, given in (value or {}).items():
            for code, path in (given if isinstance(given, dict) else {"en": given}).items():
                _check_language(code)
                if Path(path).suffix not in SUFFIXES:
                    raise ValueError(f"{part}: {path}: {unknown('form', Path(path).suffix or path, SUFFIXES)}")
        return value

    @field_validator("recipe", mode="after")
    @classmethod
    def _no_preset(cls, value: Recipe) -> Recipe:
        if value.preset:
            raise ValueError("preset chooses among the recipes of built-in rows; give the values themselves")
        return value

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Own:
        if (self.source is None) == (self.files is None):
            raise ValueError("give exactly one of `source:` (a hub repository) and `files:`")
        needed, more, metrics = KINDS[self.kind]
        for name in self.columns:
            if name not in (*needed, *more):
                raise ValueError(f"columns: {unknown(f'field of {self.kind}', name, (*needed, *more))}")
        if missing := [n for n in needed if n not in self.columns]:
            raise ValueError(f"columns: {', '.join(missing)} missing; {self.kind} needs {', '.join(needed)}")
        for name in self.metrics:
            if name not in metrics:
                raise ValueError(f"metrics: {unknown(f'metric of {self.kind}', name, metrics)}")
        if len(set(self.labels)) < len(self.labels) or len(self.labels) == 1:
            raise ValueError(
                "labels: at least two are needed, each once (leave them out to have them read from the data)"
            )
        return self

    def parts(self) -> dict[str, str]:
        """Splits and what their source calls them."""
        return dict(self.source.splits) if self.source else {part: part for part in self.files}


class Checkpoint(Model):
    """An encoder from elsewhere as a row of the matrix: it takes the place of phase 1, its own tokenizer with it."""

    name: str
    hub: str | None = None
    revision: str | None = None
    folder: str | None = Field(None, min_length=1)  # in Hugging Face layout; relative to the study's file

    @model_validator(mode="after")
    def _one_source(self) -> Checkpoint:
        if (self.hub is None) == (self.folder is None):
            raise ValueError("give exactly one of `hub:` and `folder:`")
        if self.revision and not self.hub:
            raise ValueError("`revision:` goes with `hub:`")
        return self


def _check_language(code: str) -> None:
    if not _LANGUAGE.fullmatch(code) or code in ("all", "avg"):
        raise ValueError(f"{code!r} is no language code (BCP 47, e.g. de, hi-Latn)")


# --- rows ----------------------------------------------------------------------------------------------------------
def rows(content: dict[str, Any], file: Path) -> Rows:
    """All tasks of a study: those of the package and the user's own, from the content of the study's file.

    Raises
    ------
    ParameterError
        If an entry is wrong or its name is taken; the message names file and key.
    """
    found = Rows(TASKS)
    given = content.get("tasks") or {}
    if not isinstance(given, dict):
        raise ParameterError(f"{file}: tasks: a mapping of names to rows is expected, not {type(given).__name__}")
    for name, entry in given.items():
        _check_name(file, f"tasks.{name}", str(name), found)
        found[name] = _task(name, validate(Own, entry, file, key=f"tasks.{name}"), file)
    for name in given:
        _check_training(file, found[name], found)
    for number, entry in enumerate(_entries(content)):
        if isinstance(entry, dict):
            checkpoint = validate(Checkpoint, entry, file, key=f"intermediates.{number}")
            _check_name(file, f"intermediates.{number}.name", checkpoint.name, found)
            found[checkpoint.name] = _ready(checkpoint, file)
    return found if len(found) > len(TASKS) else TASKS


def _entries(content: dict[str, Any]) -> list:
    given = content.get("intermediates")
    return given if isinstance(given, list) else []


def _check_name(file: Path, key: str, name: str, known: Rows) -> None:
    if not _NAME.fullmatch(name):
        raise ParameterError(
            f"{file}: {key}: a name has small letters, digits and _, 64 at most, and begins with a letter, not {name[:80]!r}"
        )
    if name in _TAKEN:
        raise ParameterError(f"{file}: {key}: {name!r} has a meaning of its own; choose another name")
    if name in known:
        whose = "is one of xitt's own tasks" if name in TASKS else "is defined twice"
        raise ParameterError(f"{file}: {key}: {name!r} {whose}; choose another name")


def _task(name: str, own: Own, file: Path) -> Task:
    parts, bitext = own.parts(), own.kind == "bitext"
    train = None if bitext else own.train or (name if "train" in parts else None)
    if train is None and not bitext:
        raise ParameterError(
            f"{file}: tasks.{name}: it has no train split; give one, or `train:` the task it is trained on"
        )
    if bitext and (own.train or "intermediate" in own.roles):
        raise ParameterError(
            f"{file}: tasks.{name}: bitext is searched without training; it is a target with no `train:`"
        )
    if "target" in own.roles and "test" not in parts:
        raise ParameterError(f"{file}: tasks.{name}: a target needs a test split; it has {', '.join(parts)}")
    if "intermediate" in own.roles and "train" not in parts:
        raise ParameterError(
            f"{file}: tasks.{name}: an intermediate task needs a train split; it has {', '.join(parts)}"
        )
    source, languages = _source(name, own, file)
    return Task(
        name, own.title or name, own.kind, own.roles, source, dict(own.columns), own.labels,
        languages if "target" in own.roles else (), train, own.metrics or KINDS[own.kind][2],
        own.recipe.model_dump(exclude_none=True), licence=own.licence, answer_rules=own.answer_rules,
        own=f"{file}: tasks.{name}",
    )  # fmt: skip


def _source(name: str, own: Own, file: Path) -> tuple[Source, tuple[str, ...]]:
    """Where the data are, and the languages of the test set."""
    if own.source:
        s = own.source
        languages = own.languages or ("en",)
        if len(languages) > 1 and "{code}" not in s.config and not own.language_column:
            raise ParameterError(
                f"{file}: tasks.{name}: several languages need a config with {{code}}, or `language_column:`"
            )
        source = Source(
            s.repository,
            s.config,
            dict(s.splits),
            s.revision,
            language_column=own.language_column,
            unlabelled=s.unlabelled,
        )
        return source, languages
    paths = {part: _paths(name, own, part, given, file) for part, given in own.files.items()}
    there = tuple(paths.get("test", {"en": ""}))
    if lost := [x for x in own.languages if x not in there]:
        raise ParameterError(f"{file}: tasks.{name}.files.test: no file for {', '.join(lost)} of its languages")
    source = Source(name, splits=own.parts(), layout="files", language_column=own.language_column, files=paths)
    return source, own.languages or there


def _paths(name: str, own: Own, part: str, given: str | dict[str, str], file: Path) -> dict[str, str]:
    """Absolute paths by language. One test file is in the first language, or in all of them with a language column; training
    and dev files are read as the language that is trained on.
    """
    if isinstance(given, str):
        codes = own.languages or ("en",)
        if part == "test" and len(codes) > 1 and not own.language_column:
            raise ParameterError(
                f"{file}: tasks.{name}.files.test: one file for {', '.join(codes)} needs `language_column:`; or give a file per "
                f"language, as {{{codes[0]}: ..., {codes[1]}: ...}}"
            )
        given = dict.fromkeys(codes if part == "test" else ("en",), given)
    elif part != "test":
        raise ParameterError(
            f"{file}: tasks.{name}.files.{part}: one path is expected; only the test set has languages"
        )
    return {code: str(file.parent / path) for code, path in given.items()}


def _check_training(file: Path, row: Task, known: Rows) -> None:
    """What a task is trained on must have its head: the same kind, the same labels in the same order."""
    if row.train in (None, row.name):
        return
    where = f"{file}: tasks.{row.name}.train"
    able = [t.name for t in known.values() if t.train == t.name]
    if row.train not in able:
        raise ParameterError(f"{where}: {unknown('task to train on', row.train, able)}")
    other = known[row.train]
    if other.kind != row.kind:
        raise ParameterError(f"{where}: {row.train} is of kind {other.kind}, not {row.kind}; a head serves one kind")
    if row.kind != "choose" and row.labels and other.labels and row.labels != other.labels:
        raise ParameterError(
            f"{file}: tasks.{row.name}.labels: it is trained on {row.train}, so its labels are {', '.join(other.labels)}, in this "
            "order (or left out)"
        )


def _ready(checkpoint: Checkpoint, file: Path) -> Task:
    source = Source(
        checkpoint.hub or checkpoint.folder, revision=checkpoint.revision or "main", layout=recipes.CHECKPOINT
    )
    return Task(
        checkpoint.name,
        checkpoint.name,
        recipes.CHECKPOINT,
        ("intermediate",),
        source,
        {},
        own=f"{file}: intermediates",
    )


# --- identity ------------------------------------------------------------------------------------------------------
def identity(row: Task) -> str:
    """What a fingerprint calls a task: its name, or for a user's row its content, so that a name says nothing."""
    if not row.own:
        return row.name
    from .study import fingerprint

    # its data have a fingerprint of their own, whatever columns and files they are read from
    return "own:" + fingerprint([row.kind, row.labels, row.metrics, row.answer_rules])[:16]


# --- checkpoints ---------------------------------------------------------------------------------------------------
def open_checkpoint(checkpoint: Checkpoint, study_file: Path, root: Path, offline: bool = False):
    """The encoder of a checkpoint, from the hub or from its folder.

    Returns
    -------
    xitt.backbone.Encoder

    Raises
    ------
    DataError
        If it is not there or is no encoder in Hugging Face layout.
    """
    from . import backbone as encoders
    from .schema import Backbone

    where, folder = f"{study_file}: intermediates: {checkpoint.name}", checkpoint.folder
    if folder is not None:
        path = study_file.parent / Path(expand(folder, where)).expanduser()
        if not path.is_dir():
            there = [p.name for p in path.parent.glob("*") if p.is_dir()] if path.parent.is_dir() else []
            raise DataError(f"{where}: folder {path} is not there{nearest(path.name, there)}")
        folder = str(path.resolve())
    try:
        return encoders.fetch(Backbone(hub=checkpoint.hub, revision=checkpoint.revision, folder=folder), root, offline)
    except DataError as error:
        message = str(error).removeprefix("backbone: ").replace("`backbone: {folder: ...}`", "`folder:`")
        raise DataError(f"{where}: {message}") from None
