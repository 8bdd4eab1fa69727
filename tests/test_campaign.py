"""The campaign on a cluster, without one: what it sees, what it writes however it ends, and that it leaves no process behind."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import campaign_dask as campaigns
from tests.dask_cluster import mortal
from xitt.lease import Lease

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


def finished(place: Path, run: str, score: float) -> None:
    """A finished run with predictions of one target."""
    scores = place / "runs" / run / "predictions" / "xnli"
    scores.mkdir(parents=True, exist_ok=True)
    (place / "runs" / run / "record.json").write_text("{}")
    (scores / "record.json").write_text(json.dumps({"scores": {"en": {"accuracy": score}}}))
    (place / "results.csv").write_text("".join(f"{p.name}\n" for p in sorted((place / "runs").iterdir())))


@pytest.fixture
def campaign(tmp_path, monkeypatch):
    """One whose two studies are there already; what happens in between is the test's."""
    given = argparse.Namespace(study=None, expected=None, every=8.0, seed=0, only=None, minutes=None, workers=3)
    made = campaigns.Campaign(given, tmp_path / "scratch", tmp_path)
    made.place, made.expected = tmp_path / "cluster", tmp_path / "local"
    for place in (made.place, made.expected):
        (place / "jobs").mkdir(parents=True)
        finished(place, "02.none.mnli.s0-12345678", 50.0)
        finished(place, "02.mnli.mnli.s0-12345678", 60.0)
    (made.place / "jobs" / "00.json").write_text('{"seconds": 1.5}')
    made.told["exit code"] = 0
    handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    yield made
    for number, handler in handlers.items():
        signal.signal(number, handler)


def ended(campaign, happens=lambda: None) -> tuple[int, dict]:
    campaign._compare_runs = happens
    code = campaign.run()
    return code, json.loads((campaign.out / "result.json").read_text())


def test_the_same_is_the_same(campaign):
    code, result = ended(campaign)
    assert (code, result["state"], result["good"]) == (0, "ended", True)
    assert (result["results.csv"], result["runs compared"], result["job seconds"]) == ("same to the byte", 2, 1.5)
    assert "log, result" in (campaign.out / "campaign.log").read_text()


def another_score(campaign):
    finished(campaign.place, "02.mnli.mnli.s0-12345678", 60.5)


def another_table(campaign):
    (campaign.place / "results.csv").write_text("x\n")


def no_table(campaign):
    (campaign.place / "results.csv").unlink()


def lost(campaign):
    campaign._look()
    (campaign.place / "runs" / "02.none.mnli.s0-12345678" / "record.json").unlink()


def made_again(campaign):
    campaign._look()
    os.utime(campaign.place / "runs" / "02.none.mnli.s0-12345678" / "record.json", (1, 1))


def failed(campaign):
    campaign.told["exit code"] = 4


def left_over(campaign):
    subprocess.Popen(["sleep", "60"], env={**os.environ, campaigns.MARK: campaign.mark}, start_new_session=True)


@pytest.mark.parametrize("wrong", [another_score, another_table, no_table, lost, made_again, failed, left_over])
def test_what_is_wrong_is_seen(campaign, monkeypatch, wrong):
    monkeypatch.setattr(campaigns, "GRACE", 0.5)
    wrong(campaign)
    code, result = ended(campaign)
    assert (code, result["state"], result["good"]) == (1, "ended", False)
    assert not [p for p, _ in campaigns._marked(campaign.mark) if _lives(Path(f"/proc/{p}"))]
    assert result["processes left over"] == (["sleep 60 "] if wrong is left_over else [])


def test_stopped_early_it_says_what_there_was(campaign):
    def stop():
        no_table(campaign)
        campaign.told["workers killed"] = 3
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    signal.signal(signal.SIGTERM, campaigns._stop)
    code, result = ended(campaign, stop)
    assert (code, result["state"], result["good"], result["workers killed"]) == (130, "stopped by SIGTERM", True, 3)
    assert result["results.csv"] == "not written"
    assert result["runs compared"] == 2


def test_stopped_early_and_wrong(campaign):
    def stop():
        another_score(campaign)
        raise campaigns.Stopped("--minutes 2")

    code, result = ended(campaign, stop)
    assert (code, result["state"], result["good"]) == (1, "stopped by --minutes 2", False)
    assert result["runs with other scores"] == ["02.mnli.mnli.s0-12345678: xnli"]


def test_an_error_is_in_the_result(campaign):
    def fail():
        raise RuntimeError("the local run ended with 3")

    with pytest.raises(RuntimeError):
        ended(campaign, fail)
    result = json.loads((campaign.out / "result.json").read_text())
    assert (result["state"], result["good"]) == ("failed: RuntimeError: the local run ended with 3", False)


def test_steps_since_the_last_checkpoint(tmp_path):
    runs = tmp_path / "runs"
    lease = Lease(runs / ".locks" / "02.none.mnli.s0-12345678.lease")
    assert lease.take()
    attempt = runs / ".partial" / "02.none.mnli.s0-12345678" / "a"
    for step in ("00000020", "00000030"):
        (attempt / "checkpoint" / step).mkdir(parents=True)
    lines = "".join(f'{{"step": {n}}}\n' for n in (10, 20, 30, 40, 50))
    (attempt / "log.jsonl").write_text(lines + '{"step": 60')
    assert dict(campaigns.repeated(tmp_path, {os.getpid()})) == {"02.none.mnli.s0-12345678": 20}
    assert dict(campaigns.repeated(tmp_path, {1})) == {}
    lease.release()


def _lives(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_cluster_does_not_outlive_who_started_it(tmp_path):
    """Killed, so that it can clean up nothing itself."""
    (tmp_path / "sleeper.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    code = (
        "import subprocess, time; from tests.dask_cluster import mortal; "
        "p = subprocess.Popen(mortal('sleeper'), start_new_session=True, stdout=subprocess.PIPE); "
        "p.stdout.readline(); print(p.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).resolve().parent.parent}"}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    child = Path("/proc") / parent.stdout.readline().strip()
    assert _lives(child)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while _lives(child):
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.05)
    assert mortal("x", "--y")[-2:] == ["x", "--y"]


@pytest.mark.parametrize(("codes", "commands"), [([4, 4, 0], 3), ([4, 4], 2), ([3], 1), ([0], 1)])
def test_the_command_is_given_again_while_it_gets_on(campaign, tmp_path, codes, commands):
    """Jobs that lost their workers too often are tried again, unless the last command finished nothing."""
    left, gets_on = iter(codes), len(codes) == 3

    def killed(dask, driver, begin):
        campaign.told["exit code"] = next(left)
        if gets_on or campaign.told["commands"] == 1:
            finished(campaign.place, f"02.none.mnli.s{campaign.told['commands']}-12345678", 50.0)

    campaign._kill_on = killed
    with (tmp_path / "driver.log").open("w") as log:
        campaign._run_to_the_end([sys.executable, "-c", ""], None, log, 0.0)
    assert campaign.told["commands"] == commands
    assert next(left, None) is None
