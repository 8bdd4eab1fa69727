"""A campaign of injected faults over a small study: ``python -m tests.campaign_faults [--seed 0] [--faults 60] [--kinds a,b] [--folder DIR]``.

Each fault is followed by the same command or call as before; then every score is compared with a study never disturbed, every finished
run that the fault did not touch with its record from before, and what was said is kept. Prints one line per fault and a table; exits
with 1 if a number is wrong, a finished run was lost, or a fault went by without being healed or reported with an exit code and a remedy.
Faults within one process take a second each and are in the ordinary tests too (``test_faults``); those of whole processes some twenty.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import yaml

from tests import tiny
from xitt import checkpoints, evaluate, integrity, results, store, train
from xitt.errors import XittError
from xitt.parameters import merge
from xitt.study import Study, load_study

DESIGN = """
name: small
question: does it hold?
intermediates: [none, mnli]
targets: [xnli, udpos, tatoeba]
"""
JOBS = "0[0123]*"


class Interrupted(BaseException):
    """Stands for a kill: nothing in the package catches it."""


@dataclass
class Outcome:
    """What became of one fault."""

    kind: str
    what: str
    healed: bool = True
    code: int = 0
    said: str = ""
    touched: set[str] = field(default_factory=set)
    wrong: bool = False
    lost: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Healed without a word needed, or said with a code and what to do; and no number wrong, no run lost."""
        return not self.wrong and not self.lost and (self.healed or (self.code in (2, 3, 4, 130) and bool(self.said)))


class World:
    """A project with a finished study, and what its numbers are."""

    def __init__(self, folder: Path):
        self.folder, self.outputs = folder, folder / "outputs"
        self.file = tiny.make(folder, design=DESIGN)
        with self._here():
            built = load_study(self.file).backbone().path
        shutil.copytree(built, folder / "backbone")
        shutil.rmtree(self.outputs)
        # the same encoder in every attempt: a tokenizer that is trained anew is another one
        content = merge(yaml.safe_load(tiny.TINY), {"engine": {"checkpoint_seconds": 1e-9}})
        self.file.write_text(yaml.safe_dump({**content, "backbone": {"folder": "backbone"}}))
        self.reference = self.settle()

    @contextlib.contextmanager
    def _here(self):
        with mock.patch.dict(os.environ, {"XITT_OUTPUTS": str(self.outputs)}):
            yield

    def study(self) -> Study:
        with self._here():
            return load_study(self.file)

    @property
    def runs(self) -> Path:
        return self.outputs / "tiny" / "runs"

    def settle(self) -> str:
        """Everything that the study asks for, once more; returns its scores."""
        study = self.study()
        with contextlib.redirect_stdout(io.StringIO()):
            for recipe in study.intermediates:
                for target in study.targets:
                    study.evaluate(recipe, target)
        return results.as_csv(results.collect(study))

    def scores(self) -> str:
        return results.as_csv(results.collect(self.study()))

    def records(self) -> dict[str, bytes]:
        return {str(p.parent.relative_to(self.runs)): p.read_bytes() for p in self.runs.glob("[!.]*/record.json")}

    def pick(self, rng: random.Random, pattern: str) -> Path:
        found = sorted(p for p in self.runs.glob(pattern) if p.is_file())
        return rng.choice(found)

    def xitt(self, *arguments: str, wait: bool = True):
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("XITT_")},
            "XITT_OUTPUTS": str(self.outputs),
        }
        command = [sys.executable, "-m", "xitt.cli", *arguments]
        options = {"cwd": self.folder, "env": environment, "text": True}
        if wait:
            return subprocess.run(command, capture_output=True, check=False, timeout=400, **options)
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **options
        )


# --- damage --------------------------------------------------------------------------------------------------------
def damage(path: Path, rng: random.Random) -> str:
    """Cut a file short, flip one of its bits, fill a part with zeros, or empty it."""
    content, how = bytearray(path.read_bytes()), rng.choice(("cut", "flip", "flip", "zeros", "empty"))
    if how == "cut":
        content = content[: rng.randrange(len(content))]
    elif how == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif how == "zeros":
        start = rng.randrange(len(content))
        content[start : start + 512] = bytes(len(content[start : start + 512]))
    else:
        content = bytearray()
    if bytes(content) == path.read_bytes():  # zeros where zeros were
        return damage(path, rng)
    path.write_bytes(bytes(content))
    return f"{how}: {path.name}"


def _of(path: Path, world: World) -> str:
    return path.relative_to(world.runs).parts[0]


#: kind → files of it under the runs; one that is damaged costs its own run only
FILES = {
    "record": "[!.]*/record.json",
    "log": "0[12]*/log.jsonl",
    "predictions": "[!.]*/predictions/*/*.parquet",
    "scores": "[!.]*/predictions/*/record.json",
}


