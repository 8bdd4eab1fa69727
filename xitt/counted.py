"""What there is to compute in a study: every piece of work once, with its tokens and FLOPs.

What is shared is counted once, by what makes runs the same: XQuAD and MLQA have one fine-tuning per recipe and seed, COPA goes on from one
Social IQa, a split is tokenised once for all. FLOPs are those of the real tokens (``xitt.bench.work``). ``xitt.plan`` says what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import data, designs, lengths, recipes
from .bench.work import Shape
from .errors import DataError
from .lengths import Extent
from .study import Study

#: encoders whose size is known without their files
SHAPES = {
    "FacebookAI/xlm-roberta-large": Shape(24, 1024, 4096), "FacebookAI/xlm-roberta-base": Shape(12, 768, 3072),
    "google-bert/bert-base-multilingual-cased": Shape(12, 768, 3072),
}  # fmt: skip
WORK = {
    "build": ("00", "building the backbone"), "intermediate": ("01", "intermediate training"), "target": ("02", "fine-tuning"),
    "score": ("02", "scoring"), "embed": ("03", "embedding"), "search": ("03", "searching"), "encode": ("all", "tokenising"),
}  # fmt: skip


@dataclass(frozen=True)
class Work:
    """One piece of work; pieces with the same key are the same work.

    Attributes
    ----------
    task, recipe : str
        What is trained or scored, to find finished runs like it: of a mixture ``multitask``; the recipe of the first phase.
    examples : float
        Examples that are scored, in all languages.
    """

    what: str
    kind: str
    tokens: float
    flops: float
    task: str = ""
    recipe: str = ""
    examples: float = 0.0


@dataclass
class Plan:
    """All work of a study, each piece once.

    Attributes
    ----------
    part : Study
        The study, or one with the design alone that is planned.
    works : dict
        Key → work.
    asked : dict of str to int
        How often each kind of work is asked for: more than there are pieces of it where they are shared.
    notes : dict
        Where numbers are from, without repetition.
    """

    study: Study
    shape: Shape
    part: Study
    works: dict[tuple, Work] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, key: tuple, work: Work) -> None:
        self.asked[work.what] = self.asked.get(work.what, 0) + 1
        self.works.setdefault((work.what, *key), work)

    def note(self, about: str, item: str) -> None:
        items = self.notes.setdefault(about, [])
        if item not in items:
            items.append(item)


# --- what there is to do -------------------------------------------------------------------------------------------
def plan(study: Study, design: str | None = None) -> Plan:
    """Everything a study, or one of its designs, has to compute.

    Raises
    ------
    ParameterError
        If the study has no such design.
    DataError
        If the size of its backbone is not known here.
    """
    study = designs.among(study, design) if design else study
    made = Plan(study, _shape(study), part=designs.alone(study, design) if design else study)
    sizes = _Sizes(made, _tokenizer(study))
    _backbone(made)
    for seed in study.seeds:
        for recipe in made.part.intermediates:
            if not study.is_ready(recipe):
                _intermediate(made, sizes, recipe, seed)
            for target in made.part.targets_of(recipe):
                _target(made, sizes, recipe, target, seed)
    return made


def _shape(study: Study) -> Shape:
    wanted = study.params.backbone
    if wanted.build:
        a = wanted.build.architecture
        return Shape(a.layers, a.width, a.feed_forward)
    if wanted.hub in SHAPES:
        return SHAPES[wanted.hub]
    from .backbone import fetch
    from .store import read_json

    return Shape.of(read_json(fetch(wanted, study.root, offline=True).path / "config.json"))


def _tokenizer(study: Study):
    """The study's tokenizer if it can be had without network or training, else ``None``."""
    from . import pretrained
    from .backbone import fetch, load_tokenizer

    try:
        if study.params.backbone.build is None:
            return load_tokenizer(fetch(study.params.backbone, study.root, offline=True).path)
        return load_tokenizer(pretrained.backbone(study).path) if pretrained.backbone_ready(study) else None
    except DataError:
        return None


class _Sizes:
    """Extents of splits, looked up once; each is tokenised once, which is work too."""

    def __init__(self, made: Plan, tokenizer):
        self.made, self.tokenizer, self.known = made, tokenizer, {}

    def __call__(self, task: str, split: str, language: str, length: int) -> Extent | None:
        key = (task, split, language, length)
        if key not in self.known:
            self.known[key] = found = lengths.extent(self.made.study, task, split, language, length, self.tokenizer)
            self._note(task, split, found)
        found = self.known[key]
        if found:
            self.made.add(key, Work("encode", "", found.tokens, 0.0))
        return found

    def _note(self, task: str, split: str, found: Extent | None) -> None:
        if found is None:
            self.made.note("left out, since neither data nor a published size are at hand", f"{task} {split}")
        else:
            self.made.note(
                {"data": "sizes counted in the data", "published": "sizes as published (xitt.sizes)"}[found.sized], task
            )
            self.made.note({
                "measured": "lengths measured with the study's tokenizer", "assumed": "lengths assumed (xitt.lengths)",
                "characters": f"lengths from the data's characters, {lengths.PIECE} per piece (assumed)",
            }[found.origin], task)  # fmt: skip


def _backbone(made: Plan) -> None:
    from . import pretrained

    build = made.study.params.backbone.build
    try:
        there = pretrained.backbone_ready(made.study)
    except DataError:  # its text is not there, so neither is a build
        there = False
    if build and not there:
        head = build.masked * build.tokens * build.architecture.vocabulary * build.architecture.width * 2
        flops = made.shape.training(build.tokens, build.tokens * build.length / 2, head)
        made.add((), Work("build", "mlm", build.tokens, flops))


