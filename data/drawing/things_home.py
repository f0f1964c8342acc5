"""Things about the house: mug, teapot, chair, lamp, alarm clock, umbrella, hat, spectacles, dice."""

from __future__ import annotations

import numpy as np

from drawing.kit import Kit, lacquer, matt, metal, wood
from drawing.mesh import (
    Floats,
    Material,
    Mesh,
    Subject,
    array,
    bend,
    box,
    cylinder,
    lathe,
    move,
    plate,
    ring,
    rod,
    scale,
    sheet,
    smooth,
    sphere,
    tube,
    turn,
)
from drawing.surfaces import colour, mix, step

SIDES = ((-48.0, 28.0), (152.0, 228.0))
"""Turns that keep in view what sticks out to the right of a thing: a handle, a spout."""


def mug(kit: Kit) -> Subject:
    """A mug with an ear-shaped handle, banded, two-coloured or plain."""
    out = Subject(turn=SIDES, elevation=(12, 42), tilt=5)
    height, wide, flare = kit.between(0.85, 1.05), kit.between(0.38, 0.46), kit.between(-0.03, 0.05)
    base, second, kind = kit.paint(), kit.paint(2), kit.choose(("plain", "band", "dip", "stripes"))

    def decorate(p: Floats, c: Floats) -> Floats:
        level = p[:, 2] / height
        inner = np.hypot(p[:, 0], p[:, 1]) < wide - 0.035
        if kind == "band":
            mark = step(0.35, 0.36, level) - step(0.62, 0.63, level)
        elif kind == "dip":
            mark = 1 - step(0.4, 0.41, level)
        elif kind == "stripes":
            mark = step(0.45, 0.5, np.abs(((level * 5.5) % 1) - 0.5) * 2) * step(0.12, 0.13, level)
            mark = mark * (1 - step(0.88, 0.89, level))
        else:
            mark = np.zeros(len(p))
        return mix(c, second, mark * ~inner)

    w, h = wide, height
    profile = smooth(
        [(w - 0.07, 0.0), (w - 0.02, 0.02), (w, 0.1), (w + flare * 0.4, h * 0.5), (w + flare, h - 0.03)], 24
    )
    inside = smooth(
        [(w + flare - 0.045, h - 0.03), (w + flare * 0.4 - 0.05, h * 0.5), (w - 0.05, 0.16), (0.2, 0.07), (0, 0.06)], 24
    )
    lip = [(w + flare - 0.006, h - 0.01), (w + flare - 0.022, h), (w + flare - 0.039, h - 0.01)]
    out.add(lathe(np.concatenate([[(0, 0.0)], profile, lip, inside]), 64), Material(base, 0.7, paint=decorate))
    reach = kit.between(0.28, 0.36)
    ear = smooth(
        [(w - 0.03, 0, h * 0.82), (w + reach * 0.6, 0, h * 0.87), (w + reach, 0, h * 0.6),
         (w + reach * 0.75, 0, h * 0.32),
         (w - 0.03, 0, h * 0.18)], 30,
    )  # fmt: skip
    out.add(tube(ear, 0.058, 14, flatten=(1.25, 0.85)), lacquer(second if kind == "dip" else base, 0.7))
    if kit.number % 3 != 0:
        drink = kit.tint(("2e1a10", "8d5a2b", "5a7a2c", "b98a63"), 1)
        out.add(move(lathe([(0, 0), (w + flare * 0.7 - 0.04, 0)]), (0, 0, h * 0.84)), lacquer(drink, 0.8))
    return out


