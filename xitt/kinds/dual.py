"""Dual encoders: one encoder embeds queries and candidates, a query's answers are the nearest candidates (LAReQA, Mewsli-X).

Fields of training and dev examples (a pair of texts that belong together):

- ``first``: the query (LAReQA: the question; Mewsli-X: the mention in its context, marked as its source marks it);
- ``second``: the candidate's own text (LAReQA: the sentence that holds the start of the first answer; Mewsli-X: the entity's description);
- ``context``: text around the candidate, encoded as its second segment (LAReQA: the whole paragraph); ``""`` or absent where there
  is none (Mewsli-X).

Fields of test examples (queries of one language): ``first`` as above and ``gold``, the list of ids of all right candidates in the
whole pool (LAReQA: the answer's sentence in every language of the pool, that of the question included; Mewsli-X: one entity).
``id`` is unique within the language.

The pool is no split of a language: ``xitt.data.pool(study, task)`` gives it whole, as one ``Split`` (``split`` is ``pool``,
``language`` is ``all``), always in full (``data.limits`` cut queries only: a smaller pool is an easier task). Its examples are the
candidates: ``id`` (str, unique over all languages), ``second`` and ``context`` as above, ``language`` (BCP 47). LAReQA's pool is every
sentence of every paragraph in the scored languages together; Mewsli-X's the entity descriptions of all languages.

Predictions, one row per query: ``gold`` and ``prediction`` are JSON lists of candidate ids, the latter the 20 nearest, best first;
``rank`` the place (from 1) of the best right candidate in the whole pool; ``scores`` the cosines of the 20. ``map@20`` and
``mrr@20`` follow from ``gold`` and ``prediction`` alone.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd

from .. import packing
from ..batching import Features, Ragged, micro_batches
from ..errors import DataError
from ..memory import random_state, set_random_state
from ..retrieval import rank
from .base import Kind, words_of

QUERY_LENGTH = 96  # LAReQA's queries; Mewsli-X cuts both sides at its length of 64 (paper_facts 3.4)
SCALE = 100.0  # what the learned factor of the cosines starts at (paper_facts, section 4)
DEPTH = 20  # candidates kept per query: the benchmark's mAP@20 looks no further


class Dual(Kind):
    """Pooled ``<s>`` of one shared encoder, of unit length; softmax over the candidates of the step (paper_facts, section 4).

    XTREME-R's own code contrasts a query with the candidates of its *micro-batch* alone (4 of 16 for XLM-R Large); here all
    candidates of the step count, so that memory does not decide what is learned: a stated deviation. As there, a candidate that
    stands twice in a step counts as wrong for the other query.
    """

    name = "dual"
    auto_class = "AutoModel"
    pooled = True
    contrasts = True

    def labels(self, labels):
        return {}  # the encoder and its pooler are the whole model

    def head(self, model, features=None, seed=0) -> None:
        """Adds the learned scale; it lies in the checkpoint beside the encoder, where ``AutoModel`` passes it over."""
        import torch

        model.logit_scale = torch.nn.Parameter(torch.tensor([SCALE], device=model.device))

    def encode(self, examples, tokenizer, length, labels):
        """Rows of pairs (query, candidate, query, …), or of queries or candidates alone, whichever the examples hold."""
        sides = []
        if "first" in examples[0]:
            sides.append(_cut(tokenizer, [e["first"] for e in examples], None, min(length, QUERY_LENGTH)))
        if "second" in examples[0]:
            sides.append(_cut(tokenizer, [e["second"] for e in examples], _contexts(examples), length))
        rows = [ids for unit in zip(*sides, strict=True) for ids in unit]
        owner = np.repeat(np.arange(len(examples)), len(sides))
        return Features(Ragged.of(rows), owner, np.zeros(len(rows), np.int64), group=len(sides))

    def forward(self, model, batch):
        """Vectors of unit length (rows, width), in float32."""
        import torch.nn.functional as F

        if "starts" in batch:
            pooled = model.pooler(packing.first(model, batch))
        else:
            pooled = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).pooler_output
        return F.normalize(pooled.float(), dim=-1)

    def loss(self, logits, target):
        """Summed cross-entropy of each query's right candidate among all of the step."""
        import torch.nn.functional as F

        return F.cross_entropy(logits, target, reduction="sum"), target.new_tensor(len(target))

    def step(self, model, features, units, device, pad):
        """Gradients of the summed loss over one whole step, exact whatever the micro-batches.

        Where the activations of the step fit ``micro_batch_tokens`` they are kept; otherwise only the vectors are (gradient
        caching: Gao et al. 2021, section 3): embed without gradient, differentiate the loss with respect to the vectors, then
        embed each micro-batch again, with the same dropout, and pass its vectors' gradients on.

        Returns
        -------
        (Tensor, Tensor)
            Summed loss (detached) and number of queries.
        """
        import torch

        from ..train import to_device

        single, rows = replace(features, group=1), features.rows(units)
        lengths = features.ids.lengths[rows]
        packed = packing.wanted(model, device.attention)
        parts = micro_batches(lengths, 1, device.micro_batch_tokens, None if packed else device.overhead)
        place = torch.from_numpy(np.argsort(np.concatenate(parts))).to(device.name)

        def embed(part):
            batch = to_device(self.batch(single, rows[part], pad, packed=packed), device)
            with device.autocast():
                return self.forward(model, batch)

        def loss(vectors):
            first, second = vectors[place].unflatten(0, (-1, 2)).unbind(dim=1)
            target = torch.arange(len(first), device=first.device)
            return self.loss(model.logit_scale * (first @ second.T), target)

        computed = lengths.sum() if packed else sum(int(lengths[p].max()) * len(p) for p in parts)
        if computed <= device.micro_batch_tokens:
            total, count = loss(torch.cat([embed(p) for p in parts]))
            total.backward()
            return total.detach(), count
        states, vectors = [], []
        with torch.no_grad():
            for part in parts:
                states.append(random_state(device))
                vectors.append(embed(part))
        leaf = torch.cat(vectors).requires_grad_()
        total, count = loss(leaf)
        total.backward()
        for part, state, grad in zip(parts, states, leaf.grad.split([len(p) for p in parts]), strict=True):
            set_random_state(
                device, state
            )  # ends where the first pass ended: the next step draws what it would have drawn
            embed(part).backward(grad)
        return total.detach(), count

    def outputs(self, logits, batch, features, units):
        vectors = logits.cpu().numpy()
        return list(vectors.reshape(len(units), features.group, -1) if features.group > 1 else vectors)

    def decode(self, examples, features, outputs, labels, pool=None):
        """``pool`` is (candidates, their outputs); without it the examples' own candidates are the pool, equal ones once."""
        vectors = np.stack(outputs)
        if pool is None:
            numbers: dict[tuple, int] = {}
            own = [numbers.setdefault((e["second"], e.get("context", "")), len(numbers)) for e in examples]
            kept = np.unique(own, return_index=True)[1]
            names, gold = [str(n) for n in range(len(kept))], [[str(n)] for n in own]
            return _frame(examples, gold, vectors[:, 0], names, vectors[kept, 1])
        names = [c["id"] for c in pool[0]]
        return _frame(examples, [e["gold"] for e in examples], vectors, names, np.stack(pool[1]))

    def baselines(self, train, test, labels, pool):
        rng, names, find = np.random.default_rng(0), [c["id"] for c in pool], _WordSearch(pool)
        most = min(DEPTH, len(pool))

        def frame(predictions):
            return pd.DataFrame({"id": [e["id"] for e in test], "gold": [json.dumps(e["gold"]) for e in test],
                                 "prediction": [json.dumps([names[r] for r in rows]) for rows in predictions]})  # fmt: skip

        return {
            "uniform": frame([rng.choice(len(pool), most, replace=False) for _ in test]),
            "overlap": frame([find(e["first"], most) for e in test]),
        }


