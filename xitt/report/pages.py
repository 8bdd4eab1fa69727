"""Pages: what an executed notebook becomes, its code folded away."""

from __future__ import annotations

import ast
import base64
import html
import io
import json
import re
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat

from .. import store
from ..graph import Job, jobs
from ..progress import clock
from ..running import failure_of
from ..show import table
from ..study import Study
from .sanitise import clean, highlight, markdown, visible

LOG_LINES = 12  # longer logs are folded
PHASES = {  # number of a notebook → what its pages are, the question they answer (DESIGN, section 2)
    "00": ("The encoder and the data", "What does the encoder know before any training?"),
    "01": ("Phase 1: intermediate training", "Is the English intermediate task learned, and how fast?"),
    "02": ("Phase 2: target tasks", "How well does English fine-tuning carry over to each language?"),
    "03": ("Phase 3: retrieval", "Do translations find each other with no target training, and in which layer?"),
    "04": ("The transfer matrix", "Which intermediate task helps which target?"),
    "05": ("The benchmark", "How high does the benchmark go with the best intermediate task per target?"),
    "06": ("Variants", "What do masked words beside the task, translated data and samplers change?"),
    "07": ("The claims", "Which published claims hold here?"),
    "10": ("Code", "Does code as intermediate task help?"),
    "11": ("Number of intermediate tasks", "Do more intermediate tasks help more?"),
    "12": ("Code-mixed text", "Does what is learned hold on text that mixes languages?"),
    "13": ("Task similarity", "Do similar tasks transfer better?"),
    "14": ("Image captions", "Do image captions help as intermediate task?"),
    "90": ("Performance", "How fast is the engine, against what is possible and against others?"),
}


@dataclass
class Cell:
    """A cell as the template shows it; ``kind`` is ``text``, ``parameters`` or ``code``."""

    kind: str
    body: str = ""
    outputs: list[str] = field(default_factory=list)


@dataclass
class Page:
    """One notebook of the study; ``cells`` is ``None`` where no executed notebook is there, ``shown`` false where a report leaves it out."""

    name: str
    notebook: str
    about: str = ""
    title: str = ""
    seconds: float | None = None
    error: str = ""
    raw: nbformat.NotebookNode | None = None
    cells: list[Cell] | None = None
    headings: list[tuple[int, str, str]] = field(default_factory=list)
    shown: bool = True

    @property
    def of_runs(self) -> bool:
        return of_runs(self.name)

    @property
    def file(self) -> str:
        return f"{self.name}.html"

    @property
    def href(self) -> str:
        return quote(self.file)

    @property
    def phase(self) -> str:
        return PHASES.get(self.name.split(".")[0], ("Other notebooks", ""))[0]

    @property
    def question(self) -> str:
        """The page's own heading where it asks something, else what the notebooks of its number ask."""
        return self.title if self.title.endswith("?") else PHASES.get(self.name.split(".")[0], ("", ""))[1]

    @property
    def time(self) -> str:
        return "" if self.seconds is None else clock(self.seconds)


def of_runs(name: str) -> bool:
    """Whether a job or its page shows single runs, of which a study has hundreds, and no result over them."""
    return name.split(".", maxsplit=1)[0] in ("01", "02", "03")


def collect(study: Study) -> list[Page]:
    """Every job's page in reading order, then executed notebooks that belong to no job."""
    known = sorted(jobs(study), key=lambda j: j.name.split(".")[0])  # stable: designs' order within a phase
    pages = [_page(study, j.file_name, j) for j in known]
    names = {j.file_name for j in known}
    others = sorted(p.name for p in (study.out / "notebooks").glob("*.ipynb") if p.name not in names)
    return pages + [_page(study, name) for name in others]


def _page(study: Study, file_name: str, job: Job | None = None) -> Page:
    page = Page(file_name.removesuffix(".ipynb"), job.notebook if job else file_name)
    if job and job.parameters:
        given = dict(job.parameters)
        page.about = f"{given.pop('intermediate', '')}, " + ", ".join(f"{k} {v}" for k, v in given.items())
        page.about = page.about.strip(", ")
    path = study.out / "notebooks" / file_name
    if not path.is_file():
        failed = job and store.read_json(failure_of(study, job))
        page.error = visible(failed["error"]) if failed else ""
        page.title = page.name
        return page
    try:
        page.raw, page.cells = _read_notebook(study, path), []
    except (
        ValueError,
        AttributeError,
        KeyError,
    ) as error:  # cut short, or no notebook: the other pages do not depend on it
        page.error, page.title = f"{type(error).__name__}: {path.name} cannot be read", page.name
        return page
    page.title = _first_heading(page.raw) or page.name
    page.seconds = page.raw.metadata.get("papermill", {}).get("duration")
    page.error = next(
        (visible(f"{o.ename}: {o.evalue}") for c in page.raw.cells for o in c.get("outputs", []) if o.output_type == "error"),
        "",
    )  # fmt: skip
    return page


def _read_notebook(study: Study, path: Path) -> nbformat.NotebookNode:
    """A notebook with the machine's own folders taken out of its text."""
    text = path.read_text(encoding="utf-8", errors="replace")
    for folder, short in ((study.out.parent, "outputs"), (study.root, "")):
        written = re.escape(json.dumps(str(folder), ensure_ascii=False)[1:-1])
        text = re.sub(written + "/", f"{short}/" if short else "", text)
        text = re.sub(written + r"(?![\w.-])", short or ".", text)
    return nbformat.reads(text, as_version=4)


def _first_heading(notebook) -> str:
    for cell in notebook.cells:
        match = re.search(r"^#\s+(.+?)\s*#*$", cell.source, re.M) if cell.cell_type == "markdown" else None
        if match:
            return visible(re.sub(r"[*_`]", "", match[1]))
    return ""


