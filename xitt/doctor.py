"""Is all here that a study needs? Each thing that is looked at gives one line; each problem its remedy.

Nothing is computed, fetched or written. What a study needs from the hub is looked for in the cache; a network is not asked.
"""

from __future__ import annotations

import contextlib
import locale
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import DataError, XittError
from .study import Study, find_root

#: what the parts of the list are headed
OK, NOTE, MISSING = "ok", "note", "MISSING"
#: bytes on disk that are left alone when a study's needs are compared with what is free
RESERVE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``state`` is ``ok``, ``note`` (works, but to be known) or ``MISSING``, then with its ``remedy``."""

    state: str
    about: str
    text: str
    remedy: str = ""


def examine(study: Study | None = None) -> list[Finding]:
    """Everything that is looked at: the installation, the machine, and with a study what it needs."""
    found = [*_packages(), *_devices(study), *_kernel(), *_language(), *_folders(study)]
    if study is not None:
        for part in (_notebooks, _data, _backbone, _disk, _records):
            try:
                found += part(study)
            except XittError as error:
                found.append(Finding(MISSING, part.__name__[1:], *_split(error)))
    return found


def lines(found: list[Finding]) -> list[str]:
    """The list for people, and a last line that counts the problems."""
    out = []
    for f in found:
        out.append(f"{f.state:8}{f.about:14}{f.text}")
        out += [f"{'':22}-> {f.remedy}"] if f.remedy else []
    missing = sum(f.state == MISSING for f in found)
    return [*out, f"{missing} of {len(found)} things are missing" if missing else "nothing is missing"]


def _split(error: XittError) -> tuple[str, str]:
    """What is wrong and what to do about it, from an error's message."""
    first, _, rest = str(error).partition("\n")
    return first, " ".join(rest.split())


# --- the installation ----------------------------------------------------------------------------------------------
def _packages() -> Iterator[Finding]:
    """Python and every package that xitt is declared to need."""
    from importlib import metadata

    from packaging.requirements import Requirement

    yield Finding(OK, "python", f"{platform.python_version()} ({sys.executable})")
    try:
        declared = [Requirement(r) for r in metadata.requires("xitt") or ()]
        version = metadata.version("xitt")
    except metadata.PackageNotFoundError:
        yield Finding(
            MISSING,
            "xitt",
            "runs from a folder and is not installed",
            "python -m pip install -e . in the project's folder",
        )
        return
    wrong, extras = [], []
    for need in declared:
        extra = need.marker is not None and not need.marker.evaluate({"extra": ""})
        state = _installed(need, metadata)
        (extras if extra else wrong).append(state) if state else None
    if wrong:
        yield Finding(
            MISSING,
            "packages",
            "; ".join(wrong),
            "python -m pip install -e . -c constraints.txt in the project's folder",
        )
    else:
        named = ", ".join(f"{p} {metadata.version(p)}" for p in ("torch", "transformers", "datasets"))
        yield Finding(OK, "packages", f"xitt {version} and its {len(declared) - len(extras)} packages: {named}")
    if extras:
        yield Finding(NOTE, "extras", f"{'; '.join(extras)} (for tests or for --dask; `pip install xitt[cluster]`)")


def _installed(need, metadata) -> str:
    """What is wrong with a package, or nothing."""
    try:
        there = metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return f"{need.name} is not installed"
    return "" if need.specifier.contains(there, prereleases=True) else f"{need.name} {there} is not {need.specifier}"


# --- the machine ---------------------------------------------------------------------------------------------------
def _devices(study: Study | None) -> Iterator[Finding]:
    """Cores, memory and GPUs; a study that asks for CUDA must find one."""
    from .store import cores

    yield Finding(OK, "cpu", f"{cores()} cores{_memory()}")
    gpus, asked = _gpus(), study is not None and study.params.engine.device == "cuda"
    import torch

    seen = torch.cuda.is_available()
    if seen:
        yield Finding(OK, "gpu", "; ".join(gpus) or torch.cuda.get_device_name())
    elif gpus or asked:
        why = (
            f"{len(gpus)} there ({gpus[0]}), but torch sees none"
            if gpus
            else "none, and the study's engine.device is cuda"
        )
        remedy = (
            "install a build of torch for this driver (pytorch.org), or look at CUDA_VISIBLE_DEVICES" if gpus else ""
        )
        yield Finding(MISSING if asked else NOTE, "gpu", why, remedy or "engine: {device: auto} runs on the CPU")
    else:
        yield Finding(
            NOTE, "gpu", "none; training runs on the CPU, which is right for the pocket and too slow for XLM-R Large"
        )
    if (
        study is not None
        and study.params.engine.precision == "bfloat16"
        and seen
        and not torch.cuda.is_bf16_supported()
    ):
        yield Finding(MISSING, "precision", "this GPU does not know bfloat16", "engine: {precision: float32}")


