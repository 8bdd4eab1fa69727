"""What is done: the record of a job that has ended well, and whether it still holds."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from .bench import stored
from .errors import DataError
from .graph import Job
from .store import checksum, is_whole, read_json
from .study import Study, fingerprint


def stem(job: Job) -> str:
    """What the files of a job are called."""
    return job.file_name.removesuffix(".ipynb")


def job_record(study: Study, job: Job) -> Path:
    """Written last, when a job's notebook has run to its end."""
    return study.out / "jobs" / f"{stem(job)}.json"


def job_inputs(study: Study, job: Job) -> str:
    """Fingerprint of what an executed notebook depends on besides the runs it shows: source, parameters, code, data folder."""
    notebook = study.root / "notebooks" / job.notebook
    return fingerprint({
        "notebook": hashlib.sha256(notebook.read_bytes()).hexdigest(), "parameters": job.parameters,
        "study": study.params.model_dump(mode="json"), "designs": [d.model_dump(mode="json") for d in study.designs],
        "code": code(), "data": _data_folder(study),
        **({"measured": stored.stamps(study.root)} if job.notebook.startswith("90") else {}),
    })  # fmt: skip


@cache
def code() -> str:
    """Digest of the package's own sources: an edit shows in every notebook, though no finished run is repeated for it."""
    digest, package = hashlib.sha256(), Path(__file__).parent
    for file in sorted(package.rglob("*")):
        # the report is made from executed notebooks: a change of its style must not make them run again
        if file.suffix in (".py", ".tsv", ".yaml") and file.relative_to(package).parts[0] not in ("report", "template"):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _data_folder(study: Study) -> str:
    """Names, sizes and times of the files of a data folder and of the user's own: cheap, and enough to look again."""
    from .own_files import stamps
    from .study import expand

    own = [stamps(study.tasks[name]) for name in study.params.tasks]
    if study.params.data.source != "folder":
        return fingerprint(own) if own else ""
    folder = Path(expand(study.params.data.folder, "data.folder"))
    files = sorted(
        (str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    )
    return fingerprint([files, own] if own else files)


def is_done(study: Study, job: Job, thorough: bool = True) -> bool:
    """Whether a job's notebook is there as it was written, made from the same inputs, and every run that it shows is still there.

    Parameters
    ----------
    thorough : bool
        Whether files are compared with their checksums, too; ``False`` is for a quick look.
    """
    record, notebook = whole(job_record(study, job)), notebook_of(study, job)
    if record is None or record["inputs"] != job_inputs(study, job) or not notebook.is_file():
        return False
    if not thorough:
        runs = {p: whole(study.out / "runs" / p / "record.json") for p in record["uses"]}
        return all(runs[p] is not None and runs[p]["fingerprint"] == known for p, known in record["uses"].items())
    if record["notebook"] != checksum(notebook):
        return False
    return all(is_whole(study.out / "runs" / place, known) for place, known in record["uses"].items())


def whole(path: Path) -> dict | None:
    """A record, or ``None`` where there is none or it is damaged: then it is made again."""
    try:
        return read_json(path)
    except DataError:
        return None


def stamp(study: Study, job: Job) -> int | None:
    """Which record of a job is there, by its time: another one says that somebody has run the job since."""
    path = job_record(study, job)
    return path.stat().st_mtime_ns if path.is_file() else None


def notebook_of(study: Study, job: Job) -> Path:
    """Where a job's executed notebook goes."""
    return study.out / "notebooks" / job.file_name
