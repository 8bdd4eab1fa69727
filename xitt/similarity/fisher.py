"""Task embeddings: which weights of the encoder a task's labels pull at, as the diagonal of the Fisher information, layer by layer.

Achille et al. 2019 (Task2Vec, sections 2 and 3) keep one probe network for all tasks, fit a head for each, and take the Fisher information
of the network's weights, averaged over the weights that make one output; so here. Vu et al. 2020 (TaskEmb) take the same from an encoder
fine-tuned on each task, which would cost the runs that the measure is to save. Like Vu et al. we take the empirical Fisher information:
gradients for the labels that the data have.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..batching import Ragged
from .heads import Head
from .names import Undefined
from .samples import Sample
from .states import with_mean
from .texts import cosine

TOKENS = 2048  # of a batch: gradients of every example by itself take memory


def task(bench, recipe: str, target: str, seed: int) -> float:
    """Cosine of the task embeddings, layer by layer, mean over layers (TaskEmb, on one probe network)."""
    return by_layer(*bench.embeddings(recipe, target))


def task2vec(bench, recipe: str, target: str, seed: int) -> float:
    """1 minus the symmetric distance of Task2Vec (Achille et al. 2019, section 3): the cosine of F_a / (F_a + F_b) and F_b / (F_a + F_b)."""
    return normalised(*bench.embeddings(recipe, target))


# --- formulas --------------------------------------------------------------------------------------------------------
def by_layer(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """Mean over layers of the cosine of two embeddings; over those that both have (a retrieval layer may lie below the last)."""
    return float(np.mean([cosine(a, b) for a, b in zip(first, second, strict=False)]))


def normalised(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """Cosine of two embeddings, each divided by their sum: large and small entries count alike."""
    layers = min(len(first), len(second))
    a, b = np.concatenate(first[:layers]), np.concatenate(second[:layers])
    total = a + b
    kept = total > 0
    return cosine(a[kept] / total[kept], b[kept] / total[kept])


def mean_of(parts: list[tuple[list[np.ndarray], float]]) -> list[np.ndarray]:
    """Embedding of several tasks at once: the mean, weighted; the Fisher information of a mixture of examples is that."""
    weights = [w for _, w in parts]
    return [np.average(layers, axis=0, weights=weights) for layers in zip(*(p for p, _ in parts), strict=True)]


# --- the Fisher information of an encoder ----------------------------------------------------------------------------
def diagonal(model, pad: int, sample: Sample, head: Head, device, layer: int | None = None) -> list[np.ndarray]:
    """Mean over examples of the squared gradient of an example's loss, for the weights of every linear map of the encoder's layers.

    The loss of an example is the mean cross-entropy of its units under the head. Squares are averaged over a map's inputs.

    Returns
    -------
    list of ndarray (outputs of the layer's maps,)
        One per layer, float64.

    Raises
    ------
    Undefined
        If the encoder's layers are not laid out as (XLM-)RoBERTa's are.
    """
    import torch

    sample = self_contained(sample)
    blocks = getattr(getattr(model, "encoder", None), "layer", None)
    if blocks is None:
        raise Undefined(f"task embeddings read the layers of (XLM-)RoBERTa; the encoder is {model.config.model_type}")
    maps = [[m for m in block.modules() if isinstance(m, torch.nn.Linear)] for block in blocks]
    total = {m: 0.0 for block in maps for m in block}
    seen: dict = {}
    handles = [m.register_forward_hook(lambda m, given, out: _watch(seen, m, given[0], out)) for m in list(total)]
    # nothing but the hidden states needs a gradient: that of the weights is made here, example by example
    handles.append(model.embeddings.register_forward_hook(lambda m, given, out: out.detach().requires_grad_()))
    frozen = [p for p in model.parameters() if p.requires_grad]
    for p in frozen:
        p.requires_grad_(False)
    count = int(sample.owner.max()) + 1
    try:
        for some in _batches(sample, count):
            owner = _backward(model, pad, sample, head, device, layer, some)
            total = {m: before + _squares(*seen[m], owner, len(some)) for m, before in total.items()}
            seen.clear()
    finally:
        for handle in handles:
            handle.remove()
        for p in frozen:
            p.requires_grad_(True)
    reached = [[total[m] for m in block if not isinstance(total[m], float)] for block in maps]
    return [torch.cat(x).cpu().numpy() / count for x in reached if x]


def _watch(seen: dict, module, given, out) -> None:
    seen[module] = [given.detach(), None]
    if out.requires_grad:
        out.register_hook(lambda slope: seen[module].__setitem__(1, slope.detach()))


def _squares(given, slope, owner, count: int):
    """Sum over examples of the squared gradient of a linear map's weight, mean over its inputs (outputs,), float64."""
    import torch

    if slope is None:  # behind the layer that the loss reads
        return 0.0
    each = torch.einsum("rto,rti->roi", slope.float(), given.float())
    example = each.new_zeros(count, *each.shape[1:]).index_add_(0, owner, each)
    return example.square().mean(dim=2).sum(dim=0).double()


def _backward(model, pad: int, sample: Sample, head: Head, device, layer: int | None, some: np.ndarray):
    """Gradients of the summed loss of some examples; returns the place of each sequence's example among them."""
    import torch

    from ..train import to_device

    rows = np.flatnonzero(np.isin(sample.owner, some))
    matrix = sample.ids.padded(rows, pad).astype(np.int64)
    mask = (np.arange(matrix.shape[1])[None] < sample.ids.lengths[rows][:, None]).astype(np.int64)
    batch = to_device({"input_ids": matrix, "attention_mask": mask}, device)
    made = model(**batch, output_hidden_states=layer is not None)
    state = made.last_hidden_state if layer is None else made.hidden_states[layer]
    losses(with_mean(state.float(), batch["attention_mask"]), sample, head, rows).backward()
    return torch.from_numpy(np.searchsorted(some, sample.owner[rows])).to(device.name)


def losses(table, sample: Sample, head: Head, rows: np.ndarray):
    """Sum over the examples of ``rows`` of their mean cross-entropy, from hidden states (rows, tokens + 1, width)."""
    import torch

    place = np.full(len(sample.ids), -1)
    place[rows] = np.arange(len(rows))
    here = np.flatnonzero(place[sample.first[:, 0]] >= 0)
    take = [table[place[s[here, 0]], s[here, 1]] for s in (sample.first, sample.second) if s is not None]
    unit = torch.nn.functional.normalize
    x = take[0] if len(take) == 1 else unit(take[0], dim=-1) * unit(take[1], dim=-1)
    shift, scale, weight, bias = (
        torch.tensor(v, dtype=x.dtype, device=x.device) for v in (head.shift, head.scale, head.weight, head.bias)
    )
    label = torch.from_numpy(sample.label[here]).to(x.device)
    each = torch.nn.functional.cross_entropy((x - shift) / scale @ weight + bias, label, reduction="none")
    example = sample.example[here]
    share = 1 / np.bincount(sample.example, minlength=example.max(initial=0) + 1)[example]
    return (each * torch.from_numpy(share).to(each)).sum()


def _batches(sample: Sample, count: int) -> list[np.ndarray]:
    """Examples, in parts of about :data:`TOKENS` tokens, longest first."""
    from ..batching import stream

    longest, rows = np.zeros(count, np.int64), np.bincount(sample.owner, minlength=count)
    np.maximum.at(longest, sample.owner, sample.ids.lengths)
    return [np.sort(part) for part in stream(longest * rows, 1, TOKENS)]


def self_contained(sample: Sample) -> Sample:
    """The same sample with a copy of every sequence that an example's units read among the sequences of that example.

    A pair of two examples' texts otherwise lets the loss of one reach through a sequence of the other.
    """
    if sample.second is None:
        return sample
    place: dict[tuple[int, int], int] = {}
    example = sample.example
    order = np.argsort(example, kind="stable")
    for unit in order:
        for side in (sample.first, sample.second):
            place.setdefault((int(example[unit]), int(side[unit, 0])), len(place))
    moved = [
        np.array([(place[int(e), int(row)], at) for e, (row, at) in zip(example, side, strict=True)])
        for side in (sample.first, sample.second)
    ]
    ids = Ragged.of([sample.ids[row] for _, row in place])
    return replace(sample, ids=ids, owner=np.array([e for e, _ in place]), first=moved[0], second=moved[1])
