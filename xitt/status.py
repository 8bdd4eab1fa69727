"""How far a study is: what is done, running, failed and waiting, and how long still.

Times come from what this study has measured itself: a job that has a twin (another seed) is taken to be as long as that; others by
their planned work (``xitt.plan``) at the rate of the jobs of their kind that are done. Before any is done, the device's rates stand in.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from . import running
from .devices import Slots
from .done import is_done, job_record, whole
from .errors import XittError
from .graph import Job, jobs
from .lease import describe
from .progress import clock
from .schedule import job_of
from .study import Study


@dataclass(frozen=True)
class State:
    """A job as it stands now.

    Attributes
    ----------
    word : str
        ``done``, ``running``, ``failed``, ``interrupted`` or ``waiting``.
    detail : str
        Progress, error, or what it waits for.
    seconds : float
        Done: what it took. Running: for how long it has run.
    """

    job: Job
    word: str
    detail: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.word}{': ' if self.detail else ''}{self.detail}"


def states(study: Study) -> list[State]:
    """Every job of a study, in order."""
    found: dict[str, State] = {}
    for job in jobs(study):
        found[job.name] = _state(study, job, found)
    return list(found.values())


def _state(study: Study, job: Job, before: dict[str, State]) -> State:
    if held := running.who_runs(study, job):
        spent = max(0.0, time.time() - held["since"]) if "since" in held else 0.0
        line = running.progress_of(study, job)
        return State(job, "running", f"{describe(held)}, for {clock(spent)}{': ' if line else ''}{line}", spent)
    if is_done(study, job, thorough=False):
        return State(job, "done", seconds=float((whole(job_record(study, job)) or {}).get("seconds", 0.0)))
    if failed := whole(running.failure_of(study, job)):
        return State(job, "failed", failed["error"])
    if line := running.progress_of(study, job):
        return State(job, "interrupted", line)
    needs = [n for n in job.needs if before[n].word != "done"]
    few = ", ".join(needs) if len(needs) < 4 else f"{len(needs)} jobs"
    return State(job, "waiting", f"for {few}" if needs else "")


def lines(study: Study) -> list[str]:
    """What ``xitt status`` prints."""
    found = states(study)
    counts = {w: sum(s.word == w for s in found) for w in ("done", "running", "failed", "interrupted", "waiting")}
    summary = f"{len(found)} jobs: {', '.join(f'{n} {w}' for w, n in counts.items() if n)}"
    return [*(f"{s.job.name:28} {s}" for s in found), summary, *_how_long(study, found)]


# --- how long still ------------------------------------------------------------------------------------------------
def _how_long(study: Study, found: list[State]) -> list[str]:
    left = [s for s in found if s.word != "done"]
    if not left:
        return []
    at_a_time = sum(s.word == "running" for s in left) or Slots(study).count
    try:
        seconds, origin = estimates(study, found)
    except XittError as error:  # data that are not there yet, say
        return [f"how long still is not known: {str(error).splitlines()[0]}"]
    still = {s.job.name: max(0.0, seconds[s.job.name] - (s.seconds if s.word == "running" else 0.0)) for s in left}
    longest = max(sum(still.get(n, 0.0) for n in chain) for chain in _chains(found))
    whole = max(longest, sum(still.values()) / at_a_time)
    return [f"about {clock(whole)} still, {at_a_time} at a time ({origin})"]


def _chains(found: list[State]) -> list[list[str]]:
    """For each job, a longest line of jobs that must be done one after the other up to it."""
    chains: dict[str, list[str]] = {}
    for state in found:
        before = max((chains[n] for n in state.job.needs if n in chains), key=len, default=[])
        chains[state.job.name] = [*before, state.job.name]
    return list(chains.values())


def estimates(study: Study, found: list[State]) -> tuple[dict[str, float], str]:
    """Seconds of every job that is not done, and in words what that is from."""
    done = [s for s in found if s.word == "done"]
    twins: dict[tuple[str, str], list[float]] = {}
    for state in done:
        twins.setdefault(_kind(state.job), []).append(state.seconds)
    out = {s.job.name: _mean(twins[_kind(s.job)]) for s in found if s.word != "done" and _kind(s.job) in twins}
    origins = ["the times of other seeds"] if out else []
    rest = [s for s in found if s.word != "done" and s.job.name not in out]
    if any(s.job.parameters for s in rest):
        hours, measured = planned(study)
        known = [s for s in done if hours.get(s.job.name)]
        for state in rest:
            same = [s for s in known if s.job.notebook == state.job.notebook] or known
            scale = sum(s.seconds for s in same) / sum(hours[s.job.name] for s in same) if same else 3600.0
            out[state.job.name] = hours.get(state.job.name, 0.0) * scale
        origins.append(
            f"planned work at the rate of {len(known)} jobs that are done" if known else f"planned work, {measured}"
        )
    return {s.job.name: out.get(s.job.name, 0.0) for s in found}, " and ".join(origins) or "summaries are not counted"


def _kind(job: Job) -> tuple[str, str]:
    """Jobs with the same kind differ in nothing but their seed."""
    return job.notebook, str(dict(job.parameters).get("intermediate", ""))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def planned(study: Study) -> tuple[dict[str, float], str]:
    """Hours of the jobs' work by the plan, at the rates of this device, and what those are from."""
    from . import plan, rates

    made = plan.plan(study)
    speed = rates.choose(study, made.shape)
    hours: dict[str, float] = {}
    for (what, *key), work in made.works.items():
        name = job_of(what, key)
        if name:
            hours[name] = hours.get(name, 0.0) + plan.hours(made, speed, work)
    return hours, f"rates of {speed.name}"