def _memory() -> str:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    return ""


def _gpus() -> list[str]:
    """GPUs by the driver's own tool."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if listed.returncode == 0:
            return [line.strip() for line in listed.stdout.splitlines() if line.strip()]
    return []


def _kernel() -> Iterator[Finding]:
    """The notebooks' kernel: there, and of this very Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    remedy = f"{sys.executable} -m ipykernel install --sys-prefix --name python3"
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding(MISSING, "kernel", "there is no notebook kernel `python3`", remedy)
        return
    first = spec.argv[0] if spec.argv else ""
    # Jupyter takes a bare `python` for the one that it runs in itself
    python = sys.executable if re.fullmatch(r"python(3(\.\d+)?)?", first) else shutil.which(first)
    if python is None:
        yield Finding(MISSING, "kernel", f"`python3` starts {first}, which is not there", remedy)
    elif os.path.realpath(python) != os.path.realpath(sys.executable):
        yield Finding(
            MISSING,
            "kernel",
            f"`python3` starts {python}, not this Python, so that xitt may be missing in notebooks",
            remedy,
        )
    else:
        yield Finding(OK, "kernel", f"python3 ({spec.resource_dir})")
    place = tempfile.gettempdir()
    if len(place) > 60:
        yield Finding(
            MISSING, "sockets", f"{place} is too long for the names of kernels' sockets", "export TMPDIR=/tmp"
        )


def _language() -> Iterator[Finding]:
    """Files' names and contents are UTF-8 whatever is set; what is printed need not be."""
    names, out = sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None) or "utf-8"
    wrong = [
        e
        for e in (names, out, locale.getpreferredencoding(False))
        if e.lower().replace("-", "") not in ("utf8", "utf8sig")
    ]
    if wrong:
        yield Finding(
            MISSING,
            "locale",
            f"{wrong[0]}: text of other languages cannot be shown",
            "export PYTHONUTF8=1 LC_ALL=C.UTF-8",
        )
    else:
        yield Finding(OK, "locale", "UTF-8")


def _folders(study: Study | None) -> Iterator[Finding]:
    """The project, and whether results can be written."""
    root = study.root if study else find_root(Path.cwd().resolve())
    if root is None:
        yield Finding(
            NOTE,
            "project",
            "this is no project's folder (params/ and notebooks/ side by side)",
            "cd to it, or name a study",
        )
        return
    yield Finding(OK, "project", str(root))
    place = study.out if study else Path(os.environ.get("XITT_OUTPUTS", root / "outputs")).resolve()
    there = next(p for p in (place, *place.parents) if p.exists())
    if os.access(there, os.W_OK | os.X_OK):
        yield Finding(OK, "outputs", str(place))
    else:
        yield Finding(MISSING, "outputs", f"{there} cannot be written", "set XITT_OUTPUTS to a folder that can")


# --- the study -----------------------------------------------------------------------------------------------------
def _notebooks(study: Study) -> Iterator[Finding]:
    from . import batch, graph

    batch.check_notebooks(study)
    names = {j.notebook for j in graph.jobs(study)}
    yield Finding(OK, "notebooks", f"{len(names)}, with the parameters that {len(graph.jobs(study))} jobs give them")


def _data(study: Study) -> Iterator[Finding]:
    """Whether the data of every task can be had now."""
    from . import inventory

    table = inventory.table(study)
    absent = table[table["now"].str.startswith("absent")]
    for row in absent.drop_duplicates("task").to_dict("records"):
        yield Finding(MISSING, "data", f"{row['task']}: {row['now'].removeprefix('absent: ')}", _where(study))
    hub = sorted(set(table[table["now"] == "on the hub"]["task"]))
    if hub:
        yield Finding(
            NOTE,
            "data",
            f"{len(hub)} tasks are on the hub and not yet in the cache, fetched when needed: {', '.join(hub)}",
        )
    ready = len(set(table["task"])) - absent["task"].nunique() - len(hub)
    yield Finding(
        OK, "data", f"{ready} of {table['task'].nunique()} tasks are here (`xitt tasks {study.path.name}` lists them)"
    )


