"""Training sets in other languages: the pocket's, published ones, the user's own; imitated machine translation; what is trained on them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest

from tests.test_data import caches, check, make_study, project, write  # noqa: F401 - fixtures too
from tests.tiny import variant
from xitt import data, lock, phases, recipes, translated
from xitt.errors import DataError, ParameterError
from xitt.pocket import hub as pocket
from xitt.pocket import translation
from xitt.pocket.languages import LANGUAGES
from xitt.study import Study
from xitt.tasks import TASKS

OTHERS = tuple(x for x in LANGUAGES if x != "en")
XNLI, MNLI = ("facebook/xnli", "de", "train"), ("nyu-mll/multi_nli", "default", "train")
SQUAD, XTREME = ("rajpurkar/squad", "plain_text", "train"), ("juletxara/xquad_xtreme", "de", "translate_train")


# --- the pocket ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", pocket.TRANSLATED)
def test_the_pocket_says_the_same_in_every_language(make_study, task):  # noqa: F811
    study = make_study(source="pocket", limits={"train": 12})
    english = data.load(study, task, "train")
    for language in OTHERS:
        found = data.load(study, task, "train", language)
        check(task, found)
        assert [e["id"] for e in found.examples] == [e["id"] for e in english.examples]
        assert [e.get("label") for e in found.examples] == [e.get("label") for e in english.examples]
        text = next(f for f in ("first", "context", "prompt") if f in english.examples[0])
        assert all(a[text] != b[text] for a, b in zip(found.examples, english.examples, strict=True))
        assert found.fingerprint != english.fingerprint


def test_english_draws_do_not_depend_on_other_languages():
    first = pocket.rows("mnli", "train", "en", 30)
    pocket._meanings.cache_clear()
    pocket.rows("mnli", "train", "hi", 30)
    assert pocket.rows("mnli", "train", "en", 30) == first


@pytest.mark.parametrize(("task", "split"), [("ccg", "train"), ("cosmosqa", "train"), ("mnli", "test")])
def test_what_the_pocket_has_in_english_alone(task, split):
    with pytest.raises(ValueError, match=f"the pocket has no {task} in 'de'"):
        pocket.rows(task, split, "de", 3)


def test_a_dev_set_is_not_translated(make_study):  # noqa: F811
    with pytest.raises(DataError, match="mnli has no dev set in 'de': its training set alone is translated"):
        data.load(make_study(source="pocket"), "mnli", "dev", "de")


def test_anli_plus_in_another_language(make_study):  # noqa: F811
    study = make_study(source="pocket", limits={"train": 25})
    found, english = (data.load(study, "anli_plus", "train", x) for x in ("ru", "en"))
    check("anli_plus", found)
    assert [e["id"] for e in found.examples] == [e["id"] for e in english.examples]
    assert found.examples[0]["first"] == data.load(study, "snli", "train", "ru").examples[0]["first"]


# --- imitated machine translation ----------------------------------------------------------------------------------
@pytest.mark.parametrize("language", OTHERS)
def test_noise_hits_as_many_words_as_asked(language):
    texts = [r["premise"] for r in pocket.rows("mnli", "train", language, 150)[0]]

    def made(rate):
        return [translation.noisy(t, language, rate, Random(i)) for i, t in enumerate(texts)]

    assert made(0.0) == texts
    assert made(0.3) == made(0.3)
    few, many, all_of_it = ([a != b for a, b in zip(texts, made(r), strict=True)] for r in (0.05, 0.3, 1.0))
    assert 0.05 < sum(few) / len(few) < sum(many) / len(many) < sum(all_of_it) / len(all_of_it)
    assert sum(all_of_it) > 0.9 * len(texts)
    assert sum(a and b for a, b in zip(few, many, strict=True)) > 0.95 * sum(few)  # the same words, and more
    words = sum(sum(p[:1].isalnum() for p in translation._parts(t, language)) for t in texts)
    names = translation._names(language)
    plain = sum(sum(p[:1].isalnum() and p not in names for p in translation._parts(t, language)) for t in texts)
    dropped = words - sum(sum(p[:1].isalnum() for p in translation._parts(t, language)) for t in made(0.3))
    assert dropped / plain == pytest.approx(0.1, abs=0.05)  # a third of the hits


def test_noise_by_hand():
    """Each of the three faults where the drawn numbers say so."""

    class Drawn:
        def __init__(self, *faults):
            self.faults, self.at = faults, 0

        def random(self):
            self.at += 1
            return 0.0 if self.faults[(self.at - 1) // 2] else 1.0  # hit or not, then which word

        def choice(self, _):
            return self.faults[(self.at - 1) // 2] or "drop"

    text = "The teacher sees Anna, and the dog sleeps."
    assert (
        translation.noisy(text, "en", 0.5, Drawn(None, None, "drop", *[None] * 5))
        == "The teacher Anna, and the dog sleeps."
    )
    assert (
        translation.noisy(text, "en", 0.5, Drawn(*[None] * 6, "swap", None))
        == "The teacher sees Anna, and the sleeps dog."
    )
    changed = translation.noisy(text, "en", 0.5, Drawn(None, "sense", *[None] * 6))
    assert re.fullmatch(r"The (?!teacher)[a-z]+ sees Anna, and the dog sleeps\.", changed)
    assert translation.noisy(text, "en", 0.5, Drawn(None, None, None, "drop", *[None] * 4)) == text  # names stay
    assert translation.noisy("Dogs.", "en", 0.5, Drawn("drop")) == "Dogs."  # the last word stays


@pytest.mark.parametrize("task", pocket.TRANSLATED)
def test_noisy_sets_are_whole(make_study, task):  # noqa: F811
    plain = make_study(source="pocket", limits={"train": 30})
    noisy = make_study(source="pocket", limits={"train": 30}, translation_noise=0.3)
    for language in ("de", "zh"):
        found, exact = (data.load(s, task, "train", language) for s in (noisy, plain))
        check(task, found)
        assert found.fingerprint != exact.fingerprint
        assert [e.get("label") for e in found.examples] == [e.get("label") for e in exact.examples]
        assert [e.get("answers") for e in found.examples] == [e.get("answers") for e in exact.examples]
    assert data.load(noisy, task, "train").fingerprint == data.load(plain, task, "train").fingerprint


def test_noise_leaves_test_sets_alone(make_study):  # noqa: F811
    plain, noisy = (
        make_study(source="pocket", limits={"test": 9, "train": 9}, **m) for m in ({}, {"translation_noise": 0.5})
    )
    for task, split in (("xnli", "test"), ("panx", "train"), ("xquad", "test")):
        assert data.load(noisy, task, split, "de").fingerprint == data.load(plain, task, split, "de").fingerprint


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_noise_is_a_share(make_study, rate):  # noqa: F811
    with pytest.raises(ParameterError, match="translation_noise"):
        make_study(source="pocket", translation_noise=rate)


# --- published translations and one's own --------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path, make_study):  # noqa: F811
    def make(content: dict, own: dict | None = None, **more):
        (tmp_path / "d" / "hub").mkdir(parents=True, exist_ok=True)
        base = write(tmp_path / "d", content)
        for name, text in (own or {}).items():
            path = tmp_path / "d" / "local" / "translated" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return make_study(**{"source": "folder", "folder": str(base), **more})

    return make


def nli(prefix: str, n: int = 4) -> list[dict]:
    return [{"premise": f"{prefix} {i}", "hypothesis": f"{prefix} h", "label": i % 3} for i in range(n)]


def test_xnlis_translation_of_mnli(folder):
    study = folder({MNLI: nli("English"), XNLI: nli("Deutsch")})
    assert data.load(study, "mnli", "train").examples[1]["first"] == "English 1"
    german = data.load(study, "mnli", "train", "de")
    check("mnli", german)
    assert german.examples[1] == {"id": "1", "first": "Deutsch 1", "second": "Deutsch h", "label": "neutral"}


def test_a_translation_that_has_lost_its_answer_is_left_out(folder):
    def row(i, context, answer, start):
        answers = {"text": [answer], "answer_start": [start]}
        return {"id": f"q{i}", "title": "", "context": context, "question": "Wo?", "answers": answers}

    rows = [
        row(0, "Das Haus ist rot.", "rot", 13),
        row(1, "Das Haus ist rot.", "blau", 0),
        row(2, "Ein Boot.", "Boot", 0),
    ]
    study = folder({SQUAD: rows[:1], XTREME: rows})
    found = data.load(study, "squad_v1", "train", "de")
    check("squad_v1", found)
    assert [e["id"] for e in found.examples] == ["q0", "q2"]
    assert found.problems == ("1 translated texts have lost their answer and are left out",)
    assert found.total == 3


def test_ones_own_file_goes_first(folder):
    own = "premise,hypothesis,label\nMein Satz,Noch einer,neutral\nB,C,entailment\n"
    study = folder({MNLI: nli("English"), XNLI: nli("Deutsch")}, {"mnli/de.csv": own})
    assert [e["first"] for e in data.load(study, "mnli", "train", "de").examples] == ["Mein Satz", "B"]
    before = data.load(study, "mnli", "train", "de").fingerprint
    path = Path(study.params.data.folder) / "local" / "translated" / "mnli" / "de.csv"
    path.write_text(own.replace("Mein", "Dein") + "D,E,neutral\n", encoding="utf-8")
    assert data.load(study, "mnli", "train", "de").fingerprint != before  # read again


def test_ones_own_file_of_other_kinds(folder):
    story = {"ctx_a": "Ein Mann kocht.", "ctx_b": "Er", "endings": ["isst", "singt", "malt", "ruht"], "label": "0"}
    tags = {"tokens": ["Hund", "schläft"], "tags": ["N", "S\\NP"]}
    study = folder({}, {"hellaswag/de.jsonl": json.dumps(story) + "\n", "ccg/de.jsonl": json.dumps(tags) + "\n"})
    assert data.load(study, "hellaswag", "train", "de").examples[0]["choices"][0] == "Er isst"
    assert data.load(study, "ccg", "train", "de").examples[0]["tags"] == ["N", "S\\NP"]


@pytest.mark.parametrize(
    ("task", "language", "said"),
    [
        ("hellaswag", "de", ["hellaswag: there is no translation", "none is published", "mnli (facebook/xnli)", "translated/hellaswag/de.jsonl"]),
        ("mnli", "fi", ["'fi'", "it is published in ar, bg, de", "translated/mnli/fi.jsonl"]),
        ("squad_v1", "fr", ["it is published in ar, de, el", "squad_v1 (juletxara/xquad_xtreme)"]),
        ("mnli", "de", ["facebook", "xnli", "is not there"]),
        ("anli_plus", "de", ["snli: there is no translation"]),
    ],
)  # fmt: skip
def test_what_is_not_there(folder, task, language, said):
    study = folder({MNLI: nli("English")})
    with pytest.raises(DataError) as caught:
        data.load(study, task, "train", language)
    for words in said:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"mnli/de.csv": "premise,label\nA,neutral\n"}, "column 'hypothesis' is unknown"),
        ({"mnli/de.csv": "premise,hypothesis,label\nA,B,maybe\n"}, "de.csv:2: label 'maybe' is unknown"),
        ({"mnli/de.csv": "premise,hypothesis,label\nA,B,neutral\n", "mnli/de.jsonl": "{}"}, "both hold 'de'"),
    ],
)
def test_faults_of_ones_own_file(folder, own, said):
    with pytest.raises(DataError, match=re.escape(said)):
        data.load(folder({MNLI: nli("English")}, own), "mnli", "train", "de")


# --- several languages ---------------------------------------------------------------------------------------------
def test_examples_take_turns(make_study):  # noqa: F811
    study = make_study(source="pocket", limits={"train": 9})
    parts = {x: data.load(study, "mnli", "train", x).examples for x in ("de", "hi", "zh")}
    found = data.training(study, "mnli", ("de", "hi", "zh"))
    assert len(found) == 9
    assert found.examples == [parts[("de", "hi", "zh")[i % 3]][i] for i in range(9)]
    assert found.language == "de:hi:zh"
    assert data.training(study, "mnli") is data.load(study, "mnli", "train")


def test_turns_where_a_language_lacks_rows(folder):
    """By id where the ids are shared, else by number; what one language lacks another gives."""
    de, es = ("juletxara/xquad_xtreme", "de", "translate_train"), ("juletxara/xquad_xtreme", "es", "translate_train")

    def rows(prefix, ids):
        return [
            {"id": i, "context": f"{prefix} {i} x", "question": "?", "answers": {"text": ["x"], "answer_start": [5]}}
            for i in ids
        ]

    study = folder({de: rows("de", "abd"), es: rows("es", "bcd"), MNLI: nli("English", 5), XNLI: nli("Deutsch", 3)})
    found = data.training(study, "squad_v1", ("de", "es"))
    assert [(e["id"], e["context"][:2]) for e in found.examples] == [("a", "de"), ("b", "es"), ("d", "de"), ("c", "es")]
    mixed = data.training(study, "mnli", ("de", "en"))
    assert [e["first"] for e in mixed.examples] == ["Deutsch 0", "English 1", "Deutsch 2", "English 3", "English 4"]


# --- recipes and runs ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mnli+train=de", "mnli+train=de"),
        ("mnli+train=en", "mnli"),
        ("mnli + train = es:de", "mnli+train=de:es"),
        ("mnli+train=zh:en+mlm=.5", "mnli+mlm=0.5+train=en:zh"),
        ("multitask{squad_v1,mnli}+train=hi-Latn", "multitask{mnli,squad_v1}+train=hi-Latn"),
        ("mnli+attention_dropout=1", "mnli"),
        ("mnli+attention_dropout=0", "mnli+attention_dropout=0"),
    ],
)
def test_one_spelling(given, expected):
    assert recipes.canonical(given) == expected
    assert recipes.canonical(expected) == expected


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("none+train=de", "none trains nothing"),
        ("mnli+train=German", "'German' is no code"),
        ("mnli+train=de:", "'' is no code"),
        ("mnli+train=de:de", "a language stands twice"),
        ("mnli+attention_dropout=0.1", "attention_dropout is 0 (none) or 1"),
        ("none+attention_dropout=0", "none trains nothing"),
        ("mnli+trian=de", "did you mean 'train'"),
    ],
)
def test_what_is_refused(recipe, said):
    with pytest.raises(ParameterError, match=re.escape(said)):
        recipes.parse(recipe)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("outputs")


def test_a_translated_set_is_trained_on(project, outputs):  # noqa: F811
    study = variant(project, outputs)
    run, english = study.train("mnli+train=de:zh"), study.train("mnli")
    assert run.record["data"]["languages"] == ["de", "zh"]
    assert "languages" not in english.record["data"]
    assert run.record["training"]["steps"] == english.record["training"]["steps"]
    assert run.record["weights"] != english.record["weights"]
    one, other = (
        phases.train_spec(study, "mnli", "intermediate", r, 0, study.backbone()).inputs
        for r in ("mnli+train=de:zh", "mnli")
    )
    assert one["data"]["dev"] == other["data"]["dev"]  # English chooses the checkpoint
    assert one["data"]["train"] == data.training(study, "mnli", ("de", "zh")).fingerprint
    assert {k: v for k, v in one.items() if k != "data"} == {k: v for k, v in other.items() if k != "data"}
    fine = phases.train_spec(study, "mnli", "target", "mnli+train=de:zh", 0, study.backbone()).inputs
    assert fine["data"] == other["data"]  # fine-tuning is on English whatever came before
    noisy = variant(project, outputs, data={"translation_noise": 0.2})
    there = phases.train_spec(noisy, "mnli", "intermediate", "mnli+train=de:zh", 0, study.backbone()).inputs
    assert there["data"]["train"] != one["data"]["train"]
    assert there["data"]["dev"] == one["data"]["dev"]


def test_a_mixture_on_translated_sets(project, outputs):  # noqa: F811
    study = variant(project, outputs)
    run = study.train("multitask{hellaswag,mnli}+train=de")
    assert run.record["data"]["languages"] == ["de"]
    inputs = json.loads((run.path / "spec.json").read_text())["inputs"]
    assert inputs["parts"][1]["data"]["train"] == data.load(study, "mnli", "train", "de").fingerprint
    assert inputs["parts"][0]["data"]["dev"] == data.load(study, "hellaswag", "dev").fingerprint


def test_no_attention_dropout_by_recipe_or_by_engine(project, outputs, tmp_path):  # noqa: F811
    """The recipe's option makes the training that the engine's setting makes; fine-tuning keeps its dropout."""
    study = variant(project, outputs)
    encoder = study.backbone()
    option = phases.train_spec(study, "mnli", "intermediate", "mnli+attention_dropout=0", 0, encoder).inputs
    engine = variant(project, outputs, engine={"attention_dropout": False})
    setting = phases.train_spec(engine, "mnli", "intermediate", "mnli", 0, encoder).inputs
    assert option == setting
    assert option["attention_dropout"] is False
    fine = phases.train_spec(study, "mnli", "target", "mnli+attention_dropout=0", 0, encoder).inputs
    assert "attention_dropout" not in fine
    without, dropped = study.train("mnli+attention_dropout=0"), study.train("mnli")
    assert without.record["weights"] != dropped.record["weights"]
    assert without.log["loss"].iloc[-1] != dropped.log["loss"].iloc[-1]
    made = phases._fit(
        engine,
        "mnli",
        phases.train_spec(engine, "mnli", "intermediate", "mnli", 0, encoder),
        tmp_path,
        encoder,
        0,
        "mnli",
        None,
    )
    assert made["weights"] == without.record["weights"]


def test_an_option_of_a_recipe_of_a_task_without_translation(project, outputs):  # noqa: F811
    with pytest.raises(DataError, match="the pocket has no ccg in 'de'"):
        variant(project, outputs).train("ccg+train=de")
    assert "ccg" in TASKS


# --- before a study begins -------------------------------------------------------------------------------------------
def test_what_is_missing_is_said_before_work_begins(project, outputs):  # noqa: F811
    rows = ["none", "mnli+train=de:hi", "multitask{hellaswag,qqp}+train=ru"]
    study = variant(project, outputs, intermediates=rows)
    assert set(translated.wanted(study)) == {("mnli", "de"), ("mnli", "hi"), ("hellaswag", "ru"), ("qqp", "ru")}
    translated.check(study)
    with pytest.raises(DataError, match=r"ccg: the pocket has no training set in 'de'; it has en"):
        translated.check(variant(project, outputs, intermediates=["ccg+train=de"]))
    with pytest.raises(DataError, match="mnli: the pocket has no training set in 'fr'; it has en, de"):
        translated.check(variant(project, outputs, intermediates=["mnli+train=fr"]))


def test_translations_are_pinned_with_the_rest(folder):
    study = folder({MNLI: nli("English")}, {"squad_v1/de.jsonl": "{}"}, source="hub")
    rows = ("mnli+train=de:es", "squad_v1+train=de", "anli_plus+train=hi")
    params = study.params.model_copy(update={"intermediates": rows})
    found = dict(lock.needed_datasets(Study(study.path, params, study.designs, study.root, study.tasks)))
    assert found["facebook/xnli"] == "main"
    assert "nyu-mll/multi_nli" in found
    assert "juletxara/xquad_xtreme" not in found  # one's own file is read
