"""Dual encoders: the loss of a whole step however it is cut, the ranking, and what is kept of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import tiny
from xitt import backbone, data, results, retrieval, scoring, train
from xitt.batching import EpochOrder
from xitt.build import train_tokenizer
from xitt.data import Split
from xitt.errors import DataError
from xitt.evaluate import predict, read_predictions
from xitt.kinds import dual, kind
from xitt.kinds.base import words_of
from xitt.metrics import METRICS
from xitt.pocket import text
from xitt.store import read_json
from xitt.study import Study, load_study
from xitt.tasks import TASKS
from xitt.train import Device, Hyper, fit

DUAL, PAD, NEVER, ALWAYS = kind("dual"), 1, 1e9, 1e-9
HYPER = Hyper(lr=2e-3, epochs=100, batch=12, length=32, max_steps=100, weight_decay=0.01, warmup=0.1, clip=1.0, eval_every=1000,
              eval_examples=50)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    lines = [e["text"] for e in text.lines(("en", "de"), 600, 0)["en"]]
    return [x for x in lines if len(x) < 80][:200]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(text.lines(("en", "de"), 200, 0), 500, 256, 0.5)


def new(dropout: float = 0.0, seed: int = 0):
    """A small untrained XLM-R with its pooler and the learned scale."""
    torch.manual_seed(seed)
    config = transformers.XLMRobertaConfig(
        vocab_size=500, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=260, pad_token_id=PAD, initializer_range=0.2, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    model = transformers.AutoModel.from_config(config)
    DUAL.head(model)
    return model


def cpu(micro: int = 8192, seconds: float = NEVER) -> Device:
    return Device("cpu", "float32", micro, 16384, seconds)


def pairs(sentences: list[str], count: int = 20, context: bool = True) -> list[dict]:
    """Two neighbouring sentences, the second one in a paragraph of its own."""
    found = [{"id": str(i), "first": sentences[2 * i], "second": sentences[2 * i + 1]} for i in range(count)]
    return [e | {"context": f"{e['second']} {sentences[i]}"} for i, e in enumerate(found)] if context else found


@pytest.fixture(scope="module")
def features(tokenizer, sentences):
    return DUAL.encode(pairs(sentences), tokenizer, 64, ())


# --- encoding ------------------------------------------------------------------------------------------------------
def test_a_candidate_is_its_sentence_and_its_paragraph(tokenizer, sentences):
    examples = pairs(sentences, 3)
    f = DUAL.encode(examples, tokenizer, 250, ())
    assert (f.group, f.units) == (2, 3)
    for i, e in enumerate(examples):
        assert f.ids[2 * i].tolist() == tokenizer(e["first"])["input_ids"]
        assert f.ids[2 * i + 1].tolist() == tokenizer(e["second"], e["context"])["input_ids"]
    alone = DUAL.encode(pairs(sentences, 3, context=False), tokenizer, 200, ())
    assert alone.ids[1].tolist() == tokenizer(examples[0]["second"])["input_ids"]


def test_queries_and_candidates_alone_are_the_rows_of_pairs(tokenizer, sentences):
    examples = pairs(sentences, 3)
    both = DUAL.encode(examples, tokenizer, 64, ())
    queries = DUAL.encode([{"id": e["id"], "first": e["first"], "gold": ["x"]} for e in examples], tokenizer, 64, ())
    pool = DUAL.encode([{k: e[k] for k in ("id", "second", "context")} for e in examples], tokenizer, 64, ())
    assert queries.group == pool.group == 1
    for i in range(3):
        assert queries.ids[i].tolist() == both.ids[2 * i].tolist()
        assert pool.ids[i].tolist() == both.ids[2 * i + 1].tolist()


def test_no_row_is_over_its_length(tokenizer, sentences):
    long = " ".join(sentences[:60])
    f = DUAL.encode([{"id": "0", "first": long, "second": long, "context": long}], tokenizer, 200, ())
    assert f.ids.lengths.tolist() == [96, 200]
    f = DUAL.encode([{"id": "0", "first": long, "second": sentences[0], "context": long}], tokenizer, 64, ())
    assert f.ids.lengths.tolist() == [64, 64]
    sentence = tokenizer(sentences[0], add_special_tokens=False)["input_ids"]
    assert f.ids[1].tolist()[1 : 1 + len(sentence)] == sentence  # the paragraph is cut, not the sentence


def test_a_context_for_some_is_an_error(tokenizer, sentences):
    examples = pairs(sentences, 3)
    examples[1]["context"] = ""
    with pytest.raises(DataError, match="candidate 1 has no context"):
        DUAL.encode(examples, tokenizer, 64, ())


# --- the loss of a step ----------------------------------------------------------------------------------------------
def plain_step(model, features, units) -> float:
    """Mean loss and its gradients from one padded batch, written out."""
    batch = {k: torch.from_numpy(v) for k, v in DUAL.batch(features, units, PAD).items()}
    pooled = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).pooler_output
    vectors = pooled / pooled.norm(dim=1, keepdim=True)
    logits = model.logit_scale * (vectors[0::2] @ vectors[1::2].T)
    loss = -torch.log_softmax(logits, dim=1).diagonal().mean()
    loss.backward()
    return loss.item()


def gradients(model) -> dict[str, torch.Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def cached_steps(monkeypatch) -> list[int]:
    """Counts the micro-batches that are embedded a second time."""
    calls, real = [], dual.set_random_state
    monkeypatch.setattr(dual, "set_random_state", lambda *a: (calls.append(1), real(*a)))
    return calls


@pytest.mark.parametrize(("micro", "cached"), [(8192, False), (400, True), (1, True)])
@pytest.mark.parametrize("vectors", ["float64", "float32"])
def test_micro_batches_do_not_change_loss_and_gradients(features, monkeypatch, micro, cached, vectors):
    """In float64 throughout nothing but the cut could tell the two apart; as trained, float32 vectors round as well."""
    once, parts = (new().double().train() for _ in range(2))
    units, again = np.arange(3, 19), cached_steps(monkeypatch)
    if vectors == "float64":
        monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    # of the largest gradient. A cosine times 100 is rounded to a float32 by up to 3.8e-6 (half a unit in the last place of 64 to 128), and with
    # it a probability by as much of itself: from 2.5e-6 to 5.8e-6 were measured in six processes, 1e-14 where vectors are float64. Twenty runs
    # in one process, with one thread or two, differ by nothing; another process has another tokenizer (its trainer has threads), hence other rows
    near = {"float64": 1e-12, "float32": 1e-5}[vectors]
    expected = plain_step(once, features, units)
    loss, tokens = train._step(parts, DUAL, features, units, features.unit_lengths, cpu(micro), PAD, (0, 0))
    assert len(again) == (32 if micro == 1 else len(again))
    assert (len(again) > 2) == cached
    assert float(loss) == pytest.approx(expected, rel=near)
    assert tokens == features.ids.lengths[features.rows(units)].sum()
    found, wanted = gradients(parts), gradients(once)
    assert found.keys() == wanted.keys()
    assert {"logit_scale", "pooler.dense.weight", "embeddings.word_embeddings.weight"} <= found.keys()
    noise = near * max(float(g.abs().max()) for g in wanted.values())
    for key, gradient in wanted.items():
        torch.testing.assert_close(
            found[key], gradient, rtol=10 * near, atol=noise, msg=lambda text, key=key: f"{key}: {text}"
        )


def test_other_micro_batches_would_be_another_loss(features):
    """The test above can fail: negatives of the micro-batch alone give another number."""
    whole = plain_step(new(), features, np.arange(16))
    quarters = np.mean([plain_step(new(), features, np.arange(i, i + 4)) for i in range(0, 16, 4)])
    assert abs(whole - quarters) > 0.1


def test_dropout_is_the_same_in_both_passes(features, monkeypatch):
    """The same cut with all activations kept and with vectors kept alone: same masks, same gradients, same random state."""
    units, cut = np.arange(16), dual.micro_batches
    results = {}
    for name, budget in (("kept", 10**9), ("cached", 1)):
        monkeypatch.setattr(dual, "micro_batches", lambda lengths, group, *_: cut(lengths, group, 200, 16))
        model = new(dropout=0.3).train()
        torch.manual_seed(5)
        loss, _ = train._step(model, DUAL, features, units, features.unit_lengths, cpu(budget), PAD, (0, 0))
        results[name] = float(loss), gradients(model), torch.get_rng_state()
    assert results["kept"][0] == results["cached"][0]
    assert torch.equal(results["kept"][2], results["cached"][2])
    for key, gradient in results["kept"][1].items():
        torch.testing.assert_close(results["cached"][1][key], gradient, rtol=1e-4, atol=1e-5, msg=key)


def test_the_scale_learns_and_does_not_decay():
    model = new()
    assert model.logit_scale.item() == 100.0
    decayed, plain = (g["params"] for g in train._groups(model, 0.01))
    assert any(p is model.logit_scale for p in plain)
    assert not any(p is model.logit_scale for p in decayed)


# --- training --------------------------------------------------------------------------------------------------------
QUERIES, ANSWERS = ("where is {} ?", "{} , who ?", "I ask for {} ."), ("{} is here .", "see {} now")


def separable(sentences: list[str], words: int = 20) -> tuple[list[dict], list[dict], list[dict]]:
    """Query and answer name the same word: (training pairs, queries, pool).

    A query's gold are both answers of its word; it was trained with one of them.
    """
    names = sorted({w.strip(".,?!") for s in sentences for w in s.lower().split() if len(w) > 4})[:words]
    pool = [
        {"id": f"{n}-{j}", "second": a.format(n), "context": "", "language": "en"}
        for n in names
        for j, a in enumerate(ANSWERS)
    ]
    queries = [
        {"id": f"{n}-{i}", "first": q.format(n), "gold": [f"{n}-{j}" for j in range(len(ANSWERS))]}
        for n in names
        for i, q in enumerate(QUERIES)
    ]
    train = [
        {"id": q["id"], "first": q["first"], "second": ANSWERS[i % 2].format(q["id"][:-2])}
        for i, q in enumerate(queries)
    ]
    return train, queries, pool


def split(examples: list[dict], name: str, language: str) -> Split:
    return Split("x", name, language, examples, len(examples), "")


def trained(
    examples, tokenizer, folder, dropout: float = 0.0, init: int = 0, seconds: float = NEVER, micro: int = 8192
):
    folder.mkdir(exist_ok=True)
    model, f = new(dropout, init), DUAL.encode(examples, tokenizer, 32, ())
    order = EpochOrder(f.units, HYPER.batch, HYPER.steps(f.units), 0)
    summary = fit(model, DUAL, f, order, HYPER, 0, cpu(micro, seconds), folder, PAD, "x")
    return model, summary


def mean_average_precision(frame, k: int = 20) -> float:
    """By its definition: precision at each right candidate found, over the most that could be found."""
    values = []
    for gold, top in zip(frame["gold"].map(json.loads), frame["prediction"].map(json.loads), strict=True):
        hits = [i for i, c in enumerate(top[:k], 1) if c in gold]
        values.append(sum(n / i for n, i in enumerate(hits, 1)) / min(len(gold), k))
    return 100 * float(np.mean(values))


def test_training_beats_chance_on_words_it_must_match(tokenizer, sentences, tmp_path):
    examples, queries, pool = separable(sentences)
    splits, candidates = [split(queries, "test", "en")], split(pool, "pool", "all")
    model, summary = trained(examples, tokenizer, tmp_path / "run")
    frame = predict(model, DUAL, tokenizer, splits, 32, (), cpu(), pool=candidates)["en"]
    uniform = DUAL.baselines(examples, queries, (), pool)["uniform"]
    assert mean_average_precision(frame) > 70
    assert METRICS["dual", "map@20"].score(frame) == pytest.approx(mean_average_precision(frame))
    assert METRICS["dual", "mrr@20"].score(frame) == pytest.approx(
        100 * np.mean(1 / frame["rank"] * (frame["rank"] <= 20))
    )
    assert mean_average_precision(uniform) < 20
    assert summary["steps"] == 100
    assert model.logit_scale.item() != 100.0


class Interrupted(BaseException):
    """Like a kill: nothing may catch it."""


def test_a_resumed_training_ends_in_the_same_bits(tokenizer, sentences, tmp_path, monkeypatch):
    """With gradient caching and dropout: the second pass leaves no trace in the random state."""
    examples, _, _ = separable(sentences, 6)
    straight, expected = trained(examples, tokenizer, tmp_path / "straight", 0.1, micro=100)
    real, calls = train._step, []

    def step(*args):
        calls.append(1)
        if len(calls) == 31:
            raise Interrupted
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(train, "_step", step)
        with pytest.raises(Interrupted):
            trained(examples, tokenizer, tmp_path / "stopped", 0.1, seconds=ALWAYS, micro=100)
    resumed, summary = trained(examples, tokenizer, tmp_path / "stopped", 0.1, init=9, micro=100)
    assert len(calls) == 31
    assert (summary["steps"], summary["tokens"]) == (expected["steps"], expected["tokens"])
    for (key, a), b in zip(straight.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), key


def test_a_checkpoint_opens_as_an_encoder(tokenizer, sentences, tmp_path):
    """``AutoModel`` gives the same vectors; the next task's model takes the encoder and its pooler, not the scale."""
    model = new().eval()
    with torch.no_grad():
        model.logit_scale.fill_(90.0)
    backbone.save_model(model, tokenizer, tmp_path, "# card\n")
    assert (tmp_path / "README.md").read_text() == "# card\n"
    opened = backbone.load_model(tmp_path, DUAL.auto_class)
    examples = [{"id": "0", "first": s} for s in sentences[:5]]
    f = DUAL.encode(examples, tokenizer, 64, ())
    batch = {k: torch.from_numpy(v) for k, v in DUAL.batch(f, np.arange(5), PAD).items()}
    torch.testing.assert_close(DUAL.forward(opened, batch), DUAL.forward(model, batch))
    following = backbone.new_model(tmp_path, "AutoModelForSequenceClassification", 0, num_labels=3)
    assert torch.equal(following.base_model.embeddings.word_embeddings.weight, model.embeddings.word_embeddings.weight)
    assert not hasattr(following, "logit_scale")
    again = backbone.new_model(tmp_path, DUAL.auto_class, 0)
    DUAL.head(again)
    assert again.logit_scale.item() == 100.0
    assert torch.equal(again.pooler.dense.weight, model.pooler.dense.weight)