def render(page: Page, sources: dict[str, str]) -> None:
    """Fill in a page's cells and headings."""
    tagged = {t: c.source for c in page.raw.cells for t in c.metadata.get("tags", []) if c.cell_type == "code"}
    for number, cell in enumerate(page.raw.cells):
        tags = cell.metadata.get("tags", [])
        if "papermill-error-cell-tag" in tags:
            continue  # the page shows the error itself
        if cell.cell_type == "markdown":
            page.cells.append(Cell("text", markdown(cell.source, page.headings, sources)))
        elif cell.cell_type == "code":
            prefix = f"o{number}-"
            outputs = [o for o in (_output(o, f"{prefix}{i}-") for i, o in enumerate(_merged(cell.outputs))) if o]
            if "parameters" in tags or ("injected-parameters" in tags and "parameters" not in tagged):
                body = _parameters_table(tagged.get("parameters", ""), tagged.get("injected-parameters", ""))
                page.cells.append(Cell("parameters", body, outputs))
            elif "injected-parameters" not in tags and (cell.source.strip() or outputs):
                page.cells.append(Cell("code", highlight(cell.source), outputs))


def _merged(outputs: list) -> list:
    """Outputs with neighbouring pieces of one stream joined."""
    merged: list = []
    for output in outputs:
        same = merged and output.output_type == "stream" == merged[-1]["output_type"]
        if same and merged[-1]["name"] == output["name"]:
            merged[-1] = {**merged[-1], "text": merged[-1]["text"] + output["text"]}
        else:
            merged.append(output)
    return merged


def _output(output, prefix: str) -> str:
    """HTML of one output; empty if there is nothing to show."""
    if output["output_type"] == "stream":
        return _log(output["text"], "log" if output["name"] == "stdout" else "messages")
    if output["output_type"] == "error":
        trace = _plain("\n".join(output["traceback"]))
        return (
            f'<div class="error" id="error"><p><strong>{html.escape(_plain(output["ename"]))}</strong> '
            f"{html.escape(_plain(output['evalue']))}</p>"
            f"<details><summary>traceback</summary><pre>{html.escape(trace)}</pre></details></div>"
        )
    return _shown({k: "".join(v) if isinstance(v, list) else v for k, v in output["data"].items()}, prefix)


def _shown(data: dict[str, Any], prefix: str) -> str:
    """The richest form of a result that the page can hold."""
    if "text/html" in data:
        return clean(data["text/html"], prefix)
    if "image/svg+xml" in data:
        return clean(f'<figure class="plot">{data["image/svg+xml"]}</figure>', prefix)
    if "text/markdown" in data:
        return f'<div class="prose">{markdown(data["text/markdown"])}</div>'
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            code = base64.b64encode(base64.b64decode(data[kind])).decode()
            alt = html.escape(visible(data.get("text/plain", "figure")))
            return f'<figure class="plot"><img src="data:{kind};base64,{code}" alt="{alt}"></figure>'
    if data.get("text/plain", "").strip():
        return f"<pre>{html.escape(_plain(data['text/plain']))}</pre>"
    return ""


def _log(text: str, label: str) -> str:
    text = _plain(text).rstrip()
    lines = text.count("\n") + 1
    if not text:
        return ""
    pre = f'<pre class="log">{html.escape(text)}</pre>'
    if _is_prose(text):  # a finding that a notebook wrote from its numbers
        found = [html.escape(x) for x in text.split("\n") if x.strip()]
        if len(found) > 3:
            return f'<ul class="finding">{"".join(f"<li>{x}</li>" for x in found)}</ul>'
        return "".join(f'<p class="finding">{x}</p>' for x in found)
    if lines <= LOG_LINES:
        return pre
    return f'<details class="log"><summary>{label} <small>{lines} lines</small></summary>{pre}</details>'


def findings(page: Page) -> list[str]:
    """Sentences that an executed notebook printed from its numbers, a paragraph each."""
    outputs = [o for cell in page.raw.cells for o in _merged(cell.get("outputs", []))] if page.raw else []
    texts = [_plain(o["text"]).rstrip() for o in outputs if o["output_type"] == "stream" and o["name"] == "stdout"]
    return [line for text in texts if text and _is_prose(text) for line in text.split("\n") if line.strip()]


def _is_prose(text: str) -> bool:
    """Whether a log is a few full sentences, one paragraph per line."""
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) <= 40 and all(re.fullmatch(r"([A-Z]\S*|\d[\d,]*) .{20,}[.!?]", line) for line in lines)


def _plain(text: str) -> str:
    """Text as a terminal would leave it: no colour codes, the last state of lines that were drawn over."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")
    return "\n".join(visible(line.rstrip("\r").rsplit("\r", 1)[-1]) for line in text.split("\n"))


def _parameters_table(defaults: str, injected: str) -> str:
    """A notebook's parameters as a table: name, value used, what it means."""
    meaning = {name: help_ for name, (_, help_) in _assignments(defaults).items()}
    values = {name: value for name, (value, _) in {**_assignments(defaults), **_assignments(injected)}.items()}
    if not values:
        return ""
    rows = [(name, value, meaning.get(name, "")) for name, value in values.items()]
    return clean(table(("parameter", "value", "meaning"), rows, css="plain"))


def _assignments(source: str) -> dict[str, tuple[str, str]]:
    """Names assigned in a parameter cell: value as written, and the comment on its line."""
    try:
        body = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return {}
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    found = {}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and getattr(node, "value", None):
            value = ast.get_source_segment(source, node.value) or ""
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                value = node.value.value
            found[targets[0].id] = (value, comments.get(node.end_lineno, ""))
    return found
