"""Tables of the report: from tidy results and stored predictions to frames that notebooks show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from . import results, stats
from .differences import counts, difference
from .matrix import matrix, transfer
from .store import read_json
from .study import Study

__all__ = ["counts", "difference", "matrix", "transfer"]  # of the modules that make them


# --- scores ---------------------------------------------------------------------------------------------------------
def by_language(study: Study, target: str | None = None, tidy: pd.DataFrame | None = None) -> pd.DataFrame:
    """Scores per language of the main table, wide: rows (target, intermediate), columns languages, under each target's main metric."""
    tidy = study.results() if tidy is None else tidy
    main = tidy["target"].map(lambda t: study.tasks[t].metrics[0])
    rows = tidy[(tidy["metric"] == main) & ~tidy["intermediate"].str.startswith("baseline:")]
    if target:
        rows = rows[rows["target"] == target]
    wide = rows.pivot_table(index=["target", "intermediate"], columns="language", values="value", sort=False)
    order = [(t, i) for t in study.main[1] for i in study.main[0] if (t, i) in wide.index]
    columns = ["avg", *(["en"] if "en" in wide else []), *sorted(c for c in wide if c not in ("avg", "en"))]
    return wide.loc[order, columns].rename_axis(columns=None)


def zero_shot(
    study: Study, recipe: str = "none", targets: tuple[str, ...] | None = None, seed: int | None = None
) -> pd.DataFrame:
    """English and the other languages of each target against chance, in percent with intervals over examples; mean over the seeds of
    the study, or of the one ``seed``.
    """
    rows = []
    for target in targets or study.main[1]:
        seeds = study.seeds if seed is None else (seed,)
        found = [c for s in seeds if (c := counts(study, recipe, target, s))]
        if not found:
            continue
        floor = results.chance_levels(results.chance(study, target), study.tasks)
        languages = list(found[0].by_language)
        others = [x for x in languages if x != "en"]
        mean, low, high = _interval(found, others) if others else (np.nan,) * 3
        row = {"target": target, "metric": study.tasks[target].metrics[0], "languages": len(languages)}
        if "en" in languages:
            e = _interval(found, ["en"])
            row |= {
                "English": e[0],
                "English low": e[1],
                "English high": e[2],
                "chance (English)": floor.get((target, "en")),
            }
            row |= _gap(found, others)
        row |= {
            "others": mean,
            "others low": low,
            "others high": high,
            "chance (others)": np.mean([floor.get((target, x), np.nan) for x in others]) if others else np.nan,
        }
        flagged = (x for x in ("English", "others") if x in row and row[f"{x} low"] <= row[f"chance ({x})"])
        row["at chance"] = ", ".join(flagged)
        rows.append(row)
    return pd.DataFrame(rows)


def drawn_over_seeds(found: list[stats.Counts], languages: list[str]) -> np.ndarray:
    """Bootstrap values (resamples, languages) of the mean over seeds, one entry of ``found`` each: a resample holds the same examples
    for every seed, also where seeds have mined other pairs.
    """
    by_seed = {(s, x): c.by_language[x] for s, c in enumerate(found) for x in languages}
    drawn = stats.resampled(stats.Counts(by_seed, found[0].value))
    return drawn.reshape(len(drawn), len(found), len(languages)).mean(axis=1)


def _mean(found: list[stats.Counts], languages: list[str]) -> float:
    return float(np.mean([c.only(languages).mean() for c in found]))


def _interval(found: list[stats.Counts], languages: list[str]) -> tuple[float, float, float]:
    """Mean over seeds and languages with its interval over examples: (value, low, high)."""
    low, high = np.quantile(drawn_over_seeds(found, languages).mean(axis=1), [0.025, 0.975])
    return _mean(found, languages), float(low), float(high)


def _gap(found: list[stats.Counts], others: list[str]) -> dict[str, float]:
    """English minus the mean of the other languages, resampling the same examples."""
    if not others:
        return {}
    values = drawn_over_seeds(found, ["en", *others])
    low, high = np.quantile(values[:, 0] - values[:, 1:].mean(axis=1), [0.025, 0.975])
    gap = _mean(found, ["en"]) - _mean(found, others)
    return {"gap": gap, "gap low": float(low), "gap high": float(high)}


