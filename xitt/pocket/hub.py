"""The pocket's data sets, in the schema of their real counterparts: :func:`rows` is a small hub.

Test sets hold meanings and names that training sets never use, and tagging tests other content words as well. A data set
is the same meanings in every language, so it is parallel and rows share ids across languages.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from random import Random
from zlib import crc32

from . import adversarial, entities, inquiry, mixing, nli, paraphrase, programs, qa, scenes, stories, world
from . import rows as make
from .languages import LANGUAGES, grammar
from .meaning import Sentence
from .rows import join as _join  # noqa: F401  (xitt.pocket.text)
from .sample import Sampler

#: raised when any sentence or data set changes
VERSION = 2
SIZES = {"train": 12000, "dev": 600, "test": 1000}
#: texts of a task whose candidates are searched in every language at once, two in each text
_SIZES = {("lareqa", "test"): 400}
ENGLISH_ONLY = (
    "mnli", "snli", "anli_r1", "anli_r2", "anli_r3", "qqp", "squad_v1", "squad_v2", "hellaswag", "commonsenseqa", "cosmosqa",
    "siqa", "copa", "ccg", *programs.TASKS,
)  # fmt: skip
#: tasks whose training sets can be had in the other languages too; of the rest, questions or tags are made in English alone
TRANSLATED = tuple(t for t in ENGLISH_ONLY if t not in ("cosmosqa", "siqa", "ccg", *programs.TASKS))
#: English captions beside drawn scenes
CAPTIONS = ("image_text", "caption_mlm")
#: tasks that can have their question in one language and their text in another: ``en-de``
PAIRED = ("mlqa",)
_SHARES = {"train": range(0, 12), "dev": range(12, 14), "test": range(14, 20)}


def languages(task: str) -> tuple[str, ...]:
    """Languages a task is made in."""
    if task in ENGLISH_ONLY or task in CAPTIONS:
        return ("en",)
    if task in mixing.SETS:
        return mixing.languages(task)
    if task == "mlqa":  # its rules for answers know no others
        return tuple(x for x in LANGUAGES if x in ("de", "en", "es", "hi", "zh"))
    return (
        tuple(x for x in LANGUAGES if x != "en") if task in ("tatoeba", "bucc2018", "caption_retrieval") else LANGUAGES
    )


def training_languages(task: str) -> tuple[str, ...]:
    """Languages a task's training set can be made in: beyond :func:`languages`, where translated training sets are wanted."""
    return LANGUAGES if task in TRANSLATED else languages(task)


def names(split: str) -> tuple[str, ...]:
    """Names of one split; no name is in two."""
    kinds = {k: [n for n in world.NAMES if n.startswith(k)] for k in ("per", "loc", "org")}
    return tuple(n for group in kinds.values() for i, n in enumerate(group) if (i * 3) % 20 in _SHARES[split])


def concepts(split: str) -> frozenset[str]:
    """Content words of tagging: those of the test sets are not in training."""
    seen = frozenset(c for c in world.CONCEPTS if crc32(c.encode()) % 5 < 3)
    return frozenset(world.CONCEPTS) - seen if split == "test" else seen


def sampler(task: str, split: str, **options) -> Sampler:
    """The sampler of one data set: its own stream of randomness, the names of its split."""
    return Sampler(Random(f"{task} {split} {VERSION}"), names(split), **options)


def rows(task: str, split: str, language: str, limit: int | None) -> tuple[list[dict], int]:
    """The first rows of a data set, and how many it has.

    The split ``pool`` of ``mewslix``, in language ``all``, is what its tests search, always whole: the entities of dev and test,
    each described in one language. (``lareqa`` is searched in its own test texts, of every language; its training texts have the form
    of ``squad_v1``.)

    Raises
    ------
    ValueError
        If the pocket has no such task or language.
    """
    if split == "pool" and task in _POOLS and language == "all":
        pool = _POOLS[task]()
        return pool, len(pool)
    parts = language.split("-") if task in PAIRED else [language]
    there = training_languages(task) if split == "train" else languages(task)
    known = task in _MAKERS or (task in mixing.SETS and split == "test")
    if not known or not set(parts) <= set(there) or split not in SIZES:
        raise ValueError(f"the pocket has no {task} in {language!r}" + ("" if split in SIZES else f" for {split!r}"))
    if task in mixing.SETS:
        task, rate = mixing.SETS[task]
        language = f"{language}@{rate}"
    size = _SIZES.get((task, split), SIZES[split])
    count = min(size, limit or size)
    said = meanings(task, split, count)
    maker = _TEST_MAKERS[task] if split == "test" and task in _TEST_MAKERS else _MAKERS[task]
    made = maker(said, language)
    return made, (int(0.4 * size) if task == "bucc2018" else size)  # a mining set counts its gold pairs


def meanings(task: str, split: str, count: int) -> tuple:
    """The first meanings of a data set, free of language; of two data sets that say the same, the same."""
    return _meanings(_SAME.get(task, task), split, count)


@cache
def _meanings(task: str, split: str, count: int) -> tuple:
    """Meanings of a data set, free of language; a longer list begins with the shorter one."""
    s = sampler(task, split, **({"concepts": concepts(split)} if task in ("udpos", "ccg") else {}))
    if task == "mnli":
        return tuple(nli.rows(s, count))
    if task in _BLOCKS:
        return tuple(_balanced(_BLOCKS[task], s, count, split))
    if task == "ccg":
        return tuple(_balanced(lambda s: (_tagging(s),), s, count, split))
    return tuple(_distinct(_DRAW[task], s, count))


