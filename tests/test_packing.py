"""Packed rows compute what padded ones do: outputs, losses and gradients, for every kind."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from xitt import evaluate, packing, products, train
from xitt.batching import Features, Ragged
from xitt.errors import ParameterError
from xitt.evaluate import run_model
from xitt.kinds import kind
from xitt.kinds.base import IGNORE
from xitt.study import load_study
from xitt.train import Device

KINDS = ("choose", "classify", "dual", "mlm", "span", "tag")
VOCABULARY, PAD, LABELS, DRAW = 97, 1, ("a", "b", "c"), (3, 0)
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(evaluate._Fits, "found", {})


def new(name: str, dropout: float = 0.0, heads: int = 4, width: int = 32, layers: int = 3):
    """A small untrained XLM-R with the head of a kind."""
    import transformers

    torch.manual_seed(0)
    config = transformers.XLMRobertaConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=48,
        max_position_embeddings=130, pad_token_id=PAD, initializer_range=0.2, hidden_dropout_prob=dropout, type_vocab_size=1,
        attention_probs_dropout_prob=dropout, **kind(name).labels(LABELS),
    )  # fmt: skip
    model = getattr(transformers, kind(name).auto_class).from_config(config)
    kind(name).head(model)
    return model


def features(name: str, units: int = 24, longest: int = 60) -> Features:
    """Rows of many lengths, some of them equal, as a kind encodes them."""
    rng = np.random.default_rng(0)
    group = {"choose": 3, "dual": 2}.get(name, 1)
    lengths = rng.integers(4, longest, units * group)
    lengths[::5] = 17
    ids = Ragged.of([[0, *rng.integers(4, VOCABULARY, n - 2), 2] for n in lengths])
    owner = np.repeat(np.arange(units), group)
    if name == "tag":
        first = [np.sort(rng.choice(np.arange(1, n - 1), max(1, n // 2), replace=False)) for n in lengths]
        target = [np.full(n, IGNORE) for n in lengths]
        for row, at in zip(target, first, strict=True):
            row[at] = rng.integers(0, len(LABELS), len(at))
        return Features(ids, owner, Ragged.of(target), extra={"first": Ragged.of(first)})
    if name == "mlm":
        extra = {"masked": 0.3, "mask_id": VOCABULARY - 1, "vocabulary": VOCABULARY, "special": np.arange(4)}
        return Features(ids, owner, None, extra=extra)
    if name == "span":
        answer = np.stack([rng.integers(0, lengths), rng.integers(0, lengths)], axis=1)
        bounds = np.stack([np.ones_like(lengths), lengths - 1], axis=1)
        return Features(ids, owner, answer, extra={"context": bounds})
    return Features(ids, owner, rng.integers(0, len(LABELS), units * (group if name == "dual" else 1)), group)


def device(attention: str, **changes) -> Device:
    return replace(Device("cpu", "float32", 8192, 16384, 1e9), attention=attention, **changes)


def step(name: str, where: Device, model=None, f: Features | None = None):
    """Loss and gradients of one step."""
    model, f = (model or new(name)).train(), f or features(name)
    if where.attention != "padded":
        products.install(model)  # as training does
    loss, tokens = train._step(model.to(where.name), kind(name), f, np.arange(2, 18), f.unit_lengths, where, PAD, DRAW)
    return float(loss), tokens, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def close(found: dict, wanted: dict, rtol: float) -> None:
    """All gradients, against the largest of their tensor; tensors under the noise of all are 0 but for rounding (key biases)."""
    assert found.keys() == wanted.keys()
    noise = 0.05 * rtol * max(float(g.abs().max()) for g in wanted.values())
    for key, gradient in wanted.items():
        difference = float((found[key] - gradient).abs().max())
        assert difference <= rtol * float(gradient.abs().max()) + noise, key


# --- the same numbers ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("micro", [8192, 150])
def test_loss_and_gradients_are_those_of_padded_rows(name, micro):
    expected, tokens, wanted = step(name, device("padded", micro_batch_tokens=10**6))
    loss, same, found = step(name, device("packed", micro_batch_tokens=micro))
    assert same == tokens
    assert loss == pytest.approx(expected, rel=1e-5)
    assert len(found) > 40
    close(found, wanted, 1e-5)


def logits_of(name: str, model, f: Features, units: np.ndarray, packed: bool):
    where = device("packed" if packed else "padded")
    packing.wanted(model, where.attention)
    batch = train.to_device(kind(name).batch(f, units, PAD, DRAW, packed), where)
    with torch.no_grad():
        return kind(name).forward(model, batch), batch


@pytest.mark.parametrize("name", KINDS)
def test_outputs_are_those_of_padded_rows(name):
    f, model, units = features(name), new(name).eval(), np.array([5, 0, 11, 3, 20])
    wanted, batch = logits_of(name, model, f, units, False)
    found, _ = logits_of(name, model, f, units, True)
    if name == "tag":
        wanted = wanted[batch["target"] != IGNORE]
    if name == "mlm":  # masked places row by row, and rows are packed by length
        size = (batch["target"] != IGNORE).sum(1).tolist()
        by_length = packing.order(f.ids.lengths[units])
        wanted = torch.cat([wanted.split(size)[i] for i in by_length])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert found[found.isfinite()].std() > 1e-3, "a comparison of something"


@pytest.mark.parametrize("name", [k for k in KINDS if k != "mlm"])
def test_predictions_are_those_of_padded_rows(name):
    f, model = features(name), new(name).eval()
    wanted, found = (
        run_model(model, kind(name), f, device(a, eval_batch_tokens=300), PAD) for a in ("padded", "packed")
    )
    for a, b in zip(wanted, found, strict=True):
        for x, y in zip(a, b, strict=True) if name == "span" else [(a, b)]:
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_the_test_can_fail():
    """Sequences that see their neighbours give another loss."""
    f, model = features("classify"), new("classify").eval()
    packing.wanted(model, "packed")
    batch = train.to_device(kind("classify").batch(f, np.arange(6), PAD, packed=True), device("packed"))
    total = int(batch["cu_seqlens"][-1])
    together = {**batch, "segments": ((1, total),), "cu_seqlens": torch.tensor([0, total])}
    apart = kind("classify").forward(model, batch)
    assert (apart - kind("classify").forward(model, together)).abs().max() > 1e-2


def test_positions_count_from_the_padding_index():
    f, model = features("tag"), new("tag").eval()
    batch = kind("tag").batch(f, np.array([4, 9]), PAD, packed=True)
    for start, unit in zip(batch["starts"], (4, 9), strict=True):
        ids = torch.from_numpy(f.ids[unit].astype(np.int64))[None]
        wanted = model.base_model.embeddings.create_position_ids_from_input_ids(ids, PAD)[0]
        np.testing.assert_array_equal(batch["position_ids"][0, start : start + len(f.ids[unit])], wanted)


def test_keyword_arguments_reach_attention_through_the_whole_model():
    """The registered function works by transformers' own forward pass, too."""
    f, model = features("tag"), new("tag").eval()
    packing.wanted(model, "packed")
    batch = train.to_device(kind("tag").batch(f, np.arange(5), PAD, packed=True), device("packed"))
    inputs = {k: batch[k] for k in ("input_ids", "position_ids", "cu_seqlens", "segments")}
    with torch.no_grad():
        whole = model(**inputs).logits[0, batch["at"]]
        torch.testing.assert_close(whole, kind("tag").forward(model, batch), rtol=1e-5, atol=1e-6)


