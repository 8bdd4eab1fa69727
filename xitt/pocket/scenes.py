"""Drawn scenes with captions: what a caption says, and only that, decides what is to be seen.

A :class:`Scene` holds two groups of things (how many, what, which colour) beside two pieces of furniture or a tree. :func:`sentence` says
it in any language of the pocket, :func:`draw` draws it: 32 × 32 pixels, a cell of 8 × 8 for each thing. Which group is above, the
columns, the shade of the background and a little noise are the image's own and follow from its name.

For matching (:func:`block`), two scenes are both said and both drawn, and each caption meets each image: a caption by itself, or an image by
itself, is a match as often as not. How many mismatches differ in a single fact is a parameter; the others differ in the colour of all things,
and mostly in the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from . import world
from .meaning import NP, Clause, Sentence
from .sample import Sampler

SIZE, CELL = 32, 8
#: share of the mismatches that differ in one fact alone. They are not learned by an encoder of this size in as many steps as its text-only
#: tasks take (with them alone dev accuracy is 50 %), nor are scenes drawn apart, so the others differ in what is seen first
NEAR = 0.0
NUMBERS = {1: "indef", 2: "two", 3: "three"}
#: colour → red, green, blue
COLOURS = {
    "red": (205, 30, 35), "blue": (40, 65, 205), "green": (40, 155, 55), "white": (252, 252, 252), "black": (15, 15, 15),
    "yellow": (235, 205, 30), "brown": (125, 75, 30),
}  # fmt: skip
#: what stands by itself → its colour, and how things can be to it
LANDMARKS = {
    "table": ((150, 105, 60), ("on", "under", "near")), "chair": ((95, 60, 90), ("on", "under", "near")),
    "bed": ((110, 125, 160), ("on", "under", "near")), "tree": ((20, 95, 45), ("under", "near")),
}  # fmt: skip
#: seven rows of seven pixels
ICONS = {
    "ball": "..###../.#####./#######/#######/#######/.#####./..###..",
    "book": "#######/#..#..#/#..#..#/#..#..#/#..#..#/#..#..#/#######",
    "cup": "......./#####../#####.#/#####.#/######./#####../.###...",
    "hat": "......./..###../..###../..###../..###../#######/#######",
    "key": ".###.../#...#../#...#../.###.../..#..../..###../..##...",
    "clock": ".#####./#..#..#/#..#..#/#..####/#.....#/#.....#/.#####.",
    "umbrella": "...#.../.#####./#######/...#.../...#.../.#.#.../.###...",
    "flag": "#####../#######/#######/#####../#....../#....../#......",
    "bottle": "...#.../...#.../..###../.#####./.#####./.#####./.#####.",
    "car": "......./..###../.#...#./#######/#######/#######/.#...#.",
    "owl": "#.....#/#######/#.#.#.#/#######/.#####./.#####./..#.#..",
    "dress": ".#...#./.#####./..###../..###../.#####./#######/#######",
    "table": "......./......./#######/#######/#.....#/#.....#/#.....#",
    "chair": "#....../#....../#....../######./######./#....#./#....#.",
    "bed": "......./......./#....../###..../#######/#######/#.....#",
    "tree": "..###../.#####./#######/.#####./..###../...#.../...#...",
}  # fmt: skip
THINGS = tuple(x for x in ICONS if x not in LANDMARKS)
#: of scenes that are said and not drawn: things that have a colour, and what stands by itself
_COLOURED = ("music_instrument", "clothing", "tool", "container", "reading", "object", "bird")
BESIDE = {
    **dict.fromkeys(("table", "chair", "bed", "shelf"), ("on", "under", "near")),
    **dict.fromkeys(("tree", "bridge"), ("under", "near")),
    **dict.fromkeys((*world.KINDS["building"], "garden", "river", "lake", "market", "farm", "park"), ("near",)),
}
IMAGINED = tuple(x for x in world.members(_COLOURED) if x not in BESIDE and x not in ("door", "window"))


@dataclass(frozen=True)
class Group:
    """Some things of one sort at one place.

    Attributes
    ----------
    said : bool
        Whether the caption names the colour; it is always to be seen.
    """

    number: int
    thing: str
    colour: str
    relation: str
    landmark: str
    said: bool = True


@dataclass(frozen=True)
class Scene:
    """Two groups, in the order of the caption; neither their things nor their places are the same."""

    first: Group
    second: Group


@dataclass(frozen=True)
class Pair:
    """A caption of one scene beside an image of the same or of another one."""

    said: Scene
    seen: Scene

    @property
    def label(self) -> str:
        return "match" if self.said == self.seen else "mismatch"


# --- meanings ------------------------------------------------------------------------------------------------------
def scene(s: Sampler) -> Scene:
    """A random scene."""
    things, landmarks = s.rng.sample(THINGS, 2), s.rng.sample(tuple(LANDMARKS), 2)
    groups = []
    for thing, landmark in zip(things, landmarks, strict=True):
        number, colour = s.pick(tuple(NUMBERS)), s.pick(tuple(COLOURS))
        groups.append(Group(number, thing, colour, s.pick(LANDMARKS[landmark][1]), landmark, s.chance(0.8)))
    return Scene(*groups)


def imagined(s: Sampler) -> Scene:
    """A scene with things, furniture and places of the whole world, most of which have no icon: for captions without images."""
    things, landmarks = s.rng.sample(IMAGINED, 2), s.rng.sample(tuple(BESIDE), 2)
    groups = []
    for thing, landmark in zip(things, landmarks, strict=True):
        number, colour = s.pick(tuple(NUMBERS)), s.pick(tuple(COLOURS))
        groups.append(Group(number, thing, colour, s.pick(BESIDE[landmark]), landmark, s.chance(0.8)))
    return Scene(*groups)


def differing(s: Sampler, scene: Scene) -> Scene:
    """A scene that differs in one fact that the caption states.

    The way back is as likely as the way there: of two such scenes either may have been drawn first.
    """
    which = s.pick(("first", "second"))
    group = getattr(scene, which)
    other = scene.second if which == "first" else scene.first
    facts = ("number", "thing", "relation", "landmark", *(["colour"] if group.said else []))
    name = s.pick(facts)
    choices = [x for x in _values(group, name, other) if x != getattr(group, name)]
    return replace(scene, **{which: replace(group, **{name: s.pick(choices)})}) if choices else differing(s, scene)


def _values(group: Group, name: str, other: Group) -> list:
    """What one fact of a group can be while the rest stays."""
    if name == "thing":
        return [x for x in THINGS if x != other.thing]
    if name == "landmark":
        return [x for x, (_, fits) in LANDMARKS.items() if group.relation in fits and x != other.landmark]
    return list({"number": NUMBERS, "colour": COLOURS, "relation": LANDMARKS[group.landmark][1]}[name])


def block(s: Sampler, near: float = NEAR) -> tuple[Pair, ...]:
    """Two scenes: each caption with each image.

    Parameters
    ----------
    near : float
        Probability that the two differ in one fact; else all that is in either is of one colour, and they differ in that.
    """
    if s.chance(near):
        one = scene(s)
        two = differing(s, one)
    else:
        one, two = (coloured(scene(s), c) for c in s.rng.sample(tuple(COLOURS), 2))
    return tuple(Pair(said, seen) for said in (one, two) for seen in (one, two))


def coloured(scene: Scene, colour: str) -> Scene:
    """The scene with things of one colour, which the caption names."""
    return Scene(*(replace(g, colour=colour, said=True) for g in (scene.first, scene.second)))


def within(meaning: Scene | Pair, share: range) -> bool:
    """Whether a meaning may be in a split that has this share (of 20) of all scenes: no scene is in two splits."""
    scenes = (meaning.said, meaning.seen) if isinstance(meaning, Pair) else (meaning,)
    return all(crc32(_facts(x).encode()) % 20 in share for x in scenes)


# --- in words ------------------------------------------------------------------------------------------------------
def sentence(scene: Scene) -> Sentence:
    """What there is to be seen, for a grammar to say."""
    return Sentence(_clause(scene.first), "and", _clause(scene.second))


def _clause(group: Group) -> Clause:
    colour = group.colour if group.said else None
    things = NP(group.thing, NUMBERS[group.number], group.number > 1, colour)
    return Clause("exist", things, relation=group.relation, place=NP(group.landmark))


def _facts(scene: Scene) -> str:
    """All that is to be seen, in words: ``2 red ball on table``; order and what the caption leaves out do not matter."""
    return "; ".join(sorted(f"{g.number} {g.colour} {g.thing} {g.relation} {g.landmark}" for g in (scene.first, scene.second)))  # fmt: skip


def name(scene: Scene, copy: int = 0) -> str:
    """Name of an image, from which it is drawn; another ``copy`` of a scene looks a little different."""
    return f"{_facts(scene)} #{copy}"


# --- in pixels -----------------------------------------------------------------------------------------------------
def draw(image: str) -> np.ndarray:
    """The image of a name.

    Returns
    -------
    ndarray of uint8 (32, 32, 3)

    Raises
    ------
    ValueError
        If the name names no image.
    """
    facts, found, _ = image.partition(" #")
    groups = [text.split(" ") for text in facts.split("; ")]
    if not found or len(groups) != 2 or any(len(g) != 5 or g[2] not in THINGS or g[4] not in LANDMARKS for g in groups):
        raise ValueError(f"no drawn image has the name {image!r}")
    rng = np.random.default_rng(crc32(image.encode()))
    canvas = np.full((SIZE, SIZE, 3), rng.integers(165, 215), np.int16)
    for half, group in enumerate(rng.permutation(2)):
        number, colour, thing, relation, landmark = groups[group]
        for icon, rgb, row, column in _cells(int(number), colour, thing, relation, landmark, rng):
            _stamp(canvas, ICONS[icon], rgb, (2 * half + row) * CELL, column * CELL, rng)
    return np.clip(canvas + rng.integers(-6, 7, canvas.shape), 0, 255).astype(np.uint8)


def _cells(number: int, colour: str, thing: str, relation: str, landmark: str, rng):
    """(icon, colour, row, column) of all that stands in a half: two rows of four cells."""
    things = {"on": 0, "under": 1, "near": 1}[relation]
    wide = number + (relation == "near")
    start = int(rng.integers(0, 5 - wide))
    columns = list(range(start, start + wide))
    # side by side, on either side; or above or below one of them
    at = columns.pop(0 if rng.integers(2) else -1) if relation == "near" else columns[int(rng.integers(number))]
    yield landmark, LANDMARKS[landmark][0], 1 if relation == "near" else 1 - things, at
    for column in columns:
        yield thing, COLOURS[colour], things, column


def _stamp(canvas: np.ndarray, icon: str, rgb: tuple[int, int, int], top: int, left: int, rng) -> None:
    shape = np.array([[c == "#" for c in line] for line in icon.split("/")])
    down, right = rng.integers(0, CELL - len(shape) + 1, 2)
    part = canvas[top + down : top + down + shape.shape[0], left + right : left + right + shape.shape[1]]
    part[shape] = rgb
