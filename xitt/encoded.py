"""Encoded splits on disk, shared by all runs and processes of a study: nothing is tokenised twice.

``outputs/<study>/encoded/<kind>-<length>-<hash>.arrow`` holds one split as a model reads it (:class:`xitt.batching.Features`). The
hash is over what encoding depends on: the kind and its version, the tokenizer's content, length, labels, the examples themselves, the
libraries' versions. No task or recipe is in it: MNLI is encoded once, be it an intermediate task, what XNLI is trained on, or a part
of a mixture; a test set once for all rows of the matrix whose tokenizer is the same.

A file is one Arrow record batch of one row: each array is one list, read in place (memory-mapped, so that processes share its pages).
Its SHA-256 is checked when it is opened; a file that is damaged is said to be and made again. The folder can be deleted at any time.

On disk a piece takes 4 bytes (8 in tagging and 12 in span extraction, which keep tags and characters) and a row about 24: 70 MB for
MNLI, by estimate 2 GB for all that the paper's study reads. Files of other limits or lengths than a study has now are left there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np

from .batching import Features, Ragged
from .data import Split
from .kinds import Kind
from .store import Damaged, checksum, fresh_file, kept, reading
from .study import Study, fingerprint

#: raised when files have another form
VERSION = 1
_identities: WeakKeyDictionary = WeakKeyDictionary()


def folder(study: Study) -> Path:
    """Where a study's encoded splits are."""
    return study.out / "encoded"


def features(
    study: Study, kind: Kind, split: Split, tokenizer, length: int, labels: tuple[str, ...], first: int | None = None
) -> Features:
    """A split, or its ``first`` examples, as the kind encodes it; read from disk if it is there.

    The arrays are read-only. The tokenizer is left set to cut and pad nothing, whether or not it was used: what is saved with a
    model must not depend on what else was encoded.
    """
    some = first is not None and first < len(split)
    inputs = {"examples": split.fingerprint, **({"first": first} if some else {})}
    return of(study, kind, split.examples[:first] if some else split.examples, inputs, tokenizer, length, labels)


def of(
    study: Study, kind: Kind, examples: list, inputs: dict, tokenizer, length: int, labels: tuple[str, ...] = ()
) -> Features:
    """Examples that are no split, as the kind encodes them; ``inputs`` (JSON) names their content."""
    from importlib.metadata import version

    from .lease import held

    key = {
        **inputs, "kind": kind.name, "version": kind.version, "tokenizer": identity(tokenizer), "length": length,
        "labels": list(labels), "libraries": {p: version(p) for p in ("tokenizers", "transformers")}, "form": VERSION,
    }  # fmt: skip
    path = folder(study) / f"{kind.name}-{length}-{fingerprint(key)[:16]}.arrow"
    with contextlib.suppress(FileNotFoundError, Damaged):
        return read(path, key)
    with held(path.parent / ".locks" / f"{path.name}.lease"):  # a second process waits, then finds the work done
        if not _is_whole(path, key):
            write(path, kind.encode(examples, tokenizer, length, labels), key)
            _reset(tokenizer)
        return read(path, key)


class _Text(Kind):
    """Texts by themselves, as retrieval embeds them."""

    name = "text"

    def encode(self, examples, tokenizer, length, labels):
        from .retrieval import tokenised

        ids = tokenised(tokenizer, examples, length)
        return Features(ids, np.arange(len(ids)))


def texts(study: Study, tokenizer, texts: list[str], length: int) -> Ragged:
    """Token ids of texts that are embedded without training (BUCC, Tatoeba); read from disk if they are there."""
    return of(study, _Text(), texts, {"texts": fingerprint(texts)}, tokenizer, length).ids


# --- tokenizers ----------------------------------------------------------------------------------------------------
def identity(tokenizer) -> str:
    """SHA-256 over all that makes a tokenizer's pieces. Copies saved with several models have the same, whatever their files say."""
    _reset(tokenizer)
    if tokenizer not in _identities:
        special = {n: getattr(tokenizer, f"{n}_token_id", None) for n in ("cls", "sep", "unk", "mask", "pad")}
        _identities[tokenizer] = fingerprint([
            _content(tokenizer), type(tokenizer).__name__, len(tokenizer), tokenizer.truncation_side, special,
            sorted(tokenizer.all_special_ids),
        ])  # fmt: skip
    return _identities[tokenizer]


