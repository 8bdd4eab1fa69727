"""A try by hand: what a target's model says of texts that are typed in.

``study.predict("mnli", "xnli", [("It rains.", "It is dry.")])``, or ``run.predict(target, texts)`` with the recipe and seed of a run. The
model is the fine-tuning of (recipe, target, seed) that the study's scores come from; one that is not there, or whose weights
were let go, is made first, as ``study.evaluate`` would, and said to be. Nothing is scored or stored beside it.

What ``texts`` are, by kind; instead of a tuple a dictionary of the fields will do, so that a data set's examples can be given too:

- ``classify``: pairs (first, second); plain texts for a task of single texts;
- ``choose``: pairs (prompt, list of choices), the same number in each;
- ``tag``: sentences, as text (words apart by spaces) or lists of words;
- ``span``: pairs (question, context);
- ``bitext``, ``dual``: a pair of lists, what asks and what is searched; the nearest of the latter is found for each of the former
  (candidates of LAReQA stand alone here, without the paragraph around them).

Texts are read as the task's examples are after loading: a prompt of XCOPA ends in its question (``What was the cause?``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import data
from .errors import ParameterError, unknown
from .kinds import kind
from .phases import about, encoder_of, hyper
from .runs import Run, device
from .study import Study

#: kind → (fields in the order of a tuple, an example)
FORMS: dict[str, tuple[tuple[str, ...], str]] = {
    "classify": (("first", "second"), '[("A dog sleeps.", "An animal rests.")]'),
    "choose": (("prompt", "choices"), '[("The glass fell.", ["It broke.", "It sang."])]'),
    "tag": (("tokens",), '["The dog sleeps ."] or [["The", "dog", "sleeps", "."]]'),
    "span": (("question", "context"), '[("Who sleeps?", "The dog sleeps in the garden.")]'),
    "bitext": ((), '(["Der Hund schläft.", "Es regnet."], ["It rains.", "The dog sleeps."])'),
    "dual": ((), '(["Who sleeps?"], ["The dog sleeps.", "It rains."])'),
}


def predict(study: Study, recipe: str, target: str, texts: Any, seed: int = 0):
    """Predictions for texts in the form of the target's kind.

    Returns
    -------
    DataFrame
        One row per text: its fields, ``prediction``, and ``scores`` (probabilities in the order of the labels or choices; the
        best answers' logits; the cosine). For tags the prediction is a list, of BIO tags a well-formed one: an entity that the
        model begins with ``I-`` begins with ``B-`` (stored predictions are what the model said).

    Raises
    ------
    ParameterError
        If the texts are not in that form; the message shows an example.
    """
    row = study.tasks[target]
    if row.kind in ("bitext", "dual"):
        return _search(study, recipe, target, _two_lists(row, texts), seed)
    examples = _examples(row, texts)
    run = _run(study, recipe, target, seed)
    return _answer(study, run, target, examples)


# --- texts ---------------------------------------------------------------------------------------------------------
def _wrong(row, why: str) -> ParameterError:
    return ParameterError(f"{row.name} ({row.kind}): {why}\n  for example: {FORMS[row.kind][1]}")


def _examples(row, texts: Any) -> list[dict]:
    """Dictionaries of the kind's fields from texts in their natural form."""
    if isinstance(texts, (str, dict)) or not isinstance(texts, Sequence) or not len(texts):
        raise _wrong(
            row, f"a list of texts is expected, not {'an empty one' if texts in ([], ()) else repr(texts)[:60]}"
        )
    wanted = FORMS[row.kind][0]
    if row.kind == "classify" and "second" not in row.columns:
        wanted = ("first",)
    examples = [_example(row, wanted, i, text) for i, text in enumerate(texts)]
    if row.kind == "choose" and len(sizes := {len(e["choices"]) for e in examples}) > 1:
        raise _wrong(row, f"the same number of choices is expected everywhere, not {sorted(sizes)}")
    return examples


def _example(row, wanted: tuple[str, ...], number: int, text: Any) -> dict:
    if isinstance(text, dict):
        if lost := [n for n in wanted if n not in text]:
            raise _wrong(row, f"text {number}: {unknown('field', lost[0], text)}")
        values = [text[n] for n in wanted]
    else:
        values = [text] if len(wanted) == 1 else text
        if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != len(wanted):
            raise _wrong(row, f"text {number}: ({', '.join(wanted)}) is expected, not {text!r:.60}")
    fields = dict(zip(wanted, values, strict=True))
    if row.kind == "tag":
        words = fields["tokens"]
        fields["tokens"] = words.split() if isinstance(words, str) else words
    for name, value in fields.items():
        many = name in ("tokens", "choices")
        plain = list(value) if many and isinstance(value, (list, tuple)) else [value] if not many else []
        if not plain or not all(isinstance(v, str) and v.strip() for v in plain):
            raise _wrong(
                row, f"text {number}: {name}: {'a list of texts' if many else 'a text'} is expected, not {value!r:.60}"
            )
    return {"id": str(number), **fields}


def _two_lists(row, texts: Any) -> tuple[list[str], list[str]]:
    sides = (
        [list(s) if isinstance(s, (list, tuple)) else None for s in texts] if isinstance(texts, (list, tuple)) else []
    )
    if len(sides) != 2 or not all(s and all(isinstance(t, str) and t.strip() for t in s) for s in sides):
        raise _wrong(row, "a pair of lists is expected, what asks and what is searched")
    return sides[0], sides[1]


# --- models --------------------------------------------------------------------------------------------------------
def _run(study: Study, recipe: str, target: str, seed: int) -> Run:
    """The fine-tuning that serves a target, with its weights."""
    from .scoring import tuned

    encoder, before = encoder_of(study, recipe, seed)
    return tuned(study, study.tasks[target].train, recipe, seed, encoder, about(study, recipe, before, encoder))


def _answer(study: Study, run: Run, target: str, examples: list[dict]):
    """Predictions of a trained model; what decoding wants of gold is filled with anything."""
    import pandas as pd

    from . import backbone as encoders
    from .evaluate import run_model
    from .kinds.span import answer_or_none
    from .kinds.tag import are_bio, repair

    row, labels, where = study.tasks[target], data.labels(study, target), device(study)
    k, tokenizer = kind(row.kind), encoders.load_tokenizer(run.model)
    model = encoders.load_model(run.model, k.auto_class).to(where.name)
    filled = [_filled(row, e, labels) for e in examples]
    features = k.encode(filled, tokenizer, hyper(study, row.train).length, labels)
    frame = k.decode(filled, features, run_model(model, k, features, where, tokenizer.pad_token_id), labels)
    if row.answer_rules == "squad_v2":
        frame = answer_or_none(frame, run.record.get("null_threshold", 0.0))
    told = pd.DataFrame(examples).drop(columns="id")
    if row.kind == "tag":
        tags = [repair(list(t)) if are_bio(labels) else list(t) for t in frame["tags"]]
        return told.assign(prediction=tags)
    if row.kind == "choose":
        best = [e["choices"][int(i)] for e, i in zip(examples, frame["prediction"], strict=True)]
        return told.assign(prediction=best, scores=frame["scores"].to_numpy())
    return told.assign(prediction=frame["prediction"].to_numpy(), scores=frame["scores"].to_numpy())


def _filled(row, example: dict, labels: tuple[str, ...]) -> dict:
    gold = {
        "classify": {"label": labels[0] if labels else ""},
        "choose": {"label": 0},
        "span": {"answers": [], "starts": []},
        "tag": {"tags": [labels[0]] * len(example.get("tokens", ())) if labels else []},
    }[row.kind]
    if row.kind == "tag" and "text" in row.columns:
        gold["text"] = " ".join(example["tokens"])
    return {**example, **gold}


def _search(study: Study, recipe: str, target: str, sides: tuple[list[str], list[str]], seed: int):
    """The nearest candidate of each query, by the cosine that the target is scored with."""
    import pandas as pd

    from .retrieval import nearest

    row = study.tasks[target]
    embed = _embed_pairs if row.kind == "dual" else _embed_layer
    queries, candidates = embed(study, recipe, target, sides, seed)
    scores, rows = nearest(queries, candidates, 1)
    best = [sides[1][r] for r in rows[:, 0]]
    return pd.DataFrame({"text": sides[0], "prediction": best, "scores": [[float(s)] for s in scores[:, 0]]})


def _embed_pairs(study: Study, recipe: str, target: str, sides, seed: int):
    """Vectors of the dual encoder that was trained for a target."""
    import numpy as np

    from . import backbone as encoders
    from .evaluate import run_model

    run, row, where = _run(study, recipe, target, seed), study.tasks[target], device(study)
    k, tokenizer = kind(row.kind), encoders.load_tokenizer(run.model)
    model, length = encoders.load_model(run.model, k.auto_class).to(where.name), hyper(study, row.train).length
    vectors = []
    for field, texts in zip(("first", "second"), sides, strict=True):
        examples = [{"id": str(i), field: t} for i, t in enumerate(texts)]
        features = k.encode(examples, tokenizer, length, ())
        vectors.append(np.stack(run_model(model, k, features, where, tokenizer.pad_token_id)))
    return vectors


def _embed_layer(study: Study, recipe: str, target: str, sides, seed: int):
    """Vectors of the layer that a retrieval target is scored with."""
    from . import backbone as encoders
    from .retrieval import embed
    from .scoring import encoder_for, layer_of

    encoder, where = encoder_for(study, recipe, target, seed), device(study)
    model, tokenizer = encoders.load_encoder(encoder.path).to(where.name), encoders.load_tokenizer(encoder.path)
    layer = layer_of(study, target, model.config.num_hidden_layers)
    length = min(study.params.retrieval.length, model.config.max_position_embeddings - 2)
    pool = study.tasks[target].pool
    return [embed(model, tokenizer, side, (layer,), length, where, pool=pool)[layer] for side in sides]
