"""Invented goods as a shop shows them: heaps of a fruit that nobody grows, rows of a package that nobody sells.

Unlike with `starter.things`, colour belongs to a good: its shape, its colours and its pattern or label come again from
picture to picture. Goods come in families that share shape and layout and differ in colours, as sorts do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from drawing import catalogue, photo
from drawing.kit import Kit, lacquer, matt, mottled, solid_noise
from drawing.mesh import (
    Floats,
    Material,
    Mesh,
    Paint,
    Subject,
    bend,
    box,
    cylinder,
    join,
    lathe,
    move,
    rod,
    scale,
    smooth,
    turn,
)
from drawing.scene import Look, draw
from drawing.surfaces import Noise, hue, mix, step

from starter.things import DETAIL

FAMILY = 3
"""Goods of a family."""


@dataclass(frozen=True)
class Good:
    """What comes again of a good: numbers (24,), 0..1, of its family's form, and its colours (4, 3), linear RGB."""

    grown: bool
    form: Floats
    kind: int
    colours: Floats
    mark: int


def invent(family: np.random.Generator, own: np.random.Generator) -> Good:
    """A good; those of one family begin with equal random numbers `family` and have `own` ones each."""
    grown = bool(family.random() < 0.5)
    return Good(grown, family.random(24), int(family.integers(6)), _colours(own, grown), int(own.integers(4)))


def _colours(rng: np.random.Generator, grown: bool) -> Floats:
    first = rng.random()
    if grown:
        return np.stack([
            hue(first, rng.uniform(0.3, 0.9), rng.uniform(0.35, 0.95)),
            hue(first + rng.uniform(-0.12, 0.12), rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.95)),
            hue(rng.uniform(0.08, 0.35), rng.uniform(0.3, 0.7), rng.uniform(0.2, 0.5)),
            hue(rng.random(), 0.1, 0.9),
        ])  # fmt: skip
    pale = hue(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.85, 1.0))
    inks = [hue(first + shift, rng.uniform(0.4, 1.0), rng.uniform(0.25, 0.95)) for shift in (0.0, rng.random(), 0.5)]
    return np.stack([pale if rng.random() < 0.55 else inks[0], inks[0], inks[1], inks[2]])


# ---------------------------------------------------------------- what grows


def _fruit(good: Good, rng: np.random.Generator) -> Mesh:
    """One fruit, about 1 across, its stalk upwards."""
    n = np.clip(good.form + rng.normal(0, 0.025, 24), 0, 1)
    knots = smooth([(0.02, 0.0), (0.2 + 0.3 * n[0], 0.1), (0.25 + 0.35 * n[1], 0.5), (0.08 + 0.36 * n[2], 0.9),
                    (0.02, 0.96 - 0.1 * n[3])], 22)  # fmt: skip
    knots[:, 0] = np.maximum(knots[:, 0], 0.01)
    knots[:, 1] *= 0.7 + 1.6 * n[4] ** 2
    lobes, depth = 3 + int(good.form[5] * 5), 0.16 * good.form[6] * (good.form[7] < 0.4)
    bow = (n[8] - 0.2) * 0.5 * (good.form[4] > 0.55)

    def shaped(p: Floats) -> Floats:
        p = p - (0, 0, p[:, 2].mean())
        factor = 1 + depth * np.cos(lobes * np.arctan2(p[:, 1], p[:, 0]))
        return np.stack([p[:, 0] * factor + bow * p[:, 2] ** 2, p[:, 1] * factor, p[:, 2]], -1)

    body = bend(lathe(knots, 24), shaped)
    return scale(body, 1 / float(np.ptp(body.points, axis=0).max()))


def _skin(good: Good, kit: Kit) -> Material:
    f, noise = good.form, Noise(kit.rng)
    first, second = (kit.varied(good.colours[i], 0.07) for i in (0, 1))
    fine, kind = 4 + 22 * f[9], int(f[10] * 4)

    def paint(p: Floats, c: Floats) -> Floats:
        hills = solid_noise(noise, p, fine if kind < 2 else 2.5)
        return mix(c, second, step(0.35 + 0.25 * f[11], 0.62 + 0.3 * f[11], hills))

    if kind == 3:
        return mottled(kit, first, 5, 0.15, 0.15 + 0.6 * float(f[12]))
    return Material(first, 0.1 + 0.65 * float(f[12]), paint=paint)