def _cut(tokenizer, texts: list[str], contexts: list[str] | None, length: int) -> list[list[int]]:
    pair = (texts,) if contexts is None else (texts, contexts)
    return tokenizer(*pair, truncation="longest_first", max_length=length)["input_ids"]


def _contexts(examples: list[dict]) -> list[str] | None:
    """Second segments, or none where no candidate has one."""
    contexts = [e.get("context") or "" for e in examples]
    if any(contexts) and not all(contexts):
        raise DataError(
            f"candidate {examples[contexts.index('')]['id']} has no context, though others of its set have one"
        )
    return contexts if all(contexts) else None


def _frame(examples, gold: list[list[str]], queries, names: list[str], vectors) -> pd.DataFrame:
    row = {name: i for i, name in enumerate(names)}
    for example, right in zip(examples, gold, strict=True):
        lost = next((g for g in right if g not in row), None)
        if lost is not None or not right:
            what = "has no right candidate" if not right else f"names candidate {lost}, which is not in the pool"
            raise DataError(f"query {example['id']} {what}")
    scores, rows, places = rank(queries, vectors, [[row[g] for g in right] for right in gold], DEPTH)
    return pd.DataFrame({
        "id": [e["id"] for e in examples], "gold": [json.dumps(g) for g in gold],
        "prediction": [json.dumps([names[r] for r in top]) for top in rows], "rank": places, "scores": list(scores),
    })  # fmt: skip


class _WordSearch:
    """Candidates by shared words (Dice coefficient of the word sets), from lists of the candidates that have each word."""

    def __init__(self, pool: list[dict]):
        words = [words_of(c["second"]) for c in pool]
        self.sizes = np.array([len(w) for w in words])
        lists: dict[str, list[int]] = {}
        for row, found in enumerate(words):
            for word in found:
                lists.setdefault(word, []).append(row)
        self.rows = {word: np.array(rows) for word, rows in lists.items()}

    def __call__(self, text: str, most: int) -> np.ndarray:
        asked, shared = words_of(text), np.zeros(len(self.sizes))
        for word in asked & self.rows.keys():
            shared[self.rows[word]] += 1
        return np.argsort(-shared / np.maximum(len(asked) + self.sizes, 1), kind="stable")[:most]


KIND = Dual()
