"""Things that do not exist: parts put together by chance, each seen in pictures like those of `data/samples`.

A thing is a list of pieces. A piece is a shape (a turned solid, a bent tube, a plate, a truss ...) and sits on a side
of an earlier piece: once, twice as in a mirror, around it or in a row. It has a finish, and perhaps a pattern. None is
made after a class of the samples. What comes again from picture to picture is the thing's form: proportions, colours,
pose, light, background and camera are drawn anew, in all colours and on loud backgrounds, where a class of the samples
keeps to two colours and quiet ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from drawing import catalogue, photo
from drawing.kit import METALS, Kit, lacquer, matt, metal, mottled, rubber, wood
from drawing.mesh import (
    Floats,
    Material,
    Mesh,
    Paint,
    Subject,
    array,
    bend,
    box,
    cylinder,
    join,
    lathe,
    move,
    plate,
    ring,
    rod,
    scale,
    smooth,
    sphere,
    tube,
    turn,
)
from drawing.scene import Detail, draw
from drawing.surfaces import mix, step

DETAIL = Detail(side=128, samples=2, lamps=3, lamp_map=96, skies=5, sky_map=48)
"""What views of 64 pixels need, at a sixth of the samples' time."""

NUMBERS = 24  # what a shape may use
UPRIGHT, LYING = (4.0, 40.0), (48.0, 86.0)  # the camera's height above the horizon, degrees


@dataclass(frozen=True)
class Piece:
    """A part of a thing.

    shape: a name in SHAPES. numbers (NUMBERS,), 0..1: its proportions; count: of its teeth, arms, sides or turns.
    size: its extent, where the first piece has about 1. stretch (3,): factors. tip: axis and degrees, then another.
    parent: number of the piece it sits on; side (3,): in which direction; slide (3,): how far from the middle of that
    side, as a share of the parent's half extent. repeat: "one", "pair", "around" or "row", copies times.
    finish, pattern: names in FINISHES and PATTERNS; paints: the numbers of its two colours. optional: may be missing.
    """

    shape: str
    numbers: Floats
    count: int
    size: float
    stretch: Floats
    tip: tuple[tuple[str, float], tuple[str, float]]
    parent: int
    side: Floats
    slide: Floats
    repeat: str
    copies: int
    finish: str
    pattern: str
    paints: tuple[int, int]
    optional: bool


@dataclass(frozen=True)
class Thing:
    """Pieces, the first of which stands alone, and how the thing is shown: see `drawing.mesh.Subject`."""

    pieces: tuple[Piece, ...]
    turn: tuple[tuple[float, float], ...]
    elevation: tuple[float, float]
    tilt: float
    calm: float


# ---------------------------------------------------------------- shapes, of numbers and a count, about 1 across


def _block(n: Floats, count: int) -> Mesh:
    return box((1.0, 0.25 + 0.75 * n[0], 0.2 + 0.8 * n[1]), 0.02 + 0.16 * n[2], 3)


def _drum(n: Floats, count: int) -> Mesh:
    return move(cylinder(0.15 + 0.35 * n[0], 0.2 + 0.8 * n[1], 0.05 * n[2], 28), (0, 0, -0.1 - 0.4 * n[1]))


def _cone(n: Floats, count: int) -> Mesh:
    wide, top = 0.25 + 0.3 * n[0], 0.25 * n[1]
    return lathe([(0, -0.5), (wide, -0.5), (top, 0.2 + 0.4 * n[2]), (0, 0.2 + 0.4 * n[2])], 28)


def _turned(n: Floats, count: int) -> Mesh:
    knots = 4 + count % 4
    curve = smooth(np.column_stack([0.06 + 0.44 * n[:knots], np.linspace(-0.5, 0.5, knots)]), 26)
    curve[:, 0] = np.maximum(curve[:, 0], 0.02)
    return lathe(np.concatenate([[(0, curve[0, 1])], curve, [(0, curve[-1, 1])]]), 28)