def _where(study: Study) -> str:
    source = study.params.data.source
    if source == "folder":
        return (
            "put it into the folder that data.folder names, leave the task out of the study, or set data.missing: skip"
        )
    return (
        "connect to the network once (data.offline: false), or take data.source: folder"
        if source == "hub"
        else "see the study's `tasks:`"
    )


def _backbone(study: Study) -> Iterator[Finding]:
    """Whether the backbone can be opened now."""
    from . import hub, pretrained
    from .backbone import fetch

    wanted = study.params.backbone
    if wanted.build is not None:
        ready = pretrained.backbone_ready(study)
        text = "is here" if ready else "is built by its recipe when the study runs (notebook 00)"
        yield Finding(OK if ready else NOTE, "backbone", text)
        return
    try:
        found = fetch(wanted, study.root, offline=True)
        yield Finding(OK, "backbone", f"{found.origin} is here")
    except DataError as error:
        text, remedy = _split(error)
        if wanted.hub and not hub.is_offline(study.params.data.offline):
            yield Finding(NOTE, "backbone", f"{wanted.hub} is not in the cache and is fetched when needed")
        else:
            yield Finding(MISSING, "backbone", text, remedy or "give backbone.folder or backbone.hub that is there")


def _disk(study: Study) -> Iterator[Finding]:
    """What the study will still write at most, against what is free."""
    from .clean import size_text

    there = next(p for p in (study.out, *study.out.parents) if p.exists())
    free = shutil.disk_usage(there).free
    try:
        needed = need(study)
    except DataError:
        yield Finding(NOTE, "disk", f"{size_text(free)} are free; what is needed is known once the backbone is here")
        return
    text = f"{size_text(needed)} more are needed at most, {size_text(free)} are free ({there})"
    if needed + RESERVE > free:
        yield Finding(
            MISSING, "disk", text, "make room (`xitt clean` lists leftovers), set XITT_OUTPUTS, or keep: none"
        )
    else:
        yield Finding(OK, "disk", text)


def need(study: Study) -> int:
    """Bytes that a study still has to write at most, by its number of weights: float32 weights that are kept, and beside them for each
    job at a time one checkpoint (weights and two moments), the best and the final weights.
    """
    from .devices import listed
    from .store import cores, read_json

    weights, under_way, kept = 4 * parameters(study), (len(listed(study)) or min(2, cores())) * 5, 0
    for recipe in study.intermediates:
        kept += not study.is_ready(recipe) and study.params.keep != "none"
        trains = {study.tasks[t].train or study.tasks[t].tuned for t in study.targets_of(recipe)} - {None}
        kept += len(trains) if study.params.keep == "all" else 0
    kept *= len(study.seeds)
    there = [p for p in (study.out / "runs").glob("0[12].*") if (p / "model").is_dir() and read_json(p / "record.json")]
    return max(0, kept - len(there)) * weights + under_way * weights


def parameters(study: Study) -> int:
    """Number of weights of a study's encoder, word vectors included: by its recipe, its files, or the size that is known of it."""
    from .plan import SHAPES, Shape

    wanted = study.params.backbone
    if wanted.build:
        a = wanted.build.architecture
        shape, words = Shape(a.layers, a.width, a.feed_forward), a.vocabulary
    else:
        from .backbone import describe, fetch

        try:
            return int(describe(fetch(wanted, study.root, offline=True))["parameters"])
        except DataError:
            if wanted.hub not in SHAPES:
                raise
            shape, words = SHAPES[wanted.hub], 250_002
    return shape.layers * (4 * shape.width**2 + 2 * shape.width * shape.feed_forward) + (words + 514) * shape.width


def _records(study: Study) -> Iterator[Finding]:
    """Whether what is finished is as it was written; weights are looked at when they are used."""
    from .integrity import Damaged, notes
    from .store import read_record

    runs, bad, good = study.out / "runs", [], 0
    for file in sorted([*runs.glob("[!.]*/record.json"), *runs.glob("[!.]*/predictions/[!.]*/record.json")]):
        try:
            read_record(file.parent)
            good += 1
        except Damaged as error:
            bad.append(str(error))
    for text in bad:
        yield Finding(MISSING, "record", text, f"xitt run {study.path.name} sets it aside and computes it again")
    if good:
        yield Finding(OK, "records", f"{good} are whole")
    if before := notes(runs):
        yield Finding(
            NOTE, "set aside", f"{len(before)} damaged pieces are in {runs / '.damaged'} (`xitt clean` drops them)"
        )
