"""Which things are drawn, and how a picture of one is set up."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from drawing import things_home, things_made, things_nature, things_wheels
from drawing.kit import PAINTS, Kit, lacquer, metal, wood
from drawing.mesh import Floats, Material, Mesh, Subject, array, box, cylinder, move, ring, rod, scale, sphere, turn
from drawing.scene import Look, draw, placed
from drawing.surfaces import colour, faded, hue, linear, surface, upright

THINGS: dict[str, Callable[[Kit], Subject]] = {
    "alarm_clock": things_home.alarm_clock,
    "banana": things_nature.banana,
    "bicycle": things_wheels.bicycle,
    "butterfly": things_nature.butterfly,
    "cactus": things_nature.cactus,
    "car": things_wheels.car,
    "chair": things_home.chair,
    "dice": things_home.dice,
    "fish": things_nature.fish,
    "football": things_made.football,
    "guitar": things_made.guitar,
    "hammer": things_made.hammer,
    "hat": things_home.hat,
    "house": things_wheels.house,
    "key": things_made.key,
    "ladder": things_made.ladder,
    "leaf": things_nature.leaf,
    "mug": things_home.mug,
    "mushroom": things_nature.mushroom,
    "sailboat": things_wheels.sailboat,
    "scissors": things_made.scissors,
    "spectacles": things_home.spectacles,
    "starfish": things_nature.starfish,
    "sunflower": things_nature.sunflower,
    "table_lamp": things_home.table_lamp,
    "teapot": things_home.teapot,
    "tree": things_nature.tree,
    "umbrella": things_home.umbrella,
}

USUAL, CALM, GREY = 2, 0.75, 0.65
"""Of the samples: the colours that a class keeps to, and how quiet the patterns behind it are, as in most photos."""

GOLDEN = 0.6180339887498949
"""Multiples of it, less their whole part, fall evenly into 0..1: poses of successive pictures never bunch."""


def evenly(number: int, start: float, low: float, high: float) -> float:
    """The number's place in a range that successive numbers fill evenly."""
    return low + (high - low) * ((start + number * GOLDEN) % 1.0)


def warmth(rng: np.random.Generator) -> Floats:
    """A lamp's colour, from candle to shade, linear RGB (3,)."""
    warm, cool = linear(array([1.0, 0.78, 0.52])), linear(array([0.80, 0.90, 1.0]))
    share = rng.uniform(0, 1)
    if share < 0.35:
        return array(1 + (warm - 1) * rng.uniform(0.3, 1.0))
    if share < 0.6:
        return array(1 + (cool - 1) * rng.uniform(0.3, 1.0))
    return array([1.0, 1.0, 1.0])


