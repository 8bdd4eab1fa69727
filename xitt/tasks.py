"""Every task as one row: its kind, where its data are, which languages it is scored in, how it is trained.

A new task of a known kind is one more row. ``recipe`` is the paper's own code (jiant; paper_facts 2.1 and 2.2), ``xtreme`` the benchmark's
scripts (3.4); a study's ``preset:`` chooses. The paper's own table of intermediate recipes could not be had: where jiant gives no value
for a task its default holds (3 epochs, batch 32, length 256, learning rate 1e-5).

A ``revision`` that is a commit was found in public code that loads this repository at it; ``main`` and ``refs/convert/parquet`` (where
the repository holds a loading script, which the library no longer runs) are unpinned: ``xitt tasks PARAMS --pin`` resolves them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from .languages import XTREME, XTREME_R
from .variants import Rows


@dataclass(frozen=True)
class Source:
    """Where a task's examples are, as a hub repository or a folder of files.

    Parameters
    ----------
    config : str
        May hold ``{code}``, ``{ud}`` or ``{iso3}``, filled per language.
    splits : dict
        ``train``, ``dev`` and ``test`` → the repository's split names.
    language_column, language_ids : str, bool
        Where one config holds all languages: the column that names the language, or ids that begin with its name.
    layout : str
        ``hub``; ``parts`` (the rows of ``Task.parts``, one after the other); or files in ``<folder>/local/<repository>`` in a form of their
        own: ``bucc``, ``captions``, ``ccg``, ``lareqa``, ``mewslix``, described by their readers (``xitt.readers``, ``xitt.pools``, ``xitt.captions``);
        or ``local``: a set of no hub repository, in hub layout.
    unlabelled : bool
        Whether rows without a gold label (-1) occur; they are dropped.
    elsewhere : dict
        Language → (repository, config) of those that the repository lacks.
    files : dict
        Split → language → path, of a user's own files (layout ``files``; ``xitt.own``).
    """

    repository: str
    config: str = "default"
    splits: dict[str, str] = field(default_factory=dict)
    revision: str = "main"
    language_column: str | None = None
    language_ids: bool = False
    layout: str = "hub"
    unlabelled: bool = False
    elsewhere: dict[str, tuple[str, str]] = field(default_factory=dict)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    of: str = ""
    rate: int = 0

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit."""
        return bool(re.fullmatch(r"[0-9a-f]{40}", self.revision))


@dataclass(frozen=True)
class Task:
    """One row.

    Parameters
    ----------
    kind : str
        Module of ``xitt.kinds`` that encodes, scores and decodes it.
    roles : tuple of str
        ``intermediate`` and/or ``target``; a row with neither is training data of another.
    columns : dict
        Field of the kind → column of the source (dotted for nested columns); a tuple of columns gives a list of choices, or
        a prompt joined by spaces.
    labels : tuple of str
        Label set, in the order of the classifier's outputs; empty where it follows from the kind or (supertags) from the data.
        For multiple choice: what the source calls the choices.
    languages, more : tuple of str
        Languages it is scored in by XTREME, and those XTREME-R adds; empty for English-only tasks.
    train : str or None
        Task it is fine-tuned on; ``None`` for retrieval without training.
    first : str or None
        Task that the same model, head included, is trained on just before (COPA: Social IQa).
    parts : tuple of str
        Tasks whose examples it is made of, under one head.
    metrics : tuple of str
        Names in ``xitt.metrics``; the first is the one averaged and compared.
    recipe, xtreme : dict
        Hyper-parameters that differ from the defaults of ``xitt.phases.DEFAULTS``, by preset; an empty ``xtreme`` means ``recipe``.
    answer_rules : str
        Whose rules compare answers (``xitt.metrics.ANSWER_RULES``); with ``squad_v2`` a question may have none.
    layer, tuned, pool : int or str or None, str or None, str
        Of a variant (``xitt.variants``): the layer its vectors are taken from (``10of24``: that depth), the task its encoder is fine-tuned
        on before, what stands for a sentence (``mean`` over its tokens, or ``cls``, the first).
    recast : str
        Form of ``xitt.recast`` that the repository's rows are brought into.
    own : str
        Of a user's row: the study file and key that it stands under (``xitt.own``); empty for those of this module.
    """

    name: str
    title: str
    kind: str
    roles: tuple[str, ...]
    source: Source
    columns: dict[str, str | tuple[str, ...]]
    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    train: str | None = None
    metrics: tuple[str, ...] = ("accuracy",)
    recipe: dict[str, float] = field(default_factory=dict)
    xtreme: dict[str, float] = field(default_factory=dict)
    licence: str = ""
    more: tuple[str, ...] = ()
    first: str | None = None
    parts: tuple[str, ...] = ()
    answer_rules: str = "squad"
    layer: int | str | None = None
    tuned: str | None = None
    pool: str = "mean"
    own: str = ""
    recast: str = ""


