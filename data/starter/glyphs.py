"""Signs that nobody uses: a few strokes or filled shapes drawn by chance, each written by several hands.

A sign is a list of strokes, each a smooth curve through points of the unit square. A hand moves the points a little,
leans, stretches and turns the whole, and has a pen of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Points = NDArray[np.float64]

SIDE = 112
FINER = 3  # drawn so many times larger, then averaged
FILLED = 0.12  # share of signs whose shapes are filled
COLOURED = 0.2  # share of pictures with other colours than ink on paper


@dataclass(frozen=True)
class Sign:
    """What is to be written: [n, 2] points of each stroke in [0, 1], whether it is closed, whether it is filled."""

    strokes: tuple[Points, ...]
    closed: tuple[bool, ...]
    smooth: tuple[bool, ...]
    filled: bool


def invent(rng: np.random.Generator) -> Sign:
    """A sign of one to five strokes."""
    count = int(rng.choice([1, 2, 3, 4, 5], p=[0.22, 0.32, 0.26, 0.13, 0.07]))
    filled = bool(rng.random() < FILLED)
    strokes, closed, smooth = [], [], []
    for _ in range(count):
        kind = rng.random()
        loop = filled or kind < 0.15
        if loop:
            strokes.append(_ring(rng))
        elif kind < 0.45:
            strokes.append(_line(rng, int(rng.integers(2, 4))))
        else:
            strokes.append(_walk(rng, int(rng.integers(3, 6))))
        closed.append(loop)
        smooth.append(bool(rng.random() < 0.7))
    if count > 1 and not filled and rng.random() < 0.7:  # hands seldom lift the pen far: strokes meet
        for i in range(1, count):
            meeting = strokes[i - 1][rng.integers(len(strokes[i - 1]))]
            strokes[i] = strokes[i] + (meeting - strokes[i][0]) * rng.uniform(0.6, 1.0)
    return Sign(_fitted(strokes), tuple(closed), tuple(smooth), filled)


def write(sign: Sign, rng: np.random.Generator) -> Image.Image:
    """The sign by one hand: RGB, ``SIDE`` pixels square."""
    turn, lean = np.deg2rad(rng.normal(0, 7)), rng.normal(0, 0.12)
    scale = rng.uniform(0.62, 0.9) * np.exp(rng.normal(0, 0.08, 2))
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array([[1, lean], [0, 1]])
    shift = 0.5 + rng.normal(0, 0.045, 2)
    wide = SIDE * FINER
    paper, ink = (255, 255, 255), (0, 0, 0)
    if rng.random() < COLOURED:
        paper, ink = _colours(rng)
    image = Image.new("RGB", (wide, wide), paper)
    pen = ImageDraw.Draw(image)
    width = max(2, round(wide * float(np.exp(rng.normal(np.log(0.026), 0.3)))))
    for stroke, closed, smooth in zip(sign.strokes, sign.closed, sign.smooth, strict=True):
        moved = stroke + rng.normal(0, 0.028, stroke.shape)
        placed = ((moved - 0.5) * scale) @ matrix.T + shift
        path = (_curve(placed, closed) if smooth else _polygon(placed, closed)) * wide
        path = path + _tremor(len(path), rng) * wide
        if sign.filled:
            pen.polygon([tuple(p) for p in path], fill=ink)
            continue
        pen.line([tuple(p) for p in path], fill=ink, width=width, joint="curve")
        for x, y in (path[0], path[-1]):
            pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=ink)
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def _line(rng: np.random.Generator, points: int) -> Points:
    return rng.uniform(0, 1, (points, 2))


def _walk(rng: np.random.Generator, points: int) -> Points:
    """A path that goes on roughly as it went: what a pen does."""
    at, heading, found = rng.uniform(0, 1, 2), rng.uniform(0, 2 * np.pi), []
    for _ in range(points):
        found.append(at)
        heading += rng.normal(0, 1.2)
        at = at + rng.uniform(0.25, 0.6) * np.array([np.cos(heading), np.sin(heading)])
    return np.array(found)


def _ring(rng: np.random.Generator) -> Points:
    corners = int(rng.integers(3, 7))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners)) if rng.random() < 0.5 else _even(corners, rng)
    radii = rng.uniform(0.15, 0.4) * rng.uniform(0.7, 1.3, corners)
    return rng.uniform(0.25, 0.75, 2) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def _even(corners: int, rng: np.random.Generator) -> Points:
    return rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners


def _fitted(strokes: list[Points]) -> tuple[Points, ...]:
    """Moved and scaled so that the whole fills the unit square; proportions kept within a factor of two."""
    every = np.concatenate(strokes)
    low, high = every.min(0), every.max(0)
    extent = np.maximum(high - low, (high - low).max() / 2).clip(1e-6)
    return tuple((stroke - (low + high) / 2) / extent + 0.5 for stroke in strokes)


def _curve(points: Points, closed: bool, steps: int = 10) -> Points:
    """Catmull-Rom through the points."""
    if len(points) < 3:
        return points
    padded = (
        np.concatenate([points[-1:], points, points[:2]])
        if closed
        else np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    )
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*pieces, padded[-2:-1]])


def _polygon(points: Points, closed: bool, steps: int = 6) -> Points:
    ends = np.concatenate([points, points[:1]]) if closed else points
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    return np.concatenate([*(a + (b - a) * t for a, b in pairwise(ends)), ends[-1:]])


def _tremor(points: int, rng: np.random.Generator) -> Points:
    """A hand's unsteadiness along a stroke: slow, and a hundredth of the picture."""
    knots = rng.normal(0, 0.008, (max(2, points // 6 + 2), 2))
    at = np.linspace(0, len(knots) - 1, points)
    return np.stack([np.interp(at, np.arange(len(knots)), knots[:, axis]) for axis in (0, 1)], 1)


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Paper and ink that can be told apart; the ink may be the lighter one."""
    while True:
        paper, ink = rng.integers(0, 256, 3), rng.integers(0, 256, 3)
        if abs(float(paper @ (0.3, 0.59, 0.11)) - float(ink @ (0.3, 0.59, 0.11))) > 90:
            return tuple(paper.tolist()), tuple(ink.tolist())