def layers(study: Study, recipe: str, target: str, seed: int = 0) -> pd.DataFrame:
    """Retrieval score per layer and language: ``layer, language, value, chosen``."""
    from .scoring import found

    place = found(study, recipe, target, seed)
    record = read_json(place.parent.parent / "record.json")
    rows = [
        (int(layer), x, v, int(layer) == record["layer"])
        for layer, scores in record["layers"].items()
        for x, v in scores.items()
    ]
    return pd.DataFrame(rows, columns=["layer", "language", "value", "chosen"])


# --- provenance ----------------------------------------------------------------------------------------------------
def parameters(study: Study) -> pd.DataFrame:
    """What was run, in rows of (what, value)."""
    p = study.params
    limit = p.data.limits
    rows = {
        "study": f"{p.name}: {p.title}", "file": study.path.name, "designs": ", ".join(p.designs),
        "intermediates": ", ".join(study.intermediates), "targets": ", ".join(study.targets),
        "seeds": ", ".join(map(str, p.seeds)), "data": p.data.source,
        "limits (train, dev, test)": ", ".join("all" if x is None else f"{x:,}" for x in (limit.train, limit.dev, limit.test)),
        "backbone": p.backbone.hub or p.backbone.folder or f"built here: {p.backbone.build.architecture.layers} layers, "
        f"width {p.backbone.build.architecture.width}, {p.backbone.build.tokens:,} tokens of {p.backbone.build.text} text",
        "precision": p.engine.precision, "weights kept": p.keep,
    }  # fmt: skip
    return pd.DataFrame(rows.items(), columns=["what", "value"])


def runs(study: Study) -> pd.DataFrame:
    """Every finished run: name, steps, tokens/s, seconds, commit."""
    rows = []
    for path in sorted((study.out / "runs").glob("0*/record.json")):
        record = read_json(path)
        if record["phase"] == "baseline":
            continue
        t = record.get("training", {})
        rows.append(
            {
                "run": path.parent.name,
                "steps": t.get("steps"),
                "tokens": t.get("tokens"),
                "tokens/s": t.get("tokens_per_second"),
                "seconds": record["wall_seconds"],
                "best dev": (t.get("best") or {}).get("score"),
                "commit": record["provenance"]["commit"],
            }
        )
    return pd.DataFrame(rows)


def costs(study: Study) -> pd.DataFrame:
    """What the runs of each phase cost: ``phase, runs, steps, tokens (M), tokens/s, minutes``; a run uses one device."""
    made = runs(study)
    if not len(made):
        return pd.DataFrame({"phase": ["no finished run yet"]})
    lines = []
    for phase, part in [*made.groupby(made["run"].str.partition(".")[0]), ("all", made)]:
        tokens, seconds = part["tokens"].sum(), part["seconds"].sum()
        speed = part["tokens/s"].median() if part["tokens/s"].notna().any() else np.nan
        lines.append((phase, len(part), int(part["steps"].sum()), tokens / 1e6, speed, seconds / 60))
    return pd.DataFrame(lines, columns=["phase", "runs", "steps", "tokens (M)", "tokens/s", "minutes"])


def data_used(study: Study) -> pd.DataFrame:
    """Sizes of what was read: task, split, languages, examples used of how many there are."""
    from . import data

    rows = []
    trained = dict.fromkeys([*study.intermediate_tasks, *(study.tasks[t].train for t in study.trained_targets)])
    for name in trained:
        for split in ("train", "dev"):
            if split in study.tasks[name].source.splits:
                part = data.load(study, name, split)
                rows.append((study.tasks[name].title, split, "en", len(part), part.total))
    for name in dict.fromkeys(study.tasks[t].name for t in study.targets):
        parts = [data.load(study, name, "test", x) for x in data.languages(study, name)]
        sizes = [
            len(p) if study.tasks[name].kind != "bitext" or "gold" not in p.examples[0] else len(p.examples[0]["gold"])
            for p in parts
        ]
        rows.append(
            (
                study.tasks[name].title,
                "test",
                ", ".join(p.language for p in parts),
                sum(sizes),
                sum(p.total for p in parts),
            )
        )
    return pd.DataFrame(rows, columns=["task", "split", "languages", "used", "there"])


def facts(values: dict) -> pd.DataFrame:
    """A dictionary as rows of (what, value)."""
    return pd.DataFrame(
        [(k, f"{v:,}" if isinstance(v, int) and k != "seed" else str(v)) for k, v in values.items()],
        columns=["what", "value"],
    )