def heap(good: Good, kit: Kit) -> Subject:
    """Many of a fruit in a heap, a few, or one."""
    rng, out = kit.rng, Subject(elevation=(30.0, 88.0), tilt=0)
    across = int(rng.choice([1, 2, 3, 4, 5], p=[0.16, 0.14, 0.3, 0.25, 0.15]))
    lie = 90.0 if good.form[4] > 0.4 or good.form[13] < 0.4 else 0.0
    fruits, stalks = [], []
    shared = rng.uniform(0, 360)
    for row in range(across):
        for column in range(across):
            lean, yaw = lie + rng.normal(0, 18), rng.normal(shared, 40)
            fruit = turn(turn(_fruit(good, rng), "x", lean), "z", yaw)
            wide = np.ptp(fruit.points, axis=0) * 0.9
            place = ((column + 0.5 * (row % 2)) * wide[0], row * wide[1], rng.uniform(0, 0.35) * (across > 1))
            fruits.append(move(fruit, place))
            if good.form[14] < 0.5:
                stalk = rod((0, 0, 0.3), (0.04, 0, 0.58 + 0.2 * good.form[15]), 0.02 + 0.03 * good.form[16], segments=6)
                stalks.append(move(turn(turn(stalk, "x", lean), "z", yaw), place))
    out.add(join(*fruits), _skin(good, kit))
    if stalks:
        out.add(join(*stalks), matt(kit.varied(good.colours[2])))
    return out


# ---------------------------------------------------------------- what is packed


def _package(good: Good) -> Mesh:
    """One package about 1 high, standing on z = 0."""
    f = good.form
    wide = 0.3 + 0.5 * f[0]
    if good.kind in (0, 1):  # a carton, or a softer bag
        body = move(box((wide, 0.3 + 0.3 * f[1], 1.0), 0.02 if good.kind == 0 else 0.12, 3), (0, 0, 0.5))
        if good.kind == 0 and f[2] < 0.5:  # its top folded
            return bend(body, lambda p: p * np.stack([1 + 0 * p[:, 2], 1 - np.maximum(p[:, 2] - 0.8, 0) * 4.4,
                                                      1 + 0 * p[:, 2]], -1))  # fmt: skip
        return body
    if good.kind in (2, 3):  # a tin or a tub
        if good.kind == 2:
            return cylinder(wide * 0.6, 0.6 + 0.4 * f[1], 0.03, 30)
        return lathe([(0, 0), (wide * 0.5, 0), (wide * (0.55 + 0.25 * f[1]), 0.75), (wide * 0.9, 0.76),
                      (wide * 0.9, 0.85), (0, 0.85)], 30)  # fmt: skip
    r = 0.16 + 0.14 * f[0]
    curve = smooth([(r, 0.02), (r * (0.85 + 0.3 * f[1]), 0.3), (r, 0.55 + 0.1 * f[2]), (0.07 + 0.05 * f[3], 0.8),
                    (0.06, 1.0)], 26)  # fmt: skip
    return lathe(np.concatenate([[(0, 0)], curve, [(0, 1.0)]]), 30)


