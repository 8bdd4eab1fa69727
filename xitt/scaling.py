"""How the number of intermediate tasks changes zero-shot transfer, language by language (open question Q02, ``11_scaling``).

Subsets of the paper's nine tasks (:func:`drawn`, :func:`nested`) are compared with no intermediate training at all, twice: with their
own length of training, which grows with the tasks, and matched in steps and tokens to one task (``xitt.matching``). Everything is over the
zero-shot languages: English, which is trained on, and text in several languages at once are left out. What becomes of it with the distance
of a language from English is in :mod:`xitt.scaling_model`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from . import ablations, differences, phases, published, recipes, results, stats
from .metrics import METRICS
from .study import Study
from .tasks import TASKS

DESIGN = "scaling"
SIZES, DRAWS = (1, 2, 3, 5, 7), (1, 2, 3)
REFERENCE = "mnli"
#: how long a recipe is trained → what it is called
SCHEDULES = {"matched": "equal steps and tokens", "own": "own length, which grows with the tasks"}
#: what a row does to the languages of a target, in points; each is the mean over targets
OUTCOMES = {"mean": "mean over languages", "worst": "worst language", "spread": "standard deviation over languages"}
SEEDS = 3  # from here on intervals are over seeds


# --- subsets -------------------------------------------------------------------------------------------------------
def drawn(size: int, draw: int, pool: Sequence[str] = recipes.NINE) -> tuple[str, ...]:
    """A random subset by a rule that needs no generator: tasks sorted by the SHA-256 of ``scaling:<size>:<draw>:<task>``, the first ones taken."""
    order = sorted(pool, key=lambda task: hashlib.sha256(f"{DESIGN}:{size}:{draw}:{task}".encode()).hexdigest())
    return tuple(sorted(order[:size]))


def nested(pool: Sequence[str] = recipes.NINE) -> tuple[str, ...]:
    """Tasks in one greedy order, whose beginnings are nested subsets: next is the task of the kind that is rarest so far, of several the
    one with the largest training set. Both are known before any result.
    """
    examples = {f.target: f.value for f in published.read() if f.metric == "size"}
    order: list[str] = []
    while len(order) < len(pool):
        seen = [TASKS[t].kind for t in order]
        order.append(min((t for t in pool if t not in order), key=lambda t: (seen.count(TASKS[t].kind), -examples[t])))
    return tuple(order)


def recipe_of(tasks: Iterable[str], match: str = "") -> str:
    """The recipe that trains on a subset of tasks, matched to another recipe or not."""
    tasks = sorted(tasks)
    name = tasks[0] if len(tasks) == 1 else f"{recipes.MULTITASK}{{{','.join(tasks)}}}"
    return recipes.canonical(name if not match or name == match else f"{name}+match={match}")


# --- rows ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Row:
    """A recipe as a point of a curve: what it is trained on, and how long (:data:`SCHEDULES`)."""

    recipe: str
    schedule: str
    tasks: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.tasks)


def rows(study: Study, names: Iterable[str] | None = None) -> tuple[Row, ...]:
    """Rows of the design (of the study, if it has not the design) that differ in number of tasks and length of training alone.

    The recipe that others are matched to is a point of both curves.
    """
    if names is None:
        names = study.grids[DESIGN][0] if DESIGN in study.grids else study.intermediates
    plain, matched = [], []
    for name in names:
        if study.is_ready(name):
            continue
        parsed = recipes.parse(name, study.tasks)
        keys = {k for k, _ in parsed.options}
        if keys <= {"match"} and set(study.tasks_of(name)) <= set(recipes.NINE):
            (matched if parsed.match else plain).append(name)
    models = {recipes.canonical(recipes.parse(n, study.tasks).match, study.tasks) for n in matched}
    found = [Row(n, "matched", study.tasks_of(n)) for n in [*(p for p in plain if p in models), *matched]]
    found += [Row(n, "own", study.tasks_of(n)) for n in plain]
    return tuple(sorted(found, key=lambda r: (r.schedule, r.size)))


def form_sentence(study: Study) -> str:
    """Which part of the design the study runs, in words."""
    design = study.design(DESIGN)
    form = ablations.form_sentence(study, DESIGN, "what its own rows can say is shown")
    if design is None:
        return form
    shared = set(design.intermediates) & {i for d in study.designs if d.name != DESIGN for i in d.intermediates}
    sizes = sorted({r.size for r in rows(study)})
    return (
        f"{form} {len(shared)} of the recipes belong to other designs as well and are not trained again. "
        f"Numbers of tasks: {', '.join(map(str, sizes))}."
    )


def trainings(study: Study) -> pd.DataFrame:
    """What each row was trained on: ``trained, number, tasks, recipe, steps, tokens, rate``; sums over seeds are not taken: the first seed's."""
    lines = []
    for row in rows(study):
        record = phases.record_of(study, row.recipe, study.seeds[0])
        t = record["training"] if record else {"hyper": {}}
        lines.append((SCHEDULES[row.schedule], row.size, ", ".join(row.tasks), row.recipe, t.get("steps"), t.get("tokens"), t["hyper"].get("lr")))  # fmt: skip
    return pd.DataFrame(lines, columns=["trained", "number", "tasks", "recipe", "steps", "tokens", "rate"])


