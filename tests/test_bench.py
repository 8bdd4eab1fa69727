"""Measurements: what is counted, what is kept, and that the engine and its peers did the same work."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from xitt import batch, dropout, graph, products
from xitt.bench import (
    command,
    figures,
    inference,
    linearity,
    machine,
    material,
    peers,
    prose,
    retrieval,
    stored,
    tables,
    training,
)
from xitt.bench.repeats import rates, ratio, take_turns
from xitt.bench.run import run
from xitt.bench.settings import PLAIN, SIZES, STEPS, Settings
from xitt.bench.watch import Steps, Watched
from xitt.bench.work import Batches, Shape, head_flops
from xitt.errors import DataError, ParameterError
from xitt.runs import device as device_of
from xitt.study import load_study

needs_trainer = pytest.mark.skipif(
    find_spec("accelerate") is None, reason="needs accelerate: pip install 'xitt[bench]'"
)
needs_faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="needs faiss: pip install 'xitt[bench]'")


def quick(root: Path, **more) -> Settings:
    return Settings(
        root,
        "cpu",
        **{
            "size": "pocket",
            "repeats": 1,
            "steps": 3,
            "examples": 24,
            "prepare": 0,
            "rows": 300,
            "width": 16,
            "unit": 4,
            **more,
        },
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bench")
    for name in ("params", "notebooks"):
        (root / name).mkdir()
    return root


@pytest.fixture(scope="module")
def nli(project) -> material.Material:
    return material.make(quick(project), "nli", project)


@pytest.fixture(scope="module")
def measured(project) -> dict:
    """One real measurement of each part, in one document."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XITT_OUTPUTS", str(project / "outputs"))
        return run(quick(project, shapes=("nli", "pos")), ("training", "inference", "retrieval"))[1]


class TestWork:
    def test_flops_are_those_of_the_matrices(self):
        import torch
        from torch.utils.flop_counter import FlopCounterMode
        from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

        config = XLMRobertaConfig(vocab_size=50, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
                                  max_position_embeddings=40, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)  # fmt: skip
        config._attn_implementation = "eager"
        model = XLMRobertaForSequenceClassification(config)
        ids = torch.randint(5, 50, (6, 10))
        with FlopCounterMode(display=False) as counter:
            model(input_ids=ids).logits.sum().backward()
        ours = Shape.of(config).training(60, 6 * 100, head_flops(model, 6, 60))
        # the first layer's inputs need no gradient with respect to the embeddings' indices, all else is three times the forward pass
        assert counter.get_total_flops() == pytest.approx(ours, rel=1e-6)

    def test_padding_and_its_bound(self):
        b = Batches.of([np.array([2, 4]), np.array([1, 1, 3])])
        assert (b.rows, b.tokens, b.squares, b.padded_tokens, b.padded_squares) == (5, 11, 31, 17, 59)
        assert b.bound == pytest.approx(17 / 11)
        assert b.padding == pytest.approx(6 / 17)
        shape = Shape(1, 2, 3)
        assert b.bound_by_flops(shape) == pytest.approx((2 * 28 * 17 + 8 * 59) / (2 * 28 * 11 + 8 * 31))

    def test_large_is_xlm_r_large(self):
        a = SIZES["large"]
        weights = Shape(a.layers, a.width, a.feed_forward).weights
        assert weights == 302e6 // 1 or 0.30e9 < weights < 0.31e9  # 560 M less 257 M of embeddings


class TestRepeats:
    def test_ratio_is_the_geometric_mean_of_the_repeats_own_ratios(self):
        found = ratio([2.0, 8.0, 4.0], [1.0, 2.0, 1.0])
        assert found.value == pytest.approx((2 * 4 * 4) ** (1 / 3))
        assert found.low < found.value < found.high

    def test_interval_against_scipy(self):
        from scipy import stats

        a, b = np.array([1.5, 1.7, 1.6, 1.8]), np.array([1.0, 1.1, 0.9, 1.0])
        want = stats.ttest_1samp(np.log(a / b), 0).confidence_interval(0.95)
        found = ratio(list(a), list(b))
        assert np.allclose([math.log(found.low), math.log(found.high)], [want.low, want.high])

    def test_two_repeats_have_no_interval(self):
        assert math.isnan(ratio([2.0, 3.0], [1.0, 1.0]).low)
        assert str(ratio([2.0], [1.0])) == "2.00"

    def test_sides_take_turns(self):
        order = []

        def side(name):
            return lambda number: order.append((number, name)) or {"seconds": 1.0, "tokens": 5}

        found = take_turns({n: side(n) for n in "abc"}, 3, lambda _: None)
        assert order == [(0, "a"), (0, "b"), (0, "c"), (1, "b"), (1, "c"), (1, "a"), (2, "c"), (2, "a"), (2, "b")]
        assert rates(found, "a") == [5.0] * 3