def _label(good: Good) -> Paint:
    """What is printed on a package: fields of colour, a badge, lines of words."""
    f, (ground, first, second, third) = good.form, good.colours
    around = good.kind >= 2
    # The words are the good's own: the same marks on each of its packages.
    words = np.random.default_rng([int(1e6 * f[23]), good.mark]).random((6, 18))

    def paint(p: Floats, c: Floats) -> Floats:
        u = np.arctan2(p[:, 0], -p[:, 1]) / 2 if around else p[:, 0]
        v = p[:, 2]
        front = np.ones(len(p)) if around else (np.abs(p[:, 1]) > 0.1).astype(np.float64)
        out = mix(c, first, step(0.0, 0.02, v - f[4]) if f[5] < 0.5 else step(0.0, 0.02, f[4] - v))
        band = step(0.0, 0.01, v - f[6] * 0.8) - step(0.0, 0.01, v - f[6] * 0.8 - 0.05 - 0.2 * f[7])
        out = mix(out, second, band * (f[8] < 0.7))
        slant = u * (f[9] - 0.5) * 4 + v - f[10]
        out = mix(out, third, (step(0.0, 0.01, slant) - step(0.0, 0.01, slant - 0.12)) * (f[11] < 0.4) * front)
        badge = np.hypot((u - 0.2 * (f[12] - 0.5)) / (0.6 + f[13]), v - 0.25 - 0.5 * f[14])
        if good.mark % 2:
            badge = np.maximum(np.abs(u - 0.2 * (f[12] - 0.5)), np.abs(v - 0.25 - 0.5 * f[14]))
        size = 0.08 + 0.12 * f[15]
        out = mix(out, second if f[16] < 0.5 else third, (1 - step(size - 0.01, size, badge)) * front)
        out = mix(out, ground, (1 - step(size * 0.5 - 0.01, size * 0.5, badge)) * front * (f[17] < 0.5))
        line = (0.85 - v) / (0.07 + 0.08 * f[18])
        row, inside = np.floor(line).astype(np.int64), np.abs(line - np.floor(line) - 0.5) < 0.3
        letter = np.clip(np.floor((u + 0.35) / 0.7 * 18).astype(np.int64), 0, 17)
        seen = inside & (row >= 0) & (row < 2 + int(f[19] * 4)) & (np.abs(u) < 0.3)
        ink = seen & (words[np.clip(row, 0, 5), letter] < 0.6)
        dark = third if float(out.mean()) > 0.35 else np.ones(3)
        return mix(out, dark * 0.5 if float(out.mean()) > 0.35 else dark, ink * front)

    return paint


def shelf(good: Good, kit: Kit, other: Good) -> Subject:
    """A few of a package side by side, at times with another good's at the edge."""
    rng, out = kit.rng, Subject(turn=((-22.0, 22.0),), elevation=(0.0, 28.0), tilt=2)
    body = _package(good)
    wide = float(np.ptp(body.points[:, 0])) * 1.04
    count = int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))
    for k in range(count):
        # The label is painted in the package's own units, about its own middle.
        place, yaw = (k - (count - 1) / 2) * wide, rng.normal(0, 7)
        out.add(move(turn(body, "z", yaw), (place, rng.normal(0, 0.02), 0)), _printed(good, kit, place, yaw))
    if rng.random() < 0.4 and not other.grown:
        beside = _package(other)
        place = (count / 2) * wide + float(np.ptp(beside.points[:, 0])) * 0.55
        place = place if rng.random() < 0.5 else -place
        out.add(move(beside, (place, 0.05, 0)), _printed(other, kit, place, 0.0))
    return out


def _printed(good: Good, kit: Kit, place: float, yaw: float) -> Material:
    label, c, s = _label(good), np.cos(np.radians(-yaw)), np.sin(np.radians(-yaw))

    def paint(p: Floats, base: Floats) -> Floats:
        x, y = p[:, 0] - place, p[:, 1]
        return label(np.stack([c * x - s * y, s * x + c * y, p[:, 2]], -1), base)

    gloss = 0.15 + 0.6 * float(good.form[20])
    return replace(lacquer(kit.varied(good.colours[0], 0.05), gloss), paint=paint)


# ---------------------------------------------------------------- pictures


def show(good: Good, other: Good, name: str, number: int, rng: np.random.Generator) -> bytes:
    """Picture `number` of a good, as the bytes of a JPEG file of `things.DETAIL.side` pixels.

    other: what may stand beside it. name: see `things.show`.
    """
    kit = Kit(rng, number, int(rng.integers(0, 997)))
    subject = heap(good, kit) if good.grown else shelf(good, kit, other)
    view: Look = catalogue.look(subject, name, number, rng)
    fill = rng.uniform(0.7, 1.7) if good.grown else rng.uniform(0.7, 1.35)
    view = replace(view, fill=fill, place=tuple(rng.uniform(0.3, 0.7, 2)), backdrop="wall", tip=(0.0, 0.0))
    light, _ = draw(subject.parts, view, detail=DETAIL)
    return photo.take(light, rng)


def all_goods(count: int) -> list[Good]:
    """Goods 0 to count - 1; good n always is the same."""
    return [invent(np.random.default_rng([5, n // FAMILY]), np.random.default_rng([6, n])) for n in range(count)]
