"""Things that grow and live: banana, leaf, tree, cactus, mushroom, sunflower, fish, butterfly, starfish."""

from __future__ import annotations

import numpy as np

from drawing.kit import Kit, lacquer, matt, mottled, solid_noise
from drawing.mesh import (
    Floats,
    Material,
    Mesh,
    Subject,
    array,
    bend,
    divide,
    join,
    lathe,
    move,
    plate,
    scale,
    sheet,
    smooth,
    sphere,
    tube,
    turn,
)
from drawing.surfaces import Noise, colour, mix, step


def banana(kit: Kit) -> Subject:
    """One banana, or two or three joined at the stalk."""
    out = Subject(elevation=(36, 80), tilt=8, roll=0)
    skin = kit.tint(("f4cf3a", "9cb63a", "e8b92c", "b5502f", "f0dc6a", "5f9a3c", "d99a2b"))
    spots = Noise(kit.rng)
    freckled = kit.between(0.0, 0.8)
    count = kit.choose((1, 2, 1, 3))
    arc = kit.between(95, 125)
    t = np.linspace(0, 1, 46)
    width = np.interp(
        t, [0, 0.03, 0.1, 0.2, 0.4, 0.7, 0.88, 0.95, 1], [0.055, 0.055, 0.06, 0.13, 0.19, 0.19, 0.12, 0.065, 0.045]
    )
    five = 1 + 0.06 * np.cos(5 * np.linspace(0, 2 * np.pi, 30, endpoint=False))

    def ripe(p: Floats, c: Floats) -> Floats:
        along = p[:, 0] * 3 + p[:, 2] * 2
        dots = step(0.66, 0.72, spots.hills(along * 3, p[:, 1] * 9, 3)) * freckled
        return mix(c * (0.88 + 0.24 * spots.hills(along * 0.8, p[:, 1] * 2, 3))[:, None], colour("5a3413"), dots)

    for k in range(count):
        a = np.radians(arc) * (t - 0.5)
        path = np.stack([np.sin(a), -np.cos(a) + 0.75, 0 * a], -1)
        path = path - path[0]
        body = tube(path, width, 30, shape=five)
        tips = [(t <= 0.035, "6b5226"), (t >= 0.975, "3a2a18")]
        pieces = [(body, Material(skin, 0.3, paint=ripe))]
        for where, dark in tips:
            pieces.append((tube(path[where], width[where] * 1.06, 16), matt(colour(dark))))
        for mesh, stuff in pieces:
            fanned = turn(turn(mesh, "x", 15 * k - 7 * (count - 1)), "z", 15 * k)
            out.add(move(fanned, (0, 0, 0.17 * k)), stuff)
    return out