class TestMachine:
    def test_matmul_rate_is_one_that_the_machine_has(self):
        found = machine.matmul_rates("cpu", "float32", Shape(1, 64, 128), 0.05)
        assert set(found) == {"model", "square"}
        assert all(1e8 < r < 1e14 for r in found.values())

    @pytest.mark.parametrize(
        ("device", "bfloat16"),
        [("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA H200", 989e12),
         ("NVIDIA L4", 121e12), ("NVIDIA L40S", 362e12), ("NVIDIA A10G", 125e12)],
    )  # fmt: skip
    def test_nominal_peak_by_the_name_that_cuda_gives(self, device, bfloat16):
        assert machine.nominal(device, "bfloat16") == bfloat16

    def test_a_processor_has_no_nominal_peak(self):
        assert machine.nominal("AMD EPYC 9B14", "float32") is None

    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
    def test_peak_memory_of_what_is_let_go(self):
        with machine.Memory("cpu") as memory:
            block = np.ones(2**25)
            del block
        assert 240 * 2**20 < memory.peak < 400 * 2**20
        with machine.Memory("cpu") as memory:
            pass
        assert memory.peak < 50 * 2**20


class TestMaterial:
    def test_rows_are_shuffled_and_of_all_languages(self, nli):
        assert nli.source == "pocket"
        assert nli.features.units == len(nli.examples) > 300
        assert len({tuple(e["first"][:1]) for e in nli.examples[:50]}) > 10

    @pytest.mark.parametrize("shape", ["nli", "squad", "pos"])
    def test_random_rows_have_the_stored_lengths(self, shape):
        from xitt.bench.settings import SHAPES
        from xitt.kinds import kind

        k = kind(SHAPES[shape][0])
        features = material.random_rows(shape, k, 1000, 4000)
        lengths = features.ids.lengths
        points = material.LENGTHS[shape]
        assert lengths.min() >= points[0]
        assert lengths.max() <= points[-1]
        assert np.median(lengths) == pytest.approx(points[10], rel=0.05)
        batch = k.batch(features, np.arange(8), 1)
        assert batch["input_ids"].max() < 1000
        if shape == "squad":
            assert (features.target < lengths[:, None]).all()
            assert (features.target[:, 0] >= features.extra["context"][:, 0]).all()

    def test_models_are_the_same_each_time(self, nli):
        first, second = material.new_model(nli).state_dict(), material.new_model(nli).state_dict()
        assert all((first[k] == second[k]).all() for k in first)


class TestWatch:
    def test_the_clock_counts_what_the_engine_spends(self, nli, project):
        device = device_of(quick(project).study())

        class Slow:
            contrasts = False

            def __getattr__(self, name):
                return getattr(nli.kind, name)

            def batch(self, *a, **k):
                time.sleep(0.05)
                return nli.kind.batch(*a, **k)

        order = training.EpochOrder(nli.features.units, 32, 3, 0)
        with Watched(Slow(), "cpu") as watched:
            training._ours(nli, material.new_model(nli), order, training._hyper(quick(project), 3), device, watched)
        assert watched.seconds["data"] >= 0.15
        assert all(watched.seconds[k] > 0 for k in ("forward", "backward", "optimizer"))
        assert len(watched.losses) == 3
        assert watched.computed >= nli.features.ids.lengths[peers.batches_of(order, 3)].sum()

    def test_steps_leaves_out_the_first(self):
        import torch

        weight = torch.nn.Parameter(torch.ones(2))
        optimizer = torch.optim.AdamW([weight])
        with Steps(3, "cpu") as clock:
            for pause in (0.2, 0.02, 0.02):
                time.sleep(pause)
                weight.grad = torch.ones(2)
                optimizer.step()
        assert 0.04 <= clock.seconds < 0.15