# --- ranking ---------------------------------------------------------------------------------------------------------
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 40), st.integers(1, 25), st.integers(1, 200))
def test_ranks_are_those_of_a_sorted_list(seed, queries, pool, k, entries):
    rng = np.random.default_rng(seed)
    # whole numbers: scores are exact and often equal
    q, index = rng.integers(-2, 3, (queries, 3)).astype(np.float32), rng.integers(-2, 3, (pool, 3)).astype(np.float32)
    gold = [rng.choice(pool, rng.integers(1, pool + 1), replace=False).tolist() for _ in range(queries)]
    scores, rows, places = retrieval.rank(q, index, gold, k, 16 * entries)
    for i in range(queries):
        exact = index @ q[i]
        order = sorted(range(pool), key=lambda r, s=exact: (-s[r], r))
        assert rows[i].tolist() == order[:k]
        assert scores[i].tolist() == exact[order[:k]].tolist()
        assert places[i] == 1 + min(order.index(g) for g in gold[i])


def example_frame(tokenizer, sentences):
    examples, queries, pool = separable(sentences, 12)
    splits = [split(queries[:5], "test", "en"), split(queries[5:], "test", "de")]
    return new().eval(), splits, split(pool, "pool", "all"), examples


def test_predictions_hold_what_they_say(tokenizer, sentences):
    model, splits, pool, _ = example_frame(tokenizer, sentences)
    frames = predict(model, DUAL, tokenizer, splits, 32, (), cpu(), pool=pool)
    assert list(frames) == ["en", "de"]
    names = {c["id"] for c in pool.examples}
    for s in splits:
        frame = frames[s.language]
        assert list(frame.columns) == ["id", "gold", "prediction", "rank", "scores"]
        assert frame["id"].tolist() == [e["id"] for e in s.examples]
        assert frame["gold"].map(json.loads).tolist() == [e["gold"] for e in s.examples]
        for _, row in frame.iterrows():
            top, gold = json.loads(row["prediction"]), set(json.loads(row["gold"]))
            assert len(top) == len(set(top)) == 20
            assert set(top) <= names
            assert (np.diff(row["scores"]) <= 0).all()
            assert -1.001 < min(row["scores"]) <= max(row["scores"]) < 1.001
            right = next((i for i, c in enumerate(top, 1) if c in gold), None)
            assert row["rank"] == right if right else row["rank"] > 20


