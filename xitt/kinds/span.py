"""Extraction of an answer span from a context.

Fields: ``context``, ``question``, ``answers`` (texts), ``starts`` (character offsets). Predictions: ``gold`` is a JSON list of
the accepted answers, ``prediction`` and ``text`` the answer given, ``scores`` its start-plus-end logit.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from ..batching import Features, Ragged
from ..errors import ParameterError
from .base import IGNORE, Kind, overlap, words_of

QUESTION_LENGTH, STRIDE, ANSWER_LENGTH = 64, 128, 30  # jiant (paper_facts 2.2)


class Span(Kind):
    """Start and end logits over windows of the context. The best span of all windows is found exactly, not from an n-best list."""

    name = "span"
    auto_class = "AutoModelForQuestionAnswering"

    def labels(self, labels):
        return {"num_labels": 2}  # not those of the task before

    def encode(self, examples, tokenizer, length, labels):
        room = min(QUESTION_LENGTH, length // 2 - 4)  # at least half of a row is context
        if room < 1:
            raise ParameterError(
                f"length: {length} leaves no room for a question and its context; 32 is the least that makes sense"
            )
        questions = [_cut(tokenizer, e["question"], room) for e in examples]
        window = tokenizer(
            questions,
            [e["context"] for e in examples],
            truncation="only_second",
            max_length=length,
            stride=min(STRIDE, length // 4),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        owner = np.array(window["overflow_to_sample_mapping"])
        target, first, offsets = [], [], []
        for i, example in enumerate(owner):
            inside = [k for k, s in enumerate(window.sequence_ids(i)) if s == 1]
            offset = window["offset_mapping"][i]
            target.append(_token_span(examples[example], offset, inside))
            first.append((inside[0], inside[-1] + 1) if inside else (0, 0))
            offsets.append([offset[k] for k in inside])
        extra = {"context": np.array(first), "offsets": offsets}
        return Features(Ragged.of(window["input_ids"]), owner, np.array(target), extra=extra)

    def forward(self, model, batch):
        import torch

        out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        logits = torch.stack([out.start_logits, out.end_logits], dim=1)
        # padding can be no answer: it must not enter the softmax, or the loss would depend on a row's neighbours
        return logits.masked_fill(batch["attention_mask"][:, None] == 0, -torch.inf)

    def loss(self, logits, target):
        """Mean of start and end loss per window; a window without the answer points at ``<s>``."""
        import torch.nn.functional as F

        total = F.cross_entropy(logits.float().flatten(0, 1), target.flatten(), ignore_index=IGNORE, reduction="sum")
        return total / 2, target.new_tensor(target.shape[0])

    def outputs(self, logits, batch, features, units):
        score, start, end = best_spans(logits, features.extra["context"][units])
        return list(zip(score, start, end, strict=True))

    def decode(self, examples, features, outputs, labels):
        best: list[tuple[float, str]] = [(-np.inf, "")] * len(examples)
        for row, (score, start, end) in enumerate(outputs):
            owner = features.example[row]
            if score > best[owner][0]:
                offsets, base = features.extra["offsets"][row], features.extra["context"][row][0]
                context = examples[owner]["context"]
                best[owner] = (score, context[offsets[start - base][0] : offsets[end - base][1]].strip())
        return _frame(examples, [text for _, text in best], [np.float32(s) for s, _ in best])

    def baselines(self, train, test, labels):
        rng = np.random.default_rng(0)
        length = max(1, round(np.mean([len(e["answers"][0].split()) for e in train])))
        return {
            "uniform": _frame(test, [_random_span(e["context"], length, rng) for e in test]),
            "first_span": _frame(test, [_first_span(e["context"], length) for e in test]),
            "overlap": _frame(test, [_overlap_span(e, length) for e in test]),
        }


def best_spans(logits, context: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best span of each window.

    Parameters
    ----------
    logits : tensor (windows, 2, tokens)
        Start and end logits.
    context : ndarray (windows, 2)
        First token of the context, and the one after its last.

    Returns
    -------
    score, start, end : ndarray (windows,)
        Sum of the two logits and token positions; ``end - start < ANSWER_LENGTH``.
    """
    import torch

    logits = logits.float()
    tokens = logits.shape[-1]
    place = torch.arange(tokens, device=logits.device)
    bounds = torch.as_tensor(context, device=logits.device)
    outside = (place < bounds[:, :1]) | (place >= bounds[:, 1:])
    start, end = logits.masked_fill(outside[:, None], -torch.inf).unbind(dim=1)
    ends = torch.nn.functional.pad(end, (0, ANSWER_LENGTH - 1), value=-torch.inf).unfold(1, ANSWER_LENGTH, 1)
    score, width = (start[:, :, None] + ends).max(dim=2)
    top, first = score.max(dim=1)
    last = first + width.gather(1, first[:, None])[:, 0]
    return top.cpu().numpy(), first.cpu().numpy(), last.cpu().numpy()


def _cut(tokenizer, question: str, most: int) -> str:
    """The question, cut to its first pieces."""
    found = tokenizer(question.strip(), add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
        "offset_mapping"
    ]
    return question.strip() if len(found) <= most else question.strip()[: found[most - 1][1]]


def _token_span(example: dict, offset: list, inside: list[int]) -> tuple[int, int]:
    """Token positions of the first answer in a window, or (0, 0) where it is not wholly inside."""
    if not example["answers"] or not inside:
        return 0, 0
    start, end = example["starts"][0], example["starts"][0] + len(example["answers"][0])
    touched = [k for k in inside if offset[k][1] > start and offset[k][0] < end]
    whole = offset[inside[0]][0] <= start and offset[inside[-1]][1] >= end
    return (touched[0], touched[-1]) if touched and whole else (0, 0)


def _frame(examples: list[dict], texts: list[str], scores=None) -> pd.DataFrame:
    frame = pd.DataFrame({
        "id": [e["id"] for e in examples], "gold": [json.dumps(e["answers"], ensure_ascii=False) for e in examples],
        "prediction": texts, "text": texts,
    })  # fmt: skip
    return frame if scores is None else frame.assign(scores=[[s] for s in scores])


def _units(text: str) -> list[str]:
    """Words, or single characters of a text without spaces."""
    words = text.split()
    return words if len(words) > 1 or len(text) < 12 else list(text)


def _joined(units: list[str]) -> str:
    return ("" if all(len(u) == 1 for u in units) else " ").join(units)


def _first_span(context: str, length: int) -> str:
    return _joined(_units(context)[:length])


def _random_span(context: str, length: int, rng: np.random.Generator) -> str:
    units = _units(context)
    start = rng.integers(max(1, len(units) - length + 1))
    return _joined(units[start : start + length])


def _overlap_span(example: dict, length: int) -> str:
    """What the question does not say, from the sentence that shares most words with it."""
    sentences = [s for s in _sentences(example["context"]) if s.strip()]
    best = max(sentences, key=lambda s: overlap(s, example["question"]), default="")
    asked = words_of(example["question"])
    return _joined([u for u in _units(best) if not (words_of(u) & asked)][:length])


def _sentences(text: str) -> list[str]:
    for mark in ".?!。？！।":
        text = text.replace(mark, mark + "\n")
    return text.split("\n")


KIND = Span()