class TestTraining:
    def test_the_loss_is_that_of_the_reference_path(self, measured):
        for m in measured["measurements"][:2]:
            assert m["part"] == "training"
            assert abs(m["loss"]["difference"]) < 1e-4
            assert np.allclose(m["loss"]["xitt"], m["loss"]["reference"], rtol=1e-4)

    def test_the_reference_path_would_notice_another_loss(self, nli, project):
        """The check can fail: with another rate the losses part."""
        settings = quick(project)
        device, order = device_of(settings.study()), training.EpochOrder(nli.features.units, 32, 4, 0)
        hyper, initial = training._hyper(settings, 4), material.new_model(nli, dropout=False)
        import copy

        one = training.reference(nli, copy.deepcopy(initial), order, hyper, device)
        other = training.reference(nli, copy.deepcopy(initial), order, replace(hyper, lr=hyper.lr * 20), device)
        assert one[0] == other[0]
        assert abs(one[-1] / other[-1] - 1) > 1e-3

    @needs_trainer
    def test_trainer_reads_the_same_tokens_and_learns_the_same(self, nli, project):
        settings = quick(project, steps=6)
        # its warm-up begins at rate 0, a step later than ours: without warm-up both are the same
        hyper, order = (
            replace(training._hyper(settings, 6), warmup=0.0),
            training.EpochOrder(nli.features.units, 32, 6, 0),
        )
        rows = peers.batches_of(order, 6)
        model = material.new_model(nli, dropout=False)
        import copy

        device = device_of(settings.study())
        want = training.reference(nli, copy.deepcopy(model), order, hyper, device)
        found = peers.train(nli, model, rows, hyper, "cpu", "float32")
        assert found["loss"] == pytest.approx(np.mean(want), rel=1e-3)
        assert found["tokens"] == nli.features.ids.lengths[rows[32:]].sum()

    @needs_trainer
    def test_grouped_batches_are_of_near_lengths_and_no_longer_than_others(self, nli):
        lengths = nli.features.ids.lengths
        rows = peers.grouped(nli.features, 40).reshape(-1, 32)
        grouped, whole = Batches.of(list(lengths[rows])), lengths.mean()
        mixed = Batches.of(
            list(lengths[np.random.default_rng(0).permutation(len(lengths))[: rows.size]].reshape(-1, 32))
        )
        assert grouped.bound < 1 + (mixed.bound - 1) / 2
        assert lengths[rows].mean() == pytest.approx(whole, rel=0.1)

    @needs_trainer
    def test_all_sides_are_measured(self, measured):
        m = measured["measurements"][0]
        plain = {PLAIN} if products.by() == "oneDNN" else set()
        assert set(m["repeats"][0]) == {"xitt", "Trainer", "Trainer grouped"} | plain
        assert {r["xitt"]["tokens"] for r in m["repeats"]} == {
            r[side]["tokens"] for r in m["repeats"] for side in plain or {"xitt"}
        }
        assert m["repeats"][0]["xitt"]["tokens"] == m["repeats"][0]["Trainer"]["tokens"]
        assert m["batches"]["Trainer"]["bound"] > 1.2
        assert m["breakdown"]["computed_tokens"] >= m["breakdown"]["tokens"]

    def test_without_accelerate_it_says_so_and_goes_on(self, nli, project, monkeypatch, capsys):
        monkeypatch.setattr(peers, "find_spec", lambda name: None)
        device = device_of(quick(project).study())
        m = training.measure(quick(project, shapes=("nli",)), "nli", device, project)
        assert set(m["repeats"][0]) <= {"xitt", PLAIN}
        assert "xitt[bench]" in m["peer"]
        assert "no peer" in capsys.readouterr().out

    def test_peers_are_left_out_when_asked(self, project, capsys):
        where = device_of(quick(project).study())
        m = retrieval.measure(quick(project, rows=50, width=8, alone=True), where)
        assert set(m["repeats"][0]) == {"xitt"}
        assert m["same"] is None
        assert "--alone" in capsys.readouterr().out
        assert "--alone" in peers.missing(quick(project, alone=True))

    def test_the_peer_is_given_a_model_as_transformers_made_it(self, nli):
        model = material.new_model(nli)
        own = [type(m) for m in model.modules()]
        dropout.install(model)
        products.install(model)
        assert [type(m) for m in model.modules()] != own
        assert [type(m) for m in peers.plain(model).modules()] == own

    @pytest.mark.gpu
    def test_large_on_a_gpu(self, tmp_path):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
        settings = Settings(tmp_path, "cuda", "bfloat16", "large", repeats=1, steps=3, shapes=("nli",))
        _, document = run(settings, ("training",), tmp_path / "o.json")
        (m,) = document["measurements"]
        assert m["source"] == "lengths"
        assert m["repeats"][0]["xitt"]["peak_bytes"] > 2**30
        assert 0 < tables.utilisation(document["machine"], m)[0] < 100