def test_the_pool_is_one_for_all_languages(tokenizer, sentences):
    """A language scored alone gets the same predictions as beside another."""
    model, splits, pool, _ = example_frame(tokenizer, sentences)
    together = predict(model, DUAL, tokenizer, splits, 32, (), cpu(), pool=pool)
    alone = predict(model, DUAL, tokenizer, splits[1:], 32, (), cpu(), pool=pool)
    assert together["de"]["rank"].tolist() == alone["de"]["rank"].tolist()
    shuffled = split(pool.examples[::-1], "pool", "all")
    other = predict(model, DUAL, tokenizer, splits, 32, (), cpu(), pool=shuffled)
    assert other["en"]["rank"].tolist() == together["en"]["rank"].tolist()
    assert other["en"]["gold"].tolist() == together["en"]["gold"].tolist()


def test_a_dev_set_is_its_own_pool(tokenizer, sentences):
    """Equal candidates are one: a query is right if it finds its answer, whoever else has the same one."""
    _, _, _, examples = example_frame(tokenizer, sentences)
    model = new().eval()
    frame = predict(model, DUAL, tokenizer, [split(examples, "dev", "en")], 32, (), cpu())["en"]
    kept = list(dict.fromkeys(e["second"] for e in examples))
    assert len(kept) == 24 < len(examples) == 36
    assert [kept[int(json.loads(g)[0])] for g in frame["gold"]] == [e["second"] for e in examples]
    assert max(frame["rank"]) <= 24
    vectors = predict_vectors(model, tokenizer, [e["first"] for e in examples], kept)
    place = (vectors[0] @ vectors[1].T).argsort(axis=1)[:, ::-1]
    assert frame["prediction"].map(lambda p: int(json.loads(p)[0])).tolist() == place[:, 0].tolist()