def _bowl(n: Floats, count: int) -> Mesh:
    outer = smooth([(0.1 + 0.2 * n[0], -0.3), (0.2 + 0.3 * n[1], -0.3 + 0.3 * n[2]), (0.3 + 0.25 * n[3], 0.3)], 16)
    inner = (outer - (0.05, -0.05))[::-1]
    return lathe(np.concatenate([[(0, -0.3)], outer, inner[:-1], [(0, inner[-1, 1])]]), 28)


def _horn(n: Floats, count: int) -> Mesh:
    t = np.linspace(0, 1, 24)
    heading = (n[0] - 0.5) * 1.2 + (0.6 + 2.6 * n[1]) * t * (1 if n[2] < 0.6 else 1 - 2 * t)
    path = np.cumsum(np.stack([np.cos(heading), 0.5 * n[3] * t, np.sin(heading)], -1), axis=0) / 24
    first, last = 0.05 + 0.12 * n[4], 0.02 + 0.1 * n[5]
    swell = 1 + (n[6] - 0.3) * np.sin(np.pi * t)
    return _middled(tube(path, (first + (last - first) * t) * swell, 12, flatten=(1.0, 0.5 + 0.5 * n[7])))


def _arch(n: Floats, count: int) -> Mesh:
    t = np.linspace(0, np.pi * (0.8 + 0.8 * n[0]), 28)
    path = np.stack([0.45 * np.cos(t), 0 * t, (0.25 + 0.45 * n[1]) * np.sin(t)], -1)
    return _middled(tube(path, 0.03 + 0.07 * n[2], 10))


def _hoop(n: Floats, count: int) -> Mesh:
    return scale(ring(0.42, 0.03 + 0.1 * n[0] ** 2, 40, 10), (1, 0.6 + 0.4 * n[1], 1))


def _rod(n: Floats, count: int) -> Mesh:
    return rod((-0.5, 0, 0), (0.5, 0, 0), 0.03 + 0.06 * n[0], 0.02 + 0.07 * n[1])


def _coil(n: Floats, count: int) -> Mesh:
    turns = 2 + count % 4
    t = np.linspace(0, 1, 16 * turns)
    wide = 0.3 * (1 + (n[0] - 0.5) * t)
    path = np.stack([wide * np.cos(2 * np.pi * turns * t), wide * np.sin(2 * np.pi * turns * t), t - 0.5], -1)
    return tube(path, 0.03 + 0.05 * n[1], 8)


def _star(n: Floats, count: int) -> Mesh:
    arms = 3 + count
    t = np.arange(2 * arms) * np.pi / arms
    reach = np.where(np.arange(2 * arms) % 2, 0.5 * (0.25 + 0.5 * n[0]), 0.5)
    outline = np.stack([reach * np.cos(t), reach * np.sin(t)], -1)
    return plate(smooth(outline, 8 * arms, closed=True) if n[1] < 0.6 else outline, 0.04 + 0.2 * n[2], 0.02)


def _blob(n: Floats, count: int) -> Mesh:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    reach = 0.36 + sum((0.22 * n[k] / k) * np.cos(k * t + 6.28 * n[k + 6]) for k in range(2, 6))
    return plate(np.stack([reach * np.cos(t), reach * np.sin(t)], -1), 0.04 + 0.2 * n[0], 0.03)


def _leaf(n: Floats, count: int) -> Mesh:
    t = np.linspace(0, 1, 24)
    wide = (
        (0.1 + 0.3 * n[0]) * np.sin(np.pi * t ** (0.5 + n[1])) * (1 + 0.3 * n[2] * np.sin(2 * np.pi * (2 + count) * t))
    )
    outline = np.concatenate([np.stack([t - 0.5, wide], -1), np.stack([t - 0.5, -wide * n[3]], -1)[-2:0:-1]])
    flat = plate(outline, 0.03 + 0.05 * n[4], 0.01)
    return bend(flat, lambda p: p + np.stack([0 * p[:, 0], 0 * p[:, 0], (n[5] - 0.5) * p[:, 0] ** 2], -1))