class TestInference:
    @needs_trainer
    def test_labels_are_those_of_trainer(self, measured):
        found = [m for m in measured["measurements"] if m["part"] == "inference"]
        assert [m["set"] for m in found] == ["xnli", "udpos"]
        assert all(m["equal_labels"] == 1.0 for m in found)
        assert found[0]["rows"] == 24

    def test_equal_counts_labels_not_rows(self):
        assert inference._equal([np.array([1, 2, 3, 4]), np.array([5])], [np.array([1, 2, 3, 0]), np.array([5])]) == 0.8

    @needs_trainer
    def test_bfloat16_is_against_both_precisions(self, project):
        settings = quick(project, precision="bfloat16", shapes=("pos",))
        m = inference.measure(settings, "pos", device_of(settings.study()), project)
        assert set(m["repeats"][0]) == {"xitt", "Trainer", "Trainer bfloat16"}
        assert 0.5 < m["equal_labels"] <= 1


class TestRetrieval:
    @needs_faiss
    def test_the_same_neighbours_as_faiss(self, measured):
        m = next(m for m in measured["measurements"] if m["part"] == "retrieval")
        assert m["same"]["neighbours"] == 1.0
        assert m["same"]["score_difference"] < 1e-5
        assert m["flops"] == 2 * 300 * 300 * 16

    def test_vectors_are_of_unit_length_and_differ(self):
        a, b = retrieval.vectors(5000, 8, 0), retrieval.vectors(5000, 8, 1)
        assert np.allclose(np.linalg.norm(a, axis=1), 1, atol=1e-5)
        assert not np.allclose(a, b)

    def test_embedding_counts_layers_up_to_the_one_asked_for(self, measured):
        m = next(m for m in measured["measurements"] if m["part"] == "embedding")
        assert m["layer"] == 2
        assert m["flops"] < Shape(**m["architecture"]).forward(m["repeats"][0]["xitt"]["tokens"], 1e9)


def test_linearity_takes_examples_again_where_there_are_too_few(project):
    settings = quick(project)
    m = linearity.measure(settings, device_of(settings.study()), project)
    assert [m["repeats"][0][f]["examples"] for f in ("1", "10", "100")] == [4, 40, 400]
    assert set(m["repeats"][0]["1"]["seconds"]) == {"encode", "train", "predict", "decode"}


