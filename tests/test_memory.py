"""Training where memory ends: micro-batches are halved and the numbers stay."""

from __future__ import annotations

import json

import pytest
import torch

from tests.test_train import PAD, SEED, cpu, features, hyper, new, project, tokenizer  # noqa: F401 - fixtures
from xitt.batching import EpochOrder
from xitt.kinds import kind
from xitt.train import fit


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def limit(monkeypatch, k, tokens: int, first: int = 0) -> list[int]:
    """A device that holds ``tokens`` (padded) at a time, from the call ``first`` on; returns the sizes that did not fit."""
    real, refused, calls = type(k).forward, [], []

    def forward(self, model, batch):
        calls.append(1)
        size = batch["input_ids"].numel()
        if model.training and size > tokens and len(calls) > first:
            refused.append(size)
            raise torch.OutOfMemoryError("CUDA out of memory (a test)")
        return real(self, model, batch)

    monkeypatch.setattr(type(k), "forward", forward)
    return refused


def trained(folder, features, name: str, dropout: float, micro: int):  # noqa: F811
    """A model after training, with what training says of it."""
    f, labels = features[name]
    folder.mkdir()
    # in double precision: Adam makes much of the rounding of gradients that are 0 (key biases)
    model, h = new(name, labels, dropout).double(), hyper(max_steps=12)
    order = EpochOrder(f.units, h.batch, h.max_steps, SEED)
    summary = fit(model, kind(name), f, order, h, SEED, cpu(micro), folder, PAD, name)
    losses = [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]
    return model, summary, losses


@pytest.mark.parametrize("name", ["classify", "choose", "span"])
@pytest.mark.parametrize("first", [0, 7])
def test_out_of_memory_halves_the_micro_batch_and_keeps_the_numbers(
    features,  # noqa: F811
    tmp_path,
    monkeypatch,
    capsys,
    name,
    first,
):
    f, _ = features[name]
    widest = int(f.unit_lengths.max()) * f.group
    plain, told, losses = trained(tmp_path / "plain", features, name, 0.0, 100_000)
    refused = limit(monkeypatch, kind(name), 2 * widest, first)
    small, lowered, same = trained(tmp_path / "small", features, name, 0.0, 100_000)
    assert refused
    assert "micro_batch_tokens" not in told
    assert lowered["micro_batch_tokens"] <= 4 * widest
    assert (lowered["steps"], lowered["tokens"]) == (told["steps"], told["tokens"])
    assert same == pytest.approx(losses, abs=2e-6)
    for key, value in plain.state_dict().items():
        # a softmax over places does not see what is added to all of them: the gradient of that is rounding alone
        if name != "span" or key not in ("qa_outputs.bias", "roberta.encoder.layer.1.output.LayerNorm.bias"):
            torch.testing.assert_close(small.state_dict()[key], value, rtol=1e-5, atol=1e-7, msg=key)
    assert capsys.readouterr().out.count("does not fit the memory; training goes on with") == len(refused)


def test_with_dropout_it_is_the_run_that_had_the_smaller_size_from_the_start(features, tmp_path, monkeypatch):  # noqa: F811
    """To the last bit: what the failed try drew and computed leaves no trace."""
    f, _ = features["classify"]
    widest = int(f.unit_lengths.max())
    with monkeypatch.context() as patch:
        refused = limit(patch, kind("classify"), 3 * widest)
        found, summary, losses = trained(tmp_path / "found", features, "classify", 0.1, 100_000)
    assert refused
    wanted, _, same = trained(tmp_path / "wanted", features, "classify", 0.1, summary["micro_batch_tokens"])
    assert losses == same
    for key, value in wanted.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key


def test_where_not_even_one_example_fits_it_is_an_error(features, tmp_path, monkeypatch):  # noqa: F811
    limit(monkeypatch, kind("classify"), 1)
    with pytest.raises(torch.OutOfMemoryError):
        trained(tmp_path / "none", features, "classify", 0.0, 100_000)