def teapot(kit: Kit) -> Subject:
    """A round teapot with lid, spout and handle."""
    out = Subject(turn=((-45, 45), (135, 225)), elevation=(8, 35), tilt=4)
    base, second = kit.paint(), kit.paint(1)
    skin = metal(kit.choose(("d9dadb", "c98a5e", "d8b25a")), 0.7) if kit.number % 5 == 0 else lacquer(base, 0.75)
    squat = kit.between(0.88, 1.1)
    body = smooth(
        [(0.3, 0.0), (0.36, 0.02), (0.33, 0.06), (0.52, 0.22), (0.6, 0.45), (0.5, 0.72), (0.3, 0.86), (0.27, 0.88)], 48
    )
    out.add(scale(lathe(np.concatenate([[(0, 0)], body]), 64), (1, 1, squat)), skin)
    lid = smooth([(0.31, 0.87), (0.3, 0.91), (0.2, 0.98), (0.06, 1.02), (0.045, 1.06)], 24)
    trim = lacquer(second, 0.7) if kit.number % 2 else skin
    out.add(scale(lathe(np.concatenate([lid, [(0.0, 1.06)]]), 48), (1, 1, squat)), trim)
    out.add(move(scale(sphere(0.085), (1, 1, 0.9)), (0, 0, 1.11 * squat)), trim)
    path = smooth([(0.45, 0, 0.3), (0.68, 0, 0.36), (0.8, 0, 0.6), (0.9, 0, 0.84), (1.02, 0, 0.93)], 30)
    path[:, 2] *= squat
    width = np.interp(np.linspace(0, 1, 30), [0, 0.3, 0.75, 1], [0.17, 0.115, 0.07, 0.085])
    out.add(tube(path, width, 20), skin)
    ear = smooth([(-0.4, 0, 0.78), (-0.72, 0, 0.88), (-0.98, 0, 0.68), (-0.9, 0, 0.38), (-0.54, 0, 0.27)], 36)
    ear[:, 2] *= squat
    out.add(tube(ear, 0.052, 14, flatten=(1.2, 0.9)), trim)
    return out


def chair(kit: Kit) -> Subject:
    """A kitchen chair: four legs, a seat, a back of slats or rails."""
    out = Subject(turn=((-65, -12), (12, 65), (205, 230), (130, 155)), elevation=(8, 32))
    stuff = wood(kit, 0, 2) if kit.number % 2 else lacquer(kit.paint(), 0.5)
    seat_stuff = lacquer(kit.paint(1), 0.25) if kit.number % 3 == 0 else stuff
    w, high, back = kit.between(0.42, 0.5), kit.between(0.8, 0.95), kit.between(0.95, 1.2)
    out.add(move(box((2 * w, 2 * w, 0.09), 0.04), (0, 0, high)), seat_stuff)
    thick = kit.between(0.04, 0.055)
    for x in (-1, 1):
        out.add(rod((x * (w - 0.06), -w + 0.06, high), (x * w, -w, 0), thick, thick * 0.7), stuff)
        out.add(rod((x * (w - 0.06), w - 0.06, high), (x * w, w + 0.08, 0), thick, thick * 0.7), stuff)
        post = smooth([(x * (w - 0.06), w - 0.06, high), (x * (w - 0.05), w, high + back * 0.5),
                       (x * (w - 0.04), w + 0.14, high + back)], 12)  # fmt: skip
        out.add(tube(post, thick), stuff)
        out.add(rod((x * (w - 0.02), -w + 0.03, high * 0.42), (x * (w - 0.02), w, high * 0.42), 0.025), stuff)
    out.add(rod((-w, -w + 0.03, high * 0.55), (w, -w + 0.03, high * 0.55), 0.025), stuff)

    def rail(at: float, tall: float) -> Mesh:
        t = np.linspace(-1, 1, 15)
        y = w - 0.06 + 0.2 * at**1.6 + 0.05 * (1 - t**2)
        line = np.stack([t * (w - 0.04), y, 0 * t + high + back * at], -1)
        return tube(line, 1.0, 12, flatten=(0.025, tall))

    out.add(rail(0.96, 0.1), stuff)
    if kit.choose((True, False)):
        for at in (0.7, 0.45):
            out.add(rail(at, 0.06), stuff)
    else:
        out.add(rail(0.3, 0.035), stuff)
        for x in np.linspace(-0.6, 0.6, 5) * w:
            out.add(rod((x, w + 0.02, high + back * 0.3), (x, w + 0.16, high + back * 0.94), 0.022), stuff)
    return out


