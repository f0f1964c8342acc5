"""Things to travel in and live in: bicycle, car, sailing boat, house."""

from __future__ import annotations

import numpy as np

from drawing.kit import Kit, lacquer, matt, metal, mottled, rubber, wood
from drawing.mesh import (
    Floats,
    Material,
    Subject,
    array,
    box,
    cylinder,
    fan,
    join,
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
from drawing.surfaces import colour, mix


def bicycle(kit: Kit) -> Subject:
    """A bicycle standing upright, seen more or less from its side."""
    out = Subject(turn=((-42, 42), (138, 222)), elevation=(2, 24), roll=5, calm=0.55)
    frame, trim = lacquer(kit.paint(), 0.7), lacquer(kit.paint(1), 0.3)
    steel, tyre = metal("c9ccd0", 0.6), rubber() if kit.number % 3 else matt(colour("d9c9a8"))
    r = 0.36
    rear, front = array([-0.56, 0, r]), array([0.58, 0, r])
    for hub in (rear, front):
        out.add(move(turn(ring(r - 0.03, 0.033, 64), "x", 90), hub), tyre)
        out.add(move(turn(ring(r - 0.065, 0.014, 64, 8), "x", 90), hub), steel)
        out.add(rod(hub + array([0, -0.06, 0]), hub + array([0, 0.06, 0]), 0.03), steel)
        for k in range(18):
            a, b = 2 * np.pi * k / 18, 2 * np.pi * (k + 1.5 * (-1) ** k) / 18
            side = 0.035 * (-1) ** k
            start = hub + array([0.028 * np.cos(b), side, 0.028 * np.sin(b)])
            out.add(
                rod(start, hub + array([(r - 0.06) * np.cos(a), 0, (r - 0.06) * np.sin(a)]), 0.0048, segments=6), steel
            )
    crank, seat = array([-0.1, 0, 0.34]), array([-0.25, 0, 0.84])
    head, steer = array([0.36, 0, 0.86]), array([0.41, 0, 0.7])
    low = kit.number % 3 == 0  # a step-through frame
    tubes = [(crank, seat, 0.03), (crank, steer, 0.034), (steer, head, 0.036)]
    tubes.append(
        (array([-0.17, 0, 0.56]), head, 0.028)
        if low
        else (array([-0.24, 0, 0.8]), head - array([0.01, 0, 0.04]), 0.028)
    )
    for a, b, thick in tubes:
        out.add(rod(a, b, thick), frame)
    for side in (-1, 1):
        y = array([0, side * 0.055, 0])
        out.add(rod(crank + 0.4 * y, rear + y, 0.017), frame)
        out.add(rod(array([-0.24, side * 0.02, 0.78]), rear + y, 0.015), frame)
        fork = smooth([steer + 0.5 * y, steer + y + array([0.06, 0, -0.15]), front + y], 12)
        out.add(tube(fork, np.linspace(0.024, 0.014, 12)), frame)
    out.add(rod(seat - array([0, 0, 0.03]), array([-0.275, 0, 0.95]), 0.02), steel)
    saddle = smooth([(-0.42, 0, 0.98), (-0.33, 0, 0.98), (-0.2, 0, 0.965), (-0.11, 0, 0.965)], 14)
    wide = np.interp(np.linspace(0, 1, 14), [0, 0.25, 0.6, 1], [0.07, 0.1, 0.045, 0.022])
    out.add(tube(saddle, wide, 14, flatten=(1.0, 0.42)), trim)
    out.add(rod(head, array([0.33, 0, 0.98]), 0.02), steel)
    if kit.choose((True, False)):
        bar = smooth([(0.2, -0.27, 1.0), (0.36, -0.25, 1.02), (0.4, -0.1, 0.98), (0.4, 0.1, 0.98), (0.36, 0.25, 1.02),
                      (0.2, 0.27, 1.0)], 40)  # fmt: skip
        ends = (bar[:9], bar[-9:])
    else:
        bar = smooth([(0.36, -0.22, 0.8), (0.47, -0.22, 0.82), (0.49, -0.22, 0.94), (0.36, -0.2, 0.98), (0.33, 0, 0.98),
                      (0.36, 0.2, 0.98), (0.49, 0.22, 0.94), (0.47, 0.22, 0.82), (0.36, 0.22, 0.8)], 60)  # fmt: skip
        ends = (bar[:18], bar[-18:])
    out.add(tube(bar, 0.016), steel)
    for end in ends:
        out.add(tube(end, 0.024), trim)
    gear = crank + array([0, -0.05, 0])
    out.add(move(turn(ring(0.095, 0.012, 40, 8), "x", 90), gear), steel)
    for k in range(5):
        a = 2 * np.pi * k / 5
        out.add(rod(gear, gear + array([0.095 * np.cos(a), 0, 0.095 * np.sin(a)]), 0.012, segments=8), steel)
    turned = kit.between(0, np.pi)
    for side in (-1, 1):
        arm = side * array([0.17 * np.cos(turned), 0, 0.17 * np.sin(turned)])
        at = crank + array([0, side * 0.075, 0])
        out.add(rod(at, at + arm, 0.014), steel)
        out.add(move(box((0.1, 0.09, 0.025), 0.01), at + arm + array([0, side * 0.06, 0])), rubber())
    for z in (-1, 1):  # the chain
        out.add(rod(gear + array([0, 0, z * 0.095]), rear + array([0, -0.05, z * 0.04]), 0.009, segments=6), rubber())
    return out


def car(kit: Kit) -> Subject:
    """A small car: saloon, hatchback or estate."""
    out = Subject(turn=((-62, -8), (8, 62), (118, 172), (188, 242)), elevation=(6, 32), roll=5)
    body = lacquer(kit.paint(), 0.8)
    kind = kit.choose(("hatch", "saloon", "estate", "beetle"))
    cabin = {
        "hatch": [(-0.78, 0.55), (-0.66, 0.92), (0.12, 0.95), (0.5, 0.57)],
        "saloon": [(-0.62, 0.56), (-0.36, 0.93), (0.14, 0.94), (0.48, 0.57)],
        "estate": [(-0.98, 0.55), (-0.9, 0.93), (0.12, 0.96), (0.48, 0.57)],
        "beetle": [(-0.74, 0.5), (-0.4, 0.98), (0.08, 1.0), (0.42, 0.57)],
    }[kind]
    top_line = {
        "hatch": [(-0.95, 0.2), (-0.99, 0.42), (-0.9, 0.56), (0.45, 0.58), (0.86, 0.5), (1.0, 0.36), (1.0, 0.2)],
        "saloon": [(-1.05, 0.2), (-1.1, 0.42), (-1.02, 0.54), (0.45, 0.58), (0.9, 0.5), (1.04, 0.36), (1.03, 0.2)],
        "estate": [(-1.05, 0.2), (-1.09, 0.42), (-1.04, 0.56), (0.45, 0.58), (0.9, 0.5), (1.02, 0.36), (1.01, 0.2)],
        "beetle": [(-0.95, 0.2), (-1.02, 0.34), (-0.8, 0.55), (0.45, 0.58), (0.82, 0.52), (0.98, 0.34), (0.95, 0.2)],
    }[kind]
    axles = (-0.62, 0.62)
    arches = []
    for x in axles[::-1]:  # under the front first: the outline runs on from the nose
        t = np.linspace(0, np.pi, 14)
        arches += [(x + 0.235 * np.cos(a), 0.2 + 0.235 * np.sin(a)) for a in t]
    upper = smooth(top_line, 40)
    outline = np.concatenate([upper, array(arches)])
    hull = turn(plate(outline, 0.92, 0.1), "x", 90)
    out.add(hull, body)
    # The cabin leans in towards its roof, and its sides are glass but for the pillars.
    lower, upper_in = 0.42, 0.34
    rows = []
    for share in np.linspace(0, 1, 6):
        back = array(cabin[0]) + (array(cabin[1]) - array(cabin[0])) * share
        fore = array(cabin[3]) + (array(cabin[2]) - array(cabin[3])) * share
        half = lower + (upper_in - lower) * share
        corners = array([(back[0], -half), (fore[0], -half), (fore[0], half), (back[0], half)])
        middle = corners.mean(axis=0)
        line = []
        for i in range(4):  # rounded corners, and sides that bulge slightly
            a, b = corners[i], corners[(i + 1) % 4]
            for f in np.linspace(0.04, 0.96, 12):
                line.append(a + (b - a) * f + (a + b - 2 * middle) * 0.03 * (1 - (2 * f - 1) ** 2))
        z = back[1] + (fore[1] - back[1]) * (array(line)[:, 0] - back[0]) / max(fore[0] - back[0], 1e-6)
        rows.append(np.column_stack([line, z]))
    low, high = 0.57, cabin[1][1]
    crown = rows[-1].copy()
    crown[:, :2] = crown[:, :2].mean(axis=0) + (crown[:, :2] - crown[:, :2].mean(axis=0)) * 0.9
    crown[:, 2] += 0.035
    pillars = [cabin[0][0] + 0.34, -0.02] if kind == "estate" else [-0.1]

    def glass(p: Floats, c: Floats) -> Floats:
        share = (p[:, 2] - low) / (high - low)
        inside = (share > 0.08) & (share < 0.86)
        back = cabin[0][0] + (cabin[1][0] - cabin[0][0]) * share
        fore = cabin[3][0] + (cabin[2][0] - cabin[3][0]) * share
        half = lower + (upper_in - lower) * share
        side = np.abs(p[:, 1]) > half * 0.97
        along = (p[:, 0] > back + 0.07) & (p[:, 0] < fore - 0.06)
        for x in pillars:
            along &= np.abs(p[:, 0] - x) > 0.025
        ends = np.abs(p[:, 1]) < half * 0.86
        window = inside & np.where(side, along, ends)
        return mix(c, colour("1b2530"), window.astype(np.float64))

    shell = join(sheet(np.stack([*rows, crown]), close_columns=True), fan(crown))
    roof = kit.paint(2) if kit.number % 4 == 0 else body.colour
    out.add(shell, Material(roof, 0.85, paint=glass))
    for x in axles:
        for side in (-1, 1):
            at = array([x, side * 0.4, 0.2])
            tyre = lathe(
                [(0.0, -0.08), (0.16, -0.08), (0.195, -0.06), (0.2, 0), (0.195, 0.06), (0.16, 0.08), (0.0, 0.08)], 40
            )
            out.add(move(turn(tyre, "x", 90), at), rubber())
            out.add(
                move(turn(cylinder(0.12, 0.02, 0.008), "x", 90 * side), at + array([0, side * 0.075, 0])),
                metal("d9dadb", 0.6),
            )
            out.add(move(turn(cylinder(0.035, 0.02, 0.008), "x", 90 * side), at + array([0, side * 0.09, 0])), rubber())
    nose, tail = outline[:40, 0].max(), outline[:40, 0].min()
    for side in (-1, 1):
        lamp = Material(colour("fff6da"), 0.9, glow=0.35)
        out.add(move(scale(sphere(0.085, 24), (0.6, 1, 1)), (nose - 0.06, side * 0.31, 0.41)), lamp)
        out.add(
            move(scale(sphere(0.07, 24), (0.5, 1, 0.8)), (tail + 0.045, side * 0.33, 0.42)),
            lacquer(colour("b3161b"), 0.8),
        )
        out.add(move(box((0.09, 0.1, 0.07), 0.03), (0.36, side * 0.5, 0.62)), body)
        out.add(move(box((0.09, 0.02, 0.025), 0.008), (-0.02, side * 0.462, 0.49)), metal("d9dadb"))
    for x in (nose - 0.01, tail + 0.01):
        out.add(move(box((0.08, 0.84, 0.09), 0.035), (x, 0, 0.26)), metal("b9bcc0", 0.5))
    out.add(move(box((0.03, 0.36, 0.07), 0.02), (nose - 0.015, 0, 0.375)), rubber())
    return out


def sailboat(kit: Kit) -> Subject:
    """A boat with mainsail and jib, like a toy set down."""
    out = Subject(turn=((-50, 50), (130, 230)), elevation=(3, 24), roll=8, tilt=4)
    t = np.linspace(0, 1, 30)
    half = 0.3 * np.sin(np.pi * (0.16 + 0.84 * t)) ** 0.7 * (1 - t**5)
    deck = 0.3 + 0.1 * (2 * t - 0.9) ** 2
    keel = 0.05 + 0.2 * t**4
    x = -0.85 + 1.75 * t + 0.0
    rows = []
    for a in np.linspace(-np.pi / 2, np.pi / 2, 17):
        depth = np.cos(a) ** 0.8
        rows.append(np.stack([x + 0.12 * t**3 * (1 - depth), half * np.sin(a), deck - (deck - keel) * depth], -1))
    hull, stripe = kit.paint(), kit.paint(1)

    def boards(p: Floats, c: Floats) -> Floats:
        return mix(c, stripe, ((p[:, 2] > 0.24) & (p[:, 2] < 0.285)).astype(np.float64))

    skin = np.stack(rows)
    out.add(join(sheet(skin), fan(skin[:, 0])), Material(hull, 0.6, paint=boards))
    top = np.stack([skin[0] * array([1, 0.97, 1]), skin[-1] * array([1, 0.97, 1])]) - array([0, 0, 0.02])
    out.add(sheet(top), wood(kit, 0, 0))
    out.add(move(box((0.5, 0.26, 0.12), 0.05), (-0.25, 0, 0.34)), lacquer(colour("f3efe4"), 0.4))
    mast_x, tall = 0.16, kit.between(1.85, 2.15)
    out.add(rod((mast_x, 0, 0.25), (mast_x, 0, tall), 0.024, 0.014), wood(kit, 1, 2))
    swing = kit.between(-16, 16)
    sail, jib_colour = kit.paint(3), kit.paint(3) if kit.number % 2 else kit.paint(2)
    if kit.number % 3 == 0:
        sail = colour("f6f1e4")

    def cloth(p: Floats, c: Floats) -> Floats:
        seam = np.abs((p[:, 2] * 3.6) % 1 - 0.5) > 0.485
        return array(c * np.where(seam, 0.72, 1.0)[:, None])

    def sheet_of(foot_a: Floats, foot_b: Floats, peak: Floats, belly: float) -> Floats:
        u, v = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 20))
        base = foot_a + (foot_b - foot_a) * u[..., None]
        grid = base + (peak - base) * v[..., None]
        leech = 0.09 * np.sin(np.pi * v) * u  # the free edge is cut round
        grid[..., 0] += leech * np.sign(foot_b[0] - foot_a[0])
        grid[..., 1] += belly * np.sin(np.pi * u) * (1 - v) * (0.4 + v)
        return array(grid)

    boom = array([mast_x - 0.95 * np.cos(np.radians(swing)), 0.95 * np.sin(np.radians(swing)), 0.52])
    main = sheet_of(array([mast_x - 0.02, 0, 0.5]), boom, array([mast_x - 0.01, 0, tall - 0.05]), 0.16 * np.sign(swing))
    out.add(sheet(main), Material(sail, 0.06, paint=cloth))
    out.add(rod((mast_x, 0, 0.5), boom, 0.018), wood(kit, 1, 0))
    luff = array([mast_x + 0.06, 0.1 * np.sign(swing), 0.5])
    jib = sheet_of(luff, array([0.93, 0, 0.47]), array([mast_x + 0.03, 0, tall * 0.82]), 0.14 * np.sign(swing))
    out.add(sheet(jib), Material(jib_colour, 0.06, paint=cloth))
    flag = plate([(0, 0), (-0.26, 0.07), (0, 0.14)], 0.012)
    out.add(move(turn(flag, "x", 90), (mast_x, 0, tall - 0.12)), matt(kit.paint(4)))
    return out


