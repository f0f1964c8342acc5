"""Tables, walls and cloths: what a picture's background is made of.

A pattern is a function of places (N,) on a plane, in object units, giving colours (N, 3), linear, 0..1.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np

from drawing.mesh import Floats, Ints, array

Pattern = Callable[[Floats, Floats], Floats]


def linear(srgb: Floats) -> Floats:
    """sRGB values, 0..1, as amounts of light."""
    return array(np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0) + 0.055) / 1.055) ** 2.4))


def encoded(light: Floats) -> Floats:
    """Amounts of light, 0..1, as sRGB values."""
    held = np.clip(light, 0.0, 1.0)
    return array(np.where(held <= 0.0031308, held * 12.92, 1.055 * held ** (1 / 2.4) - 0.055))


def colour(hexadecimal: str) -> Floats:
    """A colour written "rrggbb", as linear RGB (3,)."""
    return linear(array([int(hexadecimal[i : i + 2], 16) / 255 for i in (0, 2, 4)]))


def hue(h: float, s: float, v: float) -> Floats:
    """Hue, saturation and value, 0..1 each, as linear RGB (3,)."""
    return linear(array(colorsys.hsv_to_rgb(h % 1.0, s, v)))


class Noise:
    """Smooth random hills over a plane, repeating every 64 units."""

    SIZE = 64

    def __init__(self, rng: np.random.Generator) -> None:
        self.table = rng.random((self.SIZE, self.SIZE))

    def at(self, u: Floats, v: Floats) -> Floats:
        """Height, 0..1, at places (N,)."""
        iu, iv = np.floor(u), np.floor(v)
        fu, fv = u - iu, v - iv
        fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
        a: Ints = iu.astype(np.int64) % self.SIZE
        b: Ints = iv.astype(np.int64) % self.SIZE
        a2, b2 = (a + 1) % self.SIZE, (b + 1) % self.SIZE
        t = self.table
        return array((t[a, b] * (1 - fu) + t[a2, b] * fu) * (1 - fv) + (t[a, b2] * (1 - fu) + t[a2, b2] * fu) * fv)

    def hills(self, u: Floats, v: Floats, octaves: int = 4) -> Floats:
        """Hills upon hills, 0..1, at places (N,)."""
        total, weight, gain = np.zeros_like(u), 0.0, 1.0
        for k in range(octaves):
            total += gain * self.at(u * 2**k + 17.3 * k, v * 2**k + 9.1 * k)
            weight += gain
            gain *= 0.5
        return array(total / weight)


def mix(a: Floats, b: Floats, amount: Floats) -> Floats:
    """Colours a and b ((3,) or (N, 3)) blended; amount (N,), 0 for a and 1 for b."""
    m = np.clip(amount, 0.0, 1.0)[:, None]
    return array(a * (1 - m) + b * m)


def step(edge0: float, edge1: float, x: Floats) -> Floats:
    """0 below edge0, 1 above edge1, smooth between."""
    t = np.clip((x - edge0) / (edge1 - edge0), 0.0, 1.0)
    return array(t * t * (3 - 2 * t))


def _near_grid(x: Floats) -> Floats:
    """Distance of x to the nearest whole number."""
    return array(np.abs(x - np.round(x)))


def _cell_noise(noise: Noise, i: Floats, j: Floats) -> Floats:
    """A steady random value, 0..1, for every cell (i, j)."""
    return array(noise.table[i.astype(np.int64) * 7 % noise.SIZE, (j.astype(np.int64) * 13 + 5) % noise.SIZE])


def plaster(rng: np.random.Generator, tones: Floats) -> Pattern:
    """A nearly even, mottled face."""
    noise, size, depth = Noise(rng), rng.uniform(1.0, 5.0), rng.uniform(0.1, 0.45)
    return lambda u, v: mix(tones[0], tones[0] * 0.6 + tones[1] * 0.2, depth * 2 * noise.hills(u * size, v * size, 5))


def planks(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Wooden boards with grain and dark joints."""
    noise, width, length = Noise(rng), rng.uniform(0.3, 0.7), rng.uniform(2.0, 5.0)

    def pattern(u: Floats, v: Floats) -> Floats:
        row = np.floor(v / width)
        along = u + row * 1.37
        board = np.floor(along / length)
        own = _cell_noise(noise, row, board)
        grain = noise.hills(along * 1.3 + own * 40, v * 14 + own * 23, 4)
        wave = 0.5 + 0.5 * np.sin(60 * v + 14 * noise.at(along * 0.7, v * 2 + own * 9))
        base = mix(tones[0], tones[1], 0.25 + 0.35 * grain + 0.2 * wave * grain) * (0.75 + 0.45 * own)[:, None]
        joint = np.minimum(_near_grid(v / width) * width, _near_grid(along / length) * length)
        return array(base * (0.3 + 0.7 * step(0.0, 0.018, joint))[:, None])

    return pattern


