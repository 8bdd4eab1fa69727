"""A study on a Dask cluster on loopback that loses a worker again and again, beside the same study run locally; not part of the suite.

    python -m tests.campaign_dask                                     # the tiny study, a worker killed every 8 s
    python -m tests.campaign_dask --study params/pocket.yaml --every 20
    python -m tests.campaign_dask --study params/pocket.yaml --every 20 --expected outputs/pocket

Says whether ``results.csv`` is the same to the byte, whether a finished run was lost or made twice, what the kills cost in wall time and
steps that were computed again. Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests import tiny
from tests.dask_cluster import LocalDask, tree
from xitt.lease import holder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--study", type=Path, help="a study's file; default: the tests' tiny study, in a project of its own"
    )
    parser.add_argument("--expected", type=Path, help="outputs of a local run that is done; default: it is run now")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=8.0, help="seconds between kills; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=1, help="of the tiny study's trainings")
    parser.add_argument("--only", help="as of `xitt run`")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xitt-campaign-") as folder:
        return campaign(given, Path(folder))


def campaign(given: argparse.Namespace, folder: Path) -> int:
    if given.study is None:
        # checkpoints often enough for a study that takes seconds
        settings = tiny.TINY.replace("engine: {", "engine: {checkpoint_seconds: 1, worker_losses: 100, ")
        study = tiny.make(folder / "project", settings.replace("epochs: 1", f"epochs: {given.epochs}"))
    else:
        study = given.study.resolve()
    command = [sys.executable, "-m", "xitt.cli", "run", str(study), *(["--only", given.only] if given.only else [])]
    expected, local = given.expected, None
    if expected is None:
        begin = time.monotonic()
        subprocess.run(command, env=environment(folder / "local"), check=True, stdout=subprocess.DEVNULL)
        expected, local = folder / "local" / study.stem, time.monotonic() - begin
    place = folder / "cluster" / study.stem
    for built in (expected / "runs").glob("backbone-*"):  # a tokenizer that is trained anew is another one
        shutil.copytree(built, place / "runs" / built.name)
    dask = LocalDask(folder / "dask", given.workers, gpus=False, PYTHONPATH=str(tiny.ROOT))
    try:
        told = kill_on(dask, [*command, "--dask", str(dask.file)], environment(folder / "cluster"), place, given)
    finally:
        dask.close()
    same = (place / "results.csv").is_file() and (place / "results.csv").read_bytes() == (
        expected / "results.csv"
    ).read_bytes()
    told |= {"local seconds": local and round(local, 1), "same results.csv": same, "runs": len(records(place))}
    print(json.dumps(told, indent=1))
    return 0 if same and told["exit code"] == 0 and not told["finished runs lost or made again"] else 1


def environment(outputs: Path) -> dict[str, str]:
    return {**os.environ, "XITT_OUTPUTS": str(outputs), "PYTHONPATH": str(tiny.ROOT)}


def kill_on(dask: LocalDask, command: list[str], surroundings: dict, place: Path, given: argparse.Namespace) -> dict:
    """Run a command; meanwhile kill a worker at each interval and put another in its place."""
    rng, begin, kills, again, seen, wrong = random.Random(given.seed), time.monotonic(), 0, 0, {}, set()
    output = place.parent / "driver.log"
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w") as log:
        driver = subprocess.Popen(command, env=surroundings, stdout=log, stderr=log)
        due = begin + (given.every or float("inf"))
        while driver.poll() is None:
            time.sleep(0.2)
            for record, state in records(place).items():
                if seen.setdefault(record, state) != state:
                    wrong.add(record)
            if time.monotonic() >= due:
                victim = rng.choice(dask.workers).pid
                again += sum(repeated(place, set(tree(victim))))
                dask.kill(victim)
                dask.add_worker()
                kills, due = kills + 1, time.monotonic() + given.every
    wrong |= set(seen) - set(records(place))
    print(output.read_text(), file=sys.stderr)
    return {
        "exit code": driver.returncode, "cluster seconds": round(time.monotonic() - begin, 1), "workers killed": kills,
        "steps computed again": again, "finished runs lost or made again": sorted(wrong),
    }  # fmt: skip


def records(place: Path) -> dict[str, int]:
    """Finished runs with the time of their records."""
    found = {}
    for path in (place / "runs").glob("*/record.json"):
        try:
            found[path.parent.name] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return found


def repeated(place: Path, processes: set[int]) -> Iterator[int]:
    """Steps since the last checkpoint of the trainings that these processes are at."""
    for lease in (place / "runs" / ".locks").glob("*.lease"):
        if (holder(lease) or {}).get("pid") not in processes:
            continue
        for attempt in (place / "runs" / ".partial" / lease.stem).glob("*"):
            steps = [json.loads(x)["step"] for x in (attempt / "log.jsonl").read_text().splitlines() if x.endswith("}")] if (
                attempt / "log.jsonl").is_file() else []  # fmt: skip
            saved = max((int(p.name) for p in (attempt / "checkpoint").glob("[0-9]*")), default=0)
            yield max(0, max(steps, default=0) - saved)


if __name__ == "__main__":
    sys.exit(main())