def test_a_model_made_for_packed_rows_reads_padded_ones_and_is_saved_as_any(tmp_path):
    f, model = features("classify"), new("classify").eval()
    before, _ = logits_of("classify", model, f, np.arange(6), False)
    packing.wanted(model, "packed")
    after, _ = logits_of("classify", model, f, np.arange(6), False)
    torch.testing.assert_close(before, after, rtol=0, atol=0)
    model.save_pretrained(tmp_path)
    assert packing.NAME not in (tmp_path / "config.json").read_text()


# --- dropout -------------------------------------------------------------------------------------------------------
def test_attention_dropout_is_kept_in_training_and_has_the_reference_s_spread():
    """Mean and spread of the loss over many draws are those of padded rows; without any dropout there is no spread."""
    f, units = features("classify", 12, 20), np.arange(12)
    spread = {}
    for attention in ("padded", "packed"):
        model, losses = new("classify", layers=1).train(), []
        model.roberta.encoder.layer[0].attention.self.dropout.p = 0.4
        for draw in range(60):
            torch.manual_seed(draw)
            where = device(attention, micro_batch_tokens=10**6)
            losses.append(float(train._step(model, kind("classify"), f, units, f.unit_lengths, where, PAD, DRAW)[0]))
        spread[attention] = np.mean(losses), np.std(losses)
    (mean, std), (packed_mean, packed_std) = spread["padded"], spread["packed"]
    assert std > 1e-3
    assert abs(packed_mean - mean) < 4 * std / np.sqrt(60)
    assert 0.6 < packed_std / std < 1.6