def damaged(kind: str) -> Callable[[World, random.Random], Outcome]:
    """The fault that damages one file of a kind (:data:`FILES`)."""

    def fault(world: World, rng: random.Random) -> Outcome:
        path = world.pick(rng, FILES[kind])
        return Outcome(kind, damage(path, rng), touched={_of(path, world)})

    return fault


def lost_file(world: World, rng: random.Random) -> Outcome:
    path = world.pick(rng, rng.choice((FILES["record"], FILES["predictions"], FILES["log"])))
    path.unlink()
    return Outcome("lost file", path.name, touched={_of(path, world)})


def damaged_weights(world: World, rng: random.Random) -> Outcome:
    """Of the intermediate encoder, and then a target that needs them is asked for."""
    path = world.pick(rng, "01.mnli*/model/*.safetensors")
    what = damage(path, rng)
    child = next(world.runs.glob(f"02.mnli.{rng.choice(('udpos', 'mnli'))}*"))
    shutil.rmtree(child)
    return Outcome("weights", what, touched={_of(path, world), child.name})


def damaged_encoded(world: World, rng: random.Random) -> Outcome:
    path = rng.choice(sorted((world.outputs / "tiny" / "encoded").glob("*.arrow")))
    what, child = damage(path, rng), next(world.runs.glob("02.none.udpos*"))
    shutil.rmtree(child)
    return Outcome("encoded", what, touched={child.name})