def leaf(kit: Kit) -> Subject:
    """A maple leaf, slightly curled, with its veins."""
    out = Subject(elevation=(50, 86), tilt=16, roll=0)
    half = [(0.0, 1.0), (0.1, 0.8), (0.2, 0.84), (0.17, 0.62), (0.15, 0.42), (0.3, 0.54), (0.36, 0.65),
            (0.44, 0.56), (0.62, 0.6),
            (0.82, 0.62), (0.74, 0.47), (0.79, 0.36), (0.62, 0.26), (0.4, 0.13), (0.52, 0.12), (0.58, 0.04),
            (0.72, 0.0),
            (0.6, -0.12), (0.44, -0.2), (0.2, -0.2), (0.07, -0.16)]  # fmt: skip
    outline = array(half + [(-x, y) for x, y in half[:0:-1]])
    wide = kit.between(0.88, 1.12)
    veins = [((0, -0.16), (0, 0.97)), ((0, -0.16), (0.78, 0.6)), ((0, -0.16), (-0.78, 0.6)), ((0, -0.16), (0.68, 0.0)),
             ((0, -0.16), (-0.68, 0.0)), ((0, 0.3), (0.18, 0.78)), ((0, 0.3), (-0.18, 0.78)), ((0.34, 0.17),
             (0.42, 0.56)),
             ((-0.34, 0.17), (-0.42, 0.56)), ((0.34, 0.17), (0.74, 0.38)), ((-0.34, 0.17), (-0.74, 0.38))]  # fmt: skip
    base = kit.tint(("c8331f", "4f8f34", "e08a1e", "e8c231", "8b5a2b", "7a1f2b", "9ab53a", "2f6a3a"))
    second = kit.tint(("e8c231", "7fb04a", "b3371f", "e08a1e", "5a3b1e"), 1)
    noise = Noise(kit.rng)
    curl, cup = kit.between(-0.22, 0.28), kit.between(0.08, 0.3)

    def veined(p: Floats, c: Floats) -> Floats:
        q = np.stack([p[:, 0] / wide, p[:, 1]], -1)
        nearest = np.full(len(q), 9.0)
        for a, b in veins:
            start, along = array(a), array(b) - array(a)
            share = np.clip((q - start) @ along / float(along @ along), 0, 1)
            thick = 0.016 * (1 - 0.7 * share)
            nearest = np.minimum(nearest, np.linalg.norm(q - start - share[:, None] * along, axis=1) - thick)
        patch = step(0.42, 0.72, noise.hills(q[:, 0] * 3 + 9, q[:, 1] * 3, 4) + 0.25 * step(0.02, 0.3, nearest) - 0.1)
        tinted = mix(c, second, 0.6 * patch)
        return mix(
            mix(tinted, c * 0.6, 0.5 * (1 - step(0.0, 0.05, nearest))), c * 0.35 + 0.25, 1 - step(0.0, 0.008, nearest)
        )

    def curled(p: Floats) -> Floats:
        p[:, 0] *= wide
        p[:, 2] += (
            cup * np.abs(p[:, 0]) ** 1.4
            + curl * np.clip(p[:, 1], 0, None) ** 2
            + 0.03 * np.sin(7 * p[:, 0] + 5 * p[:, 1])
        )
        return p

    out.add(bend(divide(plate(outline, 0.016), 0.09), curled), Material(base, 0.25, paint=veined))
    stalk = smooth([(0, -0.05, 0.01), (0.0, -0.3, 0.0), (kit.between(-0.15, 0.15), -0.75, kit.between(0.0, 0.12))], 20)
    out.add(tube(stalk, np.linspace(0.022, 0.03, 20), 10), matt(base * 0.55))
    return out


def tree(kit: Kit) -> Subject:
    """A broad-leaved tree: a forking trunk under a crown of leaves."""
    out = Subject(elevation=(0, 18), roll=4)
    tint = kit.tint(("3f7d33", "d9792b", "e8b92c", "7fae45", "b3301f", "eda3b8", "24563a", "c9cf8a"))
    bark = mottled(kit, kit.tint(("5b4030", "7d6a58", "3e3029", "b8ada0")), 9, 0.5, 0.05)
    high = kit.between(0.75, 1.05)
    trunk = smooth([(0, 0, 0), (0.03, 0, high * 0.5), (-0.02, 0.02, high + 0.3)], 20)
    out.add(tube(trunk, np.interp(np.linspace(0, 1, 20), [0, 0.12, 1], [0.21, 0.13, 0.07]), 16), bark)
    for angle in np.linspace(0, 2 * np.pi, 5)[:4] + kit.between(0, 1.5):
        end = array([0.5 * np.cos(angle), 0.5 * np.sin(angle), high + 0.5])
        out.add(
            tube(smooth([(0, 0, high * 0.72), end * array([0.5, 0.5, 0.88]), end], 10), np.linspace(0.06, 0.03, 10)),
            bark,
        )
    noise = Noise(kit.rng)

    def leaves(p: Floats, c: Floats) -> Floats:
        fine, broad = solid_noise(noise, p, 15), solid_noise(noise, p, 4)
        gaps = 1 - 0.55 * step(0.5, 0.42, fine)
        return array(c * (gaps * (0.75 + 0.5 * broad))[:, None])

    tall = kit.between(0.9, 1.2)
    count = 26
    for k in range(count):
        at = 1 - 2 * (k + 0.5) / count
        flat, angle = np.sqrt(1 - at * at), k * 2.39996 + kit.start
        wide = 0.62 * flat
        middle = array([wide * np.cos(angle), wide * np.sin(angle), high + 0.68 + 0.52 * tall * at])
        size = kit.between(0.24, 0.36)

        def bushy(p: Floats, k: int = k) -> Floats:
            return array(p * (0.72 + 0.56 * solid_noise(noise, p + 5 * k, 2.6))[:, None])

        ball = scale(bend(sphere(1.0, 36), bushy), size)
        out.add(move(ball, middle), Material(kit.varied(tint, 0.14), 0.05, paint=leaves))
    core = scale(sphere(0.62, 24), (1, 1, 0.85 * tall))
    out.add(move(core, (0, 0, high + 0.68)), matt(tint * 0.4))
    return out


