"""Where runs live: whole files or none, the record last, one process at a time."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time

import pytest

from xitt import store
from xitt.errors import DataError
from xitt.store import RunFolder, Spec, checksum, fresh_folder, read_json, write_json, write_text

SPEC = Spec("target", "02.mnli.xnli.s0", {"lr": 1e-5, "seed": 0})


def names(folder) -> set[str]:
    return {p.name for p in folder.iterdir()}


# --- files ---------------------------------------------------------------------------------------------------------
def test_write_makes_folders_and_replaces(tmp_path):
    file = tmp_path / "a" / "b.txt"
    write_text(file, "one")
    write_text(file, "two ü\n")
    assert file.read_bytes() == "two ü\n".encode()
    assert names(tmp_path / "a") == {"b.txt"}
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "b.txt"
    write_text(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "new \ud800")
    assert file.read_text() == "old"
    assert names(tmp_path) == {"b.txt"}


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_write_that_dies_halfway_is_not_seen(tmp_path, monkeypatch, function):
    file = tmp_path / "b.txt"
    write_text(file, "old")

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, function, die)
    with pytest.raises(KeyboardInterrupt):
        write_text(file, "new")
    assert file.read_text() == "old"
    assert names(tmp_path) == {"b.txt"}


def test_readers_never_see_half_a_file(tmp_path):
    """A reader in a loop beside a writer in a loop."""
    file, sizes, stop = tmp_path / "b.json", set(), threading.Event()
    write_json(file, {"text": "x" * 10})

    def read():
        while not stop.is_set():
            sizes.add(len(read_json(file)["text"]))

    reader = threading.Thread(target=read)
    reader.start()
    for size in [100_000, 10] * 20:
        write_json(file, {"text": "x" * size})
    stop.set()
    reader.join()
    assert sizes <= {10, 100_000}


def test_json_round_trip(tmp_path):
    content = {"b": [1, 2.5, None, True], "a": "日本 ü"}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content
    assert "日本" in (tmp_path / "x.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "absent.json") is None


@pytest.mark.parametrize("damage", [b"", b'{"a": 1', b"\xff\xfe\x00", b"{'a': 1}", b"{} {}"])
def test_damaged_json_names_the_file(tmp_path, damage):
    file = tmp_path / "x.json"
    file.write_bytes(damage)
    with pytest.raises(DataError) as caught:
        read_json(file)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 3


# --- folders -------------------------------------------------------------------------------------------------------
def test_fresh_folder_appears_whole_and_replaces(tmp_path):
    place = tmp_path / "in" / "place"
    with fresh_folder(place) as aside:
        (aside / "one").write_text("1")
        assert not place.exists()
    assert names(place) == {"one"}
    with fresh_folder(place) as aside:
        (aside / "two").write_text("2")
        assert names(place) == {"one"}
    assert names(place) == {"two"}
    assert names(tmp_path / "in") == {"place"}
    assert place.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [True, False])
def test_fresh_folder_leaves_nothing_of_a_failed_try(tmp_path, error, before):
    place = tmp_path / "place"
    if before:
        place.mkdir()
        (place / "old").write_text("old")

    def fill():
        with fresh_folder(place) as aside:
            (aside / "sub").mkdir()
            (aside / "sub" / "half").write_text("half")
            raise error

    with pytest.raises(error):
        fill()
    assert names(tmp_path) == ({"place"} if before else set())
    assert not before or names(place) == {"old"}


# --- specifications ------------------------------------------------------------------------------------------------
def test_fingerprint_of_a_specification():
    assert Spec("target", "another name", dict(reversed(SPEC.inputs.items()))).fingerprint == SPEC.fingerprint
    for other in (
        Spec("intermediate", SPEC.label, SPEC.inputs),
        Spec("target", SPEC.label, {**SPEC.inputs, "seed": 1}),
        Spec("target", SPEC.label, {**SPEC.inputs, "more": None}),
    ):
        assert other.fingerprint != SPEC.fingerprint
    assert SPEC.folder_name == f"02.mnli.xnli.s0-{SPEC.fingerprint[:8]}"


# --- runs ----------------------------------------------------------------------------------------------------------
def test_a_run_from_begin_to_finish(tmp_path):
    run = RunFolder(tmp_path / "runs", SPEC)
    assert run.record is None
    work = run.begin()
    assert not run.path.exists()
    (work / "checkpoint").mkdir()
    (work / "checkpoint" / "state").write_text("x")
    (work / "log.jsonl").write_text("{}")
    assert json.loads((work / "spec.json").read_text())["inputs"] == SPEC.inputs
    assert run.begin() == work
    assert names(work) == {"checkpoint", "log.jsonl", "spec.json"}, "an interrupted attempt goes on"
    assert run.record is None
    returned = run.finish({"score": 71.5})
    assert names(run.path) == {"log.jsonl", "spec.json", "record.json"}
    assert not work.exists()
    assert run.record == returned
    assert returned == {
        "fingerprint": SPEC.fingerprint, "phase": "target", "label": "02.mnli.xnli.s0", "score": 71.5,
    }  # fmt: skip
    assert RunFolder(tmp_path / "runs", SPEC).record == returned


def test_the_record_is_written_last(tmp_path, monkeypatch):
    """Killed while the record is written, there is no finished run, and the work is still there."""
    run = RunFolder(tmp_path, SPEC)
    (run.begin() / "log.jsonl").write_text("{}")

    def die(path, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store, "write_json", die)
        with pytest.raises(KeyboardInterrupt):
            run.finish({})
    assert run.record is None
    assert not run.path.exists()
    run.begin()
    run.finish({"again": True})
    assert run.record["again"] is True
    assert (run.path / "log.jsonl").is_file()


def test_finished_once_more_keeps_what_was_scored(tmp_path):
    run = RunFolder(tmp_path, SPEC)
    run.begin()
    run.finish({"try": 1})
    (run.path / "predictions" / "xnli").mkdir(parents=True)
    (run.path / "predictions" / "xnli" / "de.parquet").write_text("scored")
    (run.begin() / "model").mkdir()
    run.finish({"try": 2})
    assert run.record["try"] == 2
    assert names(run.path) == {"model", "predictions", "record.json", "spec.json"}
    assert (run.path / "predictions" / "xnli" / "de.parquet").read_text() == "scored"


def test_finished_once_more_with_new_predictions(tmp_path):
    """A retrieval run makes its predictions before it finishes; the new ones count."""
    run = RunFolder(tmp_path, SPEC)
    for text in ("old", "new"):
        (run.begin() / "predictions" / "tatoeba").mkdir(parents=True)
        (run.partial / "predictions" / "tatoeba" / "de.parquet").write_text(text)
        run.finish({"try": text})
    assert run.record["try"] == "new"
    assert (run.path / "predictions" / "tatoeba" / "de.parquet").read_text() == "new"


@pytest.mark.parametrize("damage", ['{"fingerprint": "', "", "[]", '"text"'])
def test_a_damaged_record_names_its_file(tmp_path, damage):
    run = RunFolder(tmp_path, SPEC)
    run.begin()
    run.finish({})
    (run.path / "record.json").write_text(damage)
    with pytest.raises(DataError) as caught:
        _ = run.record
    assert str(run.path) in str(caught.value)


def test_the_record_of_another_run_is_not_taken(tmp_path):
    run = RunFolder(tmp_path, SPEC)
    run.begin()
    run.finish({})
    record = json.loads((run.path / "record.json").read_text())
    write_json(run.path / "record.json", {**record, "fingerprint": "0" * 64})
    with pytest.raises(DataError, match="another run"):
        _ = run.record


def test_a_second_process_waits_and_finds_the_work_done(tmp_path):
    first, second = RunFolder(tmp_path, SPEC), RunFolder(tmp_path, SPEC)
    order, started = [], threading.Event()

    def late():
        started.set()
        with second.lock():
            order.append("second")
            order.append(second.record)

    with first.lock():
        thread = threading.Thread(target=late)
        thread.start()
        started.wait(5)
        time.sleep(0.1)
        order.append("first")
        first.begin()
        first.finish({"by": "first"})
    thread.join(5)
    assert order[:2] == ["first", "second"]
    assert order[2]["by"] == "first"


def test_a_lock_is_let_go_after_an_error(tmp_path):
    def fail():
        with RunFolder(tmp_path, SPEC).lock():
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - any error will do
        fail()
    with RunFolder(tmp_path, SPEC).lock():
        pass


def test_runs_do_not_wait_for_other_runs(tmp_path):
    other = Spec("target", "other", {})
    with RunFolder(tmp_path, SPEC).lock(), RunFolder(tmp_path, other).lock():
        pass


# --- provenance ----------------------------------------------------------------------------------------------------
def test_checksum_is_over_bytes_in_order(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x" * (1 << 20) + b"tail")
    b.write_bytes(b"y")
    assert checksum(a, b) == hashlib.sha256(a.read_bytes() + b.read_bytes()).hexdigest()
    assert checksum(a, b) != checksum(b, a)


def test_commit_outside_a_checkout_is_empty(tmp_path):
    assert store.commit(str(tmp_path)) == ""


def test_note_of_use(tmp_path, monkeypatch):
    notes = tmp_path / "notes"
    monkeypatch.delenv("XITT_USES", raising=False)
    store.note_use(tmp_path / "runs" / "a", {"fingerprint": "f"})
    assert not notes.exists()
    monkeypatch.setenv("XITT_USES", str(notes))
    store.note_use(tmp_path / "runs" / "a" / "predictions", {"fingerprint": "f"})
    store.note_use(tmp_path / "runs" / "b", {"fingerprint": "g"})
    assert notes.read_text().splitlines() == [f"a{os.sep}predictions\tf", "b\tg"]