def table_lamp(kit: Kit) -> Subject:
    """A table lamp: a turned foot under a cloth shade, lit or not."""
    out = Subject(elevation=(2, 26), tilt=3)
    foot = kit.choose(
        (
            [(0.3, 0), (0.3, 0.05), (0.1, 0.1), (0.045, 0.2), (0.04, 0.5), (0.045, 0.8)],
            [(0.2, 0), (0.22, 0.04), (0.16, 0.08), (0.3, 0.3), (0.26, 0.5), (0.08, 0.66), (0.05, 0.8)],
            [(0.24, 0), (0.25, 0.05), (0.08, 0.12), (0.13, 0.22), (0.06, 0.32), (0.14, 0.45), (0.06, 0.6), (0.05, 0.8)],
            [(0.15, 0), (0.26, 0.1), (0.3, 0.25), (0.22, 0.42), (0.09, 0.52), (0.06, 0.6), (0.05, 0.8)],
        )
    )
    curve = smooth(foot, 56)
    stuff = metal(kit.choose(("d8b25a", "b9bcc0", "c98a5e")), 0.6) if kit.number % 3 == 0 else lacquer(kit.paint(), 0.6)
    out.add(lathe(np.concatenate([[(0, 0)], curve, [(0, 0.8)]]), 56), stuff)
    low, top, tall = kit.between(0.48, 0.58), kit.between(0.2, 0.36), kit.between(0.5, 0.62)
    cloth = kit.paint(2)
    lit = kit.number % 2 == 0

    def folds(p: Floats, c: Floats) -> Floats:
        angle = np.arctan2(p[:, 1], p[:, 0])
        level = (p[:, 2] - 0.7) / tall
        pleat = 0.93 + 0.07 * np.sin(angle * 48)
        hem = 1 - 0.35 * (step(0.05, 0.04, level) + step(0.95, 0.96, level))
        return array(c * (pleat * hem * (0.8 + 0.4 * (1 - np.abs(level - 0.45))))[:, None])

    glow = 0.55 if lit else 0.0
    shade_ = lathe([(low, 0.7), (low - (low - top) * 0.5, 0.7 + tall / 2), (top, 0.7 + tall)], 64)
    out.add(shade_, Material(cloth, 0.05, glow=glow, paint=folds))
    out.add(move(ring(low, 0.012), (0, 0, 0.7)), matt(cloth * 0.6))
    out.add(move(ring(top, 0.012, 48), (0, 0, 0.7 + tall)), matt(cloth * 0.6))
    out.add(move(sphere(0.09), (0, 0, 0.88)), Material(colour("fff3cf"), 0.5, glow=2.0 if lit else 0.1))
    out.add(rod((0, 0, 0.75), (0, 0, 0.72 + tall), 0.012), metal("b9bcc0"))
    for angle in (0.0, 2.1, 4.2):
        tip = (top * np.cos(angle), top * np.sin(angle), 0.69 + tall)
        out.add(rod((0, 0, 0.69 + tall), tip, 0.008), metal("b9bcc0"))
    return out


