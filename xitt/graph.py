"""A study as jobs: one executed notebook each, and what each needs before it."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from . import recipes
from .bench import stored
from .errors import ParameterError, nearest
from .study import Study

#: the notebook that answers a design's question, shown where the study has the design
QUESTIONS = {
    "variants": "06_variants.ipynb", "code": "10_code.ipynb", "scaling": "11_scaling.ipynb",
    "code_mixed": "12_code_mixed.ipynb", "similarity": "13_similarity.ipynb", "multimodal": "14_multimodal.ipynb",
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One notebook with parameters.

    Attributes
    ----------
    name : str
        Notebook number, recipe and seed: ``02.mnli.s0``; just the number for a summary.
    notebook : str
        File in ``notebooks/``.
    parameters : tuple of (str, value)
        What papermill puts into it besides ``study``.
    needs : tuple of str
        Names of the jobs before it.
    """

    name: str
    notebook: str
    parameters: tuple[tuple[str, str | int], ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Name of the executed notebook, in characters that are safe in file names."""
        return f"{recipes.file_name(self.name)}.ipynb"


def jobs(study: Study) -> list[Job]:
    """All jobs of a study, each after those it needs."""
    found = [Job("00", "00_backbone.ipynb")]
    last: list[str] = []
    for seed in study.seeds:
        for recipe in study.intermediates:
            about = (("intermediate", recipe), ("seed", seed))
            before = "00"
            if not study.is_ready(recipe):
                before = f"01.{recipe}.s{seed}"
                found.append(Job(before, "01_intermediate.ipynb", about, ("00",)))
            trained, searched = (study.targets_of(recipe, trained=yes) for yes in (True, False))
            shared = {study.tasks[t].train for t in trained} & {
                study.tasks[t].tuned for t in searched
            }  # 02 tunes, 03 uses
            if trained:
                found.append(Job(f"02.{recipe}.s{seed}", "02_target.ipynb", about, (before,)))
                last.append(found[-1].name)
            if searched:
                needs = (before, *([last[-1]] if shared else ()))
                found.append(Job(f"03.{recipe}.s{seed}", "03_retrieval.ipynb", about, needs))
                last.append(found[-1].name)
    found.append(Job("04", "04_transfer_matrix.ipynb", (), tuple(last)))
    found.append(Job("05", "05_benchmark.ipynb", (), tuple(last)))
    found.append(Job("07", "07_claims.ipynb", (), tuple(last)))
    found += [Job(file[:2], file, (), tuple(last)) for design, file in QUESTIONS.items() if design in study.grids]
    if stored.files(study.root):  # shows what xitt bench has left; nothing is measured
        found.append(Job("90", "90_performance.ipynb"))
    return found


def matching(all_jobs: list[Job], pattern: str | None) -> set[str]:
    """Names of the jobs that a glob matches.

    Raises
    ------
    ParameterError
        If it matches none.
    """
    names = [j.name for j in all_jobs]
    if pattern is None:
        return set(names)
    found = {n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n, f"{pattern}.*")}
    if not found:
        raise ParameterError(f"no job matches {pattern!r}{nearest(pattern, names)}\n  jobs: {', '.join(names)}")
    return found


def with_needs(all_jobs: list[Job], names: set[str]) -> set[str]:
    """The same jobs and all they need."""
    by_name = {j.name: j for j in all_jobs}
    wanted, queue = set(), list(names)
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += by_name[name].needs
    return wanted