NLI = ("entailment", "neutral", "contradiction")
UPOS = ("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ",
        "SYM", "VERB", "X")  # fmt: skip
BIO = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
_SCRIPT = "refs/convert/parquet"  # the hub's own conversion of a repository that holds a script
_ANLI = "8e4813d81f46d313dac7892e1c28076917cfcdf9"
_SPAN = {
    "context": "context",
    "question": "question",
    "answers": "answers.text",
    "starts": "answers.answer_start",
}
_PAIR = {"first": "premise", "second": "hypothesis", "label": "label"}
_COPA = {"prompt": "premise", "asks": "question", "choices": ("choice1", "choice2"), "label": "label"}
_TRAIN_DEV = {"train": "train", "dev": "validation"}
_ALL = {"train": "train", "dev": "validation", "test": "test"}

# recipes of the paper's code; those of the benchmark's scripts begin with _X (weight decay and warm-up 0 unless they say otherwise)
_QA_RECIPE = {"epochs": 2, "batch": 16, "length": 384}
_PLAIN = {"weight_decay": 0.0, "warmup": 0.0, "batch": 32, "length": 128}
_X_NLI, _X_PAWS = {**_PLAIN, "lr": 3e-5, "epochs": 5}, {**_PLAIN, "lr": 2e-5, "epochs": 5}
_X_TAG = {**_PLAIN, "lr": 2e-5, "epochs": 10}
_X_QA = {"lr": 3e-5, "batch": 32, "epochs": 3, "length": 384, "weight_decay": 1e-4, "warmup": 500}  # 500 steps
# XCOPA and the dual encoders are not in the paper's code: the benchmark's recipe holds in both presets
_X_COPA = {**_PLAIN, "lr": 3e-5, "epochs": 5}
# of LAReQA's 352 tokens 96 are the query's (xitt.kinds.dual); both sides of Mewsli-X have 64
_X_LAREQA = {"lr": 2e-5, "batch": 16, "epochs": 3, "length": 256, "weight_decay": 0.0, "warmup": 0.0}
_X_MEWSLIX = {"lr": 1e-5, "batch": 32, "epochs": 2, "length": 64, "weight_decay": 0.0, "warmup": 0.0}


def _xtreme(config: str, splits: dict[str, str], **options) -> Source:
    return Source("google/xtreme", config, splits, "ec5f1f46e9af79639a90684a7a70a956c4998f04", **options)


def _multi30k(splits: dict[str, str]) -> Source:
    return Source("bentrevett/multi30k", splits=splits, layout="captions")


def _code(name: str) -> Source:
    return Source(f"google/code_x_glue_{name}", splits=_TRAIN_DEV)


def _anli(number: int) -> Task:
    splits = {"train": f"train_r{number}", "dev": f"dev_r{number}"}
    return Task(f"anli_r{number}", f"ANLI R{number}", "classify", (), Source("facebook/anli", "plain_text", splits, _ANLI), _PAIR, NLI,
                train=f"anli_r{number}", licence="CC BY-NC 4.0")  # fmt: skip


# of no published recipe: as many epochs as the paper's classification tasks have, and captions are short
_CAPTIONS = {"epochs": 3, "length": 128}
_FLICKR = "research use (Flickr30k's terms)"