def alarm_clock(kit: Kit) -> Subject:
    """A wind-up clock with two bells, showing some time or other."""
    out = Subject(turn=((-48, 48),), elevation=(4, 32), tilt=5)
    case = metal(kit.choose(("d8b25a", "c98a5e", "d9dadb")), 0.7) if kit.number % 4 == 0 else lacquer(kit.paint(), 0.65)
    bells = metal(kit.choose(("d9dadb", "d8b25a", "c98a5e"), 1), 0.75) if kit.number % 2 else case
    profile = [
        (0, 0.16),
        (0.44, 0.16),
        (0.5, 0.1),
        (0.5, -0.13),
        (0.49, -0.17),
        (0.46, -0.18),
        (0.44, -0.15),
        (0.43, -0.1),
    ]
    out.add(turn(lathe(profile, 72), "x", -90), case)
    dark_face = kit.number % 4 == 3
    face, ink = (colour("25272c"), colour("f4f0e4")) if dark_face else (colour("f6f2e6"), colour("26262a"))

    def dial(p: Floats, c: Floats) -> Floats:
        radius, angle = np.hypot(p[:, 0], p[:, 2]), np.arctan2(p[:, 0], p[:, 2]) / (2 * np.pi) * 12
        hour = np.abs(angle - np.round(angle)) * 2 * np.pi / 12 * radius
        quarter = np.abs(np.round(angle)) % 3 == 0
        mark = (hour < np.where(quarter, 0.024, 0.014)) & (radius > np.where(quarter, 0.29, 0.33)) & (radius < 0.39)
        minute = angle * 5
        tick = (np.abs(minute - np.round(minute)) * 2 * np.pi / 60 * radius < 0.005) & (radius > 0.37) & (radius < 0.4)
        return mix(c, ink, (mark | tick).astype(np.float64))

    out.add(move(turn(lathe([(0, 0), (0.44, 0)], 64), "x", 90), (0, -0.11, 0)), Material(face, 0.2, paint=dial))
    hour, minute = kit.between(0, 12), kit.between(0, 60)
    for length, wide, turned, depth in ((0.22, 0.024, hour * 30, -0.125), (0.34, 0.017, minute * 6, -0.135)):
        hand = plate([(-wide, -0.05), (wide, -0.05), (wide * 0.7, length), (-wide * 0.7, length)], 0.012)
        out.add(move(turn(turn(hand, "x", 90), "y", turned), (0, depth, 0)), matt(ink))
    out.add(move(turn(cylinder(0.03, 0.02), "x", 90), (0, -0.125, 0)), matt(colour("c0392b")))
    for side in (-1, 1):
        dome = smooth([(0.215, 0), (0.21, 0.06), (0.16, 0.15), (0.08, 0.19), (0.0, 0.2)], 20)
        bell = turn(move(lathe(np.concatenate([[(0.0, 0.03), (0.195, 0.0)], dome]), 48), (0, 0, 0.56)), "y", side * 36)
        out.add(bell, bells)
        out.add(turn(rod((0, 0, 0.45), (0, 0, 0.6), 0.025), "y", side * 36), metal("9aa0a6"))
        out.add(turn(move(sphere(0.03, 20), (0, 0, 0.77)), "y", side * 36), metal("9aa0a6"))
        out.add(turn(rod((0, 0, -0.45), (0, 0, -0.66), 0.05, 0.035), "y", -side * 36), bells)
    loop = smooth([(-0.2, 0, 0.7), (-0.17, 0, 0.9), (0, 0, 0.97), (0.17, 0, 0.9), (0.2, 0, 0.7)], 24)
    out.add(tube(loop, 0.024, 12, flatten=(1.5, 0.8)), metal("b9bcc0"))
    out.add(rod((0, 0, 0.48), (0, 0, 0.72), 0.018), metal("9aa0a6"))
    out.add(move(box((0.12, 0.06, 0.07), 0.02), (0, 0, 0.73)), metal("9aa0a6"))
    return out


def umbrella(kit: Kit) -> Subject:
    """An open umbrella, upright or leaning, with a crook handle."""
    out = Subject(elevation=(-2, 16), tilt=26, roll=10)
    panels = 8
    base, second = kit.paint(), kit.paint(1)
    kind = kit.choose(("plain", "halves", "edge", "plain", "halves"))
    r = np.linspace(0.0, 1.0, 22)[:, None]
    around = np.linspace(0.0, 2 * np.pi, panels * 8, endpoint=False)[None, :]
    inside = np.abs(((around / (2 * np.pi) * panels) % 1) - 0.5) * 2  # 1 on a rib, 0 between two
    radius = r * (1 - 0.11 * (1 - inside**2) * r)  # the hem runs nearly straight from rib to rib
    deep = kit.between(0.42, 0.58)
    height = deep * (1 - r**2.1) - 0.035 * (1 - inside) * r + 0.05 * (1 - inside**2) * r**6
    grid = np.stack([radius * np.cos(around), radius * np.sin(around), height + 1.05], -1)

    def cloth(p: Floats, c: Floats) -> Floats:
        place = np.arctan2(p[:, 1], p[:, 0]) / (2 * np.pi) * panels
        away = np.hypot(p[:, 0], p[:, 1])
        seam = np.abs(place - np.round(place) + 0.0) * 2 * np.pi / panels * away
        out_ = c
        if kind == "halves":
            out_ = mix(c, second, (np.floor(place) % 2).astype(np.float64))
        elif kind == "edge":
            out_ = mix(c, second, step(0.74, 0.75, away))
        return array(out_ * (0.72 + 0.28 * step(0.0, 0.018, seam))[:, None])

    out.add(sheet(grid, close_columns=True), Material(base, 0.2, paint=cloth))
    steel = metal("c9ccd0", 0.6)
    out.add(rod((0, 0, 0.12), (0, 0, 1.05 + deep + 0.12), 0.022), steel)
    out.add(rod((0, 0, 1.03 + deep), (0, 0, 1.2 + deep), 0.04, 0.015), lacquer(colour("2d2d31")))
    for k in range(panels):
        a = 2 * np.pi * k / panels
        mid = (0.55 * np.cos(a), 0.55 * np.sin(a), 1.05 + deep * (1 - 0.55**2.1) - 0.02)
        out.add(rod((0, 0, 1.0), mid, 0.009, segments=8), steel)
        rib = np.linspace(0.05, 1.0, 10)
        line = np.stack([rib * np.cos(a) * 0.985, rib * np.sin(a) * 0.985, 1.035 + deep * (1 - rib**2.1)], -1)
        out.add(tube(line, 0.008, 8), steel)
        out.add(move(sphere(0.02, 12), line[-1]), steel)
    crook = smooth([(0, 0, 0.3), (0, 0, 0.1), (0, 0, -0.06), (0.05, 0, -0.17), (0.14, 0, -0.2), (0.23, 0, -0.16),
                    (0.26, 0, -0.06)], 36)  # fmt: skip
    grip = wood(kit, 1, 2) if kit.number % 2 else lacquer(kit.paint(2), 0.6)
    out.add(tube(crook, 0.042, 14), grip)
    return out


