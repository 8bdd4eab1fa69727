"""Where runs live: whole files or none, the record last, one process at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import threading
import time

import pytest

from xitt import integrity, store
from xitt.errors import DataError
from xitt.store import Damaged, RunFolder, Spec, checksum, fresh_folder, read_json, write_json, write_text

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
    files = {f: checksum(run.path / f) for f in ("log.jsonl", "spec.json")}
    assert returned == {
        "fingerprint": SPEC.fingerprint, "phase": "target", "label": "02.mnli.xnli.s0", "score": 71.5, "files": files,
    }  # fmt: skip
    assert RunFolder(tmp_path / "runs", SPEC).record == returned


def test_the_record_is_written_last(tmp_path, monkeypatch):
    """Killed while the record is written, there is no finished run, and the work is still there."""
    run = RunFolder(tmp_path, SPEC)
    (run.begin() / "log.jsonl").write_text("{}")

    def die(*_):
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
def test_a_damaged_record_is_set_aside(tmp_path, capsys, damage):
    run = RunFolder(tmp_path, SPEC)
    run.begin()
    run.finish({})
    (run.path / "record.json").write_text(damage)
    with pytest.raises(DataError) as caught:
        store.read_record(run.path)
    assert str(run.path) in str(caught.value)
    assert run.record is None
    assert not run.path.exists()
    kept = tmp_path / ".damaged" / f"{SPEC.folder_name}.1"
    assert (kept / "record.json").read_text() == damage
    assert f"{SPEC.folder_name} is damaged and was set aside" in capsys.readouterr().err
    assert list(integrity.notes(tmp_path)) == [kept.name]
    run.begin()
    run.finish({"again": True})
    assert run.record["again"] is True
    (run.path / "record.json").write_text(damage)
    assert run.record is None
    assert len(integrity.notes(tmp_path)) == 2


def test_the_record_of_another_run_is_not_taken(tmp_path):
    run = RunFolder(tmp_path, SPEC)
    run.begin()
    run.finish({})
    record = read_json(run.path / "record.json")
    write_json(run.path / "record.json", {**record, "fingerprint": "0" * 64}, sealed=True)
    assert run.record is None
    assert "another run" in next(iter(integrity.notes(tmp_path).values()))


# --- integrity -----------------------------------------------------------------------------------------------------
def test_every_flipped_bit_of_a_record_is_noticed(tmp_path):
    """Or changes nothing of its content (a blank for another)."""
    file, content = (
        tmp_path / "record.json",
        {"score": 71.5, "n": {"en": 300, "zh": 7}, "name": "ü", "on": True, "none": None},
    )
    write_json(file, content, sealed=True)
    whole, unnoticed = file.read_bytes(), 0
    assert read_json(file) == content
    for place in range(len(whole)):
        for bit in (0, 2, 5):  # others cost time and show no more
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            file.write_bytes(flipped)
            try:
                found = read_json(file)
            except Damaged:
                continue
            assert found == content
            unnoticed += 1
    assert unnoticed < 0.05 * 8 * len(whole)


def test_a_record_without_a_seal_is_read_as_it_is(tmp_path):
    write_json(tmp_path / "old.json", {"score": 1.5})
    assert read_json(tmp_path / "old.json") == {"score": 1.5}
    write_json(tmp_path / "keys.json", {"10": 1, "9": {2: "a", 10: "b"}}, sealed=True)
    assert read_json(tmp_path / "keys.json") == {"10": 1, "9": {"2": "a", "10": "b"}}


def finished(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path, SPEC)
    work = run.begin()
    for name in ("log.jsonl", "model/model.safetensors", "heads/mnli/head.safetensors"):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(name)
    run.finish({"weights": checksum(work / "model" / "model.safetensors")})
    place = run.path / "predictions" / "xnli"
    with fresh_folder(place) as aside:
        (aside / "de.parquet").write_text("predicted")
        write_json(aside / "record.json", {"fingerprint": "f", "files": integrity.manifest(aside)}, sealed=True)
    return run


@pytest.mark.parametrize(("file", "lost"), [
    ("log.jsonl", "run"), ("spec.json", "run"), ("record.json", "run"), ("model/model.safetensors", "weights"),
    ("heads/mnli/head.safetensors", "weights"), ("predictions/xnli/de.parquet", "predictions"),
    ("predictions/xnli/record.json", "predictions"),
])  # fmt: skip
def test_only_what_is_damaged_is_set_aside(tmp_path, file, lost):
    """A run without its predictions, weights without the rest, predictions without the rest; nothing is deleted."""
    run = finished(tmp_path)
    assert run.has_weights(run.record)
    assert run.scored("xnli")["fingerprint"] == "f"
    content = bytearray((run.path / file).read_bytes())
    content[len(content) // 2] ^= 4
    (run.path / file).write_bytes(content)
    assert (
        not store.is_whole(run.path, SPEC.fingerprint) if lost == "run" else store.is_whole(run.path, SPEC.fingerprint)
    )
    record = run.record
    assert (record is None) == (lost == "run")
    if record:
        assert run.has_weights(record) == (lost != "weights")
    assert (run.path / "model").is_dir() == (lost == "predictions")
    assert (run.scored("xnli") is None) == (lost == "predictions")
    kept = [p for p in (tmp_path / ".damaged").rglob(file.rsplit("/", 1)[-1]) if p.read_bytes() == bytes(content)]
    assert len(kept) == 1


def test_weights_of_an_older_record_are_compared_with_it(tmp_path):
    run = finished(tmp_path)
    record = read_json(run.path / "record.json")
    del record["files"]
    write_json(run.path / "record.json", record)
    assert run.has_weights(run.record)
    (run.path / "model" / "model.safetensors").write_text("other")
    assert not run.has_weights(run.record)
    assert not (run.path / "model").exists()


def test_files_of_another_time_are_not_damaged(tmp_path):
    """A clock that jumped makes no file another."""
    run = finished(tmp_path)
    for then in (0, 4e9):
        for path in tmp_path.rglob("*"):
            os.utime(path, (then, then))
        assert run.record is not None
        assert run.scored("xnli") is not None
        assert run.has_weights(run.record)


def test_a_folder_that_was_taken_over_is_not_finished(tmp_path):
    run, other = RunFolder(tmp_path, SPEC), RunFolder(tmp_path, SPEC)
    run.begin()
    other.begin()
    with pytest.raises(Damaged, match="taken over"):
        run.finish({"by": "first"})
    other.finish({"by": "other"})
    assert run.record["by"] == "other"


# --- a full disk ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_work_and_says_what_to_do(tmp_path, monkeypatch, number):
    run, real = RunFolder(tmp_path, SPEC), store.os.fsync

    def full(*_):
        raise OSError(number, os.strerror(number))

    def work():
        with run.lock():
            (run.begin() / "log.jsonl").write_text("{}")
            monkeypatch.setattr(store.os, "fsync", full)
            run.finish({})

    with pytest.raises(integrity.DiskFull, match=r"the disk is full.*xitt clean") as caught:
        work()
    assert caught.value.exit_code == 3
    assert run.record is None
    monkeypatch.setattr(store.os, "fsync", real)
    with run.lock():
        run.begin()
        run.finish({"again": True})
    assert run.record["again"] is True
    assert (run.path / "log.jsonl").is_file()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 128 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_what_libraries_say_of_a_full_disk_is_understood(small_disk):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from safetensors.numpy import save_file

    numbers = np.random.default_rng(0).random(100_000)
    for write in (
        lambda: (small_disk / "a").write_bytes(numbers.tobytes()),
        lambda: save_file({"a": numbers}, small_disk / "b"),
        lambda: pq.write_table(pa.table({"a": numbers}), small_disk / "c"),
        lambda: write_text(small_disk / "d", "x" * 300_000),
    ):
        with pytest.raises(integrity.DiskFull), integrity.room(small_disk):
            write()
    assert not integrity.is_full(ValueError("No space left on device"))
    with pytest.raises(KeyError), integrity.room(small_disk):
        raise KeyError("another error stays what it is")


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
