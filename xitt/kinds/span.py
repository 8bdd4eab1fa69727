"""Extraction of an answer span from a context, where there may be none (SQuAD v2.0).

Fields: ``context``, ``question``, ``answers`` (texts; empty where the question has no answer), ``starts`` (character offsets).
Predictions: ``gold`` is a JSON list of the accepted answers; ``text`` the best answer, ``nbest`` (list) the up to 20 best ones,
``scores`` (list) their start-plus-end logits, best first; ``null`` the least start-plus-end logit of ``<s>`` over the windows, which
is the score of giving no answer; ``prediction`` is ``text``, or empty where a task allows it and :func:`answer_or_none` says so.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from .. import packing
from ..batching import Features, Ragged
from ..errors import ParameterError
from ..metrics import null_odds
from .base import IGNORE, Kind, overlap, words_of

QUESTION_LENGTH, STRIDE, ANSWER_LENGTH, N_BEST = 64, 128, 30, 20  # jiant (paper_facts 2.2)


class Span(Kind):
    """Start and end logits over windows of the context. The best spans of a window are found exactly, from all pairs of tokens."""

    name = "span"
    version = 2  # 2: windows begin every 128 tokens, where 1 let them overlap by 96 of 384
    auto_class = "AutoModelForQuestionAnswering"

    def labels(self, labels):
        return {"num_labels": 2}  # not those of the task before

    def encode(self, examples, tokenizer, length, labels):
        room = min(QUESTION_LENGTH, length // 2 - 4)  # at least half of a row is context
        if room < 1:
            raise ParameterError(
                f"length: {length} leaves no room for a question and its context; 32 is the least that makes sense"
            )
        before, between, after = _special(tokenizer)
        questions = _pieces(tokenizer, [e["question"].strip() for e in examples])[0]
        number = {c: i for i, c in enumerate(dict.fromkeys(e["context"] for e in examples))}  # a context has several
        contexts, places = _pieces(tokenizer, list(number))
        ids, owner, target, bounds, offsets = [], [], [], [], []
        for i, example in enumerate(examples):
            at = number[example["context"]]
            start = [*before, *questions[i][:room], *between]
            for first, last in windows(len(contexts[at]), length - len(start) - len(after), length):
                place = places[at][first:last]
                ids.append([*start, *contexts[at][first:last], *after])
                owner.append(i)
                target.append(_token_span(example, place, len(start)))
                bounds.append((len(start), len(start) + last - first))
                offsets.append(place)
        extra = {"context": np.array(bounds), "offsets": Ragged.of(offsets)}
        return Features(Ragged.of(ids), np.array(owner), np.array(target), extra=extra)

    def forward(self, model, batch):
        import torch

        if "starts" in batch:
            return self.forward_packed(model, batch)
        out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        logits = torch.stack([out.start_logits, out.end_logits], dim=1)
        # padding can be no answer: it must not enter the softmax, or the loss would depend on a row's neighbours
        return logits.masked_fill(batch["attention_mask"][:, None] == 0, -torch.inf)

    def forward_packed(self, model, batch):
        import torch

        return packing.rows(model.qa_outputs(packing.encode(model, batch)), batch, -torch.inf).transpose(1, 2)

    def loss(self, logits, target):
        """Mean of start and end loss per window; a window without the answer points at ``<s>``."""
        import torch.nn.functional as F

        total = F.cross_entropy(logits.float().flatten(0, 1), target.flatten(), ignore_index=IGNORE, reduction="sum")
        return total / 2, target.new_tensor(target.shape[0])

    def outputs(self, logits, batch, features, units):
        spans = best_spans(logits, features.extra["context"][units])
        null = logits[:, :, 0].float().sum(dim=1).cpu().numpy()  # <s> as start and end
        return list(zip(null, *spans, strict=True))

    def decode(self, examples, features, outputs, labels):
        null = np.full(len(examples), np.inf)
        found: list[list[tuple[float, int, int, int]]] = [[] for _ in examples]
        for row, (nothing, *spans) in enumerate(outputs):
            owner = features.example[row]
            null[owner] = min(null[owner], nothing)
            found[owner] += [(score, row, start, end) for score, start, end in zip(*spans, strict=True)
                             if np.isfinite(score)]  # fmt: skip
        best = [_n_best(e["context"], spans, features) for e, spans in zip(examples, found, strict=True)]
        texts = [next(iter(b), "") for b in best]
        return _frame(examples, texts).assign(
            nbest=[list(b) for b in best], scores=[[np.float32(x) for x in b.values()] for b in best], null=null
        )

    def baselines(self, train, test, labels):
        rng = np.random.default_rng(0)
        answered = [len(e["answers"][0].split()) for e in train if e["answers"]]
        length = max(1, round(np.mean(answered or [1])))
        silent = {} if len(answered) == len(train) else {"no_answer": _frame(test, [""] * len(test))}
        return {
            **silent,
            "uniform": _frame(test, [_random_span(e["context"], length, rng) for e in test]),
            "first_span": _frame(test, [_first_span(e["context"], length) for e in test]),
            "overlap": _frame(test, [_overlap_span(e, length) for e in test]),
        }


def answer_or_none(frame: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Predictions that give no answer where its score exceeds that of the best answer by more than ``threshold``.

    Parameters
    ----------
    frame : DataFrame
        Predictions as :meth:`Span.decode` makes them.
    threshold : float
        In logits; 0 is the model's own judgement, ``xitt.metrics.null_threshold`` tunes it on a dev set.
    """
    answered = null_odds(frame) <= threshold
    return frame.assign(prediction=frame["text"].where(answered, ""))


