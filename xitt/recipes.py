"""Recipe strings: the canonical names of intermediate training, ``name[{parts}][+key=value…]``.

The same string is the value in the results, the job id and (made safe) the file name: ``mnli``,
``multitask{mnli,qqp}+sampler=temperature:2``, ``mnli+mlm=0.5``, ``mnli+train=de:es``. Every recipe has one spelling: parts and
keys are sorted, numbers written short, and what is the default is left out.

``qqp+match=mnli`` is trained for as many steps and tokens as ``mnli`` (``xitt.matching``); ``mnli+control=labels`` on the same
examples with labels that mean nothing, ``mnli+control=text`` on texts that do (``xitt.control``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from . import tasks
from .errors import ParameterError, unknown

_FORM = re.compile(
    r"^(?P<name>[a-z0-9_]+)(?:\{(?P<parts>[a-z0-9_,]+)\})?(?P<options>(?:\+[a-z_]+=[A-Za-z0-9_.:{},-]+)*)$"
)
_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")  # the form of BCP 47 codes
MULTITASK = "multitask"
CHECKPOINT = "checkpoint"  # kind of a row that is an encoder from elsewhere: phase 1 is done
#: the paper's intermediate tasks (Phang et al. 2020, Table 1): what ``multitask`` without braces takes its parts from
NINE = ("anli_plus", "ccg", "commonsenseqa", "cosmosqa", "hellaswag", "mnli", "qqp", "squad_v1", "squad_v2")
#: what a study may set under ``recipes:`` for mixtures: for all steps of a multi-task training, and for MLM steps; everything
#: else of a mixture is its tasks' own
SETTINGS = {
    MULTITASK: ("lr", "max_steps", "weight_decay", "warmup", "clip", "eval_every"),
    "mlm": ("lr", "batch", "length"),
}


@dataclass(frozen=True)
class ParsedRecipe:
    """A recipe taken apart. ``parts`` is empty for a single task, ``options`` is sorted by key."""

    name: str
    parts: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        parts = "{" + ",".join(self.parts) + "}" if self.parts else ""
        return self.name + parts + "".join(f"+{k}={v}" for k, v in self.options)

    @property
    def file_name(self) -> str:
        """The recipe in characters that are safe in file names."""
        return file_name(str(self))

    @property
    def sampler(self) -> Sampler:
        """How the part of a step is drawn."""
        return Sampler.of(dict(self.options).get("sampler", "proportional"))

    @property
    def mlm(self) -> float:
        """Share of all steps that are masked language modelling."""
        return float(dict(self.options).get("mlm", 0))

    @property
    def train(self) -> tuple[str, ...]:
        """Languages of the training sets; with several, examples take turns (:func:`xitt.data.training`)."""
        return tuple(dict(self.options).get("train", "en").split(":"))

    @property
    def attention_dropout(self) -> bool:
        """Whether attention weights are dropped in training; ``False`` goes before what the study's engine says."""
        return "attention_dropout" not in dict(self.options)

    @property
    def match(self) -> str:
        """Recipe whose steps and tokens it is trained for; empty where they are its own."""
        return dict(self.options).get("match", "")

    @property
    def control(self) -> str:
        """What is made meaningless in the training set: ``labels``, ``text``, or empty."""
        return dict(self.options).get("control", "")

    @property
    def mixed(self) -> bool:
        """Whether steps come from more than one collection of examples."""
        return self.name == MULTITASK or self.mlm > 0


# --- samplers ------------------------------------------------------------------------------------------------------
_SAMPLERS = {
    "probabilities": "probabilities:TASK:P:TASK:P...",
    "proportional": "proportional[:CAP]",
    "temperature": "temperature:T[:CAP]",
    "uniform": "uniform",
}


