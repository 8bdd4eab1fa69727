"""The front page: what was run, what it shows and cannot show, the main table, the maps, the pages, where it all comes from."""

from __future__ import annotations

import html
import math
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pandas as pd

from .. import chance, figures, results, store, tables
from ..show import Raw, score, show, table
from ..study import Study
from . import summary
from .pages import Page, findings
from .sanitise import clean
from .summary import signed

QUOTED = ("05", "06", "07")
RUN_DIGITS = {"steps": 0, "tokens": 0, "tokens/s": 0}


def contents(study: Study, pages: list[Page], tidy: pd.DataFrame | None = None) -> dict[str, Any]:
    """Everything the front page shows; a part that cannot be made says why in its place. ``tidy``: results, if at hand."""
    runs, made = tables.runs(study), summary.provenance(study)
    scores = cache(lambda: study.results() if tidy is None else tidy)
    cells = cache(lambda: tables.transfer(study, scores()))
    maps = cache(lambda: _language_maps(study, scores()))
    return {
        "study": study.params,
        "file": study.path.name,
        "question": " ".join(d.question for d in study.designs if getattr(d, "question", "")),
        "facts": summary.facts(study, pages, runs, made),
        "shows": _part(lambda s: _bullets([*_shows(s, cells(), scores()), *_quoted(pages)]), study),
        "cannot": _part(lambda s: _bullets(summary.cannot(s, pages, cells())), study),
        "matrix": _part(lambda s: _matrix(s, cells(), scores()), study),
        "figure": _part(lambda s: _figure(s, cells()), study),
        "maps": _part(lambda s: _maps(s, maps()), study),
        "languages": _part(lambda s: _languages(s, maps()), study),
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


def _matrix(study: Study, cells: pd.DataFrame, tidy: pd.DataFrame) -> str:
    """The main table: scores of ``none``, changes of every other row with interval, star and mark of chance."""
    if not len(cells):
        return ""
    by_place = {(r["intermediate"], r["target"]): r for r in cells.to_dict("records")}
    targets = [t for t in study.main[1] if any((i, t) in by_place for i in study.main[0])]
    rows = [
        (Raw(f"<code>{html.escape(i)}</code>"), *(_matrix_cell(by_place.get((i, t))) for t in targets))
        for i in study.main[0]
        if any((i, t) in by_place for t in targets)
    ]
    head = ("intermediate", *(chance.header(study, t) for t in targets))
    floor = results.chance_levels(tidy, study.tasks)
    levels = [float(floor.get((t, "avg"), math.nan)) for t in targets]
    how = sorted({r["how"] for r in by_place.values() if r["how"]})
    what = (
        "Transfer from intermediate tasks (rows) to target tasks (columns), mean over languages. Row none: score in percent; "
        "other rows: change against none in points"
    )
    about = chance.about(study, what, interval="; ".join(how), rings=bool(cells["at_chance"].any()))
    caption = f"<b>Table 1.</b> {html.escape(about)} * marks a change with <i>q</i> &lt; 0.05 (Benjamini–Hochberg over the table)."
    if "examples only" in how:
        caption += (
            " <em>Examples only</em>: the interval resamples test examples; it compares these trained models and says "
            "nothing about training again with another seed."
        )
    return clean(table(head, rows, caption, "xitt matrix", _foot(levels)))


def _matrix_cell(cell: dict | None) -> Raw | str:
    if cell is None:
        return "–"
    mark = '<span class="mark" title="at chance">°</span>' if cell["at_chance"] else ""
    if cell["intermediate"] == "none":
        return Raw(f"{cell['value']:.1f}{mark}", "n", 0.0)  # sorted among changes
    if cell["how"] == "":
        return Raw(f"{cell['value']:.1f}{mark} <small>score</small>", "n", cell["value"])
    sure = cell.get("q", math.nan) < 0.05
    text = f"{signed(cell['change'])}{'*' if sure else ''}{mark}"
    text += f" <small>[{signed(cell['low'])}, {signed(cell['high'])}]</small>"
    css = f"n {('up' if cell['change'] > 0 else 'down') if sure else ''}".strip()
    return Raw(text, css, cell["change"])


def _title(study: Study, target: str) -> str:
    return html.escape(study.tasks[target].title)


def _figure(study: Study, cells: pd.DataFrame) -> str:
    if not len(cells) or not (cells["intermediate"] != "none").any():
        return ""
    return clean(figures.transfer_map(study, cells)._repr_mimebundle_()["text/html"], "f1-")


def _shows(study: Study, cells: pd.DataFrame, tidy: pd.DataFrame) -> list[str]:
    return summary.shows(study, cells, *summary.inputs(study)) if len(tidy) else []


def _bullets(lines: list[str]) -> str:
    texts = [line if isinstance(line, Raw) else html.escape(line) for line in lines]
    return f"<ul>{''.join(f'<li>{text}</li>' for text in texts)}</ul>" if texts else ""


def _quoted(pages: list[Page]) -> list[Raw]:
    """First finding of the summaries that the front page does not compute itself, with a link to where it stands."""
    found = [(p, findings(p)) for p in pages if p.name in QUOTED and p.cells is not None]
    return [
        Raw(f'{html.escape(lines[0])} <a href="{html.escape(p.href)}">{html.escape(p.phase)}</a>')
        for p, lines in found
        if lines
    ]


def _language_maps(study: Study, tidy: pd.DataFrame) -> dict[str, chance.LanguageMap]:
    """The map of each row of the matrix that has scores."""
    there = set(tidy["intermediate"])
    return {recipe: chance.LanguageMap(study, recipe, tidy) for recipe in study.main[0] if recipe in there}


def _maps(study: Study, maps: dict[str, chance.LanguageMap]) -> str:
    """The map of the first row, the others folded."""
    parts = [clean(m.html()) for m in maps.values()]
    folded = [
        f'<details class="fold"><summary>the same after <code>{html.escape(recipe)}</code></summary>{part}</details>'
        for recipe, part in list(zip(maps, parts, strict=True))[1:]
    ]
    return "".join([*parts[:1], *folded])


def _languages(study: Study, maps: dict[str, chance.LanguageMap]) -> str:
    """One folded table per target: rows intermediates, columns its languages, chance at the foot."""
    if not maps:
        return ""
    cells = pd.concat([m.cells.assign(intermediate=recipe) for recipe, m in maps.items()])
    parts = []
    for target in [t for t in study.main[1] if t in set(cells["target"])]:
        own = cells[cells["target"] == target]
        order = chance.order(own["language"])
        by_place = {(r["intermediate"], r["language"]): r for r in own.to_dict("records")}
        rows = [
            (Raw(f"<code>{html.escape(i)}</code>"), *(_plain_cell(by_place.get((i, x))) for x in order))
            for i in dict.fromkeys(own["intermediate"])
        ]
        floor = own.drop_duplicates("language").set_index("language")["chance"]
        what = f"{study.tasks[target].title}: {study.tasks[target].metrics[0]} in percent, by language"
        caption = html.escape(chance.about(study, what, rings=bool(own["at_chance"].any())))
        made = clean(table(("intermediate", *order), rows, caption, foot=_foot([float(floor[x]) for x in order])))
        parts.append(f'<details class="fold"><summary>{_title(study, target)}</summary>{made}</details>')
    return "".join(parts)


def _plain_cell(cell: dict | None):
    return "–" if cell is None else score(cell["value"], cell["at_chance"])


def _foot(levels: list[float]) -> list[tuple]:
    """The row of chance levels, where any is known."""
    return [] if all(map(math.isnan, levels)) else [("chance", *levels)]


def _groups(pages: list[Page]) -> list[dict[str, Any]]:
    """Pages by phase in reading order, with the question that a phase's notebooks ask."""
    groups: dict[str, dict[str, Any]] = {}
    for page in pages:
        group = groups.setdefault(page.phase, {"name": page.phase, "question": page.question, "pages": []})
        group["pages"].append(page)
    for group in groups.values():
        made = [p.cells is not None and not p.shown for p in group["pages"]]
        group["left_out"] = sum(made)
        group["pages"] = [p for p, out in zip(group["pages"], made, strict=True) if not out]
    return list(groups.values())