def _training(made: Plan, sizes: _Sizes, task: str, share: float = 1.0) -> tuple[float, float, float]:
    """(tokens, FLOPs, steps) of a task's own training with its looks at the dev set; zeros where its size is not known."""
    from .phases import hyper

    study, h = made.study, hyper(made.study, task)
    found = sizes(task, "train", "en", h.length)
    if found is None:
        return 0.0, 0.0, 0.0
    grouped = study.tasks[task].kind in ("choose", "dual")
    units = max(1, round(found.examples * (1 if grouped else found.rows)))
    steps = share * h.steps(units)
    tokens = steps * min(h.batch, units) * found.length * (found.rows if grouped else 1)
    flops = made.shape.training(tokens, tokens * found.length)
    if "dev" in study.tasks[task].source.splits and (dev := sizes(task, "dev", "en", h.length)):
        looked = max(1.0, steps // h.eval_every) * min(h.eval_examples, dev.examples) * dev.rows * dev.length
        flops += made.shape.forward(looked, looked * dev.length)
    return tokens, flops, steps


def _length(made: Plan, sizes: _Sizes, recipe: str) -> tuple[float, float, float]:
    """(tokens, FLOPs, steps) of a recipe by its tasks' own hyper-parameters, under the cap of mixtures."""
    study = made.study
    parts = [_training(made, sizes, task) for task in study.tasks_of(recipe)]
    tokens, flops, steps = (sum(x) for x in zip(*parts, strict=True))
    mixture = recipes.parse(recipe, study.tasks).name == recipes.MULTITASK
    limit = (
        study.params.recipes[recipes.MULTITASK].max_steps
        if mixture and recipes.MULTITASK in study.params.recipes
        else None
    )
    if limit and steps > limit:
        return tokens * limit / steps, flops * limit / steps, limit
    return tokens, flops, steps


def _intermediate(made: Plan, sizes: _Sizes, recipe: str, seed: int) -> None:
    parsed, study = recipes.parse(recipe, made.study.tasks), made.study
    tokens, flops, steps = _length(made, sizes, recipe)
    if parsed.name == recipes.MULTITASK and not parsed.sampler.given and parsed.sampler != recipes.Sampler():
        made.note("steps of a mixture taken as proportional to its tasks' sizes", recipe)
    if parsed.match:
        tokens, flops = _matched(made, sizes, parsed.match, tokens, flops)
    elif parsed.mlm:
        raw = steps / (1 - parsed.mlm) * parsed.mlm * 32 * 40
        tokens, flops = tokens + raw, flops + made.shape.training(raw, raw * 40)
        made.note("MLM steps taken as 32 lines of 40 pieces (assumed)", recipe)
    name = study.tasks[parsed.name].kind if parsed.name in study.tasks else "classify"
    made.add((recipe, seed), Work("intermediate", name, tokens, flops, parsed.name, recipe))


def _matched(made: Plan, sizes: _Sizes, reference: str, tokens: float, flops: float) -> tuple[float, float]:
    """(tokens, FLOPs) of a training that is as long as another one; FLOPs per token stay those of its own examples."""
    goal, cost, _ = _length(made, sizes, reference)
    if not goal:
        made.note("left out, since the length of what it is matched to is not at hand", reference)
    return goal, goal * flops / tokens if tokens else cost


def _fine_tuning(made: Plan, sizes: _Sizes, recipe: str, task: str, seed: int) -> None:
    row = made.study.tasks[task]
    if row.first:
        _fine_tuning(made, sizes, recipe, row.first, seed)
    tokens, flops, _ = _training(made, sizes, task)
    made.add((recipe, task, seed), Work("target", row.kind, tokens, flops, task))


def _languages(made: Plan, target: str) -> tuple[str, ...]:
    try:
        return data.languages(made.study, target)
    except DataError:  # none of its data is here
        row, wanted = made.study.tasks[target], made.study.params.data.languages
        made.note("languages as the benchmark has them, since no data are at hand", target)
        return tuple(x for x in row.languages if wanted is None or x in wanted)


def _target(made: Plan, sizes: _Sizes, recipe: str, target: str, seed: int) -> None:
    from .phases import hyper

    study, row, key = made.study, made.study.tasks[target], (recipe, target, seed)
    if task := row.train or row.tuned:
        _fine_tuning(made, sizes, recipe, task, seed)
    length = study.params.retrieval.length if row.train is None else hyper(study, row.train).length
    found = [e for x in _languages(made, target) if (e := sizes(row.name, "test", x, length))]
    tokens, squares = sum(e.tokens for e in found), sum(e.tokens * e.length for e in found)
    count = sum(e.examples for e in found)
    if row.train:
        if row.name in lengths.POOLS and study.params.data.source != "pocket" and found:
            side = min(lengths.CHARACTERS[row.name][1] / lengths.PIECE + 4, length)
            pool = lengths.POOLS[row.name] * side
            tokens, squares = tokens + pool, squares + pool * side
            made.note("pools of candidates as published (xitt.lengths)", target)
        made.add(key, Work("score", row.kind, tokens, made.shape.forward(tokens, squares), target, examples=count))
        return
    searched = sum(
        2.0 * e.examples**2 * made.shape.width for e in found
    )  # both directions from one product (xitt.search)
    made.add(key, Work("embed", "bitext", tokens, made.shape.forward(tokens, squares), target, examples=count))
    made.add(key, Work("search", "bitext", 0.0, searched * (made.shape.layers + 1)))  # every layer is scored
