"""Things made for work and play: key, scissors, hammer, ladder, guitar, football."""

from __future__ import annotations

import numpy as np

from drawing.kit import WOODS, Kit, lacquer, matt, metal, wood
from drawing.mesh import (
    Floats,
    Material,
    Subject,
    array,
    box,
    cylinder,
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
from drawing.surfaces import colour, mix, step

LYING = (52.0, 86.0)
"""Camera heights for what lies flat: from aslant to straight down, degrees."""


def key(kit: Kit) -> Subject:
    """An old door key: a bow to hold, a round shank, a bit with wards."""
    out = Subject(elevation=LYING, tilt=10, roll=0, calm=0.35)
    stuff = metal(kit.choose(("d8b25a", "b9bcc0", "c98a5e", "77797f", "e6d3a0")), kit.between(0.5, 0.8))
    if kit.number % 4 == 0:
        stuff = lacquer(kit.paint(), 0.5)
    thick = 0.062
    if kit.choose((True, False)):
        for angle in (90.0, 180.0, 270.0):  # three rings, like clover
            a = np.radians(angle)
            out.add(move(ring(0.19, thick), (-0.66 + 0.21 * np.cos(a), 0.21 * np.sin(a), 0)), stuff)
    else:
        out.add(move(scale(ring(0.33, thick + 0.008), (0.92, 1.1, 1)), (-0.78, 0, 0)), stuff)
        out.add(move(scale(ring(0.1, 0.04), (1, 1, 1)), (-0.56, 0, 0)), stuff)
    out.add(rod((-0.5, 0, 0), (1.0, 0, 0), 0.068, segments=20), stuff)
    for x, r in ((-0.36, 0.115), (-0.28, 0.095), (0.42, 0.095)):
        out.add(move(turn(ring(r * 0.72, 0.045, 32), "y", 90), (x, 0, 0)), stuff)
    wards = kit.choose((
        [(0.55, 0), (0.55, -0.42), (0.66, -0.42), (0.66, -0.24), (0.72, -0.24), (0.72, -0.42), (0.92, -0.42),
         (0.92, -0.3),
         (0.84, -0.3), (0.84, -0.18), (0.92, -0.18), (0.92, 0)],
        [(0.55, 0), (0.55, -0.36), (0.63, -0.36), (0.63, -0.46), (0.71, -0.46), (0.71, -0.3), (0.78, -0.3),
         (0.78, -0.46),
         (0.93, -0.46), (0.93, -0.15), (0.85, -0.15), (0.85, -0.08), (0.93, -0.08), (0.93, 0)],
        [(0.58, 0), (0.58, -0.44), (0.68, -0.44), (0.68, -0.34), (0.76, -0.34), (0.76, -0.44), (0.94, -0.44),
         (0.94, -0.26),
         (0.8, -0.26), (0.8, -0.14), (0.94, -0.14), (0.94, 0)],
    ), 1)  # fmt: skip
    out.add(plate(wards, 0.075, 0.015), stuff)
    return out


def scissors(kit: Kit) -> Subject:
    """Scissors half open, with looped handles."""
    out = Subject(elevation=LYING, tilt=6, roll=0, calm=0.45)
    steel = metal(kit.choose(("d9dadb", "c2c5c9", "55585e")), 0.7)
    grip = lacquer(kit.paint(), 0.55)
    half_open = kit.between(10, 24)
    blade = [(-0.22, -0.085), (0.0, -0.1), (0.3, -0.085), (1.02, -0.0), (1.06, 0.02), (1.0, 0.035), (0.25, 0.075),
             (0.0, 0.09),
             (-0.22, 0.06)]  # fmt: skip
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    for side in (-1, 1):
        level = side * 0.028
        parts = [(move(plate(blade, 0.045, 0.012), (0, 0, level)), steel)]
        shank = smooth([(-0.12, -0.01), (-0.3, -0.035), (-0.45, -0.09)], 12)
        line = np.column_stack([shank, np.full(12, level * 0.6)])
        parts.append((tube(line, np.linspace(0.075, 0.06, 12), 14, flatten=(1.0, 0.75)), grip))
        wide = 0.27 if side > 0 else 0.23
        loop = np.column_stack(
            [-0.68 + wide * np.cos(t), -0.19 + 0.165 * np.sin(t) - 0.05 * np.cos(t), 0 * t + level * 0.4]
        )
        parts.append((tube(loop, 0.06, 14, closed=True, flatten=(1.0, 0.9)), grip))
        for mesh, stuff in parts:
            mirrored = scale(mesh, (1, side, 1))
            out.add(turn(mirrored, "z", side * half_open), stuff)
    out.add(move(cylinder(0.06, 0.14, 0.02), (0, 0, -0.065)), metal("b9bcc0"))
    out.add(move(box((0.09, 0.014, 0.02), 0.004), (0, 0, 0.073)), matt(colour("55585e")))
    return out


def hammer(kit: Kit) -> Subject:
    """A claw hammer."""
    out = Subject(elevation=LYING, tilt=8, roll=0)
    steel = metal(kit.choose(("b9bcc0", "8d9096", "4a4c51", "d9dadb")), 0.6)
    shaft = wood(kit, 0, 0) if kit.number % 3 else metal("b9bcc0", 0.5)
    x = np.linspace(-1.15, 0.42, 24)
    line = np.stack([x, 0 * x, 0 * x], -1)
    thick = np.interp(x, [-1.15, -1.05, -0.7, -0.2, 0.42], [0.075, 0.09, 0.085, 0.06, 0.065])
    out.add(tube(line, thick, 18, flatten=(1.15, 0.85)), shaft)
    if kit.number % 3 != 1:
        grip = x < -0.45
        out.add(tube(line[grip], thick[grip] * 1.18, 18, flatten=(1.15, 0.85)), lacquer(kit.paint(), 0.3))
    out.add(move(box((0.24, 0.3, 0.23), 0.06), (0.42, 0.02, 0)), steel)
    neck = smooth([(0.42, 0.1, 0), (0.43, 0.3, 0), (0.43, 0.42, 0)], 12)
    out.add(tube(neck, np.interp(np.linspace(0, 1, 12), [0, 0.6, 1], [0.12, 0.09, 0.1]), 20), steel)
    face = lathe([(0, 0), (0.125, 0), (0.14, 0.015), (0.14, 0.11), (0.12, 0.13), (0, 0.135)], 36)
    out.add(move(turn(face, "x", -90), (0.43, 0.4, 0)), steel)
    for side in (-1, 1):
        prong = smooth([(0.43, -0.08, side * 0.05), (0.42, -0.26, side * 0.06), (0.33, -0.46, side * 0.095),
                        (0.16, -0.6, side * 0.13)], 20)  # fmt: skip
        size = np.interp(np.linspace(0, 1, 20), [0, 0.4, 1], [0.1, 0.085, 0.018])
        out.add(tube(prong, size, 14, flatten=(1.0, 0.75), start=(0, 0, 1)), steel)
    return out


def ladder(kit: Kit) -> Subject:
    """A step-ladder standing open."""
    out = Subject(turn=((-62, -14), (14, 62)), elevation=(6, 30), calm=0.4)
    stuff = kit.choose((wood(kit, 0, 2), lacquer(kit.paint(), 0.5), metal("c9ccd0", 0.5), lacquer(kit.paint(1), 0.5)))
    treads = stuff if kit.number % 2 else lacquer(kit.paint(2), 0.3)
    count = kit.choose((5, 6, 4))
    high, spread, foot, top = 2.1, kit.between(0.5, 0.62), 0.52, 0.34
    for side in (-1, 1):
        for front in (-1, 1):
            low = array([side * foot, front * spread, 0.0])
            up = array([side * top, front * 0.06, high])
            line = np.linspace(0, 1, 8)[:, None] * (up - low) + low
            thick = 0.062 if front < 0 else 0.045
            square = np.array([1, 1.3, 1, 1, 1.3, 1, 1, 1.3, 1, 1, 1.3, 1.0])
            out.add(tube(line, thick, 12, shape=np.roll(square, 0)), stuff)
            out.add(move(box((0.13, 0.15, 0.07), 0.02), low + array([0, 0, 0.035])), lacquer(colour("2d2d31"), 0.2))
    for k in range(count):
        share = (k + 1) / (count + 0.6)
        wide = 2 * (foot + (top - foot) * share)
        out.add(
            move(box((wide, 0.26, 0.05), 0.015), (0, -spread + (spread - 0.06) * share - 0.02, high * share)), treads
        )
    for share in (0.25, 0.62):
        wide = foot + (top - foot) * share
        at = spread - (spread - 0.06) * share
        out.add(rod((-wide, at, high * share), (wide, at, high * share), 0.035), stuff)
    out.add(move(box((2 * top + 0.16, 0.36, 0.07), 0.025), (0, 0, high + 0.03)), treads)
    for side in (-1, 1):
        wide = foot + (top - foot) * 0.5
        out.add(
            rod((side * wide, -spread * 0.52, high * 0.48), (side * wide, spread * 0.52, high * 0.48), 0.016),
            metal("9aa0a6"),
        )
    return out


def guitar(kit: Kit) -> Subject:
    """An acoustic guitar with sound hole, bridge, frets and pegs."""
    out = Subject(elevation=(50, 86), tilt=12, roll=0)
    half = smooth([(0.0, -1.0), (0.3, -0.98), (0.54, -0.82), (0.6, -0.55), (0.5, -0.25), (0.37, -0.02), (0.38, 0.18),
                   (0.44, 0.36), (0.38, 0.54), (0.2, 0.63), (0.0, 0.64)], 44)  # fmt: skip
    outline = np.concatenate([half, np.stack([-half[-2:0:-1, 0], half[-2:0:-1, 1]], -1)])
    painted = kit.number % 2 == 0
    base = kit.paint() if painted else kit.tint(WOODS)
    rim = colour("f3ead2") if float(base.mean()) < 0.4 else colour("3a2417")
    burst = kit.number % 3 == 0
    grain = wood(kit, 1, 1).paint

    def top(p: Floats, c: Floats) -> Floats:
        x, y = p[:, 0], p[:, 1]
        hole = np.hypot(x, y - 0.12)
        out_ = c if painted or grain is None else grain(p * 1.3, c)
        front = p[:, 2] > 0.085
        if burst:
            out_ = mix(out_, c * 0.15, step(0.45, 1.0, np.hypot(x * 1.55, (y + 0.2) * 1.05)))
        rosette = step(0.21, 0.22, hole) - step(0.245, 0.255, hole)
        out_ = mix(out_, rim, rosette * front)
        out_ = mix(out_, array([0.012, 0.009, 0.007]), (1 - step(0.175, 0.185, hole)) * front)
        return array(np.where((p[:, 2] < 0.078)[:, None], c * 0.45, out_))

    out.add(plate(outline, 0.2, 0.02), Material(base, 0.55, paint=top))
    edge = np.column_stack([outline, np.full(len(outline), 0.088)])
    out.add(tube(edge, 0.016, 8, closed=True), lacquer(rim, 0.4))
    dark = lacquer(kit.tint(("2b1a12", "3d2618", "1d1d1f")), 0.35)
    out.add(move(box((0.15, 1.42, 0.09), 0.03), (0, 1.0, 0.09)), wood(kit, 2, 1))
    out.add(move(box((0.14, 1.42, 0.03), 0.008), (0, 0.98, 0.145)), dark)
    place = 1.66
    for _ in range(15):
        out.add(move(box((0.14, 0.012, 0.014), 0.004), (0, place, 0.162)), metal("d9dadb"))
        place -= (place + 0.5) * 0.0561
    out.add(move(box((0.145, 0.025, 0.04), 0.006), (0, 1.69, 0.16)), lacquer(colour("f3ead2")))
    head = [(-0.075, 1.68), (-0.13, 1.78), (-0.145, 2.1), (-0.08, 2.13), (0, 2.1), (0.08, 2.13), (0.145, 2.1),
            (0.13, 1.78),
            (0.075, 1.68)]  # fmt: skip
    out.add(move(plate(head, 0.07, 0.015), (0, 0, 0.1)), lacquer(base * 0.6, 0.5) if painted else dark)
    for side in (-1, 1):
        for y in (1.81, 1.92, 2.03):
            out.add(rod((side * 0.12, y, 0.1), (side * 0.2, y, 0.1), 0.014), metal("d9dadb"))
            out.add(move(scale(sphere(0.042, 16), (1, 0.7, 1.1)), (side * 0.215, y, 0.1)), lacquer(rim, 0.6))
            out.add(move(cylinder(0.02, 0.05, 0.005, 16), (side * 0.075, y, 0.13)), metal("d9dadb"))
    out.add(move(box((0.36, 0.09, 0.05), 0.02), (0, -0.48, 0.11)), dark)
    out.add(move(box((0.26, 0.02, 0.03), 0.005), (0, -0.465, 0.145)), lacquer(colour("f3ead2")))
    for k in range(6):
        x = (k - 2.5) * 0.021
        out.add(rod((x * 1.7, -0.48, 0.155), (x, 1.7, 0.178), 0.0042, segments=6), metal("ecebe6", 0.5))
    return out


def football(kit: Kit) -> Subject:
    """A ball sewn of pentagons and hexagons."""
    out = Subject(elevation=(6, 50), tilt=180)
    golden = (1 + 5**0.5) / 2
    five = array([(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)])
    five = np.concatenate([np.roll(five, k, axis=1) for k in range(3)])
    five /= np.linalg.norm(five, axis=1, keepdims=True)
    near = five @ five.T > 0.44 - 1e-6
    six = [five[i] + five[j] + five[k] for i in range(12) for j in range(i) for k in range(j)
           if near[i, j] and near[j, k] and near[i, k]]  # fmt: skip
    sixes = array(six) / np.linalg.norm(six, axis=1, keepdims=True)
    middles = np.concatenate([five, sixes])
    # Pentagons are smaller: their middles count as a little further away.
    angle_five = np.concatenate([np.full(12, 0.055), np.zeros(20)])
    base, second = kit.choose(
        (("f4f2ec", "1f2023"), ("f4f2ec", None), (None, "f4f2ec"), ("f0d13a", "1f2023"), (None, "1f2023"))
    )
    pale = colour(base) if base else kit.paint()
    dark = colour(second) if second else kit.paint(1)
    if abs(float(pale.mean() - dark.mean())) < 0.2:  # panels that cannot be told apart make it any ball
        dark = colour("1f2023") if float(pale.mean()) > 0.3 else colour("f4f2ec")

    def panels(p: Floats, c: Floats) -> Floats:
        q = p / np.linalg.norm(p, axis=1, keepdims=True)
        reach = np.arccos(np.clip(q @ middles.T, -1, 1)) + angle_five
        order = np.argpartition(reach, 1, axis=1)[:, :2]
        two = np.take_along_axis(reach, order, axis=1)
        nearest = np.where(two[:, 0] < two[:, 1], order[:, 0], order[:, 1])
        gap = np.abs(two[:, 0] - two[:, 1])
        out_ = np.where((nearest < 12)[:, None], dark, c)
        return array(out_ * (0.45 + 0.55 * step(0.004, 0.03, gap))[:, None])

    out.add(sphere(1.0, 72), Material(pale, 0.4, paint=panels))
    return out