# --- training that is cut short ------------------------------------------------------------------------------------
def _begun(world: World, at: int) -> Path:
    """Train an encoder anew up to a step, then die; returns the folder of the attempt."""
    shutil.rmtree(next(world.runs.glob("01.mnli*")))
    real, calls = train._step, []

    def step(*arguments, **more):
        calls.append(0)
        if len(calls) == at:
            raise Interrupted
        return real(*arguments, **more)

    with (
        mock.patch.object(train, "_step", step),
        contextlib.suppress(Interrupted),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        world.study().train("mnli")
    return next((world.runs / ".partial").glob("01.mnli*/*/spec.json")).parent


def _name(attempt: Path) -> str:
    return attempt.parent.name


def killed_training(world: World, rng: random.Random) -> Outcome:
    at = rng.randrange(2, 7)
    return Outcome("killed training", f"at step {at}", touched={_name(_begun(world, at))})


def damaged_checkpoint(world: World, rng: random.Random) -> Outcome:
    attempt = _begun(world, rng.randrange(3, 7))
    path = rng.choice(sorted(p for p in attempt.glob("checkpoint/*/*") if p.is_file()))
    return Outcome("checkpoint", damage(path, rng), touched={_name(attempt)})


def damaged_attempt(world: World, rng: random.Random) -> Outcome:
    attempt = _begun(world, rng.randrange(5, 7))
    path = attempt / rng.choice(("best.safetensors", "log.jsonl", "spec.json"))
    return Outcome("attempt", damage(path, rng), touched={_name(attempt)})


def not_a_number(world: World, rng: random.Random) -> Outcome:
    """The device goes wrong once: the training stops, and the next one goes on before that step."""
    run, at = next(world.runs.glob("01.mnli*")), rng.randrange(1, 7)
    shutil.rmtree(run)
    real, calls = train._step, []

    def step(*arguments, **more):
        calls.append(0)
        loss, tokens = real(*arguments, **more)
        return (loss * float("nan") if len(calls) == at else loss), tokens

    with mock.patch.object(train, "_step", step):
        found = _reported("not a number", f"at step {at}", lambda: world.study().train("mnli"), run.name)
    assert f"at step {at} " in found.said, found.said
    assert "last good checkpoint" in found.said
    return found


def full_disk(world: World, rng: random.Random) -> Outcome:
    """While a checkpoint, a record, predictions or weights are written."""
    what = rng.choice(("checkpoint", "record", "predictions", "weights"))
    error = OSError(errno.ENOSPC, "No space left on device")
    run = next(world.runs.glob("02.mnli.udpos*" if what == "predictions" else "01.mnli*"))
    shutil.rmtree(run)
    place = {
        "checkpoint": (checkpoints, "save_weights"), "record": (store, "write_json"), "predictions": (evaluate, "write_predictions"),
        "weights": (checkpoints, "write_text"),
    }[what]  # fmt: skip
    real, count = getattr(*place), 1 if what == "weights" else rng.randrange(1, 4)

    def fails(*arguments, **more):
        nonlocal count
        path = next((a for a in arguments if isinstance(a, Path)), Path())
        if what != "record" or path.name == integrity.RECORD:
            count -= 1
            if count <= 0 or what == "record":
                raise error
        return real(*arguments, **more)

    with mock.patch.object(*place, fails):
        found = _reported("full disk", what, lambda: world.study().evaluate("mnli", "udpos"), run.name)
    assert "the disk is full" in found.said, found.said
    assert not list(world.runs.rglob(".new")), "a checkpoint cut short is left"
    return found


def _reported(kind: str, what: str, work: Callable[[], object], run: str) -> Outcome:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            work()
    except XittError as error:
        return Outcome(kind, what, healed=False, code=error.exit_code, said=str(error), touched={run})
    return Outcome(kind, what, said="it went through", touched={run}, lost=["the fault was not noticed"])


def jumped_clock(world: World, rng: random.Random) -> Outcome:
    """Every file from another century, or a clock that runs backwards while something is computed."""
    if rng.random() < 0.5:
        then = rng.choice((0, 4_000_000_000))
        for path in world.outputs.rglob("*"):
            os.utime(path, (then, then), follow_symlinks=False)
        return Outcome("clock", f"files of {time.strftime('%Y', time.gmtime(then))}")
    attempt, then = _begun(world, 4), time.time() - 10**9
    with mock.patch.object(time, "time", return_value=then), contextlib.redirect_stdout(io.StringIO()):
        world.study().train("mnli")
    return Outcome("clock", "30 years back within a run", touched={_name(attempt)})


# --- whole processes -----------------------------------------------------------------------------------------------
def _wait_for(folder: Path, pattern: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not list(folder.glob(pattern)):
        time.sleep(0.1)


def _children(process: int) -> list[int]:
    """All processes below one."""
    try:
        direct = [int(x) for x in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []
    return direct + [g for child in direct for g in _children(child)]


def _kernels(process: int) -> list[int]:
    found = []
    for child in _children(process):
        with contextlib.suppress(OSError):
            # one that was forked has another's command line, and a name of its own
            if any(b"ipykernel" in Path(f"/proc/{child}/{x}").read_bytes() for x in ("cmdline", "comm")):
                found.append(child)
    return found


def _unfinished(world: World, rng: random.Random) -> set[str]:
    """Take runs of one recipe away, so that there is something to do."""
    gone = [p for p in world.runs.glob(f"0[123].{rng.choice(('mnli', 'none'))}.*") if p.is_dir()]
    for place in gone:
        shutil.rmtree(place)
    return {p.name for p in gone}


def _run(world: World, kind: str, what: str, touched: set[str], codes=(0,)) -> Outcome:
    done = world.xitt("run", str(world.file), "--only", JOBS)
    said = done.stderr.strip()
    ok = done.returncode in codes and "Traceback" not in said
    return Outcome(kind, what, healed=done.returncode == 0, code=done.returncode, said=said, touched=touched,
                   lost=[] if ok else [f"exit code {done.returncode}: {said[-300:]}"])  # fmt: skip


def killed_driver(world: World, rng: random.Random) -> Outcome:
    touched = _unfinished(world, rng)
    process = world.xitt("run", str(world.file), "--only", JOBS, wait=False)
    after = rng.uniform(3, 12)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return _run(world, "killed driver", f"after {after:.0f} s", touched)


def killed_kernel(world: World, rng: random.Random) -> Outcome:
    touched = _unfinished(world, rng)
    process = world.xitt("run", str(world.file), "--only", JOBS, wait=False)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None and not (found := _kernels(process.pid)):
        time.sleep(0.1)
    time.sleep(rng.uniform(0, 4))
    for kernel in _kernels(process.pid) or found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(kernel, signal.SIGKILL)
    code = process.wait(timeout=300)
    said = f"the run that it hit ended with {code}"
    outcome = _run(world, "killed kernel", said, touched)
    outcome.lost += [] if code in (0, 4) else [said]
    return outcome


def two_drivers(world: World, rng: random.Random) -> Outcome:
    touched = _unfinished(world, rng)
    other = world.xitt("run", str(world.file), "--only", JOBS, wait=False)
    time.sleep(rng.uniform(0, 2))
    outcome = _run(world, "two drivers", "at once", touched)
    code = other.wait(timeout=300)
    outcome.lost += [] if code == 0 else [f"the other ended with {code}"]
    return outcome


def failing_notebook(world: World, rng: random.Random) -> Outcome:
    """A cell that raises: exit code 4, notebook and cell named; mended, the rest is done."""
    touched = _unfinished(world, rng)
    path = world.folder / "notebooks" / rng.choice(("02_target.ipynb", "03_retrieval.ipynb"))
    whole = path.read_text()
    content = json.loads(whole)
    content["cells"][-1]["source"] = ["raise ValueError('broken on purpose')"]
    path.write_text(json.dumps(content))
    try:
        outcome = _run(world, "failing notebook", path.name, touched, codes=(4,))
    finally:
        path.write_text(whole)
    outcome.lost += [] if path.name in outcome.said and "broken on purpose" in outcome.said else ["it is not named"]
    return outcome


def damaged_job(world: World, rng: random.Random) -> Outcome:
    """The record of a job, or its executed notebook."""
    found = [*(world.outputs / "tiny" / "jobs").glob("*.json"), *(world.outputs / "tiny" / "notebooks").glob("*.ipynb")]
    if not found:
        _run(world, "", "", set())
        return damaged_job(world, rng)
    what = damage(rng.choice(sorted(found)), rng)
    return _run(world, "job", what, set())


WITHIN: dict[str, Callable[[World, random.Random], Outcome]] = {
    "record": damaged("record"), "scores": damaged("scores"), "predictions": damaged("predictions"), "weights": damaged_weights,
    "checkpoint": damaged_checkpoint, "attempt": damaged_attempt, "log": damaged("log"), "lost file": lost_file, "encoded": damaged_encoded,
    "killed training": killed_training, "not a number": not_a_number, "full disk": full_disk, "clock": jumped_clock,
}  # fmt: skip
PROCESSES: dict[str, Callable[[World, random.Random], Outcome]] = {
    "killed driver": killed_driver, "killed kernel": killed_kernel, "two drivers": two_drivers, "failing notebook": failing_notebook,
    "job": damaged_job,
}  # fmt: skip


# --- the campaign --------------------------------------------------------------------------------------------------
def strike(world: World, fault: Callable[[World, random.Random], Outcome], rng: random.Random) -> Outcome:
    """One fault, and what is there after the same work was asked for again."""
    before, said = world.records(), io.StringIO()
    with contextlib.redirect_stderr(said):
        outcome = fault(world, rng)
        try:
            scores = world.settle()
        except XittError as error:
            outcome.healed, outcome.code, scores = False, error.exit_code, ""
            outcome.lost.append(f"the same work again: {error}")
    outcome.said += said.getvalue()
    outcome.wrong = scores != world.reference
    after = world.records()
    outcome.lost += [
        name for name, record in before.items() if name not in outcome.touched and after.get(name) != record
    ]
    return outcome


def campaign(world: World, faults: dict, count: int, seed: int, tell=lambda line: None) -> list[Outcome]:
    """``count`` faults, each kind in turn, from a seed."""
    found, rng = [], random.Random(seed)
    for number in range(count):
        name = list(faults)[number % len(faults)]
        begin = time.monotonic()
        outcome = strike(world, faults[name], rng)
        found.append(outcome)
        state = "ok " if outcome.good else "BAD"
        tell(f"{number + 1:3} {state} {name:17}{outcome.what:40} {time.monotonic() - begin:5.1f} s"
             + ("" if outcome.good else f"  wrong={outcome.wrong} lost={outcome.lost} code={outcome.code} said={outcome.said[-400:]}"))  # fmt: skip
    return found


def summary(found: list[Outcome]) -> list[str]:
    kinds = list(dict.fromkeys(o.kind for o in found))
    rows = [(k, [o for o in found if o.kind == k]) for k in kinds]
    out = [f"{'kind':18}{'faults':>7}{'healed':>8}{'reported':>10}{'wrong':>7}{'lost':>6}"]
    out += [
        f"{k:18}{len(s):7}{sum(o.healed for o in s):8}{sum(not o.healed for o in s):10}{sum(o.wrong for o in s):7}{sum(bool(o.lost) for o in s):6}"
        for k, s in rows
    ]
    return [*out, f"{len(found)} faults of {len(kinds)} kinds: {sum(o.wrong for o in found)} wrong results, "
                  f"{sum(bool(o.lost) for o in found)} lost runs, {sum(not o.good for o in found)} not as they should be"]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=int, default=60)
    parser.add_argument("--kinds", default=",".join([*WITHIN, *PROCESSES]), help="default: all")
    parser.add_argument("--folder", help="default: a temporary one")
    given = parser.parse_args()
    faults = {k: {**WITHIN, **PROCESSES}[k] for k in given.kinds.split(",")}
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(given.folder or aside)
        folder.mkdir(parents=True, exist_ok=True)
        found = campaign(
            World(folder / "world"), faults, given.faults, given.seed, lambda line: print(line, flush=True)
        )
    print("\n".join(summary(found)))
    return 0 if all(o.good for o in found) else 1


if __name__ == "__main__":
    sys.exit(main())
