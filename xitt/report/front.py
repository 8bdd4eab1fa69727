"""The front page: the main table, its figure, scores per language, the list of pages, and where it all comes from."""

from __future__ import annotations

import html
import math
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pandas as pd

from .. import figures, results, store, tables
from ..progress import clock
from ..show import Raw, show, table
from ..study import Study
from .pages import Page
from .sanitise import clean

RUN_DIGITS = {"steps": 0, "tokens": 0, "tokens/s": 0}


def contents(study: Study, pages: list[Page], tidy: pd.DataFrame | None = None) -> dict[str, Any]:
    """Everything the front page shows; a part that cannot be made says why in its place. ``tidy``: results, if at hand."""
    runs, made = tables.runs(study), _provenance(study)
    scores = cache(lambda: study.results() if tidy is None else tidy)
    cells = cache(lambda: tables.transfer(study, scores()))
    return {
        "study": study.params,
        "question": " ".join(d.question for d in study.designs if getattr(d, "question", "")),
        "facts": _facts(pages, runs, made),
        "matrix": _part(lambda s: _matrix(s, cells(), scores()), study),
        "figure": _part(lambda s: _figure(s, cells()), study),
        "languages": _part(lambda s: _languages(s, scores()), study),
        "groups": _groups(pages),
        "parameters": _part(lambda s: clean(show(tables.parameters(s), css="plain").html()), study),
        "data": _part(lambda s: clean(show(tables.data_used(s)).html()), study),
        "runs": clean(show(runs, digits=RUN_DIGITS).html()) if len(runs) else "",
        "made": clean(table(("what", "value"), list(made.items()), css="plain")) if made else "",
        "written": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": store.commit(str(study.root)),
        "failed": [p for p in pages if p.error],
        "missing": [p for p in pages if p.cells is None],
    }


def _part(make: Callable[[Study], str], study: Study) -> str:
    # The report is what someone opens when something went wrong: one table that cannot be made, whatever the reason, must
    # not take the rest with it.
    try:
        return make(study)
    except Exception as error:
        text = html.escape(f"{type(error).__name__}: {error}".replace(f"{study.root}/", ""))
        return f'<div class="error"><p>This part could not be made. {text}</p></div>'


def _facts(pages: list[Page], runs: pd.DataFrame, made: dict[str, str]) -> list[tuple[str, str]]:
    there = sum(p.cells is not None and not p.error for p in pages)
    facts = [("notebooks", f"{there} of {len(pages)}")]
    if len(runs):
        facts += [("runs", f"{len(runs)}"), ("compute time", clock(float(runs["seconds"].sum())))]
        if "tokens" in runs and runs["tokens"].notna().any():
            facts.append(("tokens trained on", f"{runs['tokens'].sum() / 1e6:,.1f} M"))
    if made.get("device"):
        facts.append(("device", made["device"]))
    return facts


def _provenance(study: Study) -> dict[str, str]:
    """Where the numbers come from: every value found in the runs' records, the most frequent first."""
    seen: dict[str, Counter] = {}
    finished = []
    for path in sorted((study.out / "runs").glob("0*/record.json")):
        origin = (store.read_json(path) or {}).get("provenance") or {}
        flat = {**origin, "versions": ", ".join(f"{k} {v}" for k, v in origin.get("versions", {}).items())}
        finished += [flat.pop("finished")] if flat.get("finished") else []
        for key, value in flat.items():
            if value not in ("", None):
                seen.setdefault(key, Counter())[str(value)] += 1
    made = {key: "; ".join(value for value, _ in counter.most_common()) for key, counter in seen.items()}
    if finished:
        made["runs finished"] = f"{min(finished)} to {max(finished)}"
    return made