def cactus(kit: Kit) -> Subject:
    """A ribbed cactus with two arms, in a flower pot."""
    out = Subject(turn=((-50, 50), (130, 230)), elevation=(4, 28), tilt=2)
    green = kit.tint(("3f8a4a", "6fa35a", "2f6a55", "8fae6a", "4a9a8a", "b5b56a", "7a8f4a"))
    ribs = kit.choose((10, 12, 8))

    def spiny(p: Floats, c: Floats) -> Floats:
        # Pale spots in rows stand for the cushions that spines grow from.
        angle = (
            np.arctan2(p[:, 1], p[:, 0] - np.where(np.abs(p[:, 0]) > 0.3, np.sign(p[:, 0]) * 0.5, 0))
            / (2 * np.pi)
            * ribs
        )
        row = p[:, 2] * 9
        spot = np.hypot((angle - np.round(angle)) * 2.2, (row - np.round(row)) * 1.0) < 0.26
        return mix(
            c * (0.8 + 0.2 * np.cos(2 * np.pi * angle))[:, None], colour("f3ecd0"), 0.75 * spot.astype(np.float64)
        )

    wave = 1 + 0.1 * np.cos(ribs * np.linspace(0, 2 * np.pi, 96, endpoint=False))
    stuff = Material(green, 0.2, paint=spiny)

    def column(points: list[tuple[float, float, float]], thick: float) -> Mesh:
        path = smooth(points, 36)
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
        left = np.clip((length[-1] - length) / thick, 0, 1)
        return tube(path, thick * np.sqrt(np.maximum(1 - (1 - left) ** 2, 0.0004)), 96, shape=wave, start=(0, 1, 0))

    high = kit.between(1.55, 1.85)
    out.add(column([(0, 0, 0.4), (0, 0, 1.0), (0, 0, high)], 0.23), stuff)
    first, second = kit.between(0.75, 0.9), kit.between(0.95, 1.15)
    for side, low, up in ((1, first, kit.between(0.45, 0.62)), (-1, second, kit.between(0.35, 0.5))):
        arm = [
            (side * 0.1, 0, low),
            (side * 0.36, 0, low + 0.02),
            (side * 0.5, 0, low + 0.14),
            (side * 0.52, 0, low + up),
        ]
        out.add(column(array(arm).tolist(), 0.135), stuff)
    pot = lacquer(kit.paint(1), 0.3) if kit.number % 2 else mottled(kit, colour("b8623c"), 6, 0.2)
    profile = [(0, 0), (0.28, 0), (0.3, 0.02), (0.385, 0.38), (0.44, 0.38), (0.45, 0.4), (0.46, 0.53),
               (0.44, 0.545), (0.4, 0.54),
               (0.39, 0.46)]  # fmt: skip
    out.add(lathe(profile, 64), pot)
    out.add(lathe([(0, 0.49), (0.2, 0.485), (0.4, 0.47)], 48), mottled(kit, colour("4a3526"), 14, 0.7))
    if kit.number % 3 != 1:
        petal = kit.tint(("e8527a", "f2c12e", "f4f0e4", "d8352b"), 1)
        for k in range(9):
            blade = scale(sphere(1.0, 16), (0.035, 0.02, 0.1))
            out.add(move(turn(turn(move(blade, (0, 0, 0.08)), "y", 48), "z", k * 40), (0, 0, high - 0.02)), matt(petal))
        out.add(move(sphere(0.045, 16), (0, 0, high + 0.02)), matt(colour("f2c12e")))
    return out