_ROWS = (
    # --- intermediate tasks ------------------------------------------------------------------------------------
    Task("anli_plus", "ANLI+", "classify", ("intermediate",),
         Source("anli_plus", splits=_TRAIN_DEV, layout="parts"), {}, NLI, train="anli_plus",
         parts=("snli", "mnli", "anli_r1", "anli_r2", "anli_r3"), recipe={"epochs": 3},
         licence="CC BY-SA 4.0; OANC and others; CC BY-NC 4.0"),
    Task("mnli", "MNLI", "classify", ("intermediate",),
         Source("nyu-mll/multi_nli", splits={"train": "train", "dev": "validation_matched"},
                revision="da70db2af9d09693783c3320c4249840212ee221"), _PAIR, NLI, train="mnli",
         recipe={"epochs": 2}, xtreme=_X_NLI, licence="OANC and others"),
    Task("qqp", "QQP", "classify", ("intermediate",),
         Source("nyu-mll/glue", "qqp", _TRAIN_DEV, "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c"),
         {"first": "question1", "second": "question2", "label": "label"}, ("not_duplicate", "duplicate"), train="qqp",
         recipe={"epochs": 3}, licence="Quora terms"),
    Task("squad_v2", "SQuAD v2.0", "span", ("intermediate",),
         Source("rajpurkar/squad_v2", "squad_v2", _TRAIN_DEV, "3ffb306f725f7d2ce8394bc1873b24868140c412"),
         _SPAN, train="squad_v2", metrics=("f1", "em"), recipe=_QA_RECIPE, licence="CC BY-SA 4.0", answer_rules="squad_v2"),
    Task("squad_v1", "SQuAD v1.1", "span", ("intermediate",),
         Source("rajpurkar/squad", "plain_text", _TRAIN_DEV, "7b6d24c440a36b6815f21b70d25016731768db1f"),
         _SPAN, train="squad_v1", metrics=("f1", "em"), recipe=_QA_RECIPE, xtreme=_X_QA, licence="CC BY-SA 4.0"),
    Task("hellaswag", "HellaSwag", "choose", ("intermediate",),
         Source("Rowan/hellaswag", splits=_TRAIN_DEV, revision="218ec52e09a7e7462a5400043bb9a69a41d06b76"),
         {"prompt": "ctx_a", "choices": "endings", "choice_prefix": "ctx_b", "label": "label"}, train="hellaswag",
         recipe={"epochs": 3}, licence="MIT"),
    Task("ccg", "CCG", "tag", ("intermediate",), Source("ccgbank", splits=_ALL, layout="ccg"),
         {"tokens": "tokens", "tags": "tags", "text": "tokens"}, train="ccg", recipe={"epochs": 3}, licence="LDC2005T13 (paid)"),
    Task("cosmosqa", "CosmosQA", "choose", ("intermediate",), Source("allenai/cosmos_qa", splits=_TRAIN_DEV, revision=_SCRIPT),
         {"prompt": ("context", "question"), "choices": ("answer0", "answer1", "answer2", "answer3"), "label": "label"},
         train="cosmosqa", recipe={"epochs": 3}, licence="CC BY 4.0"),
    Task("commonsenseqa", "CommonsenseQA", "choose", ("intermediate",),
         Source("tau/commonsense_qa", splits=_TRAIN_DEV, revision="94630fe30dad47192a8546eb75f094926d47e155"),
         {"prompt": "question", "choices": "choices.text", "label": "answerKey"}, train="commonsenseqa",
         recipe={"epochs": 3}, licence="MIT"),
    # --- code: CodeXGLUE's sets, some of them recast; trained for as long as a task of natural language (``+match=``) -----------
    Task("code_defect", "Defect detection", "classify", ("intermediate",), _code("cc_defect_detection"),
         {"first": "func", "label": "target"}, ("False", "True"), train="code_defect", licence="C-UDA"),
    Task("code_clone", "Clone detection", "classify", ("intermediate",), _code("cc_clone_detection_big_clone_bench"),
         {"first": "func1", "second": "func2", "label": "label"}, ("False", "True"), train="code_clone", licence="C-UDA"),
    Task("code_search", "Code search", "classify", ("intermediate",), _code("tc_nl_code_search_adv"),
         {"first": "docstring_tokens", "second": "code_tokens", "label": "label"}, ("other", "match"), train="code_search",
         licence="C-UDA", recast="pairs"),
    # CoSQA: what people typed into a search engine, with a Python function that annotators found to answer it or not. Another set than that
    # of code_search, where the query is the function's own docstring and the wrong ones are its neighbours': a row of its own
    Task("code_query", "Code search by web query", "classify", ("intermediate",), Source("cosqa", splits=_TRAIN_DEV, layout="local"),
         {"first": "doc", "second": "code", "label": "label"}, ("other", "match"), train="code_query", licence="C-UDA"),
    Task("code_translation", "Code translation", "classify", ("intermediate",), _code("cc_code_to_code_trans"),
         {"first": "java", "second": "cs", "label": "label"}, ("other", "match"), train="code_translation", licence="C-UDA",
         recast="pairs"),
    Task("code_cloze", "Code cloze", "choose", ("intermediate",), _code("cc_code_to_code_trans"),
         {"prompt": "java", "choices": "choices", "label": "label"}, train="code_cloze", licence="C-UDA", recast="gaps"),
    # MLM has no dev score: the weights after the last step are handed on
    Task("code_mlm", "MLM over code", "mlm", ("intermediate",),
         Source("google/code_x_glue_cc_defect_detection", splits={"train": "train"}), {"text": "func"}, train="code_mlm", metrics=(),
         licence="C-UDA"),
    # --- training data of others ---------------------------------------------------------------------------------
    Task("snli", "SNLI", "classify", (),
         Source("stanfordnlp/snli", "plain_text", _TRAIN_DEV, "cdb5c3d5eed6ead6e5a341c8e56e669bb666725b", unlabelled=True),
         _PAIR, NLI, train="snli", licence="CC BY-SA 4.0"),
    _anli(1), _anli(2), _anli(3),
    Task("siqa", "Social IQa", "choose", (), Source("allenai/social_i_qa", splits=_TRAIN_DEV, revision=_SCRIPT),
         {"prompt": ("context", "question"), "choices": ("answerA", "answerB", "answerC"), "label": "label"}, ("1", "2", "3"),
         train="siqa", recipe=_X_COPA, xtreme=_X_COPA, licence="CC BY 4.0"),
    Task("copa", "COPA", "choose", (),
         Source("aps/super_glue", "copa", _TRAIN_DEV, "3de24cf8022e94f4ee4b9d55a6f539891524d646"), _COPA,
         ("choice1", "choice2"), train="copa", first="siqa", recipe=_X_COPA, xtreme=_X_COPA, licence="BSD 2-Clause"),
    # --- targets -------------------------------------------------------------------------------------------------
    Task("xnli", "XNLI", "classify", ("target",),
         _xtreme("XNLI", {"dev": "validation", "test": "test"}, language_column="language"),
         {"first": "sentence1", "second": "sentence2", "label": "gold_label"}, NLI, XTREME["xnli"], train="mnli",
         licence="CC BY-NC 4.0"),
    Task("pawsx", "PAWS-X", "classify", ("target",), _xtreme("PAWS-X.{code}", _ALL),
         {"first": "sentence1", "second": "sentence2", "label": "label"}, ("different", "paraphrase"), XTREME["pawsx"],
         train="pawsx", recipe={"epochs": 5}, xtreme=_X_PAWS, licence="free use with attribution"),
    Task("udpos", "UD POS", "tag", ("target",), _xtreme("udpos.{ud}", _ALL),
         {"tokens": "tokens", "tags": "pos_tags"}, UPOS, XTREME["udpos"], train="udpos",
         metrics=("f1", "accuracy"), recipe={"epochs": 10}, xtreme=_X_TAG, licence="per treebank", more=XTREME_R["udpos"]),
    Task("panx", "PAN-X", "tag", ("target",),
         _xtreme("PAN-X.{code}", _ALL, elsewhere={x: ("unimelb-nlp/wikiann", x) for x in XTREME_R["panx"]}),
         {"tokens": "tokens", "tags": "ner_tags"}, BIO, XTREME["panx"], train="panx", metrics=("f1", "accuracy"),
         recipe={"epochs": 10}, xtreme=_X_TAG, licence="ODC-BY", more=XTREME_R["panx"]),
    Task("xquad", "XQuAD", "span", ("target",),
         _xtreme("XQuAD.{code}", {"test": "validation"}, elsewhere={"ro": ("google/xquad", "xquad.ro")}), _SPAN, (),
         XTREME["xquad"], train="squad_v1", metrics=("f1", "em"), recipe=_QA_RECIPE, xtreme=_X_QA, licence="CC BY-SA 4.0",
         more=XTREME_R["xquad"]),
    Task("mlqa", "MLQA", "span", ("target",), _xtreme("MLQA.{code}.{code}", {"dev": "validation", "test": "test"}), _SPAN, (),
         XTREME["mlqa"], train="squad_v1", metrics=("f1", "em"), recipe=_QA_RECIPE, xtreme=_X_QA, licence="CC BY-SA 3.0", answer_rules="mlqa"),
    # the hub has no split beside train and validation: English validation chooses the checkpoint and is scored (as in jiant)
    Task("tydiqa", "TyDiQA-GoldP", "span", ("target",),
         _xtreme("tydiqa", {"train": "train", "dev": "validation", "test": "validation"}, language_ids=True), _SPAN, (),
         XTREME["tydiqa"], train="tydiqa", metrics=("f1", "em"), recipe=_QA_RECIPE, xtreme=_X_QA, licence="Apache-2.0"),
    Task("tatoeba", "Tatoeba", "bitext", ("target",), _xtreme("tatoeba.{iso3}", {"test": "validation"}),
         {"first": "source_sentence", "second": "target_sentence"}, (), XTREME["tatoeba"], licence="CC BY 2.0",
         more=XTREME_R["tatoeba"]),
    Task("bucc2018", "BUCC 2018", "bitext", ("target",),
         Source("bucc2018", "{code}-en", {"dev": "sample", "test": "training"}, layout="bucc"),
         {}, (), XTREME["bucc2018"], metrics=("f1", "f1_strict"), licence="registration"),
    Task("ntrex", "NTREX mining", "bitext", ("target",),
         Source("ntrex_bucc", "{code}-en", {"dev": "sample", "test": "training"}, layout="bucc"),
         {}, (), XTREME["bucc2018"], metrics=("f1", "f1_strict"), licence="CC BY-SA 4.0"),
    Task("xcopa", "XCOPA", "choose", ("target",), Source("cambridgeltl/xcopa", "{code}", {"dev": "validation", "test": "test"}),
         _COPA, (), XTREME["xcopa"], train="copa", recipe=_X_COPA, xtreme=_X_COPA, licence="CC BY 4.0"),
    Task("lareqa", "LAReQA", "dual", ("target",),
         Source("lareqa_sentences", "{code}", {"train": "train", "dev": "validation", "test": "validation"}, layout="lareqa"),
         {}, (), XTREME["lareqa"], train="lareqa", metrics=("map@20", "mrr@20"), recipe=_X_LAREQA, xtreme=_X_LAREQA,
         licence="CC BY-SA 4.0"),
    Task("mewslix", "Mewsli-X", "dual", ("target",),
         Source("mewslix", splits={"train": "wikipedia_pairs-train", "dev": "wikipedia_pairs-dev", "test": "wikinews_mentions-test"},
                layout="mewslix"),
         {}, (), XTREME["mewslix"], train="mewslix", metrics=("map@20", "mrr@20"), recipe=_X_MEWSLIX, xtreme=_X_MEWSLIX,
         licence="terms of Wikipedia, Wikinews"),
    # --- captions of images (xitt.captions, xitt.vision) -----------------------------------------------------------
    Task("image_text", "Image–text matching", "caption", ("intermediate",), _multi30k(_TRAIN_DEV),
         {"text": "text", "image": "image", "label": "label"}, ("mismatch", "match"), train="image_text", recipe=_CAPTIONS,
         licence=_FLICKR),
    Task("caption_mlm", "Masked captions with images", "caption", ("intermediate",), _multi30k(_TRAIN_DEV),
         {"text": "text", "image": "image"}, train="caption_mlm", recipe=_CAPTIONS, licence=_FLICKR),
    Task("caption_retrieval", "Caption retrieval", "bitext", ("target",), _multi30k({"test": "test"}),
         {"first": "first", "second": "second"}, (), ("cs", "de", "fr"), licence=_FLICKR),
)  # fmt: skip


