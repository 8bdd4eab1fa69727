"""Every task as one row: its kind, where its data are, which languages it is scored in, how it is trained.

A new task of a known kind is one more row. Sizes and recipes are those of the paper's own code (jiant; see
``docs`` of each field's source in the report): learning rate 1e-5, epochs, batch and length per task.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: language → name of its udpos config in google/xtreme
UD_NAMES = {
    "af": "Afrikaans", "ar": "Arabic", "bg": "Bulgarian", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese",
    "kk": "Kazakh", "ko": "Korean", "mr": "Marathi", "nl": "Dutch", "pt": "Portuguese", "ru": "Russian",
    "ta": "Tamil", "te": "Telugu", "th": "Thai", "tl": "Tagalog", "tr": "Turkish", "ur": "Urdu",
    "vi": "Vietnamese", "yo": "Yoruba", "zh": "Chinese",
}  # fmt: skip
#: language → ISO 639-3 code in the tatoeba configs of google/xtreme
ISO3 = {
    "af": "afr", "ar": "ara", "bg": "bul", "bn": "ben", "de": "deu", "el": "ell", "es": "spa", "et": "est",
    "eu": "eus", "fa": "pes", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hu": "hun", "id": "ind",
    "it": "ita", "ja": "jpn", "jv": "jav", "ka": "kat", "kk": "kaz", "ko": "kor", "ml": "mal", "mr": "mar",
    "nl": "nld", "pt": "por", "ru": "rus", "sw": "swh", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl",
    "tr": "tur", "ur": "urd", "vi": "vie", "zh": "cmn",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """Where a task's examples are, as a hub repository or a folder of files.

    ``config`` may hold ``{code}``, ``{ud}`` or ``{iso3}`` (filled per language); ``splits`` maps ``train``, ``dev`` and
    ``test`` to the repository's split names; ``language_column`` selects rows where one config holds all languages.
    ``layout`` is ``hub`` or ``bucc`` (tab-separated files as in BUCC 2018, in ``local/<repository>``).
    """

    repository: str
    config: str = "default"
    splits: dict[str, str] = field(default_factory=dict)
    revision: str = "main"  # "main" is unpinned; a commit stands here only where a source confirms it
    language_column: str | None = None
    layout: str = "hub"


@dataclass(frozen=True)
class Task:
    """One row.

    Parameters
    ----------
    kind : str
        Module of ``xitt.kinds`` that encodes, scores and decodes it.
    roles : tuple of str
        ``intermediate`` and/or ``target``; a row with neither is training data of a target.
    columns : dict
        Field of the kind → column of the source (dotted for nested columns).
    labels : tuple of str
        Label set, in the order of the classifier's outputs; empty where it follows from the data or the kind.
    languages : tuple of str
        Languages it is scored in (XTREME's ``evaluate.py``); empty for English-only tasks.
    train : str or None
        Task it is fine-tuned on; ``None`` for retrieval without training.
    metrics : tuple of str
        Names in ``xitt.metrics``; the first is the one averaged and compared.
    recipe : dict
        Hyper-parameters that differ from the defaults of ``xitt.phases.DEFAULTS``.
    """

    name: str
    title: str
    kind: str
    roles: tuple[str, ...]
    source: Source
    columns: dict[str, str]
    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    train: str | None = None
    metrics: tuple[str, ...] = ("accuracy",)
    recipe: dict[str, float] = field(default_factory=dict)
    licence: str = ""


NLI = ("entailment", "neutral", "contradiction")
UPOS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ",
        "SYM", "VERB", "X")  # fmt: skip
BIO = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
_XTREME = "google/xtreme"
_SPAN = {
    "context": "context",
    "question": "question",
    "answers": "answers.text",
    "starts": "answers.answer_start",
}
_QA_RECIPE = {"epochs": 2, "batch": 16, "length": 384}


def _codes(text: str) -> tuple[str, ...]:
    return tuple(sorted(text.split()))


_ROWS = (
    # --- intermediate tasks ------------------------------------------------------------------------------------
    Task("mnli", "MNLI", "classify", ("intermediate",),
         Source("nyu-mll/multi_nli", splits={"train": "train", "dev": "validation_matched"}),
         {"first": "premise", "second": "hypothesis", "label": "label"}, NLI, train="mnli",
         recipe={"epochs": 2}, licence="OANC and others"),
    Task("squad_v1", "SQuAD v1.1", "span", ("intermediate",),
         Source("rajpurkar/squad", "plain_text", {"train": "train", "dev": "validation"}),
         _SPAN, train="squad_v1", metrics=("f1", "em"), recipe=_QA_RECIPE, licence="CC BY-SA 4.0"),
    Task("hellaswag", "HellaSwag", "choose", ("intermediate",),
         Source("Rowan/hellaswag", splits={"train": "train", "dev": "validation"}),
         {"prompt": "ctx_a", "choices": "endings", "choice_prefix": "ctx_b", "label": "label"}, train="hellaswag",
         recipe={"epochs": 3}, licence="MIT"),
    Task("commonsenseqa", "CommonsenseQA", "choose", ("intermediate",),
         Source("tau/commonsense_qa", splits={"train": "train", "dev": "validation"}),
         {"prompt": "question", "choices": "choices.text", "label": "answerKey"}, train="commonsenseqa",
         recipe={"epochs": 3}, licence="MIT"),
    # --- training data of targets --------------------------------------------------------------------------------
    # --- targets -------------------------------------------------------------------------------------------------
    Task("xnli", "XNLI", "classify", ("target",),
         Source(_XTREME, "XNLI", {"dev": "validation", "test": "test"}, language_column="language"),
         {"first": "sentence1", "second": "sentence2", "label": "gold_label"}, NLI,
         _codes("ar bg de el en es fr hi ru sw th tr ur vi zh"), train="mnli", licence="CC BY-NC 4.0"),
    Task("udpos", "UD POS", "tag", ("target",),
         Source(_XTREME, "udpos.{ud}", {"train": "train", "dev": "validation", "test": "test"}),
         {"tokens": "tokens", "tags": "pos_tags"}, UPOS, _codes(" ".join(UD_NAMES)), train="udpos",
         metrics=("f1", "accuracy"), recipe={"epochs": 10}, licence="per treebank"),
    Task("panx", "PAN-X", "tag", ("target",),
         Source(_XTREME, "PAN-X.{code}", {"train": "train", "dev": "validation", "test": "test"}),
         {"tokens": "tokens", "tags": "ner_tags"}, BIO,
         _codes("ar he vi id jv ms tl eu ml ta te af nl en de el bn hi mr ur fa fr it pt es bg ru ja ka ko th sw yo my "
                "zh kk tr et fi hu"),
         train="panx", metrics=("f1", "accuracy"), recipe={"epochs": 10}, licence="ODC-BY"),
    Task("xquad", "XQuAD", "span", ("target",), Source(_XTREME, "XQuAD.{code}", {"test": "validation"}), _SPAN, (),
         _codes("en es de el ru tr ar vi th zh hi"), train="squad_v1", metrics=("f1", "em"), recipe=_QA_RECIPE,
         licence="CC BY-SA 4.0"),
    Task("tatoeba", "Tatoeba", "bitext", ("target",), Source(_XTREME, "tatoeba.{iso3}", {"test": "validation"}),
         {"first": "source_sentence", "second": "target_sentence"}, (), _codes(" ".join(ISO3)), licence="CC BY 2.0"),
    Task("bucc2018", "BUCC 2018", "bitext", ("target",),
         Source("bucc2018", "{code}-en", {"dev": "sample", "test": "training"}, layout="bucc"),
         {}, (), _codes("de fr ru zh"), metrics=("f1",), licence="registration"),
    Task("ntrex", "NTREX mining", "bitext", ("target",),
         Source("ntrex_bucc", "{code}-en", {"dev": "sample", "test": "training"}, layout="bucc"),
         {}, (), _codes("de fr ru zh"), metrics=("f1",), licence="CC BY-SA 4.0"),
)  # fmt: skip

#: all rows by name
TASKS: dict[str, Task] = {task.name: task for task in _ROWS}
