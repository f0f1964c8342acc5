"""What every thing's builder is given: its random numbers, and shared paints and materials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from drawing.mesh import Floats, Material, Paint, array
from drawing.surfaces import Noise, colour, mix, step

T = TypeVar("T")

PAINTS = (
    "d8352b", "f2b01e", "2f8050", "2b5fa8", "f1ede2", "2d2d31", "7b4fa3",
    "ee86a8", "2fa39b", "e6722a", "8a5a33", "98a2ac", "b4d19f", "a4c8e6",
)  # fmt: skip
WOODS = ("c9985f", "8b5a2f", "e2c08d", "5b3a22", "b4713d", "d9d2c4")
METALS = ("d9dadb", "d8b25a", "c98a5e", "9aa0a6", "b9bcc0", "5c5e63")


@dataclass(frozen=True)
class Kit:
    """The random numbers of one picture, and its number within its class (from 1).

    What is chosen by number goes round its list, so that a class's pictures differ even where chance would repeat.

    usual: how many of the colours that a thing could have its class keeps to, as most things do; None: all of them.
    """

    rng: np.random.Generator
    number: int
    start: int
    usual: int | None = None

    def choose(self, options: Sequence[T], slot: int = 0) -> T:
        """One of the options; slots go round at different paces."""
        return options[(self.start + self.number * (1 + 2 * slot) + 3 * slot) % len(options)]

    def paint(self, slot: int = 0) -> Floats:
        """A paint's colour, linear RGB (3,)."""
        if self.usual is not None:
            return self.varied(colour(PAINTS[(self.start + self.number % self.usual * 4 + slot * 5) % len(PAINTS)]))
        return colour(PAINTS[(self.start + self.number * 5 + slot * (3 + self.number % 3)) % len(PAINTS)])

    def tint(self, options: Sequence[str], slot: int = 0) -> Floats:
        """One of the colours "rrggbb" that a thing has by nature, the most usual first; linear RGB (3,)."""
        return colour(self.choose(options[: self.usual], slot))

    def between(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.rng.uniform(low, high))

    def varied(self, base: Floats, by: float = 0.12) -> Floats:
        """A colour a little lighter or darker and a little shifted."""
        return array(np.clip(base * (1 + self.rng.uniform(-by, by)) * (1 + self.rng.uniform(-by, by, 3) / 2), 0, 1))


def lacquer(base: Floats, gloss: float = 0.6) -> Material:
    """Paint, plastic or glazed clay."""
    return Material(base, gloss=gloss)


def matt(base: Floats, paint: Paint | None = None) -> Material:
    """Cloth, paper, bark, petals."""
    return Material(base, gloss=0.08, paint=paint)


def metal(base: str | Floats, gloss: float = 0.75) -> Material:
    """Bare metal, given as a colour or as "rrggbb"."""
    return Material(colour(base) if isinstance(base, str) else base, gloss=gloss, metal=1.0)


def rubber() -> Material:
    """Black rubber."""
    return Material(colour("26272a"), gloss=0.15)


def wood(kit: Kit, slot: int = 0, along: int = 0) -> Material:
    """Wood with its grain along an axis (0, 1 or 2)."""
    noise = Noise(kit.rng)
    base = colour(kit.choose(WOODS, slot))
    across = [i for i in range(3) if i != along]

    def grain(p: Floats, c: Floats) -> Floats:
        line = p[:, along] * 1.6
        fine = noise.hills(line + 3 * p[:, across[1]], p[:, across[0]] * 22 + 9 * p[:, across[1]], 3)
        return mix(c * 1.12, c * 0.55, step(0.25, 0.85, fine))

    return Material(base, gloss=0.3, paint=grain)


def mottled(kit: Kit, base: Floats, size: float = 4.0, depth: float = 0.4, gloss: float = 0.1) -> Material:
    """An uneven natural surface."""
    noise = Noise(kit.rng)

    def spots(p: Floats, c: Floats) -> Floats:
        hills = noise.hills(p[:, 0] * size + p[:, 2] * 1.7 * size, p[:, 1] * size + p[:, 2] * 1.3 * size, 4)
        return array(c * (1 + depth * (2 * hills - 1))[:, None])

    return Material(base, gloss=gloss, paint=spots)


def solid_noise(noise: Noise, p: Floats, size: float) -> Floats:
    """Hills, 0..1, at points in space (N, 3), alike in every direction: three planes' hills together."""
    x, y, z = p[:, 0] * size, p[:, 1] * size, p[:, 2] * size
    return array((noise.hills(x, y, 3) + noise.hills(y + 19, z, 3) + noise.hills(z + 37, x + 7, 3)) / 3)