class TestStored:
    def test_written_after_each_part_and_kept_when_stopped(self, project, monkeypatch, tmp_path):
        out = tmp_path / "o.json"
        calls = []

        def stop(*_):
            calls.append(json.loads(out.read_text())["measurements"][0]["part"])
            raise KeyboardInterrupt

        monkeypatch.setattr(retrieval, "embedding", stop)
        with pytest.raises(KeyboardInterrupt):
            run(quick(project), ("retrieval",), out)
        assert calls == ["retrieval"]
        assert len(stored.read(out)["measurements"]) == 1

    def test_a_newer_measurement_takes_the_place_of_an_older_one(self, measured, tmp_path):
        older = {**measured, "date": "2026-01-01"}
        newer = {**measured, "measurements": [{**measured["measurements"][0], "steps": 7}]}
        first, second = stored.store(older, tmp_path), stored.store(newer, tmp_path)
        assert first != second
        (found,) = stored.machines(tmp_path).values()
        assert len(found["measurements"]) == len(measured["measurements"])
        assert [m["steps"] for m in found["measurements"] if m["part"] == "training"].count(7) == 1

    def test_the_same_day_is_one_file(self, measured, tmp_path):
        assert stored.store(measured, tmp_path) == stored.store(measured, tmp_path)
        assert len(stored.files(tmp_path)) == 1
        assert stored.files(tmp_path)[0].name.endswith(f"-threads-{measured['date']}.json")

    @pytest.mark.parametrize("text", ["{", "[]", '{"schema": 99}', "{}"])
    def test_a_damaged_document_is_named(self, text, tmp_path):
        path = tmp_path / "docs" / "performance" / "x.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        with pytest.raises(DataError, match=r"x\.json"):
            stored.machines(tmp_path)

    @pytest.mark.parametrize(
        ("device", "threads", "name"), [("AMD EPYC 9B14 96-Core", 2, "amd-epyc-9b14-96-core-2-threads"), ("NVIDIA H100 80GB HBM3", None, "nvidia-h100-80gb-hbm3"),
                                        ("Intel(R) Xeon(R)", 8, "intel-xeon-8-threads")]
    )  # fmt: skip
    def test_names_are_safe(self, device, threads, name):
        assert stored.slug(device, threads) == name

    def test_published_documents_are_whole(self, root):
        """What stands in docs/performance can be shown."""
        for path in sorted(stored.published(root).glob("*.json")):
            assert stored.read(path)["measurements"]


class TestShown:
    @pytest.fixture
    def study(self, measured, tmp_path):
        stored.store(measured, tmp_path)

        class Here:
            root = tmp_path

        return Here

    @needs_trainer
    def test_tables_say_what_the_raw_figures_say(self, study, measured):
        table, m = tables.training(study), measured["measurements"][0]
        row, raw = table.iloc[0], m["repeats"][0]
        want = (raw["xitt"]["tokens"] / raw["xitt"]["seconds"]) / (raw["Trainer"]["tokens"] / raw["Trainer"]["seconds"])
        assert row["ratio"] == pytest.approx(want)
        assert row["share of bound (%)"] == pytest.approx(100 * want / m["batches"]["Trainer"]["bound"])
        best = max(measured["machine"]["matmul"]["float32"].values())
        assert row["MFU of matmul (%)"] == pytest.approx(100 * m["flops"] / raw["xitt"]["seconds"] / best)
        assert tables.steps(study)[["data", "forward", "backward", "optimizer", "other"]].sum(
            axis=1
        ).tolist() == pytest.approx([100, 100])

    @needs_trainer
    def test_prose_is_written_from_the_numbers(self, study):
        table = tables.training(study)
        assert f"{table['ratio'].min():.2f} to {table['ratio'].max():.2f} times" in prose.training(table)
        slow = table.assign(ratio=0.5, **{"share of bound (%)": 20.0, "loss against reference (%)": 3.0})
        said = prose.training(slow)
        assert "at least 1.5 times on 0 of 2" in said
        assert "over 1 %" in said

    def test_figures_have_their_text(self, study):
        for figure in (
            figures.ratios(tables.training(study)),
            figures.breakdown(tables.steps(study)),
            figures.ratios(tables.inference(study), "inference"),
        ):
            assert figure.alt
            assert "<svg" in figure._repr_mimebundle_()["text/html"]

    def test_nothing_measured_is_said_to_be_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XITT_OUTPUTS", str(tmp_path / "outputs"))

        class Here:
            root = tmp_path

        for name in ("machines", "training", "steps", "inference", "retrieval", "embedding", "linearity"):
            assert len(tables.shown(getattr(tables, name)(Here))) == 1
        assert prose.training(tables.training(Here)) == prose.NOTHING
        assert "yet" in figures.ratios(tables.training(Here)).alt

    def test_linearity_against_one_times(self, tmp_path):
        def once(factor, seconds):
            return {"examples": factor, "tokens": 10 * factor, "seconds": {"train": seconds}}

        m = {"part": "linearity", "unit": 1, "precision": "float32", "made": {"finished": "x"},
             "repeats": [{"1": once(1, 1.0), "10": once(10, 11.0), "100": once(100, 130.0)}] * 3}  # fmt: skip
        document = {"schema": 1, "device": "x", "date": "2026-01-01", "machine": {"threads": 2}, "measurements": [m]}
        stored.write_json(stored.published(tmp_path) / "x.json", document)

        class Here:
            root = tmp_path

        table = tables.linearity(Here)
        assert table.iloc[0][["10x", "100x"]].tolist() == pytest.approx([1.1, 1.3])
        assert "train (1.10, 1.30)" in prose.linearity(table)


