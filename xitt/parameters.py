"""What parameter files are made of: strict frozen models, YAML read with errors that name file, line and key."""

from __future__ import annotations

import os
import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from .errors import DataError, ParameterError, nearest, unknown


class Model(BaseModel):
    """Frozen, and strict about keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_yes_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes` as true, and true would pass for 1."""
        plain = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(v, bool) for v in plain) and "bool" not in str(cls.model_fields[info.field_name].annotation):
            raise ValueError(
                f"true or false makes no sense here (YAML reads yes, no, on and off so; given: {_SHORT.repr(value)})"
            )
        return value


#: 40 hex digits; a name that can move pins nothing
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class Recipe(Model):
    """Hyper-parameters of fine-tuning; a field left out is taken from the task's row, or the default here.

    Defaults follow jiant (paper_facts, section 2): AdamW, weight decay 0.01 except bias and LayerNorm, 10 % warm-up,
    linear decay, clipping at 1.0, the checkpoint with the best score on the first English dev examples.
    """

    preset: Literal["xstilts", "xtreme"] | None = (
        None  # whose recipe the rows give: the paper's code (default), the benchmark's
    )
    lr: PositiveFloat | None = None
    epochs: PositiveFloat | None = None
    batch: PositiveInt | None = None
    length: PositiveInt | None = None
    max_steps: PositiveInt | None = None
    weight_decay: float | None = Field(None, ge=0)
    warmup: float | None = Field(None, ge=0, lt=1)
    clip: PositiveFloat | None = None
    eval_every: PositiveInt | None = None  # steps between looks at the dev set
    eval_examples: PositiveInt | None = None  # the first so many dev examples


# --- reading YAML --------------------------------------------------------------------------------------------------
class _Loader(yaml.SafeLoader):
    """YAML 1.1 as people expect it: ``1e-5`` is a number, a key may stand once."""

    def construct_mapping(self, node, deep=False):
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float):
                raise yaml.MarkedYAMLError(problem="a key must be a plain name", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} stands twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*([eE][-+]?\d+)|\.[\d_]+([eE][-+]?\d+)?|\d[\d_]*\.[\d_]*)$"),
    list("-+.0123456789"),
)


def read_yaml(path: Path) -> dict[str, Any]:
    """One YAML mapping; problems name the file and the line."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # a SafeLoader: plain values only
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: not UTF-8 text ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise ParameterError(f"{path}{where}: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise ParameterError(f"{path}: nested too deeply") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # a date that is none, a tag that does not fit
        raise ParameterError(
            f"{path}: a value is not what its form or tag says ({type(error).__name__}: {error})"
        ) from None
    if content is None:
        raise ParameterError(f"{path}: the file is empty; see params/pocket.yaml for an example")
    if not isinstance(content, dict):
        raise ParameterError(f"{path}: a mapping of keys to values is expected, not {type(content).__name__}")
    for key in content:
        if not isinstance(key, str):
            raise ParameterError(f"{path}: key {key!r} is no name (quote it if it is meant as one)")
    return content


def merge(base: dict, over: dict) -> dict:
    """``over`` on top of ``base``, mapping by mapping; a backbone is replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        deep = key != "backbone" and isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if deep else value
    return merged


def read_extended(path: Path, chain: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path in chain:
        raise ParameterError(f"{path}: `extends:` goes in a circle: {' -> '.join(p.name for p in (*chain, path))}")
    content = read_yaml(path)
    base = content.get("extends")
    if base is None:
        return content
    parent = path.parent / f"{base}.yaml" if isinstance(base, str) else None
    if parent is None or not parent.is_file():
        there = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ParameterError(
            f"{path}: extends: {unknown('study', base if isinstance(base, str) else _SHORT.repr(base), there)}"
        )
    # a study that gives no name of its own must not share its parent's results
    return merge({**read_extended(parent, (*chain, path)), "name": path.stem}, content)


def validate(model: type[Model], content: Any, path: Path, rows: Any = None, key: str = "") -> Any:
    """A model from what a file holds (below ``key``); ``rows`` are the tasks that it may name.

    Raises
    ------
    ParameterError
        One line per fault: file, key, what is wrong, what is valid.
    """
    try:
        return model.model_validate(content, context=None if rows is None else {"rows": rows})
    except ValidationError as error:
        raise ParameterError("\n".join(_explain(path, model, e, key) for e in error.errors())) from None


def _explain(path: Path, model: type[BaseModel], error: dict, key: str) -> str:
    """One line for one fault: file, key, what is wrong, what is valid."""
    where = ".".join(str(part) for part in (*([key] if key else []), *error["loc"])) or "(the whole file)"
    if error["type"] == "extra_forbidden":
        valid = _fields_at(model, error["loc"][:-1])
        return f"{path}: unknown key {where!r}{nearest(error['loc'][-1], valid)}\n  valid here: {', '.join(valid)}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "literal_error":
        message += nearest(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))
    given = "" if error["type"] in ("missing", "value_error") else f" (given: {_SHORT.repr(error['input'])})"
    return f"{path}: {where}: {message}{given}"


#: a value in a message: a few lines at most, however large it is
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlevel = 3


def _fields_at(model: type[BaseModel], location: tuple) -> list[str]:
    """Names of the fields of the model found along a path of keys."""
    for key in location:
        field = model.model_fields.get(str(key)) if model else None
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else [model]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if model is None:
            return []
    return list(model.model_fields)


def expand(text: str, where: str) -> str:
    """Expand ``${NAME}`` from the environment.

    Raises
    ------
    DataError
        If the variable is not set: a path to data is missing, not a parameter wrong.
    """

    def value(match: re.Match) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise DataError(
                f"{where}: environment variable {name} is not set; set it to the folder meant, e.g. {name}=/data xitt ..."
            )
        return os.environ[name]

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text)
