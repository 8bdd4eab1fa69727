"""Leases: held by one, taken over when the holder is gone, on this machine at once and elsewhere by its beat."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from xitt import lease
from xitt.lease import Lease, alive, holder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "locks" / "job.lease"


def test_one_holds_it_until_it_lets_go(path):
    first, second = Lease(path), Lease(path)
    assert first.take()
    assert not second.take()
    assert alive(path)["token"] == first.token
    first.release()
    assert not path.exists()
    assert second.take()
    first.release()
    assert alive(path)["token"] == second.token, "letting go twice takes nothing from the next"
    second.release()


def test_of_many_at_once_one_gets_it(path):
    leases, ready, got = [Lease(path) for _ in range(16)], threading.Barrier(16), []

    def take(mine):
        ready.wait()
        if mine.take():
            got.append(mine)

    threads = [threading.Thread(target=take, args=(x,)) for x in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].release()


def test_of_a_killed_process_it_is_taken_over_at_once(path):
    code = f"import sys, time; from pathlib import Path; from xitt.lease import Lease; assert Lease(Path({str(path)!r})).take(); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"1\n"
    mine = Lease(path)
    assert not mine.take()
    process.kill()  # not waited for: what is left of a process does not hold anything
    begin = time.monotonic()
    while not mine.take():
        assert time.monotonic() - begin < 5
    assert holder(path)["token"] == mine.token
    mine.release()
    process.wait()


def elsewhere(path, **changes) -> dict:
    """Make the holder one of another machine."""
    content = {**json.loads(path.read_text()), "host": "far", "boot": "b", "space": "pid:[1]", **changes}
    path.write_text(json.dumps(content))
    return content


def test_on_another_machine_the_beat_decides_by_this_ones_clock(path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(lease.time, "monotonic", lambda: now[0])
    theirs, mine = Lease(path), Lease(path)
    theirs.take()
    theirs._end.set()
    elsewhere(path, since=10**12)  # its clock is far ahead
    for beat in range(3):
        elsewhere(path, beat=f"{beat:012d}")
        assert not mine.take()
        now[0] += lease.LOST - 1
    assert not mine.take(), "its beat was new less than the limit ago"
    now[0] += 2
    assert mine.take()
    mine.release()


def test_a_machine_started_anew_holds_nothing(path):
    theirs, mine = Lease(path), Lease(path)
    theirs.take()
    elsewhere(path, host=lease.here()["host"], boot="before")
    assert mine.take()
    mine.release()


def test_a_number_given_to_another_process_is_not_its_holder(path):
    theirs, mine = Lease(path), Lease(path)
    theirs.take()
    path.write_text(json.dumps({**json.loads(path.read_text()), "start": "1"}))
    assert mine.take()
    mine.release()


@pytest.mark.parametrize("content", ["", "{", "null", "[1]"])
def test_one_that_cannot_be_read_is_held_for_a_while(path, monkeypatch, content):
    now = [0.0]
    monkeypatch.setattr(lease.time, "monotonic", lambda: now[0])
    path.parent.mkdir()
    path.write_text(content)
    mine = Lease(path)
    assert not mine.take()
    now[0] += lease.LOST + 1
    assert mine.take()
    mine.release()


def test_a_fresh_lease_that_comes_between_is_put_back(path):
    """Two see that a holder is gone; the slower one must not take what the faster one holds by now."""
    dead, fast = Lease(path), Lease(path)
    dead.take()
    seen = holder(path)
    path.unlink()
    fast.take()
    lease._clear(path, seen)
    assert holder(path)["token"] == fast.token
    fast.release()


def test_it_beats(path, monkeypatch):
    monkeypatch.setattr(lease, "BEAT", 0.02)
    mine = Lease(path)
    mine.take()
    first, size = holder(path)["beat"], path.stat().st_size
    end = time.monotonic() + 5
    while holder(path).get("beat", first) == first:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert path.stat().st_size == size, "a full disk has room for a beat"
    mine.release()