@dataclass(frozen=True)
class Sampler:
    """How the task of a multi-task step is drawn (paper_facts 2.1): p ∝ min(n, cap)^(1/T), or as given.

    Attributes
    ----------
    temperature : float
        1 is proportional to training size, infinity is uniform.
    cap : int or None
        Sizes count no more than this.
    given : tuple of (str, float)
        Probabilities by task, sorted by name; empty where they follow from the sizes.
    """

    temperature: float = 1.0
    cap: int | None = None
    given: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, text: str) -> Sampler:
        """A sampler from its spelling.

        Raises
        ------
        ValueError
            If the rule is unknown or a number makes no sense.
        """
        rule, *values = text.split(":")
        if rule not in _SAMPLERS:
            raise ValueError(unknown("sampler", rule, _SAMPLERS.values()))
        if rule == "probabilities":
            return cls(given=_given(values))
        most = {"proportional": 1, "temperature": 2, "uniform": 0}[rule]
        if len(values) > most or (rule == "temperature" and not values):
            raise ValueError(f"sampler {text!r} does not have the form {_SAMPLERS[rule]}")
        if rule == "uniform":
            return cls(math.inf)
        temperature = _number(values.pop(0), "a temperature", 0, math.inf) if rule == "temperature" else 1.0
        if values and not (values[0].isdecimal() and int(values[0]) > 0):
            raise ValueError(f"sampler {text!r}: a cap is a whole number of examples from 1, not {values[0]!r}")
        return cls(temperature, int(values[0]) if values else None)

    def __str__(self) -> str:
        if self.given:
            return "probabilities:" + ":".join(f"{name}:{_short(p)}" for name, p in self.given)
        if math.isinf(self.temperature):
            return "uniform"
        rule = "proportional" if self.temperature == 1 else f"temperature:{_short(self.temperature)}"
        return rule if self.cap is None else f"{rule}:{self.cap}"


def _given(values: list[str]) -> tuple[tuple[str, float], ...]:
    names = values[::2]
    if not values or len(values) % 2:
        raise ValueError(f"the sampler does not have the form {_SAMPLERS['probabilities']}")
    if len(set(names)) < len(names):
        raise ValueError("the sampler names a task twice")
    given = tuple(sorted((n, _number(p, "a probability", 0, 1)) for n, p in zip(names, values[1::2], strict=True)))
    if abs((total := sum(p for _, p in given)) - 1) > 1e-6:
        raise ValueError(f"the sampler's probabilities add up to {total:g}, not to 1")
    return given


def _number(text: str, what: str, low: float, high: float) -> float:
    """A number between two others, ends excluded."""
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", text) or not low < float(text) < high:
        limits = f"between {low} and {high}" if math.isfinite(high) else f"above {low}"
        raise ValueError(f"{what} is a number {limits}, not {text!r}")
    return float(text)


def _short(value: float) -> str:
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text if float(text) == value else repr(value)


# --- options -------------------------------------------------------------------------------------------------------
def _sampler_option(value: str, recipe: ParsedRecipe) -> str:
    if recipe.name != MULTITASK:
        raise ValueError(f"a sampler goes with {MULTITASK}; {recipe.name} is a single task")
    sampler = Sampler.of(value)
    if recipe.parts:
        _check_given(sampler, recipe.parts)
    return "" if sampler == Sampler() else str(sampler)


def _mlm_option(value: str, recipe: ParsedRecipe) -> str:
    if recipe.name == "none":
        raise ValueError("mlm is mixed into a task; none trains nothing")
    return _short(_number(value, "mlm, the share of steps on raw text,", 0, 1))


def _train_option(value: str, recipe: ParsedRecipe) -> str:
    if recipe.name == "none":
        raise ValueError("train gives the language of a training set; none trains nothing")
    languages = value.split(":")
    bad = next((x for x in languages if not _LANGUAGE.fullmatch(x)), None)
    if bad is not None:
        raise ValueError(
            f"train: languages are given as codes with colons between, e.g. train=de:es; {bad!r} is no code"
        )
    if len(set(languages)) < len(languages):
        raise ValueError("train: a language stands twice")
    return "" if languages == ["en"] else ":".join(sorted(languages))