def _gear(n: Floats, count: int) -> Mesh:
    teeth = 6 + 2 * count
    t = np.linspace(0, 2 * np.pi, 4 * teeth, endpoint=False)
    reach = np.where(np.arange(4 * teeth) % 4 < 2, 0.5, 0.5 - 0.05 - 0.15 * n[0])
    return plate(np.stack([reach * np.cos(t), reach * np.sin(t)], -1), 0.08 + 0.25 * n[1], 0.01)


def _slab(n: Floats, count: int) -> Mesh:
    t = np.arange(3 + count % 5) * 2 * np.pi / (3 + count % 5) + 0.3
    reach = 0.35 + 0.3 * n[: len(t)]
    return plate(np.stack([reach * np.cos(t), reach * np.sin(t)], -1), 0.05 + 0.3 * n[9], 0.03)


def _truss(n: Floats, count: int) -> Mesh:
    nodes = (n[:21].reshape(7, 3) - 0.5) * (1.0, 0.2 if count % 2 else 0.8, 1.0)
    bars = [(i, i + 1) for i in range(3 + count % 4)] + [(0, 2), (1, 3 + count % 3)]
    thick = 0.015 + 0.03 * n[21]
    return join(*(rod(nodes[a], nodes[b], thick, segments=8) for a, b in bars))


def _grid(n: Floats, count: int) -> Mesh:
    tall, thick = 0.3 + 0.7 * n[0], 0.015 + 0.03 * n[1]
    x, y = np.linspace(-0.5, 0.5, 2 + count % 4), np.linspace(-tall / 2, tall / 2, 2 + (count + 1) // 2)
    bars = [rod((a, y[0], 0), (a, y[-1], 0), thick, segments=8) for a in x]
    return join(*bars, *(rod((x[0], b, 0), (x[-1], b, 0), thick, segments=8) for b in y))


def _middled(mesh: Mesh) -> Mesh:
    return move(mesh, -(mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2)


SHAPES: dict[str, Callable[[Floats, int], Mesh]] = {
    "ball": lambda n, count: scale(sphere(0.5, 26), (1, 0.6 + 0.4 * n[0], 0.5 + 0.5 * n[1])),
    "block": _block, "drum": _drum, "cone": _cone, "turned": _turned, "bowl": _bowl, "horn": _horn, "arch": _arch,
    "hoop": _hoop, "rod": _rod, "coil": _coil, "star": _star, "blob": _blob, "leaf": _leaf, "gear": _gear,
    "slab": _slab, "truss": _truss, "grid": _grid,
}  # fmt: skip
FLAT = ("star", "blob", "leaf", "gear", "slab", "grid", "hoop")  # lie in the plane z = 0 as they are made
THIN = ("truss", "grid", "hoop", "rod", "arch", "coil")
AT_LENGTH = ("rod", "horn", "leaf", "block", "grid", "star", "blob", "hoop", "slab", "ball", "turned", "gear", "arch")
FINISHES = ("lacquer", "lacquer", "lacquer", "matt", "matt", "metal", "wood", "mottled", "rubber")
PATTERNS = ("plain",) * 6 + ("bands", "rings", "spots", "halves", "checks")


# ---------------------------------------------------------------- inventing


def invent(rng: np.random.Generator) -> Thing:
    """A thing of one to six pieces; `show` makes pictures of it."""
    lying = bool(rng.random() < 0.35)
    count = int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.05, 0.23, 0.28, 0.23, 0.13, 0.08]))
    pieces = [_piece(rng, i, lying) for i in range(count)]
    parents = {piece.parent for piece in pieces}
    kept = [_may_miss(rng, piece, i, i in parents) for i, piece in enumerate(pieces)]
    start = rng.uniform(0, 360)
    around = ((0.0, 360.0),) if lying or rng.random() < 0.35 else ((start, start + rng.uniform(60, 130)),)
    thin = np.mean([piece.shape in THIN for piece in pieces])
    return Thing(tuple(kept), around, LYING if lying else UPRIGHT, float(rng.uniform(0, 9)), float(0.5 * thin))