def mushroom(kit: Kit) -> Subject:
    """A toadstool with a spotted cap."""
    out = Subject(elevation=(-4, 26), tilt=10)
    cap_colour = kit.tint(("cc2a22", "8a5a33", "7b4fa3", "e6a32a", "e8dcc4", "3f6f9a", "c9663a", "5f7f3f"))
    pale = colour("f4ead6") if float(cap_colour.mean()) < 0.5 else colour("8a5a33")
    wide, tall, high = kit.between(0.62, 0.85), kit.between(0.42, 0.62), kit.between(0.6, 0.8)
    stem = smooth([(0.0, 0.0), (0.2, 0.0), (0.25, 0.1), (0.18, 0.32), (0.15, high * 0.8), (0.16, high + 0.12)], 36)
    stalk = mottled(kit, colour("f1e6cf"), 6, 0.18)
    out.add(lathe(stem, 48), stalk)
    skirt = smooth([(0.16, high * 0.82), (0.24, high * 0.74), (0.3, high * 0.66)], 12)
    wavy = bend(
        lathe(skirt, 72),
        lambda p: (
            p
            + 0.025
            * np.stack([0 * p[:, 0], 0 * p[:, 0], np.sin(9 * np.arctan2(p[:, 1], p[:, 0]))], -1)
            * step(0.2, 0.3, np.hypot(p[:, 0], p[:, 1]))[:, None]
        ),
    )
    out.add(wavy, stalk)
    t = np.linspace(0, np.pi / 2, 26)
    dome = np.stack([wide * np.cos(t) ** 0.9, high + tall * np.sin(t) ** 1.1], -1)
    lip = [(wide * 0.96, high - 0.05), (wide * 1.0, high - 0.03)]
    out.add(lathe(np.concatenate([lip, dome]), 80), Material(cap_colour, 0.55))

    def gills(p: Floats, c: Floats) -> Floats:
        angle = np.arctan2(p[:, 1], p[:, 0])
        return array(c * (0.6 + 0.4 * np.abs(np.sin(angle * 36)))[:, None])

    out.add(
        lathe([(0.1, high + 0.1), (wide * 0.6, high + 0.03), (wide * 0.96, high - 0.05)], 80),
        Material(colour("e8d8b8"), 0.05, paint=gills),
    )
    warts = 22 if kit.number % 4 else 13
    for k in range(warts):
        level = 1 - (k + 0.5) / warts
        angle = k * 2.39996 + kit.between(-0.25, 0.25)
        a = np.arcsin(np.clip(level, 0.06, 1.0))
        away, up = wide * np.cos(a) ** 0.9, high + tall * np.sin(a) ** 1.1
        size = kit.between(0.045, 0.1) * (0.7 + 0.5 * level)
        wart = scale(sphere(1.0, 18), (size, size, 0.035))
        lean = np.degrees(np.arctan2(np.cos(a) * tall * 1.15, np.sin(a) * wide + 1e-6))
        out.add(move(turn(turn(wart, "y", float(lean)), "z", float(np.degrees(angle))),
               (away * np.cos(angle), away * np.sin(angle), up)),
                matt(pale))  # fmt: skip
    return out


