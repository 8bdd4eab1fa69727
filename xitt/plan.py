"""What a study will cost before anyone starts it: jobs, tokens, FLOPs and hours per phase.

The work is that of ``xitt.counted``. Hours come from the finished runs of studies on the same machine (``xitt.timings``), which hold all that
a notebook does; else from the rates of a measured device (``xitt.bench.stored``) or, where none is, from a rate that is assumed and named as
such: then reading data, metrics, bootstrap, notebooks and checkpoints are not counted.
"""

from __future__ import annotations

import pandas as pd

from . import designs, schedule
from .counted import SHAPES, WORK, Plan, Shape, Work, plan
from .devices import Slots
from .graph import jobs as jobs_of
from .rates import Rates, choose, elsewhere, known
from .study import Study

__all__ = [
    "SHAPES",
    "WORK",
    "Plan",
    "Shape",
    "Work",
    "costed",
    "costs",
    "hours",
    "jobs",
    "lines",
    "plan",
    "shared",
    "shown",
    "table",
]


# --- what it comes to ----------------------------------------------------------------------------------------------
def hours(made: Plan, rates: Rates, work: Work) -> float:
    """Hours of one piece of work: by finished runs like it, else at a device's rates."""
    if rates.timed and (seconds := rates.timed.seconds(work)) is not None:
        return seconds / 3600
    if work.what == "encode":
        return work.tokens / rates.encoding / 3600
    if work.what == "search":
        return work.flops / rates.search / 3600
    table = rates.training if work.what in ("build", "intermediate", "target") else rates.scoring
    return work.flops / table[work.kind] / 3600


def table(made: Plan, rates: Rates) -> pd.DataFrame:
    """One row per phase and kind of work: ``phase, work, runs, tokens, FLOPs, hours``; ``runs`` are pieces, each counted once."""
    rows = []
    for what, (phase, title) in WORK.items():
        some = [w for key, w in made.works.items() if key[0] == what]
        if some:
            rows.append(
                (
                    phase,
                    title,
                    len(some),
                    sum(w.tokens for w in some),
                    sum(w.flops for w in some),
                    sum(hours(made, rates, w) for w in some),
                )
            )
    return pd.DataFrame(rows, columns=["phase", "work", "runs", "tokens", "FLOPs", "hours"])


def costed(study: Study) -> list[Study]:
    """Studies whose cost ``90_performance`` shows: the one given, and the paper's where it stands beside it."""
    from .study import load_study

    paper = study.path.parent / "paper.yaml"
    return [study] + ([load_study(paper)] if paper.is_file() and paper != study.path else [])


def costs(study: Study) -> pd.DataFrame:
    """The plan of a study on every device measured so far and a few GPUs at an assumed utilisation.

    Returns
    -------
    DataFrame
        ``phase, work, runs, tokens, FLOPs``, then hours by device; a device that was not measured has ``assumed`` in its column's name.
    """
    made, frame = plan(study), None
    for rates in known(study, made.shape):
        one = table(made, rates).rename(columns={"hours": f"{rates.name} (h)"})
        frame = one if frame is None else frame.assign(**{one.columns[-1]: one.iloc[:, -1]})
    return frame


def shown(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of costs as people read it: large numbers short, with a line of sums."""
    total = {"phase": "all", "work": "in all", **frame.drop(columns=["phase", "work"]).sum()}
    made = pd.concat([frame, pd.DataFrame([total])], ignore_index=True).astype({"runs": int})
    for name in made.columns[3:]:
        made[name] = made[name].map(_hours if name.startswith("hours") or name.endswith("(h)") else _short)
    return made


def jobs(study: Study) -> dict[str, int]:
    """Notebooks that a batch run executes, by number."""
    found: dict[str, int] = {}
    for job in jobs_of(study):
        number = job.name.split(".")[0]
        found[number] = found.get(number, 0) + 1
    return found


def shared(made: Plan, rates: Rates) -> list[str]:
    """What sharing saves, in words."""
    found = []
    for what, title in (("target", "fine-tunings"), ("encode", "tokenised splits")):
        some = [w for key, w in made.works.items() if key[0] == what]
        if some and made.asked[what] > len(some):
            mean = sum(hours(made, rates, w) for w in some) / len(some)
            found.append(
                f"{len(some):,} {title} serve {made.asked[what]:,} uses: about {mean * (made.asked[what] - len(some)):,.1f} h saved"
            )
    return found


def lines(
    study: Study, design: str | None = None, device: str | None = None, at_a_time: int | None = None
) -> list[str]:
    """The plan as text, for the command line.

    Parameters
    ----------
    at_a_time : int, optional
        Notebooks at a time on this machine, for the hours by the clock; default: as the batch runner takes (one per GPU, else two).
    """
    made = plan(study, design)
    rates = choose(study, made.shape, device)
    frame = table(made, rates)
    counted = jobs(made.part)
    head = f"{study.name}: {len(made.part.intermediates)} intermediates x {len(made.part.targets)} targets x {len(study.seeds)} seeds; {made.shape.layers} layers, width {made.shape.width}"
    out = [head, f"jobs: {sum(counted.values())} notebooks (" + ", ".join(f"{n} x {k}" for k, n in counted.items()) + ")", f"device: {rates.name}", "",
           f"{'phase':6}{'work':24}{'runs':>7}{'tokens':>12}{'FLOPs':>12}{'hours':>12}"]  # fmt: skip
    for row in frame.itertuples(index=False):
        out.append(
            f"{row.phase:6}{row.work:24}{row.runs:7,}{_short(row.tokens):>12}{_short(row.FLOPs):>12}{_hours(row.hours):>12}"
        )
    out += [
        f"{'all':6}{'':24}{'':7}{_short(frame['tokens'].sum()):>12}{_short(frame['FLOPs'].sum()):>12}{_hours(frame['hours'].sum()):>12}",
        "",
    ]
    if device is None:
        out += [_wall(made, rates, at_a_time or Slots(study).count), ""]
    out += [
        f"shared: {text}"
        for text in [*shared(made, rates), *(designs.shared_with(study, made.works, design) if design else ())]
    ]
    out += [f"rate: {text}" for text in rates.origins]
    out += [f"estimate: {about}: {', '.join(items)}" for about, items in made.notes.items()]
    others = [
        f"{r.name} {_hours(float(table(made, r)['hours'].sum()))}"
        for r in elsewhere(study.params.engine.precision)
        if r.name != rates.name
    ]
    out.append(f"elsewhere (nominal peak, utilisation assumed), in hours of one device: {'; '.join(others)}")
    return out


def _wall(made: Plan, rates: Rates, at_a_time: int) -> str:
    """Hours by the clock, in words."""
    taken = schedule.seconds(made, rates)
    notebooks = (
        f"{_hours(sum(map(schedule.beside(rates), jobs_of(made.part))) / 3600)} h of them notebooks beside their runs"
        if rates.timed
        else "what notebooks take beside their runs is not counted"
    )
    whole = schedule.wall(made, taken, at_a_time) / 3600
    return f"by the clock: {_hours(whole)} h with {at_a_time} at a time ({_hours(sum(taken.values()) / 3600)} h of work, {notebooks})"


def _hours(value: float) -> str:
    return f"{value:,.1f}" if value >= 1 else f"{value:.2g}" if value else "0"


def _short(value: float) -> str:
    if value == 0:
        return "–"
    for unit, size in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:.0f}"