def look(
    subject: Subject, name: str, number: int, rng: np.random.Generator, calm: float = 0.0, grey: float = 0.0
) -> Look:
    """Pose, camera, light and backdrop of one picture.

    calm, grey: how far the patterns behind the thing are faded at least, and how much of their colour is taken away,
    0..1.
    """
    shift = zlib.crc32(name.encode("ascii"))
    start = (shift % 1000) / 1000
    low, high = subject.turn[(number + shift) % len(subject.turn)]
    backdrop = ("wall", "sweep", "wall", "sky", "wall")[(number + shift // 7) % 5]
    height = rng.uniform(28, 68)
    side = rng.uniform(20, 160) if rng.random() < 0.25 else rng.uniform(200, 340)  # mostly from in front
    flat = np.cos(np.radians(height))
    light = array([flat * np.cos(np.radians(side)), flat * np.sin(np.radians(side)), np.sin(np.radians(height))])
    hard = rng.uniform(0, 1)
    tint = warmth(rng)
    sky = array(np.clip(2 - tint, 0.75, 1.25)) * (0.75 - 0.35 * hard)
    sky = sky * (1 + 0.1 * (hue(rng.random(), 0.5, 1.0) - 0.5))
    return Look(
        turn=evenly(number // max(1, len(subject.turn)), start + rng.uniform(-0.08, 0.08), low, high),
        tip=(rng.uniform(-1, 1) * subject.tilt, rng.uniform(-1, 1) * subject.tilt),
        elevation=evenly(number * 2 + 1, start * 3, *subject.elevation),
        roll=rng.uniform(-1, 1) * subject.roll,
        distance=rng.uniform(3.2, 6.5),
        fill=evenly(number * 3, start * 7, 0.6, 0.86),
        place=(rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)),
        ground=faded(surface(rng, number * 5 + shift, grey), max(calm, subject.calm)),
        wall=faded(upright(rng, number * 7 + shift // 3 + 1, grey), max(calm, subject.calm)),
        backdrop=backdrop,
        wall_distance=rng.uniform(1.0, 2.6),
        light=light,
        lamp=tint * (0.9 + 0.9 * hard),
        sky=sky,
        softness=rng.uniform(2.0, 9.0),
        horizon=hue(rng.uniform(0.5, 0.66), rng.uniform(0.03, 0.35), rng.uniform(0.6, 1.0)),
    )


def clutter(subject: Subject, view: Look, rng: np.random.Generator) -> list[tuple[Mesh, Material]]:
    """A few small things that lie about, beside or behind the subject, never on it or before it."""
    points = placed(subject.parts, view).corners.reshape(-1, 3)
    points = points[rng.permutation(len(points))[:3000]]
    radius = float(np.linalg.norm(points.max(axis=0) - points.min(axis=0))) / 2
    from_above = view.elevation > 44
    out = []
    taken = points[:, :2]
    for _ in range(40):
        if len(out) >= 6:
            break
        size = radius * rng.uniform(0.09, 0.2)
        place = rng.uniform(-1.5, 1.5, 2) * radius
        clear = float(np.hypot(*(taken - place).T).min())
        # What stands in front would hide the subject; seen from above nothing hides anything.
        if clear < 1.6 * size or (not from_above and (place[1] < 0 and abs(place[0]) < radius)):
            continue
        taken = np.concatenate([taken, place[None] + size * array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])])
        out.append(small_thing(size, place, rng))
    return out


def small_thing(size: float, place: Floats, rng: np.random.Generator) -> tuple[Mesh, Material]:
    """A pebble, block, ball, coin, ring or pencil stub, half a `size` high at most, at a place (2,) on the ground."""
    kind = int(rng.integers(6))
    tint = colour(PAINTS[int(rng.integers(len(PAINTS)))])
    stuff = lacquer(tint, float(rng.uniform(0.1, 0.7)))
    at = (place[0], place[1], 0.0)
    angle = rng.uniform(0, 360)
    if kind == 0:
        pebble = scale(sphere(size, 24), (1.0, rng.uniform(0.6, 0.9), 0.45))
        grey = hue(rng.random(), rng.uniform(0.03, 0.2), rng.uniform(0.3, 0.8))
        return move(turn(pebble, "z", angle), (at[0], at[1], 0.45 * size)), lacquer(grey, 0.1)
    if kind == 1:
        block = box((1.4 * size, 0.9 * size, 0.8 * size), 0.06 * size)
        stuff = wood(Kit(rng, int(rng.integers(6)), 0)) if rng.random() < 0.5 else stuff
        return move(turn(block, "z", angle), (at[0], at[1], 0.4 * size)), stuff
    if kind == 2:
        return move(sphere(0.6 * size, 32), (at[0], at[1], 0.6 * size)), stuff
    if kind == 3:
        return move(cylinder(0.7 * size, 0.14 * size, 0.03 * size, 32), at), metal(
            "d8b25a" if rng.random() < 0.5 else "b9bcc0"
        )
    if kind == 4:
        return move(ring(0.6 * size, 0.16 * size, 36), (at[0], at[1], 0.16 * size)), stuff
    stub = rod((-size, 0, 0.16 * size), (size, 0, 0.16 * size), 0.16 * size)
    return move(turn(stub, "z", angle), at), stuff


def light_of(name: str, number: int, rng: np.random.Generator) -> Floats:
    """The light (SIZE, SIZE, 3) that reaches the camera in picture `number` of a class."""
    subject = THINGS[name](Kit(rng, number, zlib.crc32(name.encode("ascii")) % 997, USUAL))
    view = look(subject, name, number, rng, CALM, GREY)
    around = clutter(subject, view, rng) if number % 5 in (1, 3) else None
    picture, _ = draw(subject.parts, view, around)
    return picture