@pytest.mark.parametrize("small", [0, 2**40])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_attention_with_dropout_is_the_plain_one_with_the_same_weights_dropped(dtype, small, monkeypatch):
    """Outputs and gradients against autograd through softmax, mask and products, sequence by sequence."""
    from xitt import attention, dropout

    monkeypatch.setattr(attention, "SMALL", small)
    attention._layout.cache_clear()
    heads, width, segments, rate = 3, 8, ((1, 19), (1, 16), (3, 7), (1, 6), (1, 1)), 0.3
    lengths = [19, 16, 7, 7, 7, 6, 1]
    torch.manual_seed(1)
    own = [torch.randn(1, heads, sum(lengths), width).to(getattr(torch, dtype)) for _ in range(4)]
    flat = [x[0].transpose(0, 1).requires_grad_() for x in own[:3]]
    other = [x.detach().clone().float().requires_grad_() for x in flat]

    torch.manual_seed(2)
    mixed = attention._Dropped.apply(*flat, segments, rate, 0.5)
    mixed.backward(grad := own[3][0].transpose(0, 1))
    attention._layout.cache_clear()

    groups = [[n] for n in lengths] if small == 0 else [[19, 16], [7, 7, 7, 6], [1]]
    torch.manual_seed(2)
    stays, more = dropout.stays(heads * sum(len(g) * g[0] ** 2 for g in groups), rate)
    assert 0.6 < stays.float().mean() < 0.8
    masks = []
    for group, part in zip(groups, stays.split([heads * len(g) * g[0] ** 2 for g in groups]), strict=True):
        whole = part.view(len(group), heads, group[0], group[0]) * more
        masks += [one[:, :n, :n] for one, n in zip(whole, group, strict=True)]
    parts = []
    for q, k, v, mask in zip(*(x.split(lengths) for x in other), masks, strict=True):
        q, k, v = (x.transpose(0, 1) for x in (q, k, v))  # noqa: PLW2901
        parts.append((((q @ k.transpose(1, 2) * 0.5).softmax(-1) * mask) @ v).transpose(0, 1))
    plain = torch.cat(parts)
    plain.backward(grad.float())

    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 0.05, "atol": 0.05}
    torch.testing.assert_close(mixed.float(), plain, **close)
    for ours, theirs in zip(flat, other, strict=True):
        torch.testing.assert_close(ours.grad.float(), theirs.grad, **close)


def test_attention_dropout_can_be_turned_off():
    model = new("tag", dropout=0.3)
    packing.drop_no_attention(model)
    assert model.config.attention_probs_dropout_prob == 0.3
    assert [x.attention.self.dropout.p for x in model.base_model.encoder.layer] == [0.0] * 3
    assert model.base_model.encoder.layer[0].output.dropout.p == 0.3


# --- settings ------------------------------------------------------------------------------------------------------
def bert():
    import transformers

    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    return transformers.AutoModelForSequenceClassification.from_config(config)


def test_other_architectures_stay_padded_or_say_so():
    assert not packing.wanted(bert(), "auto")
    assert packing.path(bert(), device("auto")) == "padded, sdpa"
    with pytest.raises(ParameterError, match=r"engine.attention: packed works with roberta.*the backbone is bert"):
        packing.wanted(bert(), "packed")
    with pytest.raises(ParameterError, match="attention_dropout"):
        packing.drop_no_attention(bert())


def test_the_record_says_which_path():
    model = new("classify", dropout=0.1)
    assert packing.path(model, device("padded")) == "padded, sdpa"
    assert packing.path(model, device("auto"), training=True) == "packed, dropped by sequence"
    cuda = SimpleNamespace(name="cuda", precision="bfloat16", attention="auto")
    assert packing.path(model, cuda, training=True) == "packed, sdpa by length"  # varlen_attn has no dropout
    assert packing.path(model, cuda) == "packed, varlen_attn"
    packing.drop_no_attention(model)
    assert packing.path(model, cuda, training=True) == "packed, varlen_attn"


def test_only_a_departure_from_the_reference_is_in_fingerprints():
    engine = load_study("pocket").params.engine
    assert engine.model_copy(update={"attention": "padded", "gradient_checkpointing": True}).identity == {}
    assert engine.model_copy(update={"attention_dropout": False}).identity == {"attention_dropout": False}


