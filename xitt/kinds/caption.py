"""Captions beside images: whether they belong together, or what stands at masked places of the caption.

Fields: ``text``, ``image`` (see ``xitt.vision``) and for matching ``label``. An image is read as vectors before the caption's tokens (a prefix
of ``inputs_embeds``): what its patches are is projected to the encoder's width, and each place in the image has a vector of its own. The
caption keeps the positions that it has alone, so the encoder reads it as it will read text afterwards; patches have the padding's
position, which is none. With labels what is read of image and caption is compared, to say whether the two match; without, pieces of the
caption are masked (``xitt.kinds.mlm``) and said with the head that the encoder was pre-trained with. Of all this the encoder alone goes on to targets.

Lengths and tokens that are counted are the caption's: a prefix of patches is no text.

Predictions: ``gold`` and ``prediction`` are label names with the probabilities in ``scores``, or the masked pieces' numbers separated by blanks.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import packing, vision
from ..batching import Features, Ragged
from ..errors import DataError
from .base import Kind, padded, softmax
from .mlm import MaskedLM, draw_masks

#: share of a caption's pieces that are masked: captions are short, and what is left must not say it all
MASKED = 0.25
#: units of the projection's hidden layer, for each of the encoder's width
WIDER = 4
#: captions that the projection's start is computed from, at most; number of the label of those that match
REGRESSED, MATCH = 4000, 1


class Caption(Kind):
    """Image–text matching, and masked captions with image patches as prefix."""

    name = "caption"
    auto_class = "AutoModelForMaskedLM"
    pretrained_head = True

    def labels(self, labels):
        return {"num_labels": 2}  # not those of the task before

    def head(self, model, features=None, seed=0, start=True):
        """Adds the projection of patches, a vector for each place of the image, and what decides whether image and caption match.

        The projection starts where regression leaves it (:func:`xitt.vision.regression`): a few hundred steps, which is as long as
        text-only tasks are trained for in a small study, are too few to find out from nothing which patches go with which words.

        Raises
        ------
        DataError
            If the encoder's architecture is not one whose positions are known here.
        """
        import torch
        from torch import nn

        if (found := model.base_model.config.model_type) not in packing.MODELS:
            raise DataError(
                f"captions with images need an encoder of {' or '.join(packing.MODELS)}, and this is {found}"
            )
        (_, count, size), width = features.extra["patches"].shape, model.config.hidden_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.vision = nn.ModuleDict({
                "patch": nn.Sequential(nn.Linear(size, WIDER * width), nn.GELU(), nn.Linear(WIDER * width, width)),
                "place": nn.Embedding(count, width),
                "match": nn.Sequential(nn.Linear(2 * width, width), nn.Tanh(), nn.Linear(width, 2)),
            })  # fmt: skip
            nn.init.normal_(model.vision["place"].weight, std=model.config.initializer_range)
            vision.spread(model.vision["patch"][0])
        if start:
            _start(model, features)

    def trained(self, folder, features):
        """A trained model with all its heads; ``features`` are such as it was trained on."""
        from safetensors import safe_open

        from ..backbone import load_model

        model, found = load_model(folder, self.auto_class), {}
        self.head(model, features, start=False)
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as tensors:
                names = [n for n in tensors.keys() if n.startswith("vision.")]  # noqa: SIM118 - not a dict
                found |= {n.removeprefix("vision."): tensors.get_tensor(n) for n in names}
        model.vision.load_state_dict(found)
        return model.eval()

    def encode(self, examples, tokenizer, length, labels):
        texts = [e["text"] for e in examples]
        image, patches = vision.patches([e["image"] for e in examples])
        seen = {"image": image, "patches": patches}
        if not labels:
            plain = MaskedLM().encode(examples, tokenizer, length, masked=MASKED)
            return Features(plain.ids, plain.example, None, extra={**plain.extra, **seen})
        ids = tokenizer(texts, truncation=True, max_length=length)["input_ids"]
        target = np.array([labels.index(e["label"]) for e in examples])
        return Features(Ragged.of(ids), np.arange(len(examples)), target, extra=seen)

    def batch(self, features, units, pad, draw=(0,), packed=False):
        """Rows with a place for each patch before the caption; ``patches`` are in the order of the rows in the batch.

        Of masked captions ``at`` is where the masked places are (in all rows laid one behind the other), ``owner`` the unit of each.
        """
        rows, patches = features.rows(units), features.extra["patches"]
        count, order = patches.shape[1], np.arange(len(rows))
        wide = _widened(features.ids, rows, count, pad)
        if packed:
            batch = packing.pack(wide, order, pad)
            order = packing.order(wide.lengths)
            text = (place := packing.places(wide.lengths[order])) >= count
            batch["position_ids"] = np.where(text, pad + 1 + place - count, pad)[None]
            batch["prefix"] = np.flatnonzero(~text)
        else:
            batch = padded(wide, order, pad)
            text = batch["attention_mask"] == 1
            text[:, :count] = False
            place = np.arange(text.shape[1])
            batch["position_ids"] = np.broadcast_to(
                np.where(place < count, pad, pad + 1 + place - count), text.shape
            ).copy()
        batch["patches"] = vision.numbers(patches[features.extra["image"][rows[order]]])
        if features.target is not None:
            return {**batch, "words": features.ids.lengths[rows], "target": self.target(features, units, rows)}
        ids, chosen = draw_masks(features, rows[order], draw)
        gold = features.ids.flat(rows[order]).astype(np.int64)
        batch["input_ids"].reshape(-1)[text.reshape(-1)] = ids
        owner = np.repeat(order, features.ids.lengths[rows[order]])
        at = np.flatnonzero(text.reshape(-1))[chosen]
        return {**batch, "at": at, "owner": owner[chosen], "target": gold[chosen]}

    def forward(self, model, batch):
        """Logits of the labels (rows, 2), or of the masked places (places, vocabulary)."""
        import torch

        seen = model.vision["patch"](batch["patches"]) + model.vision["place"].weight
        words = model.get_input_embeddings()(batch["input_ids"])
        if "starts" in batch:
            inputs = words.index_copy(1, batch["prefix"], seen.flatten(0, 1)[None].to(words.dtype))
            hidden = packing.encode(model, {**batch, "inputs_embeds": inputs}, batch.get("at"))
            hidden = hidden if "at" in batch else packing.rows(hidden, batch, 0.0)
        else:
            inputs = torch.cat([seen.to(words.dtype), words[:, seen.shape[1] :]], 1)
            how = {name: batch[name] for name in ("attention_mask", "position_ids")}
            hidden = model.base_model(inputs_embeds=inputs, **how).last_hidden_state
            hidden = hidden.flatten(0, 1)[batch["at"]] if "at" in batch else hidden
        return model.lm_head(hidden) if "at" in batch else _matched(model, hidden, seen.shape[1], batch["words"])

    def outputs(self, logits, batch, features, units):
        """Label scores of each unit, or the gold and the predicted pieces of its masked places."""
        if features.target is not None:
            return super().outputs(logits, batch, features, units)
        pairs = np.stack([batch["target"].cpu().numpy(), logits.argmax(-1).cpu().numpy()])
        owner = batch["owner"].cpu().numpy()
        return [pairs[:, owner == unit] for unit in range(len(units))]

    def decode(self, examples, features, outputs, labels):
        ids = [e["id"] for e in examples]
        if labels:
            scores = softmax(np.stack(outputs))
            return pd.DataFrame({
                "id": ids, "gold": [e["label"] for e in examples], "prediction": [labels[i] for i in scores.argmax(axis=1)],
                "scores": list(scores.astype(np.float32)),
            })  # fmt: skip
        gold, said = ([" ".join(map(str, pair[side])) for pair in outputs] for side in (0, 1))
        return pd.DataFrame({"id": ids, "gold": gold, "prediction": said})


def _start(model, features) -> None:
    """The projection of patches as regression leaves it, from the captions that go with their image."""
    import torch

    matched = np.flatnonzero(features.target == MATCH) if features.target is not None else np.arange(features.units)
    rows = matched[:REGRESSED]
    words = model.get_input_embeddings().weight.detach().double()
    means = torch.stack([words[torch.from_numpy(features.ids[r][1:-1].astype(np.int64))].mean(0) for r in rows])
    images, index = np.unique(features.extra["image"][rows], return_inverse=True)
    layer, _, last = model.vision["patch"]
    hidden = vision.hidden(layer, features.extra["patches"], images)
    weight, bias = vision.regression(hidden.mean(1)[torch.from_numpy(index)], means)
    with torch.no_grad():
        last.weight.copy_(weight)
        last.bias.copy_(bias)


def _matched(model, hidden, count: int, words):
    """Logits of the labels from last hidden states (rows, longest, width) of ``count`` patches and then ``words`` pieces each.

    The mean of the patches and the mean of the caption are compared by their product (as ViLBERT does, Lu et al. 2019, section 3.1) and by
    their difference: what a small encoder would need thousands of steps to learn to compare is laid side by side.
    """
    import torch

    place = torch.arange(hidden.shape[1] - count, device=hidden.device)
    inside = (place < words[:, None]).to(hidden.dtype)[:, :, None]
    image, caption = hidden[:, :count].mean(1), (hidden[:, count:] * inside).sum(1) / words[:, None]
    return model.vision["match"](torch.cat([image * caption, (image - caption).abs()], -1))


def _widened(ids: Ragged, rows: np.ndarray, count: int, pad: int) -> Ragged:
    """Some rows with ``count`` padding pieces before each: where the patches go."""
    lengths = ids.lengths[rows] + count
    values = np.full(int(lengths.sum()), pad, ids.values.dtype)
    values[packing.places(lengths) >= count] = ids.flat(rows)
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))


KIND = Caption()