def predict_vectors(model, tokenizer, queries: list[str], candidates: list[str]) -> list[np.ndarray]:
    sides = []
    for texts in (queries, candidates):
        with torch.inference_mode():
            pooled = [model(**tokenizer(t, return_tensors="pt")).pooler_output[0].numpy() for t in texts]
        sides.append(np.stack([p / np.linalg.norm(p) for p in pooled]))
    return sides


@pytest.mark.parametrize(
    ("gold", "said"), [([], "has no right candidate"), (["gone"], "candidate gone, which is not in")]
)
def test_gold_that_cannot_be_found_is_an_error(tokenizer, sentences, gold, said):
    model, splits, pool, _ = example_frame(tokenizer, sentences)
    broken = [{**e, "gold": gold} if i == 1 else e for i, e in enumerate(splits[0].examples)]
    with pytest.raises(DataError, match=f"query {broken[1]['id']} .*{said}"):
        predict(model, DUAL, tokenizer, [split(broken, "test", "en")], 32, (), cpu(), pool=pool)


def test_baselines(sentences):
    _, queries, pool = separable(sentences)
    frames = DUAL.baselines([], queries, (), pool)
    assert set(frames) == {"uniform", "overlap"}
    for frame in frames.values():
        assert frame["id"].tolist() == [q["id"] for q in queries]
        assert all(len(set(json.loads(p))) == 20 for p in frame["prediction"])
    assert mean_average_precision(frames["overlap"]) > 80  # the set is made so that the shared word tells


