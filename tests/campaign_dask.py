"""A study on a Dask cluster on loopback that loses a worker again and again, beside the same study run locally; not part of the suite.

    python -m tests.campaign_dask                                     # the tiny study, a worker killed every 8 s
    python -m tests.campaign_dask --study params/pocket.yaml --every 20
    python -m tests.campaign_dask --study params/pocket.yaml --every 20 --expected outputs/pocket --out /tmp/campaign

Says whether ``results.csv`` is the same to the byte, whether a finished run was lost or made twice, what the kills cost in wall time and
steps that were computed again. In ``--out``: ``campaign.log`` (what happens, to be followed), ``driver.log`` (what ``xitt run`` says),
``result.json``, rewritten at each kill so that it is there however this ends. Stopped early (Ctrl-C, SIGTERM, ``--minutes``), the runs
that are finished are compared. Exit code 0: all is as it should be; 1: something is wrong; 130: nothing is wrong and it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests import tiny
from tests.dask_cluster import LocalDask, mortal, tree
from xitt.errors import JobError
from xitt.lease import holder
from xitt.progress import clock

#: in the environment of every process that a campaign starts, so that none is overlooked at its end
MARK = "XITT_CAMPAIGN"
#: seconds that processes have to end when those that started them are gone
GRACE = 5.0


class Stopped(BaseException):
    """Somebody wants the campaign to end now."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--study", type=Path, help="a study's file; default: the tests' tiny study, in a project of its own"
    )
    parser.add_argument(
        "--expected",
        type=Path,
        help="outputs of a local run that is done, or the study's folder in docs/; default: it is run now",
    )
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=8.0, help="seconds between kills; 0: none")
    parser.add_argument("--minutes", type=float, help="stop the cluster's run after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=1, help="of the tiny study's trainings")
    parser.add_argument("--only", help="as of `xitt run`; compared are the scores that there are")
    parser.add_argument("--out", type=Path, help="folder of the log and the result; default: a new temporary one")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _stop)
    out = (given.out or Path(tempfile.mkdtemp(prefix="xitt-campaign-result-"))).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="xitt-campaign-", ignore_cleanup_errors=True) as folder:
        return Campaign(given, Path(folder), out).run()


def _stop(number: int, frame) -> None:
    raise Stopped(signal.Signals(number).name)