def windows(tokens: int, room: int, length: int) -> list[tuple[int, int]]:
    """Windows (first token, one after the last) over a context, of at most ``room`` tokens.

    They begin every 128 tokens as in jiant's and XTREME's code (paper_facts 2.2); in rows too short for that, neighbours share a
    quarter of ``length``.
    """
    step = room - max(length // 4, room - STRIDE)
    count = 1 + max(0, -(-(tokens - room) // step))
    return [(i * step, min(i * step + room, tokens)) for i in range(count)]


def best_spans(logits, context: np.ndarray, most: int = N_BEST) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best spans of each window.

    Parameters
    ----------
    logits : tensor (windows, 2, tokens)
        Start and end logits.
    context : ndarray (windows, 2)
        First token of the context, and the one after its last.
    most : int
        How many; fewer where a row is too short.

    Returns
    -------
    score, start, end : ndarray (windows, most)
        Sum of the two logits and token positions, best first; ``end - start < ANSWER_LENGTH``. The score is ``-inf`` where a window
        has no further span.
    """
    import torch

    logits = logits.float()
    tokens = logits.shape[-1]
    place = torch.arange(tokens, device=logits.device)
    bounds = torch.as_tensor(context, device=logits.device)
    outside = (place < bounds[:, :1]) | (place >= bounds[:, 1:])
    start, end = logits.masked_fill(outside[:, None], -torch.inf).unbind(dim=1)
    ends = torch.nn.functional.pad(end, (0, ANSWER_LENGTH - 1), value=-torch.inf).unfold(1, ANSWER_LENGTH, 1)
    score = (start[:, :, None] + ends).flatten(1)
    top, at = score.topk(min(most, score.shape[1]), dim=1)
    at[:, 0] = score.argmax(dim=1)  # of equal ones the first: topk leaves that open
    first, width = at // ANSWER_LENGTH, at % ANSWER_LENGTH
    return top.cpu().numpy(), first.cpu().numpy(), (first + width).cpu().numpy()


def _n_best(context: str, spans: list[tuple[float, int, int, int]], features: Features) -> dict[str, float]:
    """Distinct answers and their scores, best first; of equal scores the first window's."""
    best: dict[str, float] = {}
    for score, row, start, end in sorted(spans, key=lambda span: -span[0]):
        offsets, base = features.extra["offsets"][row], features.extra["context"][row][0]
        text = context[offsets[start - base][0] : offsets[end - base][1]].strip()
        best.setdefault(text, score)
        if len(best) == N_BEST:
            break
    return best


def _special(tokenizer) -> tuple[list[int], list[int], list[int]]:
    """Special pieces before, between and after the two texts of a pair."""
    pair = tokenizer("a", "b")
    ids, side = pair["input_ids"], pair.sequence_ids(0)
    first, second = [i for i, s in enumerate(side) if s == 0], [i for i, s in enumerate(side) if s == 1]
    return ids[: first[0]], ids[first[-1] + 1 : second[0]], ids[second[-1] + 1 :]


def _pieces(tokenizer, texts: list[str]) -> tuple[list[list[int]], list[np.ndarray]]:
    """Pieces of texts and the characters (first, one after the last) each stands for."""
    found = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    places = [np.array(o, np.int32).reshape(-1, 2) for o in found["offset_mapping"]]
    for text, place in zip(texts, places, strict=True):
        _take_in_marks(text, place)
    return found["input_ids"], places


def _take_in_marks(text: str, place: np.ndarray) -> None:
    """Let pieces end behind the marks that normalisation joins to their last letter: the tokenizer's offsets end before them."""
    following = np.append(place[1:, 0], len(text))
    for k in np.flatnonzero(following[: len(place)] > place[:, 1]):
        while place[k, 1] < following[k] and not text[place[k, 1]].isspace():
            place[k, 1] += 1


def _token_span(example: dict, place: np.ndarray, base: int) -> tuple[int, int]:
    """Token positions of the first answer in a window, or (0, 0), which is ``<s>``, where it is not wholly inside."""
    if not example["answers"] or not len(place):
        return 0, 0
    start, end = example["starts"][0], example["starts"][0] + len(example["answers"][0])
    touched = np.flatnonzero((place[:, 1] > start) & (place[:, 0] < end))
    whole = place[0, 0] <= start and place[-1, 1] >= end
    return (base + int(touched[0]), base + int(touched[-1])) if len(touched) and whole else (0, 0)


def _frame(examples: list[dict], texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({
        "id": [e["id"] for e in examples], "gold": [json.dumps(e["answers"], ensure_ascii=False) for e in examples],
        "prediction": texts, "text": texts,
    })  # fmt: skip


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