def _content(tokenizer) -> str:
    """Vocabulary, normalisation and the rest of the pipeline."""
    if tokenizer.is_fast:
        return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
    with tempfile.TemporaryDirectory() as aside:
        tokenizer.save_pretrained(aside)
        return checksum(*sorted(p for p in Path(aside).rglob("*") if p.is_file()))


def _reset(tokenizer) -> None:
    """Forget how the last texts were cut, which a tokenizer keeps and writes into its file."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()


# --- files ---------------------------------------------------------------------------------------------------------
def write(path: Path, content: Features, key: dict) -> None:
    """Write a file aside and rename it into place.

    Raises
    ------
    TypeError
        If the features hold something that has no form here.
    """
    import pyarrow as pa

    plain, arrays = _flat(content)
    head = {"key": key, "group": content.group, "plain": plain, "shapes": {n: a.shape for n, a in arrays.items()}}
    head = json.loads(json.dumps(head))
    columns = [
        pa.LargeListArray.from_arrays(pa.array([0, a.size], pa.int64()), pa.array(a.reshape(-1)))
        for a in arrays.values()
    ]
    schema = pa.schema(
        [(n, c.type) for n, c in zip(arrays, columns, strict=True)],
        {"xitt": json.dumps(head), "sha256": _digest(head, arrays)},
    )
    with fresh_file(path) as aside, pa.OSFile(str(aside), "wb") as sink, pa.ipc.new_file(sink, schema) as file:
        file.write_batch(pa.record_batch(columns, schema=schema))


def read(path: Path, key: dict) -> Features:
    """The features of a file, their arrays in place; raises what :func:`xitt.store.kept` understands."""
    import pyarrow as pa

    if not path.is_file():
        raise FileNotFoundError(path)
    with reading(pa.ArrowException, ValueError, KeyError, TypeError, IndexError, OSError):
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        batch.validate()
        head = json.loads(batch.schema.metadata[b"xitt"])
        arrays = {
            name: batch.column(name).values.to_numpy(zero_copy_only=True).reshape(shape)
            for name, shape in head["shapes"].items()
        }
        if _digest(head, arrays) != batch.schema.metadata[b"sha256"].decode():
            raise Damaged("its checksum is wrong")
    if head["key"] != key:
        raise Damaged("it is of another key")
    return _features(head, arrays)


def _is_whole(path: Path, key: dict) -> bool:
    return kept(read, path, key, "its examples are encoded again") is not None


def _digest(head: dict, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(fingerprint(head).encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str}".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _flat(content: Features) -> tuple[dict, dict[str, np.ndarray]]:
    """Single values and arrays by name; a :class:`Ragged` is two arrays."""
    fields = {"ids": content.ids, "example": content.example, "target": content.target}
    fields |= {f"extra.{name}": value for name, value in content.extra.items()}
    plain, arrays = {}, {}
    for name, value in fields.items():
        if isinstance(value, Ragged):
            arrays |= {f"{name}/values": value.values, f"{name}/offsets": value.offsets}
        elif isinstance(value, np.ndarray):
            arrays[name] = value
        elif value is None or isinstance(value, (bool, int, float, str)):
            plain[name] = value
        else:
            raise TypeError(
                f"features: {name} is a {type(value).__name__}; arrays, Ragged and single values can be kept"
            )
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise TypeError(f"features: {name} holds {array.dtype}; numbers can be kept")
    return plain, {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _features(head: dict, arrays: dict[str, np.ndarray]) -> Features:
    fields = dict(head["plain"])
    for name, array in arrays.items():
        field, _, part = name.partition("/")
        if part == "values":
            fields[field] = Ragged(array, arrays[f"{field}/offsets"])
        elif not part:
            fields[field] = array
    extra = {name.removeprefix("extra."): fields[name] for name in fields if name.startswith("extra.")}
    return Features(fields["ids"], fields["example"], fields["target"], head["group"], extra)