def rate(study: Study, recipe: str) -> float:
    """Learning rate that a recipe is trained with; no data are read."""
    from . import multitask

    parsed = recipes.parse(recipe, study.tasks)
    return (multitask.hyper(study, recipe) if parsed.mixed else phases.hyper(study, parsed.name)).lr


def trainings_sentence(study: Study, table: pd.DataFrame) -> str:
    """Whether length and rate are what the comparison needs, in words."""
    done, said = table[table["steps"].notna()], []
    matched = done[done["trained"] == SCHEDULES["matched"]]
    if len(matched) > 1:
        apart = matched["tokens"].max() - matched["tokens"].min()
        same = "all in as many steps" if matched["steps"].nunique() == 1 else "NOT in as many steps"
        said.append(f"Matched rows read {matched['tokens'].min():,.0f} tokens, at most {apart:,.0f} apart, {same}.")
        if matched["rate"].nunique() > 1:
            rates = matched.groupby(matched["number"] == 1)["rate"].first()
            said.append(f"Single tasks have a learning rate of {rates.get(True, np.nan):g} and mixtures of {rates.get(False, np.nan):g} in this study: not all is equal.")  # fmt: skip
    cap = study.params.recipes[recipes.MULTITASK].max_steps if recipes.MULTITASK in study.params.recipes else None
    own = done[(done["trained"] == SCHEDULES["own"]) & (done["number"] > 1)]
    if cap and len(capped := own[own["steps"] >= cap]):
        said.append(f"The study ends mixtures after {cap:,} steps, and {len(capped)} of {len(own)} reach that: their length does not grow further.")  # fmt: skip
    return " ".join(said) or "Nothing has been trained yet."


# --- scores --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Panel:
    """Scores of recipes on cells, which are pairs of target and zero-shot language; repeated over seeds or resamples of the examples.

    Attributes
    ----------
    study : Study
    rows : tuple of Row
        Those that are scored on all targets.
    recipes : tuple of str
        ``none`` first.
    cells : tuple of (target, language)
    point : ndarray (recipes, cells)
        Percent, mean over seeds.
    values : ndarray (repeats, recipes, cells)
        One layer per seed; one per resample with fewer than three seeds.
    seeds : int
    gone : tuple of str
        Recipes of the design that have not been scored.
    """

    study: Study
    rows: tuple[Row, ...]
    recipes: tuple[str, ...]
    cells: tuple[tuple[str, str], ...]
    point: np.ndarray
    values: np.ndarray
    seeds: int
    gone: tuple[str, ...] = ()

    @cached_property
    def targets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(t for t, _ in self.cells))

    @cached_property
    def languages(self) -> tuple[str, ...]:
        return tuple(sorted({x for _, x in self.cells}))

    @property
    def schedules(self) -> list[str]:
        """Curves that have more than one number of tasks."""
        return [s for s in SCHEDULES if len(self.sizes(s)) > 1]

    def sizes(self, schedule: str) -> list[int]:
        """Numbers of tasks of a curve, from 1."""
        return sorted({r.size for r in self.rows if r.schedule == schedule})

    def places(self, schedule: str, size: int) -> list[int]:
        """Where the recipes of one point of a curve are."""
        return [self.recipes.index(r.recipe) for r in self.rows if (r.schedule, r.size) == (schedule, size)]

    def effect(self, what: Callable[[np.ndarray], np.ndarray]) -> stats.Difference:
        """A number with its interval: ``what`` maps scores (..., recipes, cells) to (...)."""
        if self.seeds >= SEEDS:
            return stats.over_seeds(what(self.values))
        return stats.of_draws(float(what(self.point)), what(self.values), runs=self.seeds)

    def changed(self, scores: np.ndarray) -> np.ndarray:
        """Change of each cell against ``none``, in points."""
        return scores - scores[..., :1, :]

    def by_language(self, cells: np.ndarray) -> np.ndarray:
        """Means over the targets of each language: (..., cells) → (..., languages)."""
        names = np.array([x for _, x in self.cells])
        return np.stack([cells[..., names == x].mean(axis=-1) for x in self.languages], axis=-1)

    def outcome(self, scores: np.ndarray, name: str) -> np.ndarray:
        """Change against ``none`` of an outcome (:data:`OUTCOMES`): (..., recipes, cells) → (..., recipes)."""
        over = {"mean": lambda x: x.mean(axis=-1), "worst": lambda x: x.min(axis=-1), "spread": lambda x: x.std(axis=-1, ddof=1)}[name]  # fmt: skip
        columns = [np.array([c[0] == t for c in self.cells]) for t in self.targets]
        columns = [c for c in columns if name != "spread" or c.sum() > 1]
        made = np.mean([over(scores[..., c]) for c in columns], axis=0)
        return made - made[..., :1]

    def curve(self, schedule: str, values: np.ndarray) -> np.ndarray:
        """Mean of the recipes of each number of tasks: (..., recipes) → (..., sizes)."""
        return np.stack([values[..., self.places(schedule, k)].mean(axis=-1) for k in self.sizes(schedule)], axis=-1)

    def slope(self, schedule: str, values: np.ndarray) -> np.ndarray:
        """Points per doubling of the number of tasks, from one task on: (..., recipes) → (...)."""
        some = [r for r in self.rows if r.schedule == schedule]
        x = np.log2([r.size for r in some])
        weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
        return values[..., [self.recipes.index(r.recipe) for r in some]] @ weights

    def area(self, schedule: str, values: np.ndarray) -> np.ndarray:
        """Area under the curve from no task to all, over its width: the mean height in points, with log2(1 + number) as the axis."""
        x = np.log2(1 + np.array([0, *self.sizes(schedule)]))
        y = self.curve(schedule, values)
        y = np.concatenate([np.zeros((*y.shape[:-1], 1)), y], axis=-1)  # none is no change
        return ((y[..., 1:] + y[..., :-1]) / 2) @ np.diff(x) / (x[-1] - x[0])