@pytest.mark.parametrize("name", KINDS)
def test_gradient_checkpointing_changes_no_gradient(name):
    plain, checked = new(name, dropout=0.2), new(name, dropout=0.2)
    train.checkpoint_layers(checked, True)
    found = []
    for model in (plain, checked):
        torch.manual_seed(5)
        found.append(step(name, device("packed"), model))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-6)
    close(found[1][2], found[0][2], 1e-5)
    f = features(name)
    wanted = run_model(plain.eval(), kind(name), f, device("packed"), PAD) if name != "mlm" else []
    again = run_model(checked.eval(), kind(name), f, device("packed"), PAD) if name != "mlm" else []
    for a, b in zip(wanted, again, strict=True):
        np.testing.assert_array_equal(a[0], b[0])


# --- memory --------------------------------------------------------------------------------------------------------
def test_evaluation_backs_off_where_memory_ends_and_remembers(monkeypatch, capsys):
    f, model, k = features("classify", 40), new("classify").eval(), kind("classify")
    wanted, sizes = run_model(model, k, f, device("packed"), PAD), []
    real = type(k).forward

    def forward(self, model, batch):
        sizes.append(batch["input_ids"].shape[1])
        if sizes[-1] > 400:
            raise torch.OutOfMemoryError("no more")
        return real(self, model, batch)

    monkeypatch.setattr(type(k), "forward", forward)
    found = run_model(model, k, f, device("packed"), PAD)
    np.testing.assert_allclose(np.stack(found), np.stack(wanted), rtol=1e-4, atol=1e-6)
    assert sum(size > 400 for size in sizes) >= 2
    assert capsys.readouterr().out.count("does not fit") == sum(size > 400 for size in sizes)
    sizes.clear()
    run_model(model, k, f, device("packed"), PAD)
    assert sizes
    assert max(sizes) <= 400
    monkeypatch.setattr(type(k), "forward", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("none at all")))
    with pytest.raises(torch.OutOfMemoryError):
        run_model(model, k, f, device("packed"), PAD)


# --- packing by hand -----------------------------------------------------------------------------------------------
def test_a_packed_batch_by_hand():
    ids = Ragged.of([[5, 6], [7, 8, 9], [10, 11], [12]])
    batch = packing.pack(ids, np.array([3, 0, 1, 2]), PAD)
    assert batch["input_ids"].tolist() == [[7, 8, 9, 5, 6, 10, 11, 12]]
    assert batch["position_ids"].tolist() == [[2, 3, 4, 2, 3, 2, 3, 2]]
    assert batch["starts"].tolist() == [7, 3, 0, 5]
    assert batch["cu_seqlens"].tolist() == [0, 3, 5, 7, 8]
    assert batch["segments"] == ((1, 3), (2, 2), (1, 1))


def test_rows_are_unpacked_in_the_order_asked_for():
    ids = Ragged.of([[5, 6], [7, 8, 9], [10, 11], [12]])
    batch = train.to_device(packing.pack(ids, np.array([3, 0, 1, 2]), PAD), device("packed"))
    values = batch["input_ids"][0, :, None].float()
    found = packing.rows(values, batch, -1.0)[..., 0]
    assert found.tolist() == [[12, -1, -1], [5, 6, -1], [7, 8, 9], [10, 11, -1]]


# --- CUDA ----------------------------------------------------------------------------------------------------------
@pytest.mark.gpu
@gpu
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("attention_dropout", [True, False])
def test_on_cuda_the_difference_is_within_that_of_two_padded_runs(name, attention_dropout):
    """bfloat16, without and with torch's kernel for packed rows; the yardstick is another cut of the padded batch and float32."""

    def gradients(attention: str, precision: str, micro: int):
        model = new(name, heads=4, width=128)
        if not attention_dropout:
            packing.drop_no_attention(model)
        where = replace(device(attention), name="cuda", precision=precision, micro_batch_tokens=micro)
        loss, _, found = step(name, where, model)
        return loss, torch.cat([g.float().flatten() for g in found.values()])

    exact = gradients("padded", "float32", 10**6)
    padded, cut = gradients("padded", "bfloat16", 10**6), gradients("padded", "bfloat16", 150)
    packed = gradients("packed", "bfloat16", 10**6)
    for i, size in ((0, abs), (1, torch.norm)):
        spread = max(float(size(padded[i] - exact[i])), float(size(cut[i] - exact[i])))
        assert float(size(packed[i] - exact[i])) <= 2 * spread + 1e-4 * float(size(exact[i]))