def build_recipe(study: Study) -> pd.DataFrame:
    """The recipe of a built backbone."""
    build = study.params.backbone.build
    if build is None:
        return facts({})
    return facts(
        {
            k: v
            for k, v in {**build.model_dump(exclude={"architecture"}), **build.architecture.model_dump()}.items()
            if v is not None
        }
    )


def task_list(study: Study) -> pd.DataFrame:
    """Tasks of a study, intermediate tasks first."""
    from . import data

    rows = []
    for name in dict.fromkeys((*study.intermediate_tasks, *study.targets)):
        t = study.tasks[name]
        target = name in study.targets
        rows.append({"task": t.title, "part": "target" if target else "intermediate", "kind": t.kind,
                     "trained on": study.tasks[t.train].title if t.train else "nothing", "metric": ", ".join(t.metrics),
                     "languages": ", ".join(data.languages(study, name)) if target else "en", "source": t.source.repository})  # fmt: skip
    return pd.DataFrame(rows)


def pieces(study: Study, encoder) -> pd.DataFrame:
    """How the tokenizer cuts each language's test sentences of one target."""
    from . import data
    from .backbone import load_tokenizer

    tokenizer = load_tokenizer(encoder.path)
    target = "udpos" if "udpos" in study.targets else study.targets[0]
    rows = []
    for language in data.languages(study, target):
        examples = data.load(study, target, "test", language).examples
        texts = [
            " ".join(e["tokens"]) if "tokens" in e else str(next(v for k, v in e.items() if k != "id"))
            for e in examples
        ]
        ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        count, words = sum(map(len, ids)), sum(len(t.split()) for t in texts)
        unknown = sum(i.count(tokenizer.unk_token_id) for i in ids)
        rows.append((language, len(texts), words, count, count / words, 100 * unknown / count))
    return pd.DataFrame(rows, columns=["language", "sentences", "words", "pieces", "pieces per word", "unknown (%)"])


def examples(study: Study) -> pd.DataFrame:
    """The first test example of each target in English (where it has English) and one other language, shortened."""
    from . import data

    rows = []
    for target in dict.fromkeys(study.tasks[t].name for t in study.targets):
        here = data.languages(study, target)
        for language in [x for x in here if x == "en"] + [x for x in here if x != "en"][:1]:
            example = data.load(study, target, "test", language).examples[0]
            parts = [
                f"{k}: {' '.join(v) if isinstance(v, list) and v and isinstance(v[0], str) else v}"
                for k, v in example.items()
                if k not in ("id", "starts")
            ]
            rows.append(
                (study.tasks[target].title, language, " | ".join(p if len(p) < 260 else p[:257] + "..." for p in parts))
            )
    return pd.DataFrame(rows, columns=["target", "language", "example"])


def run_facts(run) -> pd.DataFrame:
    """Facts of one run's record."""
    if run is None:
        return facts({})
    r, t, p = run.record, run.record["training"], run.record["provenance"]
    chosen = t["best"] or {}
    return facts({
        "run": run.path.name, "task": ", ".join(run.study.tasks[x].title for x in r.get("tasks", [r["task"]])), "training examples": f"{r['data']['train'][0]:,} of {r['data']['train'][1]:,}",
        "steps": t["steps"], "tokens": t["tokens"], "tokens/s": f"{t['tokens_per_second']:,.0f}", "checkpoint": f"step {chosen.get('step')}",
        "dev score": f"{chosen.get('score', float('nan')):.1f}", **{k: str(v) for k, v in t["hyper"].items() if v is not None},
        **({"matched to": f"{r['match']['recipe']}: {r['match']['steps']:,} steps, {r['match']['tokens']:,} tokens"} if "match" in r else {}),
        **{f"steps of {name}": f"{x['steps']:,} (p = {x['probability']:.3f}), batch {x['batch']}, length {x['length']}"
           for name, x in t.get("parts", {}).items()},
        "seed": r["seed"], "device": p["device"], "precision": p["precision"], "attention": p["attention"], "commit": p["commit"] or "not a checkout",
    })  # fmt: skip


def scores_wide(scores: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Scores of several targets: rows (target, metric), columns languages."""
    tidy = pd.concat(scores.values())
    wide = tidy.pivot_table(index=["target", "metric"], columns="language", values="value", sort=False)
    columns = ["avg", *(["en"] if "en" in wide else []), *sorted(c for c in wide if c not in ("avg", "en"))]
    return wide[columns].rename_axis(columns=None)