def zero_shot(code: str) -> bool:
    """Whether a language of the results is one of zero-shot transfer: not English, and no pair or mixture."""
    return code != "en" and "+" not in code and "-" not in code


def panel(study: Study) -> Panel | None:
    """Scores of the design that are there; ``None`` without those of ``none`` and of one more row. Nothing is trained."""
    found = rows(study)
    names = ["none", *dict.fromkeys(r.recipe for r in found)]
    targets = study.grids[DESIGN][1] if DESIGN in study.grids else study.targets
    tables = {t: results.of_target(study, t, names, study.seeds) for t in targets}
    tables = {
        t: f for t, f in tables.items() if len(f[f["intermediate"] == "none"]) and f["language"].map(_usable).any()
    }
    here = [n for n in names if tables and all((f["intermediate"] == n).any() for f in tables.values())]
    if len(here) < 2 or here[0] != "none":
        return None
    seeds = [
        s
        for s in study.seeds
        if all(((f["intermediate"] == n) & (f["seed"] == s)).any() for f in tables.values() for n in here)
    ]
    if not seeds:
        return None
    cells = tuple((t, x) for t, f in tables.items() for x in dict.fromkeys(f["language"]) if _usable(x))
    each = np.stack(
        [np.concatenate([_scores(study, t, f, here, s, cells) for t, f in tables.items()], axis=-1) for s in seeds]
    )
    values = each
    if len(seeds) < SEEDS:
        values = np.concatenate([_resampled(study, t, here, seeds, cells) for t in tables], axis=-1)
    some = tuple(r for r in found if r.recipe in here)
    return Panel(
        study, some, tuple(here), cells, each.mean(axis=0), values, len(seeds), tuple(n for n in names if n not in here)
    )


def _usable(code: str) -> bool:
    return code != "avg" and zero_shot(code)


def _scores(study: Study, target: str, frame: pd.DataFrame, names: list[str], seed: int, cells: tuple) -> np.ndarray:
    """Task scores of one target and seed, (recipes, languages)."""
    metrics = differences.task_metrics(study.tasks[target])
    part = frame[(frame["seed"] == seed) & frame["metric"].isin(metrics)]
    mean = part.groupby(["intermediate", "language"])["value"].mean()
    return np.array([[mean[n, x] for t, x in cells if t == target] for n in names])