def _attention_dropout_option(value: str, recipe: ParsedRecipe) -> str:
    if recipe.name == "none":
        raise ValueError("attention_dropout is one of training; none trains nothing")
    if value not in ("0", "1"):
        raise ValueError(f"attention_dropout is 0 (none) or 1 (as the encoder has it), not {value!r}")
    return "" if value == "1" else value


#: what a control makes meaningless → kinds that it goes with (``xitt.control``)
CONTROLS = {"labels": ("choose", "classify"), "text": ("choose", "classify", "mlm", "span", "tag"),
            "blank": ("caption",), "shuffled": ("caption",)}  # fmt: skip


def _control_option(value: str, recipe: ParsedRecipe) -> str:
    if recipe.name == "none":
        raise ValueError("control is one of training data; none trains nothing")
    if value not in CONTROLS:
        raise ValueError(unknown("control", value, CONTROLS))
    return value


def _match_option(value: str, recipe: ParsedRecipe) -> str:
    if recipe.name == "none":
        raise ValueError("match gives the steps and tokens of a training; none trains nothing")
    return value  # the name is checked once the study's tasks are known


def _check_given(sampler: Sampler, parts: tuple[str, ...]) -> None:
    """Given probabilities are those of the parts, each once."""
    names = [name for name, _ in sampler.given]
    for name in names:
        if name not in parts:
            raise ValueError(f"the sampler's {unknown('task', name, parts)}")
    if names and (gone := [p for p in parts if p not in names]):
        raise ValueError(f"the sampler gives no probability for {', '.join(gone)}")


#: options of a recipe: (value, recipe without options) → canonical value, empty where it is the default; an
#: ``ValueError`` says what is wrong. A new one is added here and where it acts.
OPTIONS: dict[str, Callable[[str, ParsedRecipe], str]] = {
    "attention_dropout": _attention_dropout_option, "control": _control_option, "match": _match_option, "mlm": _mlm_option,
    "sampler": _sampler_option, "train": _train_option,
}  # fmt: skip


def file_name(recipe: str) -> str:
    """A canonical recipe in characters that are safe in file names."""
    return re.sub(r"[^A-Za-z0-9_.=+-]", "-", recipe)


# --- reading -------------------------------------------------------------------------------------------------------
def parse(text: str, rows: Mapping[str, tasks.Task] = tasks.TASKS) -> ParsedRecipe:
    """Take a recipe string apart and check every name in it; ``rows`` are the tasks that it may name (``study.tasks``).

    Raises
    ------
    ParameterError
        If the form is wrong, a name is unknown or a value makes no sense.
    """
    match = _FORM.fullmatch(str(text).replace(" ", ""))
    if not match:
        raise ParameterError(f"recipe {text!r} does not have the form name[{{parts}}][+key=value...], e.g. mnli")
    single = [t.name for t in rows.values() if "intermediate" in t.roles and t.kind != CHECKPOINT]
    ready = [t.name for t in rows.values() if t.kind == CHECKPOINT]
    name, parts = match["name"], tuple((match["parts"] or "").split(",")) if match["parts"] else ()
    if name not in (known := ["none", *single, MULTITASK, *ready]):
        raise ParameterError(unknown("intermediate task", name, known))
    if name in ready and (parts or match["options"]):
        raise ParameterError(
            f"recipe {text!r}: {name} is a checkpoint and is taken as it is; nothing goes with its name"
        )
    for part in parts:
        if part not in single:
            raise ParameterError(f"recipe {text!r}: {unknown('intermediate task', part, single)}")
    if parts and name != MULTITASK:
        raise ParameterError(f"recipe {text!r}: {name} is a single task and takes no parts in braces")
    if len(set(parts)) < len(parts):
        raise ParameterError(f"recipe {text!r}: a part stands twice")
    if len(parts) == 1:
        raise ParameterError(f"recipe {text!r}: one part is not a mixture; give two or more, or the recipe {parts[0]}")
    bare = ParsedRecipe(name, tuple(sorted(parts)))
    parsed = ParsedRecipe(name, bare.parts, _options(text, match["options"], bare))
    _check_control(text, parsed, rows)
    return _with_reference(text, parsed, rows, single) if parsed.match else parsed


