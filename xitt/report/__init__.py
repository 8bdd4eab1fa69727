"""The report: executed notebooks and tidy results as a static site that opens from disk, with no network.

``outputs/<study>/report/`` holds a front page, one page per executed notebook and one folder ``assets/``. What notebooks print
may hold text from data sets, so their HTML is taken apart and only what is on an allow-list is written again.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import re
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from .. import figures, store, tables
from ..errors import ParameterError
from ..graph import jobs
from ..study import Study
from . import front, pages
from .sanitise import visible

if TYPE_CHECKING:
    import pandas as pd

TEMPLATES = Path(__file__).parents[1] / "template"
#: pages of single runs that are published at most: a repository bears no hundreds of generated files
PUBLISHED_RUNS = 100


def prepare() -> None:
    """Import the libraries that :func:`write` needs, at a time when nobody waits for them."""
    import matplotlib

    matplotlib.use("agg")  # before a library of figures asks for a screen
    for name in (
        "pandas",
        "pyarrow.parquet",
        "scipy.stats",
        "matplotlib.pyplot",
        "matplotlib.backends.backend_svg",
        "seaborn",
    ):
        importlib.import_module(name)


def write(study: Study, tidy: pd.DataFrame | None = None, folder: Path | None = None, single: bool = True) -> Path:
    """Build the site of a study from whatever is there; an earlier one is replaced at once, when the new one is whole.

    Parameters
    ----------
    tidy : DataFrame, optional
        The study's results, where they are at hand; they are collected otherwise.
    folder : pathlib.Path, optional
        Where to; by default ``outputs/<study>/report``.
    single : bool
        Whether runs have pages of their own; without, the front page says how many there are and what makes them.

    Returns
    -------
    pathlib.Path
        The site's ``index.html``.
    """
    folder = folder or study.out / "report"
    found = pages.collect(study)
    for page in found:
        page.shown = single or not page.of_runs
    ready = [p for p in found if p.cells is not None and p.shown]
    sources = {p.notebook: p.href for p in reversed(ready)}
    with store.fresh_folder(folder) as fresh:
        (fresh / "assets").mkdir()
        shutil.copyfile(TEMPLATES / "style.css", fresh / "assets" / "style.css")
        for i, page in enumerate(ready):
            before = ready[i - 1] if i else None
            after = ready[i + 1] if i + 1 < len(ready) else None
            pages.render(page, sources)
            text = _template("page.html.j2").render(**head(), study=study.params, page=page, before=before, after=after)
            (fresh / page.file).write_text(visible(text), encoding="utf-8", errors="replace", newline="")
        text = _template("index.html.j2").render(**head(), **front.contents(study, found, tidy))
        (fresh / "index.html").write_text(visible(text), encoding="utf-8", errors="replace", newline="")
    return folder / "index.html"


def publish(study: Study) -> Path:
    """Copy report and results to ``docs/<study>/``, in place of what was published before.

    With more than :data:`PUBLISHED_RUNS` pages of single runs these are left out, and the front page says so.

    Returns
    -------
    pathlib.Path
        ``docs/<study>``, with ``report/`` and ``results.csv`` side by side as in ``outputs/<study>``.

    Raises
    ------
    ParameterError
        If there is no report, or the code it would stand for is not committed.
    """
    report, results = study.out / "report", study.out / "results.csv"
    for path in (report / "index.html", results):
        if not path.is_file():
            raise ParameterError(f"{path} is not there; `xitt report {study.path.name}` writes it")
    if store.commit(str(study.root)).endswith("+changes"):
        raise ParameterError(
            "xitt/, params/ or notebooks/ have uncommitted changes; commit them, run the study, then publish"
        )
    folder = study.root / "docs" / study.name
    with store.fresh_folder(folder) as fresh:
        if sum(pages.of_runs(j.name) for j in jobs(study)) > PUBLISHED_RUNS:
            write(study, folder=fresh / "report", single=False)
        else:
            shutil.copytree(report, fresh / "report")
        shutil.copyfile(results, fresh / "results.csv")
        if len(cells := tables.transfer(study)):
            figures.transfer_map(study, cells).save(fresh / "transfer.png")  # the picture of the README
    return folder


@cache
def head() -> dict[str, str]:
    """The script that every page holds, and the policy that lets it run by its hash: no other script, nothing from elsewhere.

    Style attributes are allowed (figures need them), style elements are not.
    """
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    script = re.sub(r"^\s*(//.*)?\n?|\s+// .*$", "", script, flags=re.M)  # comments stay in the source
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; style-src-elem 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return {"script": script, "policy": policy}


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(name)