def _resampled(study: Study, target: str, names: list[str], seeds: list[int], cells: tuple) -> np.ndarray:
    """Resampled task scores, mean over seeds, (resamples, recipes, languages): the same draw of examples for all of them."""
    languages = [x for t, x in cells if t == target]
    parts = []
    for metric in differences.task_metrics(study.tasks[target]):
        held = {(n, s): differences.counts(study, n, target, s, metric) for n in names for s in seeds}
        joined = {(k, x): c.by_language[x] for k, c in held.items() for x in languages}
        value = METRICS[study.tasks[target].kind, metric].value
        made = stats.resampled(stats.Counts(joined, value), seed=zlib.crc32(target.encode()))
        parts.append(made.reshape(len(made), len(names), len(seeds), len(languages)).mean(axis=2))
    return np.mean(parts, axis=0)


# --- tables --------------------------------------------------------------------------------------------------------
def changes(found: Panel | None) -> pd.DataFrame:
    """Each row against ``none``.

    Returns
    -------
    DataFrame
        ``schedule, number, recipe``, and per outcome its name and ``<name> low``, ``<name> high``, ``<name> q`` (Benjamini-Hochberg over the table).
    """
    if found is None:
        return pd.DataFrame(columns=["schedule", "number", "recipe", *OUTCOMES])
    made = {(row, name): found.effect(_of(found, row.recipe, name)) for row in found.rows for name in OUTCOMES}
    q = dict(zip(made, stats.benjamini_hochberg(np.array([d.p for d in made.values()])), strict=True))
    lines = []
    for row in found.rows:
        line = {"schedule": row.schedule, "number": row.size, "recipe": row.recipe}
        for name in OUTCOMES:
            d = made[row, name]
            line |= {name: d.value, f"{name} low": d.low, f"{name} high": d.high, f"{name} q": q[row, name]}
        lines.append(line)
    return pd.DataFrame(lines)


def _of(found: Panel, recipe: str, name: str) -> Callable[[np.ndarray], np.ndarray]:
    place = found.recipes.index(recipe)
    return lambda scores: found.outcome(scores, name)[..., place]


def curves(found: Panel | None) -> pd.DataFrame:
    """What the number of tasks does: per schedule and outcome the slope, the change from one task to the most, the area under the curve.

    Returns
    -------
    DataFrame
        ``schedule, outcome, one task, most tasks, number, difference, slope, area``, the last three with ``... low`` and ``... high``, in points.
    """
    lines = []
    for schedule in found.schedules if found else []:
        sizes = found.sizes(schedule)
        for name in OUTCOMES:
            height = found.curve(schedule, found.outcome(found.point, name))
            line = {
                "schedule": schedule,
                "outcome": name,
                "one task": height[0],
                "most tasks": height[-1],
                "number": sizes[-1],
            }
            for column, what in (("difference", _difference), ("slope", Panel.slope), ("area", Panel.area)):
                d = found.effect(lambda s, w=what, n=name, k=schedule: w(found, k, found.outcome(s, n)))
                line |= {column: d.value, f"{column} low": d.low, f"{column} high": d.high}
            lines.append(line)
    columns = ["schedule", "outcome", "one task", "most tasks", "number", "difference", "slope", "area"]
    return pd.DataFrame(lines) if lines else pd.DataFrame(columns=columns)


def _difference(found: Panel, schedule: str, values: np.ndarray) -> np.ndarray:
    height = found.curve(schedule, values)
    return height[..., -1] - height[..., 0]


def by_language(found: Panel | None, schedule: str) -> pd.DataFrame:
    """Each language on one curve: ``language, distance, one task, most tasks, slope, area``, the last two with their limits."""
    from . import typology

    lines = []
    for place, language in enumerate(found.languages if found and schedule in found.schedules else ()):
        height = found.curve(schedule, _language(found, found.point, place))
        far = typology.distance(language)
        line = {
            "language": language,
            "distance": far.value if far else np.nan,
            "one task": height[0],
            "most tasks": height[-1],
        }
        for column, what in (("slope", Panel.slope), ("area", Panel.area)):
            d = found.effect(lambda s, w=what, p=place: w(found, schedule, _language(found, s, p)))
            line |= {column: d.value, f"{column} low": d.low, f"{column} high": d.high}
        lines.append(line)
    frame = pd.DataFrame(
        lines, columns=None if lines else ["language", "distance", "one task", "most tasks", "slope", "area"]
    )
    return frame.sort_values("distance", kind="stable", ignore_index=True)


def _language(found: Panel, scores: np.ndarray, place: int) -> np.ndarray:
    return found.by_language(found.changed(scores))[..., place]