def _check_control(text: str, parsed: ParsedRecipe, rows: Mapping[str, tasks.Task]) -> None:
    """A control goes with the kinds of all tasks that are named."""
    for task in (parsed.parts or (parsed.name,)) if parsed.control else ():
        able = CONTROLS[parsed.control]
        if task in rows and rows[task].kind not in able:
            raise ParameterError(
                f"recipe {text!r}: control={parsed.control} goes with tasks of the kinds {', '.join(able)}; "
                f"{task} is of the kind {rows[task].kind}"
            )


def _with_reference(text: str, parsed: ParsedRecipe, rows: Mapping[str, tasks.Task], single: list[str]) -> ParsedRecipe:
    """The recipe with the one spelling of what it is matched to: a task, or a mixture without options."""
    if parsed.match.partition("{")[0] not in (known := [*single, MULTITASK]):
        raise ParameterError(f"recipe {text!r}: {unknown('recipe to match', parsed.match, known)}")
    try:
        reference = canonical(parsed.match, rows)
    except ParameterError as error:
        raise ParameterError(f"recipe {text!r}: match: {error}") from None
    options = tuple((k, reference if k == "match" else v) for k, v in parsed.options)
    made = ParsedRecipe(parsed.name, parsed.parts, options)
    if str(ParsedRecipe(made.name, made.parts, tuple(o for o in options if o[0] != "match"))) == reference:
        raise ParameterError(f"recipe {text!r}: {reference} has its own steps and tokens; match names another recipe")
    return made


def _options(text: str, given: str, bare: ParsedRecipe) -> tuple[tuple[str, str], ...]:
    options = [o.split("=", 1) for o in given.split("+") if o]
    if len({key for key, _ in options}) < len(options):
        raise ParameterError(f"recipe {text!r}: an option stands twice")
    checked = []
    for key, value in sorted(options):
        if key not in OPTIONS:
            raise ParameterError(f"recipe {text!r}: {unknown('option', key, OPTIONS)}")
        try:
            checked.append((key, OPTIONS[key](value, bare)))
        except ValueError as error:
            raise ParameterError(f"recipe {text!r}: {error}") from None
    return tuple((key, value) for key, value in checked if value)


def canonical(text: str, rows: Mapping[str, tasks.Task] = tasks.TASKS) -> str:
    """The one spelling of a recipe."""
    return str(parse(text, rows))


def tasks_of(recipe: str, named: Iterable[str], rows: Mapping[str, tasks.Task] = tasks.TASKS) -> tuple[str, ...]:
    """Tasks that a recipe is trained on, sorted by name; ``named`` are the recipes of the study, ``rows`` its tasks.

    ``multitask`` without braces stands for those of the paper's nine tasks (:data:`NINE`) that the study names as rows.

    Raises
    ------
    ParameterError
        If there are fewer than two for it, or its sampler gives probabilities for others.
    """
    parsed = parse(recipe, rows)
    if parsed.match == MULTITASK:
        tasks_of(MULTITASK, named := tuple(named), rows)  # what it is matched to can be made
    if parsed.name != MULTITASK:
        return () if parsed.name == "none" or rows[parsed.name].kind == CHECKPOINT else (parsed.name,)
    if parsed.parts:
        return parsed.parts
    parts = tuple(name for name in NINE if name in set(named))
    if len(parts) < 2:
        raise ParameterError(
            f"recipe {recipe!r}: the study names {len(parts) or 'none'} of the tasks that it could be made of; name two or "
            f"more as intermediates, or give them in braces, e.g. {MULTITASK}{{mnli,squad_v1}}\n  tasks: {', '.join(NINE)}"
        )
    try:
        _check_given(parsed.sampler, parts)
    except ValueError as error:
        raise ParameterError(f"recipe {recipe!r}: {error}") from None
    return parts