def _piece(rng: np.random.Generator, number: int, lying: bool) -> Piece:
    shape = str(rng.choice(AT_LENGTH if lying else sorted(SHAPES)))
    repeat, copies = "one", 1
    if number:
        repeat = str(rng.choice(["one", "pair", "around", "row"], p=[0.5, 0.24, 0.14, 0.12]))
        copies = {"one": 1, "pair": 2, "around": int(rng.integers(3, 8)), "row": int(rng.integers(2, 6))}[repeat]
    return Piece(
        shape=shape,
        numbers=rng.random(NUMBERS),
        count=int(rng.integers(0, 6)),
        size=float(rng.uniform(0.3, 1.0) if number else 1.0) * (0.7 if copies > 2 else 1.0),
        stretch=np.exp(rng.normal(0, 0.25, 3)) * ((1, 1, 0.45) if lying and shape not in FLAT else (1, 1, 1)),
        tip=_tip(rng, shape, lying),
        parent=int(rng.integers(0, number)) if number else -1,
        side=_side(rng, repeat, lying),
        slide=rng.uniform(-0.9, 0.9, 3) * (1 if rng.random() < 0.6 else 0),
        repeat=repeat,
        copies=copies,
        finish=str(rng.choice(FINISHES)),
        pattern=str(rng.choice(PATTERNS)),
        paints=(int(rng.integers(0, 3)), int(rng.integers(0, 4))),
        optional=False,
    )


def _may_miss(rng: np.random.Generator, piece: Piece, number: int, bears: bool) -> Piece:
    missing = number > 1 and not bears and rng.random() < 0.25
    return Piece(**{**piece.__dict__, "optional": bool(missing)})


def _tip(rng: np.random.Generator, shape: str, lying: bool) -> tuple[tuple[str, float], tuple[str, float]]:
    if lying:
        return ("z", float(rng.choice([0, 90, rng.uniform(0, 180)]))), ("x", 0.0)
    stand = shape in (*FLAT, "rod") and rng.random() < 0.7
    first = 90.0 if stand else float(rng.choice([0, 0, 90, rng.uniform(-60, 60)]))
    return (str(rng.choice(["x", "y"])), first), ("z", float(rng.choice([0, 0, 90, rng.uniform(0, 180)])))


def _side(rng: np.random.Generator, repeat: str, lying: bool) -> Floats:
    if repeat in ("pair", "around"):
        return array([1, 0, 0])
    sides = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
    return array(sides[rng.integers(4)] if lying or rng.random() < 0.45 else [0, 0, 1 if rng.random() < 0.8 else -1])


# ---------------------------------------------------------------- building


def build(thing: Thing, kit: Kit) -> Subject:
    """The thing as one picture has it: proportions and colours vary."""
    out = Subject([], thing.turn, thing.elevation, thing.tilt, 7.0 if thing.elevation == UPRIGHT else 0.0, thing.calm)
    groups: list[Mesh] = []
    for piece in thing.pieces:
        mesh = _shaped(piece, kit.rng)
        groups.append(_repeated(piece, mesh, groups[piece.parent]) if groups else mesh)
        if not (piece.optional and kit.rng.random() < 0.45):
            out.add(groups[-1], _stuff(piece, kit))
    return out


def _shaped(piece: Piece, rng: np.random.Generator) -> Mesh:
    numbers = np.clip(piece.numbers + rng.normal(0, 0.05, NUMBERS), 0, 1)
    mesh = scale(SHAPES[piece.shape](numbers, piece.count), piece.stretch * np.exp(rng.normal(0, 0.06, 3)))
    for axis, degrees in piece.tip:
        mesh = turn(mesh, axis, degrees + rng.normal(0, 3))
    return scale(_middled(mesh), piece.size * np.exp(rng.normal(0, 0.07)))


