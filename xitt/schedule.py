"""How long a study's notebooks take with so many at a time: the batch runner's own order, with the plan's seconds instead of the work."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from graphlib import TopologicalSorter
from statistics import mean
from typing import TYPE_CHECKING

from .graph import Job, jobs
from .rates import Rates

if TYPE_CHECKING:
    from .counted import Plan


def seconds(made: Plan, rates: Rates) -> dict[str, float]:
    """Job → seconds: its runs, and what a notebook takes beside them where that was measured.

    A notebook that shows results is taken to be as long as it was in a study that is done, one that never ran as the mean of the others.
    """
    from .plan import hours

    found = {j.name: beside(rates)(j) for j in jobs(made.part)}
    for (what, *key), work in made.works.items():
        name = job_of(what, key)
        if name in found:
            found[name] += 3600 * hours(made, rates, work)
    return found


def beside(rates: Rates) -> Callable[[Job], float]:
    """What gives the seconds that a notebook takes beside its runs; zero where nothing was measured."""
    timed = rates.timed
    if timed is None:
        return lambda job: 0.0
    known = timed.summaries
    other = mean(known.values()) if known else timed.notebook
    return lambda job: timed.notebook if job.parameters else known.get(job.name, other)


def job_of(what: str, key: list) -> str | None:
    """The job that does a piece of planned work; ``None`` for what any may do first (tokenising)."""
    if what == "encode":
        return None
    if what == "build":
        return "00"
    number = {"intermediate": "01", "target": "02", "score": "02", "embed": "03", "search": "03"}[what]
    return f"{number}.{key[0]}.s{key[-1]}"


def wall(made: Plan, taken: dict[str, float], at_a_time: int) -> float:
    """Seconds until the last notebook ends, if ``at_a_time`` run, first come, first served: a job comes as soon as what it needs is done.

    Parameters
    ----------
    taken : dict
        Job → seconds, see :func:`seconds`.
    """
    sorter = TopologicalSorter({j.name: j.needs for j in jobs(made.part)})
    sorter.prepare()
    ready = deque(sorter.get_ready())
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < at_a_time:
            name = ready.popleft()
            heapq.heappush(running, (now + taken[name], name))
        now, done = heapq.heappop(running)
        sorter.done(done)
        ready += sorter.get_ready()
    return now