class Campaign:
    """One study on a cluster, with kills; see this module.

    Parameters
    ----------
    folder : pathlib.Path
        For everything that goes at the end: outputs, the cluster's files.
    out : pathlib.Path
        For what stays: the log and the result.
    """

    def __init__(self, given: argparse.Namespace, folder: Path, out: Path):
        self.given, self.folder, self.out = given, folder, out
        self.begin, self.mark, self.rng = time.monotonic(), uuid.uuid4().hex, random.Random(given.seed)
        self.log = (out / "campaign.log").open("w", encoding="utf-8")
        self.seen: dict[str, int] = {}
        self.heard = 0  # lines of the driver's log
        self.wrong: set[str] = set()
        self.told: dict = {"state": "running", "local seconds": None, "workers killed": 0, "steps computed again": 0}

    def say(self, line: str) -> None:
        line = f"{clock(time.monotonic() - self.begin):>7}  {line}"
        print(line, flush=True)
        print(line, file=self.log, flush=True)

    # --- from beginning to end
    def run(self) -> int:
        """The whole campaign; returns its exit code."""
        self.say(f"log, result and what `xitt run` says: {self.out}")
        try:
            self._compare_runs()
            self.told["state"] = "ended"
        except Stopped as why:
            self.told["state"] = f"stopped by {why}"
        except BaseException as error:
            self.told["state"] = f"failed: {type(error).__name__}: {error}"
            raise
        finally:
            self._conclude()
        if not self.told["good"]:
            return 1
        return 0 if self.told["state"] == "ended" else 130

    def _compare_runs(self) -> None:
        study = self._study()
        command = mortal("xitt.cli", "run", str(study))
        command += ["--only", self.given.only] if self.given.only else []
        self.expected = self.given.expected and self.given.expected.resolve()
        if self.expected is None:
            self.say("the study locally")
            begin, self.expected = time.monotonic(), self.folder / "local" / study.stem
            with (self.out / "local.log").open("w") as log, self._started(command, "local", log) as local:
                if local.wait():
                    raise RuntimeError(f"the local run ended with {local.returncode}: {self.out / 'local.log'}")
            self.told["local seconds"] = round(time.monotonic() - begin, 1)
        elif not (self.expected / "results.csv").is_file():
            raise SystemExit(f"--expected: {self.expected} holds no results.csv: give the outputs of a finished study")
        self.place = self.folder / "cluster" / study.stem
        for built in (self.expected / "runs").glob("backbone-*"):  # a tokenizer that is trained anew is another one
            shutil.copytree(built, self.place / "runs" / built.name)
        self.say(f"the study on {self.given.workers} workers; one is killed every {self.given.every:g} s")
        marked = {"PYTHONPATH": str(tiny.ROOT), MARK: self.mark}
        with contextlib.closing(LocalDask(self.folder / "dask", self.given.workers, gpus=False, **marked)) as dask:
            begin = time.monotonic()
            try:
                with (self.out / "driver.log").open("w") as log:
                    self._run_to_the_end([*command, "--dask", str(dask.file)], dask, log, begin)
            finally:
                self.told["cluster seconds"] = round(time.monotonic() - begin, 1)

    def _study(self) -> Path:
        if self.given.study is not None:
            return self.given.study.resolve()
        # checkpoints often enough for a study that takes seconds
        settings = tiny.TINY.replace("engine: {", "engine: {checkpoint_seconds: 1, worker_losses: 100, ")
        return tiny.make(
            self.folder / "project", settings.replace("epochs: 1", f"epochs: {self.given.epochs}")
        ).resolve()

    @contextlib.contextmanager
    def _started(self, command: list[str], outputs: str, log) -> Iterator[subprocess.Popen]:
        """A process that ends with this block, whatever happens."""
        environment = {**os.environ, "XITT_OUTPUTS": str(self.folder / outputs), "PYTHONPATH": str(tiny.ROOT)}
        process = subprocess.Popen(command, env={**environment, MARK: self.mark}, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
            process.kill()
            process.wait()

    def _run_to_the_end(self, command: list[str], dask: LocalDask, log, begin: float) -> None:
        """The command, and again as it says itself where jobs lost their workers too often, for as long as runs are finished by it."""
        self.told["commands"] = 0
        while True:
            before = len(records(self.place))
            self.told["commands"] += 1
            with self._started(command, "cluster", log) as driver:
                self._kill_on(dask, driver, begin)
            if self.told["exit code"] != JobError.exit_code or len(records(self.place)) == before:
                return
            self.say("the same command again")

    # --- kills
    def _kill_on(self, dask: LocalDask, driver: subprocess.Popen, begin: float) -> None:
        """Until the driver ends: kill a worker at each interval and put another in its place; look at what is finished."""
        due = time.monotonic() + (self.given.every or float("inf"))
        end = begin + 60 * (self.given.minutes or float("inf"))
        while driver.poll() is None:
            time.sleep(0.2)
            self._look()
            self._repeat_what_it_says()
            if time.monotonic() >= end:
                raise Stopped(f"--minutes {self.given.minutes:g}")
            if time.monotonic() >= due:
                self._kill(dask)
                due = time.monotonic() + self.given.every
        self.told["exit code"] = driver.returncode
        self._repeat_what_it_says()

    def _repeat_what_it_says(self) -> None:
        said = (self.out / "driver.log").read_text(errors="replace").splitlines()
        for line in said[self.heard :]:
            self.say(f"  xitt: {line}")
        self.heard = len(said)

    def _kill(self, dask: LocalDask) -> None:
        victim = self.rng.choice(dask.workers).pid
        lost = dict(repeated(self.place, set(tree(victim))))
        dask.kill(victim)
        dask.add_worker()
        self.told["workers killed"] += 1
        self.told["steps computed again"] += sum(lost.values())
        at = ", ".join(f"{name} loses {steps} steps" for name, steps in lost.items()) or "in no training"
        self.say(f"killed worker {victim} ({at}); {len(self.seen)} runs are finished")
        self._write()

    def _look(self) -> None:
        """A finished run has one record, once and for all."""
        there = records(self.place)
        for record, state in there.items():
            if self.seen.setdefault(record, state) != state:
                self.wrong.add(record)
        self.wrong |= set(self.seen) - set(there)

    # --- what came of it
    def _conclude(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # it is ending already
        self.told["processes left over"] = end_marked(self.mark)
        if hasattr(self, "place") and self.expected:
            self._look()
            self._compare()
        self.told["finished runs lost or made again"] = sorted(self.wrong)
        ended = self.told["state"] == "ended"
        self.told["good"] = not (
            self.wrong or self.told["processes left over"] or self.told.get("runs with other scores")
            or self.told["state"].startswith("failed") or self.told.get("results.csv") == "another"
            or (ended and (self.told.get("exit code") != 0 or not self.told.get("results.csv", "not written").startswith("same")))
        )  # fmt: skip
        self._write()
        self.say(json.dumps(self.told, indent=1))
        self.log.close()

    def _compare(self) -> None:
        """Scores of every finished run with those of the local one; the tables by their bytes where the study is whole."""
        here, there = scores(self.place), scores(self.expected)
        self.told["runs compared"] = len(here.keys() & there.keys())
        self.told["runs that the local one has not"] = sorted(here.keys() - there.keys())
        self.told["runs with other scores"] = sorted(k for k in here.keys() & there.keys() if here[k] != there[k])
        self.told |= {"runs": len(records(self.place)), "local runs": len(records(self.expected))}
        self.told |= {"job seconds": job_seconds(self.place), "local job seconds": job_seconds(self.expected)}
        table = self.place / "results.csv"
        if not table.is_file():
            self.told["results.csv"] = "not written"
        elif self.given.only:
            rows = [set((p / "results.csv").read_text().splitlines()) for p in (self.place, self.expected)]
            self.told["results.csv"] = "same, as far as it goes" if rows[0] <= rows[1] else "another"
        else:
            same = table.read_bytes() == (self.expected / "results.csv").read_bytes()
            self.told["results.csv"] = "same to the byte" if same else "another"
        if self.told["results.csv"] == "another":
            shutil.copy(table, self.out / "results.csv")

    def _write(self) -> None:
        about = {k: str(v) if isinstance(v, Path) else v for k, v in vars(self.given).items()}
        text = json.dumps({"asked": about, **self.told, "seconds": round(time.monotonic() - self.begin, 1)}, indent=1)
        (self.out / "result.json.new").write_text(text + "\n")
        os.replace(self.out / "result.json.new", self.out / "result.json")


# --- what lies in a study's outputs ---------------------------------------------------------------------------------
def records(place: Path) -> dict[str, int]:
    """Finished runs with the time of their records."""
    found = {}
    for path in (place / "runs").glob("*/record.json"):
        with contextlib.suppress(FileNotFoundError):
            found[path.parent.name] = path.stat().st_mtime_ns
    return found


def scores(place: Path) -> dict[str, dict]:
    """Scores of each run's predictions, by run and target; a run's name says what it is."""
    found = {}
    for path in (place / "runs").glob("[!.]*/predictions/[!.]*/record.json"):
        with contextlib.suppress(FileNotFoundError):
            found[f"{path.parents[2].name}: {path.parent.name}"] = json.loads(path.read_text()).get("scores", {})
    return found


def job_seconds(place: Path) -> float:
    """What all jobs took together, each in its last attempt."""
    found = (json.loads(p.read_text()).get("seconds", 0) for p in (place / "jobs").glob("[!.]*.json"))
    return round(sum(found), 1)


def repeated(place: Path, processes: set[int]) -> Iterator[tuple[str, int]]:
    """Trainings that these processes are at, with their steps since the last checkpoint, as far as the log goes (ten steps a line)."""
    for lease in (place / "runs" / ".locks").glob("*.lease"):
        if (holder(lease) or {}).get("pid") not in processes:
            continue
        for attempt in (place / "runs" / ".partial" / lease.stem).glob("*"):
            log = attempt / "log.jsonl"
            steps = [json.loads(x)["step"] for x in log.read_text().splitlines() if x.endswith("}")] if log.is_file() else []  # fmt: skip
            saved = max((int(p.name) for p in (attempt / "checkpoint").glob("[0-9]*")), default=0)
            yield lease.stem, max(0, max(steps, default=0) - saved)


def end_marked(mark: str) -> list[str]:
    """End every process that a campaign has left, whoever its parent is now; returns their command lines."""
    left, deadline = {}, time.monotonic() + GRACE
    while (found := list(_marked(mark))) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process, command in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            left[process] = command
    while any(True for _ in _marked(mark)) and time.monotonic() < deadline + GRACE:
        time.sleep(0.05)
    return sorted(left.values())


def _marked(mark: str) -> Iterator[tuple[int, str]]:
    wanted = f"{MARK}={mark}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (place / "environ").read_bytes().split(b"\0") and int(place.name) != os.getpid():
                yield int(place.name), (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