def _distinct(draw: Callable[[Sampler], object], s: Sampler, count: int) -> list:
    found: dict[object, None] = {}
    while len(found) < count:
        found.setdefault(draw(s))
    return list(found)


def _balanced(draw: Callable[[Sampler], tuple], s: Sampler, count: int, split: str) -> list:
    """Whole blocks (one meaning per label) as long as all of it is new and of the split, in random order within a block."""
    found: dict[object, None] = {}
    while len(found) < count:
        block = list(draw(s))
        if len(set(block)) == len(block) and not any(m in found or not _is_of(split, m) for m in block):
            s.rng.shuffle(block)
            found.update(dict.fromkeys(block))
    return list(found)[:count]


def _is_of(split: str, meaning) -> bool:
    """Whether a meaning may be in a split: names see to it, and where there are none, the nouns together; of scenes, all of it."""
    if isinstance(meaning, (scenes.Scene, scenes.Pair)):
        return scenes.within(meaning, _SHARES[split])
    if isinstance(meaning, programs.Item):
        return crc32(" ".join(meaning.words).encode()) % 20 in _SHARES[split]
    parts = {"hypothesis": ("hypothesis",), "label": ("first", "second")}
    fields = next((f for key, f in parts.items() if hasattr(meaning, key) and hasattr(meaning, f[0])), ())
    sentences = [getattr(meaning, f) for f in fields] or [meaning] * isinstance(meaning, Sentence)
    nouns = {n for x in sentences for c in x.clauses for n in nli._names(c)}
    return not nouns or any(":" in n for n in nouns) or crc32(" ".join(sorted(nouns)).encode()) % 20 in _SHARES[split]


def _tagging(s: Sampler) -> Sentence:
    """A sentence whose content words (verbs apart: few mean "go to") are all of its split."""
    while True:
        m = s.question() if s.chance(0.15) else s.sentence()
        said = {t.concept for t in grammar("en").sentence(m).tokens} & set(world.CONCEPTS) - set(world.VERBS)
        if said <= s.concepts:
            return m


_SAME = {
    "xnli": "mnli", "xquad": "squad_v1", "xquad_r": "squad_v1", "xcopa": "copa",
}  # fmt: skip
#: one meaning at a time
_DRAW: dict[str, Callable[[Sampler], object]] = {
    "squad_v1": qa.examination,
    "lareqa": qa.passage,
    "mlqa": inquiry.longer,
    "tydiqa": inquiry.inquiry,
    "hellaswag": qa.completion,
    "commonsenseqa": qa.knowledge,
    "udpos": _tagging,
    "panx": lambda s: Sentence(s.clause()),
    "tatoeba": lambda s: s.question() if s.chance(0.15) else s.sentence(),
    "bucc2018": lambda s: s.sentence(),
}
#: meanings that belong together: the same text or choices under each label
_BLOCKS: dict[str, Callable[[Sampler], tuple]] = {
    "snli": adversarial.scene,
    **{f"anli_{r}": partial(adversarial.trial, name=r) for r in adversarial.ROUNDS},
    "qqp": paraphrase.questions,
    "pawsx": paraphrase.sentences,
    "squad_v2": inquiry.doubtful,
    "cosmosqa": partial(stories.story, count=4, sources=("alone", "alone", "thing"), fillers=1, lured=0.2),
    "siqa": partial(stories.story, count=3, sources=("social", "social", "alone"), fillers=0),
    "copa": stories.choice,
    "mewslix": entities.mentions,
    **programs.DRAW,
    "image_text": scenes.block,
    "caption_mlm": lambda s: (scenes.scene(s),),
    "caption_retrieval": lambda s: (scenes.imagined(s),),
}
_MAKERS = {
    "mnli": make.mnli, "xnli": make.xnli, "squad_v1": make.squad, "xquad": make.squad, "hellaswag": make.hellaswag,
    "commonsenseqa": make.commonsense, "udpos": make.udpos, "panx": make.panx, "tatoeba": make.tatoeba,
    "bucc2018": make.bucc, "snli": make.snli, **{f"anli_{r}": make.anli for r in adversarial.ROUNDS}, "qqp": make.qqp,
    "pawsx": make.pawsx, "squad_v2": make.squad, "mlqa": make.squad, "tydiqa": make.tydiqa, "ccg": make.ccg,
    "cosmosqa": make.cosmosqa, "siqa": make.siqa, "copa": make.copa, "xcopa": make.xcopa, "xquad_r": make.xquad_r,
    "lareqa": make.squad, "mewslix": make.pairs_of_entities,
    **programs.MAKERS,
    "image_text": make.image_text, "caption_mlm": make.caption_mlm, "caption_retrieval": make.caption_retrieval,
}  # fmt: skip
#: where the test file has another form than the training file
_TEST_MAKERS = {"mewslix": make.articles, "lareqa": make.lareqa}


def _entities() -> list[dict]:
    known = [m.entity for split in ("test", "dev") for m in _meanings("mewslix", split, SIZES[split])]
    return [make.entity(e, e.language) for e in known]


_POOLS = {"mewslix": _entities}