def tiles(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Square tiles with grout, in one tone or chequered."""
    noise, size, chequered = Noise(rng), rng.uniform(0.35, 0.8), rng.random() < 0.5

    def pattern(u: Floats, v: Floats) -> Floats:
        i, j = np.floor(u / size), np.floor(v / size)
        second = (i + j) % 2 if chequered else np.zeros_like(u)
        base = mix(tones[0], tones[1], second) * (0.86 + 0.2 * _cell_noise(noise, i, j))[:, None]
        base = base * (0.88 + 0.2 * noise.hills(u * 3, v * 3, 3))[:, None]
        gap = np.minimum(_near_grid(u / size), _near_grid(v / size)) * size
        return mix(tones[2] * 0.7, base, step(0.008, 0.02, gap))

    return pattern


def gingham(rng: np.random.Generator, tones: Floats) -> Pattern:
    """A chequered cloth with a visible weave."""
    size = rng.uniform(0.18, 0.4)

    def pattern(u: Floats, v: Floats) -> Floats:
        across = (np.floor(u / size) % 2 + np.floor(v / size) % 2) / 2
        weave = 0.9 + 0.1 * np.sin(u * 150) * np.sin(v * 150)
        return array(mix(tones[0], tones[1], across) * weave[:, None])

    return pattern


def stripes(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Broad and narrow stripes, softly woven."""
    noise, period, share = Noise(rng), rng.uniform(0.3, 0.9), rng.uniform(0.25, 0.6)

    def pattern(u: Floats, v: Floats) -> Floats:
        place = u / period - np.floor(u / period)
        base = mix(tones[0], tones[1], step(0.0, 0.03, place) - step(share, share + 0.03, place))
        thin = step(0.0, 0.02, place - share - 0.12) - step(0.0, 0.02, place - share - 0.2)
        base = mix(base, tones[2], thin)
        return array(base * (0.85 + 0.25 * noise.hills(u * 5, v * 24, 3))[:, None])

    return pattern


def linen(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Coarse cloth, warp and weft."""
    noise, fine = Noise(rng), rng.uniform(16.0, 30.0)

    def pattern(u: Floats, v: Floats) -> Floats:
        threads = noise.at(u * fine, v * 1.7) * 0.5 + noise.at(v * fine + 31, u * 1.7) * 0.5
        fold = 0.85 + 0.3 * noise.at(u * 0.8, v * 0.8)
        return array(mix(tones[0] * 0.75, tones[0] * 0.6 + tones[1] * 0.5, threads) * fold[:, None])

    return pattern


def marble(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Stone with veins."""
    noise, size = Noise(rng), rng.uniform(0.6, 1.3)

    def pattern(u: Floats, v: Floats) -> Floats:
        bend = noise.hills(u * size, v * size, 5)
        vein = np.abs(np.sin(3 * u * size + 2 * v * size + 11 * bend))
        fog = noise.hills(u * 1.5 + 20, v * 1.5, 4)
        return mix(mix(tones[1], tones[0], 0.55 + 0.6 * vein), tones[2], 0.35 * fog)

    return pattern


def terrazzo(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Chips of stone of three colours in a plain ground."""
    noise, size = Noise(rng), rng.uniform(4.0, 9.0)

    def pattern(u: Floats, v: Floats) -> Floats:
        out = mix(tones[0], tones[0] * 0.8, noise.hills(u * 4, v * 4, 3))
        for k in range(3):
            chip = noise.at(u * size + 21.7 * k, v * size + 5.3 * k)
            out = mix(out, tones[(k + 1) % 3] * (0.6 + 0.4 * k), step(0.74, 0.77, chip))
        return out

    return pattern


def bricks(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Courses of brick, each brick a little different."""
    noise, width = Noise(rng), rng.uniform(0.5, 0.8)
    height = width * 0.38

    def pattern(u: Floats, v: Floats) -> Floats:
        row = np.floor(v / height)
        along = u + (row % 2) * width / 2
        own = _cell_noise(noise, row, np.floor(along / width))
        rough = noise.hills(u * 9, v * 9, 4)
        base = mix(tones[0], tones[1], 0.5 * own + 0.3 * rough) * (0.7 + 0.5 * rough)[:, None]
        joint = np.minimum(_near_grid(v / height) * height, _near_grid(along / width) * width)
        return mix(tones[2] * 0.85, base, step(0.012, 0.03, joint))

    return pattern


def dots(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Spots in rows on a plain ground."""
    noise, size, radius = Noise(rng), rng.uniform(0.22, 0.5), rng.uniform(0.18, 0.34)

    def pattern(u: Floats, v: Floats) -> Floats:
        row = np.floor(v / size)
        x = u / size + 0.5 * (row % 2)
        away = np.hypot(x - np.floor(x) - 0.5, v / size - row - 0.5)
        base = mix(tones[1], tones[0], step(radius - 0.03, radius + 0.03, away))
        return array(base * (0.9 + 0.15 * noise.hills(u * 6, v * 6, 3))[:, None])

    return pattern


def gravel(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Pebbles, sand or short grass, by the size drawn."""
    noise, size = Noise(rng), rng.uniform(3.0, 11.0)

    def pattern(u: Floats, v: Floats) -> Floats:
        fine = noise.hills(u * size, v * size, 4)
        broad = noise.hills(u * 0.9 + 7, v * 0.9, 3)
        return array(mix(tones[0] * 0.45, tones[1], step(0.2, 0.8, fine)) * (0.65 + 0.7 * broad)[:, None])

    return pattern


def herringbone(rng: np.random.Generator, tones: Floats) -> Pattern:
    """Zigzag parquet."""
    noise, width = Noise(rng), rng.uniform(0.16, 0.3)

    def pattern(u: Floats, v: Floats) -> Floats:
        period = width * 4
        fold = np.abs(u / period - np.floor(u / period) - 0.5) * period
        slat = np.floor((v + fold) / width)
        side = np.floor(u / period * 2)
        own = _cell_noise(noise, slat, side)
        grain = noise.hills((u + own * 9) * 12, (v + fold) * 3, 3)
        base = mix(tones[0], tones[1], 0.55 * own + 0.35 * grain)
        joint = np.minimum(_near_grid((v + fold) / width) * width, _near_grid(u / period * 2) * period / 2)
        return array(base * (0.45 + 0.55 * step(0.0, 0.016, joint))[:, None])

    return pattern


PATTERNS = (
    plaster, planks, tiles, gingham, stripes, linen, marble, terrazzo, bricks, dots, gravel, herringbone,
)  # fmt: skip


def tones(rng: np.random.Generator, grey: float = 0.0) -> Floats:
    """Three colours (3, 3) that a designer could have put together: one hue, a neighbour or opposite, a neutral.

    grey: how much of their colour is taken away, 0..1.
    """
    h, dull = rng.random(), rng.random() < 0.4
    s = rng.uniform(0.0, 0.25) if dull else rng.uniform(0.2, 0.6)
    v = rng.uniform(0.25, 0.95)
    other = h + rng.choice([0.0, 0.06, -0.06, 0.5, 0.33])
    v2 = float(np.clip(v + rng.choice([-0.3, 0.3]) + rng.uniform(-0.1, 0.1), 0.12, 0.97))
    three = np.stack([hue(h, s, v), hue(other, s * rng.uniform(0.3, 1.0), v2), hue(h, 0.08, rng.uniform(0.3, 0.95))])
    return three if grey == 0.0 else array(three * (1 - grey) + three.mean(axis=1, keepdims=True) * grey)


def faded(pattern: Pattern, by: float) -> Pattern:
    """A pattern drawn towards its mean colour; by: 0 leaves it, 1 leaves nothing of it."""
    if by == 0.0:
        return pattern
    line = np.linspace(-3, 3, 32)
    u, v = np.meshgrid(line, line)
    mean = pattern(u.ravel(), v.ravel()).mean(axis=0)
    return lambda u, v: pattern(u, v) * (1 - by) + mean * by


def surface(rng: np.random.Generator, number: int, grey: float = 0.0) -> Pattern:
    """A painted surface turned by a random angle; consecutive numbers give different patterns; grey: see `tones`."""
    make = PATTERNS[number % len(PATTERNS)]
    pattern = make(rng, tones(rng, grey))
    angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(0, 20, 2)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return lambda u, v: pattern(c * u - s * v + shift[0], s * u + c * v + shift[1])


def upright(rng: np.random.Generator, number: int, grey: float = 0.0) -> Pattern:
    """A painted wall: its courses and boards run level or plumb, as walls' do; grey: see `tones`."""
    make = PATTERNS[number % len(PATTERNS)]
    pattern = make(rng, tones(rng, grey))
    shift = rng.uniform(0, 20, 2)
    if rng.random() < 0.3:
        return lambda u, v: pattern(v + shift[0], u + shift[1])
    return lambda u, v: pattern(u + shift[0], v + shift[1])