def _matrix(study: Study, cells: pd.DataFrame, tidy: pd.DataFrame) -> str:
    """The main table: scores of ``none``, changes of every other row with interval, star and mark of chance."""
    if not len(cells):
        return ""
    by_place = {(r["intermediate"], r["target"]): r for r in cells.to_dict("records")}
    targets = [t for t in study.targets if any((i, t) in by_place for i in study.intermediates)]
    rows = [
        (Raw(f"<code>{html.escape(i)}</code>"), *(_matrix_cell(by_place.get((i, t))) for t in targets))
        for i in study.intermediates
        if any((i, t) in by_place for t in targets)
    ]
    head = (
        "intermediate",
        *(Raw(f"{_title(study, t)}<br><small>{study.tasks[t].metrics[0]}</small>") for t in targets),
    )
    floor = results.chance_levels(tidy, study.tasks)
    chance = [float(floor.get((t, "avg"), math.nan)) for t in targets]
    how = sorted({r["how"] for r in by_place.values() if r["how"]})
    caption = (
        "<b>Table 1.</b> Transfer from intermediate tasks (rows) to target tasks (columns), mean over languages. "
        "Row <code>none</code>: score in percent under the metric named below the target. Other rows: change against "
        "<code>none</code> in points"
    )
    if how:
        caption += f", with its 95 % interval ({html.escape('; '.join(how))})"
    caption += ". * marks a change with <i>q</i> &lt; 0.05 (Benjamini–Hochberg over the table)."
    if "examples only" in how:
        caption += (
            " <em>Examples only</em>: the interval resamples test examples; it compares these trained models and says "
            "nothing about training again with another seed."
        )
    if cells["at_chance"].any():
        caption += " ° The 95 % interval of the score reaches chance: nothing can be read from such a cell."
    return clean(table(head, rows, caption, "xitt matrix", _foot(chance)))


def _matrix_cell(cell: dict | None) -> Raw | str:
    if cell is None:
        return "–"
    mark = '<span class="mark" title="at chance">°</span>' if cell["at_chance"] else ""
    if cell["intermediate"] == "none":
        return Raw(f"{cell['value']:.1f}{mark}", value=cell["value"])
    if cell["how"] == "":
        return Raw(f"{cell['value']:.1f}{mark} <small>score</small>", "n", cell["value"])
    sure = cell.get("q", math.nan) < 0.05
    text = f"{_signed(cell['change'])}{'*' if sure else ''}{mark}"
    text += f" <small>[{_signed(cell['low'])}, {_signed(cell['high'])}]</small>"
    css = f"n {('up' if cell['change'] > 0 else 'down') if sure else ''}".strip()
    return Raw(text, css, cell["change"])


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.1f}".replace("-", "−")


def _title(study: Study, target: str) -> str:
    return html.escape(study.tasks[target].title)


def _figure(study: Study, cells: pd.DataFrame) -> str:
    if not len(cells) or not (cells["intermediate"] != "none").any():
        return ""
    return clean(figures.transfer_map(study, cells)._repr_mimebundle_()["text/html"], "f1-")


def _languages(study: Study, tidy: pd.DataFrame) -> str:
    """One table per target: rows intermediates, columns its languages, chance at the foot."""
    if not len(tidy):
        return ""
    wide, floor = tables.by_language(study, tidy=tidy), results.chance_levels(tidy, study.tasks)
    parts = []
    for target in [t for t in study.targets if t in wide.index.get_level_values(0)]:
        part = wide.loc[target].dropna(axis=1, how="all")
        rows = [(Raw(f"<code>{html.escape(i)}</code>"), *row) for i, *row in part.itertuples()]
        chance = [float(floor.get((target, x), math.nan)) for x in part.columns]
        caption = f"<b>{_title(study, target)}</b>, {study.tasks[target].metrics[0]} in percent"
        parts.append(clean(table(("intermediate", *part.columns), rows, caption, foot=_foot(chance))))
    return "".join(parts)


def _foot(chance: list[float]) -> list[tuple]:
    """The row of chance levels, where any is known."""
    return [] if all(map(math.isnan, chance)) else [("chance", *chance)]


def _groups(pages: list[Page]) -> list[dict[str, Any]]:
    """Pages by phase in reading order, with the question that a phase's notebook asks."""
    groups: dict[str, dict[str, Any]] = {}
    for page in pages:
        group = groups.setdefault(page.phase, {"name": page.phase, "title": "", "pages": []})
        group["pages"].append(page)
        if page.cells is not None and not group["title"]:
            group["title"] = page.title
    return list(groups.values())