def _repeated(piece: Piece, mesh: Mesh, parent: Mesh) -> Mesh:
    """All copies of a piece where they sit on its parent."""
    low, high = parent.points.min(axis=0), parent.points.max(axis=0)
    middle, half, own = (low + high) / 2, (high - low) / 2, np.ptp(mesh.points, axis=0) / 2
    across = 1 - np.abs(piece.side)
    offset = piece.side * (half + 0.75 * own) + piece.slide * across * half
    if piece.repeat == "pair":
        right = move(mesh, offset)
        return move(join(right, scale(right, (-1, 1, 1))), middle)
    if piece.repeat == "around":
        first = move(mesh, offset * (1, 0, 1))
        return move(join(*(turn(first, "z", 360 * k / piece.copies) for k in range(piece.copies))), middle)
    if piece.repeat == "row":
        along = array([1, 0, 0]) if piece.side[0] == 0 else array([0, 1, 0])
        places = np.linspace(-1, 1, piece.copies)[:, None] * along * np.maximum(half, own * 0.8)
        return move(join(*(move(mesh, offset * (1 - along) + place) for place in places)), middle)
    return move(mesh, middle + offset)


def _stuff(piece: Piece, kit: Kit) -> Material:
    first, second = kit.varied(kit.paint(piece.paints[0])), kit.varied(kit.paint(piece.paints[1] + 2))
    finish = piece.finish if kit.rng.random() < 0.8 else "lacquer"
    made = {
        "lacquer": lambda: lacquer(first, kit.between(0.3, 0.75)),
        "matt": lambda: matt(first),
        "metal": lambda: metal(kit.choose(METALS, piece.paints[0]), kit.between(0.5, 0.8)),
        "wood": lambda: wood(kit, piece.paints[0], int(np.argmax(piece.stretch))),
        "mottled": lambda: mottled(kit, first, kit.between(3, 8), kit.between(0.2, 0.6)),
        "rubber": rubber,
    }[finish]()
    if piece.pattern == "plain" or kit.rng.random() < 0.15:
        return made
    return Material(made.colour, made.gloss, made.metal, paint=_painted(piece, second))


def _painted(piece: Piece, second: Floats) -> Paint:
    """The pattern of a piece in a second colour."""
    axis, period = int(piece.numbers[-1] * 3) % 3, 0.12 + 0.3 * piece.numbers[-2]
    level = 0.5 * (piece.numbers[-3] - 0.5)

    def amount(p: Floats) -> Floats:
        q = p / period
        if piece.pattern == "bands":
            return step(-0.15, 0.15, np.sin(2 * np.pi * q[:, axis]))
        if piece.pattern == "rings":
            away = np.linalg.norm(np.delete(q, axis, axis=1), axis=1)
            return step(-0.15, 0.15, np.sin(2 * np.pi * away))
        if piece.pattern == "spots":
            return 1 - step(0.3, 0.36, np.linalg.norm(q - np.floor(q) - 0.5, axis=1))
        if piece.pattern == "halves":
            return step(-0.01, 0.01, p[:, axis] - level)
        return array(np.floor(q + 1e-6).sum(axis=1) % 2)

    return lambda p, c: mix(c, second, amount(p))


# ---------------------------------------------------------------- pictures


def show(thing: Thing, name: str, number: int, rng: np.random.Generator) -> bytes:
    """Picture `number` of a thing, as the bytes of a JPEG file of DETAIL.side pixels.

    name: what pose, light and background start from; of another thing it is another one.
    """
    subject = build(thing, Kit(rng, number, int(rng.integers(0, 997))))
    view = catalogue.look(subject, name, number, rng)
    around = catalogue.clutter(subject, view, rng) if number % 5 in (1, 3) else None
    light, _ = draw(subject.parts, view, around, DETAIL)
    return photo.take(light, rng)