def hat(kit: Kit) -> Subject:
    """A felt or straw hat with a pinched crown, a curved brim and a ribbon."""
    out = Subject(elevation=(10, 40), tilt=12)
    tall, brim = kit.between(0.5, 0.62), kit.between(0.82, 0.98)
    straw = kit.number % 3 == 0
    base = kit.tint(("e0c48b", "d2ab6b", "efe1bd")) if straw else kit.paint()
    profile = smooth(
        [(brim, 0.0), (brim - 0.02, 0.022), (0.66, 0.0), (0.53, 0.02), (0.49, 0.09), (0.47, 0.3), (0.43, tall - 0.06),
         (0.34, tall), (0.2, tall - 0.01), (0.0, tall - 0.03)], 80,
    )  # fmt: skip
    lift = kit.between(0.1, 0.24)

    def felt(p: Floats) -> Floats:
        x, y, z = p[:, 0], p[:, 1], p[:, 2]
        away = np.hypot(x, y)
        out_ = step(0.5, 1.0, away)
        z = z + out_ * (lift * np.abs(x) ** 2 - 0.1 * y**2)
        top = step(tall * 0.55, tall, z) * (away < 0.55)
        z = z - top * 0.17 * np.exp(-((x / 0.13) ** 2)) * (1 - 0.25 * y)
        pinch = (
            top * 0.1 * np.exp(-(((y + 0.38) / 0.25) ** 2)) * np.sign(x) * np.exp(-(((np.abs(x) - 0.28) / 0.16) ** 2))
        )
        return np.stack([(x - pinch) * 0.88, y * 1.08, z], -1)

    def weave(p: Floats, c: Floats) -> Floats:
        angle, away = np.arctan2(p[:, 1], p[:, 0]), np.hypot(p[:, 0], p[:, 1])
        lines = np.sin(angle * 90) * np.sin((away - p[:, 2]) * 120)
        return array(c * (0.88 + 0.2 * lines)[:, None])

    crown = bend(lathe(profile, 96), felt)
    out.add(crown, Material(base, 0.06, paint=weave if straw else None))
    ribbon = bend(lathe([(0.505, 0.075), (0.497, 0.12), (0.492, 0.19), (0.474, 0.2)], 96), felt)
    out.add(ribbon, lacquer(kit.paint(1), 0.25))
    bow = move(turn(box((0.02, 0.2, 0.16), 0.01), "z", 0), (0.44, 0.05, 0.14))
    out.add(bow, lacquer(kit.paint(1) * 0.8, 0.25))
    return out