# --- text that mixes languages (design code_mixed) --------------------------------------------------------------------
# Test sets alone: each row is trained as the task that it is compared with, so that both are scored with the same weights. None of them
# is a task of a benchmark: no average, no submission.
_BY_NAME = {task.name: task for task in _ROWS}
RATES = (25, 50, 75, 100)


def _made(of: str, name: str, title: str, layout: str, **changes) -> Task:
    base = _BY_NAME[of]
    source = replace(base.source, layout=layout, of=of, splits={"test": base.source.splits["test"]})
    return replace(base, name=name, title=f"{base.title} {title}", source=replace(source, **changes), more=())


def _switched(of: str, rate: int) -> Task:
    row = _made(
        of,
        f"{of}_mixed{rate}",
        f"{rate} % switched",
        "switched",
        repository="pocket",
        config="",
        rate=rate,
        elsewhere={},
    )
    return replace(row, languages=tuple(f"{x}+en" for x in XTREME[of] if x != "en"))


def _mixed(of: str, name: str, title: str, repository: str, places: dict[str, str], split: str, **changes) -> Task:
    """A code-mixed set in local files; ``places``: pair of languages → config or file (xitt.mixed_sets)."""
    source = Source(
        repository,
        splits={"test": split},
        layout="mixed",
        of=of,
        elsewhere={x: (repository, p) for x, p in places.items()},
    )
    return replace(_BY_NAME[of], name=name, title=title, source=source, languages=tuple(places), more=(), **changes)