def sunflower(kit: Kit) -> Subject:
    """A sunflower on its stalk, its face turned to the viewer."""
    out = Subject(turn=((-46, 46),), elevation=(0, 24), tilt=4)
    petal = kit.tint(("f5b81e", "e8772a", "f0d96a", "a8321f", "f4ead0", "e88aa0", "c9702f"))
    heart = kit.tint(("3a2415", "5a3d1a", "26221f", "7a5a1f"), 1)
    green = kit.tint(("4f8a3a", "6a9a4a", "3a6f45"), 2)
    head: list[tuple[Mesh, Material]] = []
    lean, up = kit.between(62, 84), 1.5

    def at_root(p: Floats, c: Floats) -> Floats:
        away = np.linalg.norm(p - array([0, 0, up]), axis=1)
        return array(c * (0.5 + 0.5 * step(0.3, 0.62, away))[:, None])

    def seeds(p: Floats, c: Floats) -> Floats:
        q = turn(Mesh(p - array([0, 0, up]), np.empty((0, 3), np.int64)), "x", -lean).points  # the disc lying flat
        away, angle = np.hypot(q[:, 0], q[:, 1]), np.arctan2(q[:, 1], q[:, 0])
        spiral = np.sin(21 * angle + 26 * np.sqrt(away)) * np.sin(34 * angle - 40 * np.sqrt(away))
        rim = step(0.2, 0.3, away)
        return mix(mix(c, c * 0.3, step(-0.2, 0.4, spiral)), petal * 0.5, 0.45 * rim)

    disc = smooth([(0.36, -0.03), (0.34, 0.05), (0.22, 0.09), (0.1, 0.07), (0.0, 0.05)], 24)
    head.append((lathe(disc, 64), Material(heart, 0.1, paint=seeds)))
    t = np.linspace(0, 1, 18)[:, None]
    s = np.linspace(-1, 1, 9)[None, :]
    for row, (count, length, lift) in enumerate(((15, 0.46, 0.12), (15, 0.56, -0.04))):
        for k in range(count):
            reach = length * kit.between(0.88, 1.08)
            wide = 0.105 * np.sin(np.pi * np.clip(0.12 + 0.88 * t, 0, 1)) ** 0.8
            curve = lift * t + kit.between(-0.1, 0.06) * t**2
            grid = np.stack(
                [0.3 + reach * t + 0 * s, wide * s, curve + 0.05 * s**2 * (1 - t) + 0.01 * np.cos(3 * np.pi * s)], -1
            )
            blade = turn(sheet(grid), "z", 360 * (k + 0.5 * row) / count + kit.between(-4, 4))
            head.append((blade, matt(kit.varied(petal, 0.12) * (1.0 - 0.22 * row), at_root)))
    head.append((move(scale(sphere(0.36, 32), (1, 1, 0.3)), (0, 0, -0.05)), matt(green)))
    for mesh, stuff in head:
        out.add(move(turn(mesh, "x", lean), (0, 0, up)), stuff)
    stalk = smooth([(0.05, 0.12, 0), (0.0, 0.16, 0.6), (-0.02, 0.2, 1.15), (0, 0.17, 1.42), (0, 0.03, 1.5)], 36)
    out.add(tube(stalk, np.linspace(0.055, 0.045, 36)), matt(green))
    u, v = np.linspace(0, 1, 20)[:, None], np.linspace(-1, 1, 11)[None, :]

    def ribbed(p: Floats, c: Floats) -> Floats:
        return array(c * (0.9 + 0.12 * np.sin(p[:, 2] * 50))[:, None])

    for side, level in ((1, 0.45), (-1, 0.68)):
        wide = 0.24 * np.sin(np.pi * u**0.75) ** 0.9
        grid = np.stack(
            [
                side * (0.02 + 0.62 * u) + 0 * v,
                wide * v + 0.15,
                level + 0.3 * np.sin(2.3 * u) - 0.1 * u**2 - 0.09 * (1 - v**2) * u,
            ],
            -1,
        )
        # The blade stands a little towards the viewer, else it would be seen edge-on.
        grid[..., 2] += 0.55 * (grid[..., 1] - 0.15)
        out.add(sheet(grid), Material(green, 0.15, paint=ribbed))
    return out