def spectacles(kit: Kit) -> Subject:
    """Spectacles standing on their temples, clear or tinted, round or square."""
    out = Subject(turn=((-50, 50),), elevation=(8, 45), tilt=5, calm=0.55)
    frame = (
        metal(kit.choose(("d8b25a", "b9bcc0", "5c5e63")), 0.7) if kit.number % 3 == 0 else lacquer(kit.paint(), 0.65)
    )
    thick = 0.034 if kit.number % 3 == 0 else kit.between(0.04, 0.06)
    power = kit.choose((2.0, 3.2, 2.4, 4.0))
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    round_ = power == 2.0
    half_w, half_h = (0.4, 0.38) if round_ else (0.43, 0.31)
    x = np.sign(np.cos(t)) * np.abs(np.cos(t)) ** (2 / power) * half_w
    z = np.sign(np.sin(t)) * np.abs(np.sin(t)) ** (2 / power) * half_h
    x = x * (1 + 0.12 * z / half_h)
    tint = kit.tint(("9fb7c9", "1d2024", "5a3a22", "c8d8dc", "24463c"))
    alpha = 0.3 if kit.choose((0, 1, 1, 0, 1)) == 0 else 0.82
    for side in (-1, 1):
        rim = np.stack([side * x + side * 0.5, 0.06 * (np.abs(x + 0.5) ** 2) - 0.02, z], -1)
        out.add(tube(rim, thick, 10, closed=True, start=(0, 1, 0)), frame)
        grid = np.stack(
            [rim * 0.98 + array([side * 0.5, 0, 0]) * 0.02, (rim * 0.02 + array([side * 0.5, 0, 0]) * 0.98)]
        )
        out.add(sheet(grid, close_columns=True), Material(tint, 0.9, alpha=alpha))
        end = half_w * 1.02 + 0.5
        temple = smooth([(side * (end - 0.01), 0.05, 0.12), (side * (end + 0.05), 0.12, 0.13),
                         (side * (end + 0.06), 0.5, 0.12),
                         (side * (end + 0.03), 1.05, 0.08), (side * (end - 0.02), 1.25, -0.08),
                         (side * (end - 0.06), 1.38, -0.3)], 40)  # fmt: skip
        out.add(tube(temple, thick * 0.95, 10), frame)
        out.add(move(box((0.05, 0.08, 0.07), 0.02), (side * (end + 0.01), 0.06, 0.12)), frame)
    arch = smooth([(-0.12, 0, 0.06), (-0.06, -0.02, 0.14), (0.06, -0.02, 0.14), (0.12, 0, 0.06)], 20)
    out.add(tube(arch, thick * 0.95, 10), frame)
    return out


def dice(kit: Kit) -> Subject:
    """One die, or two."""
    out = Subject(turn=((15, 75), (105, 165), (195, 255), (285, 345)), elevation=(20, 48))
    base, count = kit.paint(), 2 if kit.number % 3 == 0 else 1
    pale = float(base.mean()) > 0.25
    ink = colour("202226") if pale else colour("f6f2e8")
    spots: dict[int, list[tuple[float, float]]] = {
        1: [(0, 0)],
        2: [(-1, -1), (1, 1)],
        3: [(-1, -1), (0, 0), (1, 1)],
        4: [(-1, -1), (1, 1), (-1, 1), (1, -1)],
        5: [(-1, -1), (1, 1), (-1, 1), (1, -1), (0, 0)],
        6: [(-1, -1), (1, 1), (-1, 1), (1, -1), (-1, 0), (1, 0)],
    }
    orders = ([1, 2, 3], [2, 3, 1], [3, 1, 2], [6, 5, 3], [5, 4, 6], [4, 6, 2])
    for which in range(count):
        sides = orders[(kit.number + 2 * which) % len(orders)]
        middle = array([which * 1.35, which * 0.5 * (-1) ** kit.number, 0.5])
        twist = 0.0 if which == 0 else kit.between(-35, 35)
        spin = turn_of(-twist)

        def pips(
            p: Floats, c: Floats, middle: Floats = middle, sides: list[int] = sides, spin: Floats = spin
        ) -> Floats:
            q = (p - middle) @ spin.T
            axis = np.abs(q).argmax(axis=1)
            value = np.choose(axis, sides)
            value = np.where(q[np.arange(len(q)), axis] < 0, 7 - value, value)
            first, second = np.where(axis == 0, q[:, 1], q[:, 0]), np.where(axis == 2, q[:, 1], q[:, 2])
            mark = np.zeros(len(q))
            for number, places in spots.items():
                for a, b in places:
                    away = np.hypot(first - a * 0.25, second - b * 0.25)
                    size = 0.14 if number == 1 else 0.095
                    mark = np.maximum(mark, (value == number) * (1 - step(size - 0.008, size + 0.008, away)))
            return mix(c, ink, mark)

        cube = move(turn(box((1, 1, 1), 0.13, 7), "z", twist), middle)
        out.add(cube, Material(base, 0.7, paint=pips))
    return out


def turn_of(degrees: float) -> Floats:
    """A rotation about z, (3, 3)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