class TestCommand:
    def test_unknown_names_are_refused_with_the_valid_ones(self, tmp_path):
        with pytest.raises(ParameterError, match="did you mean 'float32'"):
            command.settings(None, "float23", None, "none", 1, None, tmp_path)
        with pytest.raises(ParameterError, match="did you mean 'squad'"):
            command.settings("cpu", None, None, "none", 1, "nli,sqad", tmp_path)
        with pytest.raises(ParameterError, match="did you mean 'small'"):
            command.settings("cpu", None, "smal", "none", 1, None, tmp_path)
        with pytest.raises(ParameterError, match="did you mean 'retrieval'"):
            command.chosen(["retreival"])

    def test_a_folder_without_data_is_an_error(self, tmp_path):
        with pytest.raises(DataError, match="no folder hub/"):
            command.settings("cpu", None, None, str(tmp_path), 1, None, tmp_path)

    def test_no_cuda_is_said(self, tmp_path):
        import torch

        if torch.cuda.is_available():
            pytest.skip("there is a CUDA device")
        with pytest.raises(ParameterError, match="no CUDA device"):
            command.settings("cuda", None, None, "none", 1, None, tmp_path)

    def test_defaults_follow_the_machine(self, tmp_path):
        settings = command.settings("cpu", None, None, "none", 3, None, tmp_path)
        assert (settings.precision, settings.size, settings.source) == ("float32", "small", "lengths")
        assert settings.steps_of("squad") == STEPS["cpu"]["squad"]

    def test_by_the_command_line(self, project, tmp_path):
        """As a user types it; a wrong part is a parameter error."""
        wrong = subprocess.run(
            [sys.executable, "-m", "xitt.cli", "bench", "trainig"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert wrong.returncode == 2
        assert "did you mean 'training'" in wrong.stderr
        out = tmp_path / "o.json"
        done = subprocess.run(
            [sys.executable, "-m", "xitt.cli", "bench", "retrieval", "--size", "pocket", "--data", "none", "--rows", "200", "--width", "8",
             "--repeats", "1", "--out", str(out)], cwd=project, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        assert [m["part"] for m in stored.read(out)["measurements"]] == ["retrieval", "embedding"]
        assert "repeat 1/1" in done.stdout


class TestNotebook:
    """``90_performance`` belongs to a study's batch where something has been measured, and shows it."""

    @pytest.fixture
    def study(self, measured, tmp_path, monkeypatch):
        monkeypatch.delenv("XITT_OUTPUTS", raising=False)
        study = load_study(tiny.make(tmp_path))
        assert "90" not in [j.name for j in graph.jobs(study)]
        stored.store(measured, tmp_path)
        return study

    def test_it_is_made_again_when_something_else_is_measured(self, study, measured):
        (job,) = [j for j in graph.jobs(study) if j.name == "90"]
        before = batch.job_inputs(study, job)
        assert before == batch.job_inputs(study, job)
        stored.store({**measured, "date": "2026-01-01"}, study.root)
        assert before != batch.job_inputs(study, job)

    @needs_trainer
    def test_it_shows_what_was_measured(self, study, measured):
        command = [
            sys.executable,
            "-m",
            "papermill",
            "notebooks/90_performance.ipynb",
            "o.ipynb",
            "-p",
            "study",
            "params/tiny.yaml",
            "--no-progress-bar",
        ]
        done = subprocess.run(command, cwd=study.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        shown = (study.root / "o.ipynb").read_text()
        name = stored.slug(measured["device"], measured["machine"]["threads"])
        assert f"{name}, float32: {tables.training(study)['ratio'].min():.2f} to" in shown
        assert shown.count("<svg") >= 4
        assert "tiny: " in shown