def fish(kit: Kit) -> Subject:
    """A fish lying on its side, striped, spotted or two-coloured."""
    out = Subject(turn=((-35, 35), (145, 215)), elevation=(52, 84), tilt=12, roll=0)
    base, second = kit.paint(), kit.paint(1)
    kind = kit.choose(("stripes", "plain", "halves", "spots", "bands"))
    t = np.linspace(0, 1, 48)
    tall = kit.between(0.36, 0.52)
    height = tall * np.interp(t, [0, 0.04, 0.15, 0.4, 0.7, 0.9, 1], [0.03, 0.3, 0.72, 1.0, 0.62, 0.26, 0.22])
    height = np.convolve(np.pad(height, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    height[0] = 0.012
    thick = height * np.interp(t, [0, 0.3, 1], [0.75, 0.52, 0.25])
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    grid = np.stack(
        [
            np.broadcast_to((1.0 - 1.85 * t)[:, None], (48, 40)),
            height[:, None] * np.sin(angle),
            thick[:, None] * np.cos(angle),
        ],
        -1,
    )
    noise = Noise(kit.rng)

    def scales(p: Floats, c: Floats) -> Floats:
        x, y = p[:, 0], p[:, 1]
        out_ = c
        if kind == "stripes":
            out_ = mix(c, second, step(0.1, 0.25, np.sin(x * 11 + 0.8 * np.cos(y * 4))))
        elif kind == "bands":
            out_ = mix(c, second, step(0.25, 0.4, np.sin(y * 16)))
        elif kind == "halves":
            out_ = mix(c, second, step(-0.05, 0.08, -y + 0.06 * np.sin(x * 5)))
        elif kind == "spots":
            out_ = mix(c, second, step(0.66, 0.7, noise.at(x * 6 + 30, y * 6 + 30)))
        row = np.floor(x * 16)
        scale_ = np.hypot((x * 16) % 1 - 0.15, (y * 16 + 0.5 * (row % 2)) % 1 - 0.5)
        pattern = np.where(x < 0.45, 0.82 + 0.25 * step(0.35, 0.62, scale_), 1.0)
        gill = np.abs(np.hypot(x - 0.72, y * 0.8) - 0.3) < 0.012
        shade = pattern * np.where(gill & (x < 0.72), 0.5, 1.0)
        return array((out_ + (1 - out_) * 0.25 * step(0.1, 0.9, -y / tall)[:, None]) * shade[:, None])

    out.add(sheet(grid, close_columns=True), Material(base, 0.6, paint=scales))
    fin_colour = second if kind != "plain" else kit.paint(2)

    def rays(p: Floats, c: Floats) -> Floats:
        return array(c * (0.78 + 0.22 * np.sin(38 * np.arctan2(p[:, 1] + 0.001, p[:, 0] + 0.72)))[:, None])

    fins = Material(fin_colour, 0.3, paint=rays)
    tail = smooth([(-0.76, 0.06), (-1.0, 0.24), (-1.32, 0.46), (-1.24, 0.2), (-1.18, 0.0), (-1.24, -0.2),
                   (-1.32, -0.46), (-1.0, -0.24),
                   (-0.76, -0.06)], 44)  # fmt: skip
    out.add(plate(tail, 0.04, 0.018), fins)
    k = tall
    back = smooth(
        [
            (0.5, 0.78 * k),
            (0.3, 1.3 * k),
            (0.05, 1.52 * k),
            (-0.3, 1.28 * k),
            (-0.52, 0.95 * k),
            (-0.42, 0.5 * k),
            (0.1, 0.8 * k),
        ],
        36,
    )
    belly = smooth([(0.05, -0.85 * k), (-0.1, -1.2 * k), (-0.36, -1.25 * k), (-0.38, -0.8 * k), (-0.3, -0.5 * k)], 28)
    out.add(plate(back, 0.035, 0.015), fins)
    out.add(plate(belly, 0.035, 0.015), fins)
    pectoral = plate(
        smooth([(0.34, -0.02), (0.2, 0.1), (-0.04, 0.1), (-0.12, -0.06), (0.02, -0.2), (0.26, -0.12)], 30), 0.025, 0.01
    )
    for side in (-1, 1):
        lying = move(turn(move(pectoral, (-0.34, 0, 0)), "y", 14), (0.36, -0.1, tall * 0.5))
        out.add(scale(lying, (1, 1, side)), fins)
        eye = array([0.76, 0.09, side * tall * 0.29])
        out.add(move(scale(sphere(0.088, 28), (1, 1, 0.6)), eye), lacquer(colour("f6f3ea"), 0.7))
        out.add(
            move(scale(sphere(0.05, 24), (1, 1, 0.5)), eye + array([0.008, 0, side * 0.036])),
            lacquer(colour("121214"), 0.9),
        )
    mouth = smooth([(0.985, -0.03, 0.05), (0.93, -0.065, 0.09), (0.86, -0.07, 0.125)], 10)
    for side in (-1, 1):
        out.add(tube(mouth * array([1, 1, side]), 0.011, 8), matt(base * 0.3))
    return out


def butterfly(kit: Kit) -> Subject:
    """A butterfly with its wings spread, edged, veined and eyed."""
    out = Subject(elevation=(46, 86), tilt=14, roll=0)
    base, second = kit.paint(), kit.paint(1)
    dark = kit.tint(("1c1a1e", "2c1d14", "20283a"))
    fore = smooth(
        [
            (0.03, 0.22),
            (0.3, 0.55),
            (0.7, 0.88),
            (1.02, 0.95),
            (1.06, 0.8),
            (0.93, 0.5),
            (0.82, 0.24),
            (0.5, 0.08),
            (0.03, 0.08),
        ],
        60,
    )
    hind = smooth([(0.03, 0.12), (0.45, 0.16), (0.76, 0.08), (0.8, -0.2), (0.66, -0.46), (0.56, -0.6),
                   (0.46, -0.72), (0.4, -0.52),
                   (0.2, -0.46), (0.03, -0.18)], 60)  # fmt: skip
    spots = kit.choose((True, False))

    def edge_distance(outline: Floats, q: Floats) -> Floats:
        a, b = outline, np.roll(outline, -1, axis=0)
        along = b - a
        length = np.maximum((along**2).sum(axis=1), 1e-9)
        nearest = np.full(len(q), 9.0)
        for i in range(len(a)):
            share = np.clip((q - a[i]) @ along[i] / length[i], 0, 1)
            nearest = np.minimum(nearest, np.hypot(*(q - a[i] - share[:, None] * along[i]).T))
        return nearest

    def wing_paint(outline: Floats, eye: tuple[float, float], lift: float) -> Material:
        def paint(p: Floats, c: Floats) -> Floats:
            q = np.stack([np.abs(p[:, 0]) / np.cos(np.radians(lift)), p[:, 1]], -1)
            root = np.hypot(q[:, 0], q[:, 1] - 0.05)
            angle = np.arctan2(q[:, 1] - 0.05, q[:, 0])
            away = edge_distance(outline, q)
            far = step(0.35, 0.55, root)
            out_ = mix(second, c, step(0.22, 0.5, root + 0.04 * np.sin(angle * 14)))
            vein = np.abs((angle * 4.2) % 1 - 0.5) * root
            out_ = mix(out_, dark, 0.85 * (1 - step(0.008, 0.02, vein)) * step(0.16, 0.24, root))
            out_ = mix(out_, dark, 1 - step(0.05 + 0.05 * far, 0.07 + 0.05 * far, away))
            bead = (np.abs((angle * 8.4) % 1 - 0.5) * root < 0.075) & (np.abs(away - 0.055) < 0.02) & (root > 0.5)
            out_ = mix(out_, colour("f6f1e2"), bead.astype(np.float64))
            if spots:
                ring_ = np.hypot(q[:, 0] - eye[0], q[:, 1] - eye[1])
                out_ = mix(out_, dark, 1 - step(0.1, 0.112, ring_))
                out_ = mix(out_, second * 0.5 + 0.45, 1 - step(0.07, 0.08, ring_))
                out_ = mix(out_, dark, 1 - step(0.03, 0.038, ring_))
            return out_

        return Material(base, 0.15, paint=paint)

    raised = kit.between(6, 34)
    for outline, eye, level, lift in ((hind, (0.52, -0.2), 0.0, raised * 0.8), (fore, (0.68, 0.56), 0.02, raised)):
        for side in (-1, 1):
            wing = divide(plate(outline, 0.012), 0.1)
            wing = scale(turn(wing, "y", -lift), (side, 1, 1))
            out.add(move(wing, (0, 0, level)), wing_paint(outline, eye, lift))
    body = smooth([(0, 0.34, 0.03), (0, 0.1, 0.04), (0, -0.15, 0.03), (0, -0.5, 0.0)], 30)
    out.add(
        tube(
            body,
            np.interp(
                np.linspace(0, 1, 30), [0, 0.05, 0.25, 0.4, 0.5, 0.9, 1], [0.03, 0.06, 0.075, 0.065, 0.05, 0.035, 0.012]
            ),
            16,
        ),
        matt(dark),
    )
    out.add(move(sphere(0.065, 20), (0, 0.38, 0.04)), matt(dark))
    for side in (-1, 1):
        feeler = smooth([(side * 0.03, 0.42, 0.06), (side * 0.12, 0.64, 0.14), (side * 0.26, 0.85, 0.16)], 20)
        out.add(tube(feeler, 0.011, 8), matt(dark))
        out.add(move(sphere(0.028, 14), feeler[-1]), matt(dark))
        out.add(move(sphere(0.026, 14), (side * 0.045, 0.41, 0.065)), lacquer(colour("3a3f45"), 0.8))
    return out


def starfish(kit: Kit) -> Subject:
    """A starfish: five arms, knobbly, a little bent."""
    out = Subject(elevation=(40, 84), tilt=10, roll=0)
    base = kit.tint(("e0702f", "7b4fa3", "cf3a3a", "3f6fae", "d9b98a", "e88aa0", "8a5a33", "4a9a8a"))
    pale = array(np.clip(base * 1.2 + 0.28, 0, 1))
    across = kit.between(0.15, 0.2)
    angle = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    off = np.abs(((angle / (2 * np.pi) * 5 + 0.5) % 1) - 0.5) * 2 * np.pi / 5  # angle from the nearest arm
    # An arm is a strip with a round end; between arms the edge sweeps in.
    arm = np.minimum(across / np.maximum(np.sin(off), 1e-6), 1.0 - 2.2 * off**2)
    edge = 1 / (1 / np.maximum(arm, 0.2) ** 6) ** (1 / 6)
    edge = np.convolve(np.pad(edge, 3, mode="wrap"), np.ones(7) / 7, mode="valid")
    share = np.concatenate([np.linspace(0, 0.9, 22), np.linspace(0.92, 1, 8)])[:, None]
    x, y = share * edge * np.cos(angle), share * edge * np.sin(angle)
    level = (0.06 + 0.16 * (1 - share * edge)) * np.sqrt(np.maximum(1 - share**4, 0))
    lengths = kit.rng.uniform(0.88, 1.1, 5)
    which = np.floor(angle / (2 * np.pi) * 5 + 0.5).astype(int) % 5
    curls = kit.rng.uniform(-0.16, 0.16, 5)
    stretch = 1 + (lengths[which] - 1) * step(0.3, 0.6, np.hypot(x, y)) * (1 - off / 0.63)
    away = np.hypot(x, y) * stretch
    bent = angle + curls[which] * away**2 * (1 - off / 0.63)
    top = np.stack([away * np.cos(bent), away * np.sin(bent), level], -1)
    noise = Noise(kit.rng)

    def skin(p: Floats, c: Floats) -> Floats:
        rough = noise.hills(p[:, 0] * 14, p[:, 1] * 14, 3)
        return array(c * (0.7 + 0.6 * rough)[:, None])

    out.add(join(sheet(top, close_columns=True)), Material(base, 0.2, paint=skin))
    for k in range(5):
        middle = 2 * np.pi * k / 5
        for row in range(10):
            for lane in (-1, 0, 1):
                reach = 0.1 + 0.088 * row
                if lane and row > 7:
                    continue
                sideways = lane * across * 0.5 * (1 - 0.35 * row / 9)
                stretch_k = 1 + (lengths[k] - 1) * float(step(0.3, 0.6, array([reach]))[0])
                r = float(np.hypot(reach * stretch_k, sideways))
                a = middle + float(np.arctan2(sideways, reach)) + curls[k] * r**2
                up = (0.06 + 0.16 * (1 - reach)) * (0.98 if lane == 0 else 0.88)
                size = 0.024 if lane == 0 else 0.018
                out.add(move(sphere(size, 12), (r * np.cos(a), r * np.sin(a), up)), lacquer(pale, 0.2))
    return out