def test_word_search_is_the_dice_coefficient(sentences):
    pool = [{"id": str(i), "second": s} for i, s in enumerate(sentences[:60])]
    frame = DUAL.baselines([], [{"id": "q", "first": sentences[70], "gold": ["0"]}], (), pool)["overlap"]
    asked = words_of(sentences[70])
    dice = [2 * len(asked & words_of(c["second"])) / (len(asked) + len(words_of(c["second"]))) for c in pool]
    order = sorted(range(60), key=lambda i: (-dice[i], i))[:20]
    assert json.loads(frame["prediction"][0]) == [str(i) for i in order]


# --- a study ---------------------------------------------------------------------------------------------------------
#: word vectors that start from concepts cost ten seconds and are not the point here
STUDY = tiny.TINY
TARGETS = ("lareqa", "mewslix")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    folder = tmp_path_factory.mktemp("project")
    design = "name: small\nquestion: x\nintermediates: [none]\ntargets: [lareqa, mewslix]\n"
    return load_study(tiny.make(folder, STUDY, design))


@pytest.fixture(scope="module")
def scored(study) -> dict[str, pd.DataFrame]:
    return {t: study.evaluate("none", t) for t in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_stored_predictions_give_the_scores(study, scored, target):
    place = scoring.found(study, "none", target, 0)
    record, pool = read_json(place / "record.json"), data.pool(study, target)
    names = {c["id"] for c in pool.examples}
    assert TASKS[target].metrics == ("map@20", "mrr@20")
    assert record["scores"].keys() == set(data.languages(study, target)) == {p.stem for p in place.glob("*.parquet")}
    for language, values in record["scores"].items():
        frame = read_predictions(place / f"{language}.parquet")
        examples = data.load(study, target, "test", language).examples
        assert frame["id"].tolist() == [e["id"] for e in examples]
        assert frame["gold"].map(json.loads).tolist() == [e["gold"] for e in examples]
        assert names >= {c for p in frame["prediction"] for c in json.loads(p)}
        assert (
            values["map@20"] == METRICS["dual", "map@20"].score(frame) == pytest.approx(mean_average_precision(frame))
        )
        found = frame["rank"].where(frame["rank"] <= 20)
        assert values["mrr@20"] == pytest.approx(100 * (1 / found).fillna(0).mean())
        shown = scored[target].set_index(["language", "metric"])["value"]
        assert shown[language, "map@20"] == values["map@20"]


def test_the_pool_of_lareqa_holds_the_answer_in_every_language(study):
    pool = {c["id"]: c for c in data.pool(study, "lareqa").examples}
    here = data.languages(study, "lareqa")
    assert {c["language"] for c in pool.values()} == set(here)
    for language in here:
        for e in data.load(study, "lareqa", "test", language).examples:
            assert [pool[g]["language"] for g in e["gold"]] == list(here)


@pytest.mark.parametrize("target", TARGETS)
def test_chance_is_ranked_in_the_same_pool(study, target):
    frame = results.chance(study, target)
    assert set(frame["intermediate"]) == {"baseline:uniform", "baseline:overlap"}
    assert set(frame["metric"]) == {"map@20", "mrr@20"}
    assert frame["value"].between(0, 100).all()


@pytest.mark.parametrize("target", TARGETS)
def test_the_run_of_a_dual_encoder(study, scored, target):
    """Its checkpoint opens with ``AutoModel`` and has a card; its training pairs are its own."""
    run = next((study.out / "runs").glob(f"02.none.{target}.s0-*"))
    card = (run / "model" / "README.md").read_text()
    assert TASKS[target].title in card
    assert "AutoModel`" in card
    model = backbone.load_model(run / "model", DUAL.auto_class)
    assert type(model).__name__ == "XLMRobertaModel"
    assert read_json(run / "record.json")["training"]["steps"] == 6
    assert data.load(study, target, "train").examples[0].keys() >= {"id", "first", "second"}


def test_a_changed_pool_is_another_evaluation(study, scored, monkeypatch):
    assert scoring.found(study, "none", "lareqa", 0)
    pool = data.pool(study, "lareqa")
    monkeypatch.setattr(data, "pool", lambda *_: replace(pool, fingerprint="another"))
    assert scoring.found(study, "none", "lareqa", 0) is None


def test_lareqa_of_real_data(study, real_data, tokenizer):
    """XQuAD-R's pool; an untrained encoder that knows none of its words ranks near chance."""
    file = study.root / "params" / "real.yaml"
    there = {
        "source": "folder",
        "folder": str(real_data),
        "missing": "skip",
        "limits": {"test": 40},
        "languages": ["en", "de", "hi"],
    }
    file.write_text(yaml.safe_dump({**yaml.safe_load(STUDY), "name": "real", "data": there}))
    real = load_study(file)
    assert data.languages(real, "lareqa") == ("de", "en", "hi")
    pool = data.pool(real, "lareqa")
    assert 3000 < len(pool) < 4500
    assert all(c["second"] in c["context"] for c in pool.examples)
    splits = [data.load(real, "lareqa", "test", x) for x in ("de", "en", "hi")]
    assert [(len(s), s.total) for s in splits] == [(40, 1190)] * 3
    assert all(len(e["gold"]) == 3 for s in splits for e in s.examples)
    # the encoder reads 48 pieces of both texts; of what comes after them the tokenizer would make windows, some hundred for each candidate
    short = [{**c, "second": c["second"][:100], "context": c["context"][:100]} for c in pool.examples]
    frames = predict(new().eval(), DUAL, tokenizer, splits, 48, (), cpu(), pool=replace(pool, examples=short))
    for frame in frames.values():
        assert METRICS["dual", "map@20"].score(frame) < 5
        assert frame["rank"].median() > 20
    overlap = DUAL.baselines([], splits[1].examples, (), pool.examples)["overlap"]
    assert 5 < METRICS["dual", "map@20"].score(overlap) < 60