def house(kit: Kit) -> Subject:
    """A small house: gabled roof, chimney, door and windows."""
    out = Subject(turn=((-60, -16), (16, 60)), elevation=(8, 32), roll=5)
    wide, deep, high, peak = (
        kit.between(0.75, 0.95),
        kit.between(0.9, 1.15),
        kit.between(0.8, 1.0),
        kit.between(0.55, 0.8),
    )
    walls = lacquer(kit.paint(), 0.08) if kit.number % 3 else mottled(kit, kit.paint(), 7, 0.3)
    front = [(-wide, 0), (wide, 0), (wide, high), (0, high + peak), (-wide, high)]
    out.add(turn(plate(front, 2 * deep), "x", 90), walls)
    tile = kit.paint(1)
    slope = float(np.hypot(wide, peak))
    over = 1.22

    def tiles(p: Floats, c: Floats) -> Floats:
        down = np.abs(p[:, 0]) / wide * slope
        course = down * 7.5
        shift = (np.floor(course) % 2) * 0.5
        line = np.minimum(course - np.floor(course), np.abs((p[:, 1] * 7 + shift) % 1 - 0.5) * 2)
        return array(c * np.where(line < 0.12, 0.55, 1.0)[:, None] * (0.9 + 0.1 * (course % 1))[:, None])

    for side in (-1, 1):
        direction = array([side * wide, 0, -peak]) / slope
        length = slope * over
        slab = turn(box((length, 2 * deep + 0.28, 0.07), 0.015), "y", side * float(np.degrees(np.arctan2(peak, wide))))
        out.add(
            move(slab, array([0, 0, high + peak + 0.04]) + direction * length / 2), Material(tile, 0.1, paint=tiles)
        )
    chimney = matt(kit.tint(("9c4a38", "b9b2a6", "6b5d55", "d8cfc0")))
    at = (wide * 0.45 * (-1) ** kit.number, deep * 0.35)
    out.add(move(box((0.24, 0.24, 0.62), 0.015), (at[0], at[1], high + peak * 0.75 + 0.1)), chimney)
    out.add(move(box((0.3, 0.3, 0.07), 0.015), (at[0], at[1], high + peak * 0.75 + 0.42)), chimney)
    trim = lacquer(colour("f5f2ea"), 0.3) if float(kit.paint().mean()) < 0.6 else lacquer(colour("4a3a30"), 0.3)
    pane = Material(kit.tint(("2b3a4a", "ffdf8a")), 0.9, glow=0.7 * (kit.start + kit.number) % 2)
    door_x = kit.choose((-0.38, 0.38, 0.0)) * wide
    out.add(move(box((0.4, 0.06, 0.66), 0.015), (door_x, -deep, 0.33)), trim)
    out.add(move(box((0.31, 0.08, 0.6), 0.015), (door_x, -deep - 0.005, 0.3)), lacquer(kit.paint(2), 0.5))
    out.add(move(sphere(0.025, 16), (door_x + 0.1, -deep - 0.06, 0.3)), metal("d8b25a"))
    out.add(move(box((0.5, 0.22, 0.06), 0.02), (door_x, -deep - 0.1, 0.03)), matt(colour("a9a59c")))

    def window(x: float, y: float, z: float, facing: float) -> None:
        pieces = [((0.36, 0.05, 0.36), trim), ((0.29, 0.07, 0.29), pane), ((0.025, 0.085, 0.3), trim),
                  ((0.3, 0.085, 0.025), trim),
                  ((0.42, 0.11, 0.04), trim)]  # fmt: skip
        for number, (size, stuff) in enumerate(pieces):
            drop = -0.19 if number == 4 else 0.0
            out.add(move(turn(move(box(size, 0.008), (0, 0, drop)), "z", facing), (x, y, z)), stuff)

    others = [-0.45 * wide, 0.45 * wide] if door_x == 0 else [-door_x]
    for x in others:
        if abs(x - door_x) > 0.36:
            window(x, -deep, 0.5 * high + 0.05, 0)
    window(0, -deep, high + 0.12, 0)
    for side in (-1, 1):
        for y in (-0.5, 0.5):
            window(side * wide, y * deep, 0.55 * high, 90)
    return out