_MIXED_TEXT = (
    # between sentences: first text in one language, the rest in the other
    _made("xnli", "xnli_cross", "crossed", "crossed"),
    # without Korean, whose test set lacks one of the 2,000 rows, and no ids say which
    replace(_made("pawsx", "pawsx_cross", "crossed", "crossed"), languages=tuple(x for x in XTREME["pawsx"] if x != "ko")),
    _made("xquad", "xquad_cross", "crossed", "crossed", elsewhere={}),
    # context–question in the names of MLQA's configs, question–context in ours
    _made("mlqa", "mlqa_cross", "crossed", "crossed", config="MLQA.{second}.{first}"),
    # in Latin letters
    _made("xnli", "xnli_roman", "romanised", "romanised"), _made("xquad", "xquad_roman", "romanised", "romanised", elsewhere={}),
    # within sentences
    *(_switched(of, rate) for of in ("xnli", "xquad") for rate in RATES),
    _mixed("udpos", "udpos_mixed", "UD POS code-mixed", "ud_codemixed",
           {"tr+de": "Turkish_German-SAGT", "fy+nl": "Frisian_Dutch-Fame"}, "test", licence="CC BY-SA 4.0"),
    _mixed("udpos", "lince_pos", "LinCE POS", "lince", {"hi-Latn+en": "pos_hineng/dev.conll", "es+en": "pos_spaeng/dev.conll"}, "dev",
           licence="LinCE's terms"),
    # two labels, and a head of three: neutral is wrong
    _mixed("xnli", "gluecos_nli", "GLUECoS NLI", "gluecos", {"hi-Latn+en": "NLI_EN_HI/XNLI-MT-1.0/multinli/multinli.train.en.tsv"}, "train",
           columns=_PAIR, licence="GLUECoS's terms"),
    _mixed("xquad", "gluecos_qa", "GLUECoS QA", "gluecos", {"hi-Latn+en": "QA_EN_HI/dev-v2.0.json"}, "dev", licence="GLUECoS's terms"),
    _mixed("xquad", "codemixed_qa", "Code-mixed QA", "codemixed_qa", {"hi-Latn+en": "default"}, "train", licence="none stated"),
    # no English set has its labels: it is trained on its own training set, and scored on dev, since the labels of test are not published
    Task("sentimix", "SentiMix Hindi-English", "classify", ("target",),
         Source("sentimix_hinglish", splits={"train": "train", "test": "validation"}, layout="mixed"),
         {"first": "text", "label": "label"}, ("negative", "neutral", "positive"), ("hi-Latn+en",), train="sentimix",
         recipe={"epochs": 3}, licence="SemEval-2020 task 9"),
)  # fmt: skip

#: the rows of this module by name; a variant of a target (``tatoeba+layer=8``) is found too. What a study knows besides (its
#: user's own rows and checkpoints) is in ``study.tasks``, never here
TASKS: Rows = Rows({task.name: task for task in (*_ROWS, *_MIXED_TEXT)})
