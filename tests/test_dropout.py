"""What dropout draws is kept and read again, and attention with dropout is one node of the graph: both are torch's to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.test_packing import KINDS, PAD, features, new
from xitt import dropout, segments, train
from xitt.batching import EpochOrder
from xitt.kinds import kind
from xitt.train import Device, Hyper

P = 0.1
keeps = pytest.mark.skipif(
    not dropout.draws_one_by_one(), reason="torch draws many at a time on this processor: nothing is kept"
)


@pytest.fixture(autouse=True)
def alone():
    torch.set_num_threads(1)
    dropout._tape.cache_clear()
    yield
    dropout.begin(None)


@pytest.fixture
def short(monkeypatch):
    """A tape of three chunks."""
    monkeypatch.setattr(dropout, "CHUNK", 64)
    monkeypatch.setattr(dropout, "LIMIT", 192)


def torch_draws(count: int, seed: int = 5) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.empty(count).bernoulli_(1 - P).div_(1 - P)


def tape(seed: int = 5) -> dropout.Tape:
    torch.manual_seed(seed)
    return dropout.Tape(torch.get_rng_state(), P)


# --- the tape ------------------------------------------------------------------------------------------------------
@keeps
@pytest.mark.parametrize(
    "cuts", [(400,), (1, 7, 8, 9, 15, 100, 3, 257), (64, 64, 64, 64, 64, 80), (191, 1, 208), (193, 207)]
)
def test_what_is_read_is_what_torch_draws(short, cuts):
    kept = tape()
    for _ in range(2):  # the second reads what the first has drawn
        draws, place = dropout.Draws(kept, P), 0
        for count in cuts:
            found = draws.take(count)
            place += count
            assert torch.equal(found, torch_draws(place)[place - count :])
            assert torch.equal(draws.state(), torch.get_rng_state())
    assert kept.filled <= dropout.LIMIT


@keeps
def test_a_place_is_found_again(short):
    draws = dropout.Draws(tape(), P)
    first = [draws.take(n) for n in (50, 90, 70)]  # the last goes beyond what is kept
    draws.place, draws.beyond = 50, None
    assert all(torch.equal(draws.take(len(f)), f) for f in first[1:])


@keeps
def test_other_probabilities_are_drawn_by_torch():
    model = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Dropout(0.2))
    dropout.begin(model)
    assert dropout.place() is None
    dropout.begin(model[0])
    assert dropout.place() == 0
    before = torch.get_rng_state()
    dropout.noise(torch.ones(9), 0.5)
    assert dropout.place() == 0
    assert not torch.equal(before, torch.get_rng_state())


@keeps
def test_noise_lies_as_the_values_do():
    values = torch.randn(3, 5, 7).transpose(0, 2)
    torch.manual_seed(3)
    wanted = torch.nn.functional.dropout(values, P)
    torch.manual_seed(3)
    module = torch.nn.Dropout(P)
    dropout.begin(module)
    assert torch.equal(module(values), wanted)
    assert torch.equal(module.eval()(values), values)
    dropout.end(module)
    assert "forward" not in vars(module)


# --- attention -----------------------------------------------------------------------------------------------------
def by_torch(query, key, value, runs, p, scale):
    """Attention by torch's own function, length by length."""
    sizes, done = [number * length for number, length in runs], []
    for (number, length), *parts in zip(runs, *(x.split(sizes) for x in (query, key, value)), strict=True):
        q, k, v = (x.unflatten(0, (number, length)).transpose(1, 2) for x in parts)
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=p, scale=scale)
        done.append(mixed.transpose(1, 2).flatten(0, 1))
    return torch.cat(done)


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("runs", [((1, 1),), ((1, 40),), ((3, 17), (1, 9), (5, 2), (2, 1)), ((32, 24), (1, 23))])
def test_attention_is_torch_s_to_the_last_bit(runs, scale):
    tokens = sum(number * length for number, length in runs)
    found = []
    for how in (by_torch, segments.attention):
        torch.manual_seed(1)
        inputs = [torch.randn(tokens, 4, 24, requires_grad=True) for _ in range(3)]
        out = how(*inputs, runs, P, scale)
        gradients = torch.autograd.grad(out, inputs, torch.randn(tokens, 4, 24))
        found.append((out, *gradients, torch.get_rng_state()))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


# --- a training ----------------------------------------------------------------------------------------------------
def trained(name: str, folder, tokens: int) -> tuple:
    model, units = new(name, dropout=P), features(name)
    folder.mkdir()
    h = Hyper(1e-3, 2, 8, 60, None, 0.01, 0.1, 1.0, 100, 10)
    device = Device("cpu", "float32", tokens, 4096, 60.0)
    order = EpochOrder(units.units, h.batch, h.steps(units.units), 0)
    summary = train.fit(model, kind(name), units, order, h, 0, device, folder, PAD, name)
    assert summary["attention"].startswith("packed")
    assert not any("forward" in vars(m) for m in model.modules())
    return *(p.detach().numpy() for p in model.parameters()), torch.get_rng_state().numpy()


@keeps
@pytest.mark.parametrize("tokens", [8192, 200])
@pytest.mark.parametrize("name", KINDS)
def test_a_training_ends_in_the_bits_of_torch_s_own_operations(name, tokens, tmp_path, monkeypatch):
    kept = [trained(name, tmp_path / str(i), tokens) for i in range(2)]
    assert dropout._tape.cache_info().hits == 1
    monkeypatch.setattr(dropout, "draws_one_by_one", lambda: False)
    monkeypatch.setattr(segments, "attention", by_torch)
    wanted = trained(name, tmp_path / "torch", tokens)
    for found in kept:
        assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@keeps
def test_the_test_of_a_training_can_fail(tmp_path, monkeypatch):
    first = trained("classify", tmp_path / "first", 8192)
    monkeypatch.setattr(dropout.Draws, "take", lambda self, n: torch.full((n,), 1 / (1 - P)))
    other = trained("classify", tmp_path / "other", 8192)
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_path_is_taken(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(segments, "attention", lambda *a: calls.append(len(a)) or by_torch(*a))
    trained("tag", tmp_path / "run", 8192)
    assert calls
