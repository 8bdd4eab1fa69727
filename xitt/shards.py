"""A study in parts, for plain job arrays: ``xitt run PARAMS --shard I/N`` on N machines that share the outputs folder.

The split follows from the study alone, so that every machine makes the same one. What belongs to one recipe and seed stays together
(its encoder is trained where it is used); what several parts need is run by whichever comes first, and the others wait for it. What
sums a study up is run by the part that ends last.
"""

from __future__ import annotations

import re

from .errors import ParameterError
from .graph import Job, jobs
from .lease import describe
from .running import who_runs
from .study import Study


def parse(text: str) -> tuple[int, int]:
    """``I/N`` as two numbers.

    Raises
    ------
    ParameterError
        If it is not, or I is not one of 1 to N.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    number, parts = (int(x) for x in found.groups()) if found else (0, 0)
    if not 1 <= number <= parts:
        raise ParameterError(f"--shard {text!r}: give I/N, the I-th of N parts, from 1: --shard 1/8 ... --shard 8/8")
    return number, parts


def summaries(everything: list[Job]) -> set[str]:
    """Jobs that sum a study up: neither the backbone nor of one recipe and seed."""
    return {j.name for j in everything if not j.parameters and j.name != "00"}


def part(everything: list[Job], number: int, parts: int) -> set[str]:
    """Names of the jobs of one part, without what they need.

    Parameters
    ----------
    number, parts : int
        The ``number``-th of so many, from 1.
    """
    last = summaries(everything)
    chains: dict[tuple, list[str]] = {}
    for job in everything:
        if job.parameters:
            chains.setdefault(job.parameters, []).append(job.name)
    loads = [0] * parts
    owned: list[set[str]] = [
        {j.name for j in everything if j.name not in last and not j.parameters},
        *(set() for _ in loads[1:]),
    ]
    # the longest chains first, each to the part with the least: equal chains go round
    for chain in sorted(chains.values(), key=len, reverse=True):
        least = loads.index(min(loads))
        loads[least] += len(chain)
        owned[least] |= set(chain)
    return owned[number - 1]


def missing(study: Study, names: list[str], failed: list[str]) -> str:
    """What the summary waits for, in words."""
    at_it = {j.name: held for j in jobs(study) if j.name in names and (held := who_runs(study, j))}
    shown = [
        f"{n} ({describe(at_it[n])} is at it)" if n in at_it else f"{n} (failed here)" if n in failed else n
        for n in names[:8]
    ]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (
        f"the summary and the report wait for {len(names)} jobs of other parts: {', '.join(shown)}{more}\n"
        "  the part that ends last writes them; if a part was lost, `xitt run` without --shard does what is left"
    )
