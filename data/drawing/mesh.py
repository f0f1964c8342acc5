"""Shapes made of triangles: solids of revolution, tubes, rounded boxes, extruded outlines.

Every object is built in its own units (about 1 to 2 across) with x to the right, y away from the viewer and z up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Paint = Callable[[Floats, Floats], Floats]
"""Turns points (N, 3) and their base colours (N, 3, linear, 0..1) into colours (N, 3); points in object units."""


@dataclass(frozen=True)
class Material:
    """How a surface answers to light.

    colour: linear RGB, 0..1. gloss: 0 (chalk) to 1 (polished). metal: 0 or 1. glow: added light, 0..1 of the colour.
    alpha: 1 is opaque; less is seen through (spectacle lenses). paint: varies the colour over the surface.
    """

    colour: Floats
    gloss: float = 0.35
    metal: float = 0.0
    glow: float = 0.0
    alpha: float = 1.0
    paint: Paint | None = None


@dataclass(frozen=True)
class Mesh:
    """points (V, 3) in object units; faces (F, 3), indices into points."""

    points: Floats
    faces: Ints


@dataclass(frozen=True)
class Part:
    """A mesh made of one material."""

    mesh: Mesh
    material: Material


@dataclass
class Subject:
    """A whole thing and how it may be shown.

    turn: ranges of rotation about the vertical axis, degrees; one is chosen per picture.
    elevation: how far above the horizon the camera may stand, degrees.
    tilt: the most the thing may be tipped over, degrees. roll: the most the camera may be tipped, degrees.
    calm: how far patterns behind it are faded, 0..1; thin things would be lost in bold ones.
    """

    parts: list[Part] = field(default_factory=list)
    turn: Sequence[tuple[float, float]] = ((0.0, 360.0),)
    elevation: tuple[float, float] = (8.0, 35.0)
    tilt: float = 0.0
    roll: float = 7.0
    calm: float = 0.0

    def add(self, mesh: Mesh, material: Material) -> None:
        """Append one part."""
        self.parts.append(Part(mesh, material))


def array(values: ArrayLike) -> Floats:
    """Values as float64."""
    return np.asarray(values, dtype=np.float64)


# ---------------------------------------------------------------- moving


def move(mesh: Mesh, offset: ArrayLike) -> Mesh:
    """The mesh shifted by offset (3,)."""
    return Mesh(mesh.points + array(offset), mesh.faces)


def scale(mesh: Mesh, factors: ArrayLike) -> Mesh:
    """The mesh stretched by one factor, or by three."""
    return Mesh(mesh.points * array(factors), mesh.faces)


def turn_matrix(axis: str, degrees: float) -> Floats:
    """A (3, 3) rotation about the axis "x", "y" or "z", counter-clockwise seen against that axis."""
    c, s = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
    if axis == "x":
        return array([[1, 0, 0], [0, c, -s], [0, s, c]])
    if axis == "y":
        return array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def turn(mesh: Mesh, axis: str, degrees: float) -> Mesh:
    """The mesh rotated about an axis through the origin."""
    return Mesh(mesh.points @ turn_matrix(axis, degrees).T, mesh.faces)


def bend(mesh: Mesh, rule: Callable[[Floats], Floats]) -> Mesh:
    """The mesh with every point (V, 3) moved by a rule."""
    return Mesh(rule(mesh.points.copy()), mesh.faces)


def join(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(m.points) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.points for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
    )


# ---------------------------------------------------------------- building


def sheet(grid: Floats, close_rows: bool = False, close_columns: bool = False) -> Mesh:
    """A surface through a grid of points (R, C, 3); an edge may be joined to the one opposite."""
    rows, columns = grid.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    if close_rows:
        index = np.concatenate([index, index[:1]])
    if close_columns:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return Mesh(grid.reshape(-1, 3).astype(np.float64), faces.astype(np.int64))


def fan(ring: Floats) -> Mesh:
    """A ring of points (N, 3) closed by triangles to its middle."""
    count = len(ring)
    here = np.arange(count)
    faces = np.stack([here, (here + 1) % count, np.full(count, count)], -1)
    return Mesh(np.concatenate([ring, ring.mean(axis=0, keepdims=True)]), faces.astype(np.int64))


def smooth(points: ArrayLike, count: int, closed: bool = False) -> Floats:
    """A Catmull-Rom curve of count points through control points (N, D)."""
    p = array(points)
    n = len(p)
    if closed:
        t = np.linspace(0.0, n, count, endpoint=False)
        padded = np.concatenate([p[-1:], p, p[:2]])
    else:
        t = np.linspace(0.0, n - 1, count)
        padded = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    i = np.minimum(t.astype(int), n - 1 if closed else n - 2)
    f = (t - i)[:, None]
    a, b, c, d = padded[i], padded[i + 1], padded[i + 2], padded[i + 3]
    out: Floats = 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - 3 * c + d - a) * f**3)
    return out


def lathe(profile: ArrayLike, segments: int = 48) -> Mesh:
    """A profile of (radius, height) pairs (N, 2) turned about the z axis."""
    p = array(profile)
    angle = np.linspace(0.0, 2 * np.pi, segments, endpoint=False)
    radius = p[:, :1]
    grid = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(p[:, 1:2], (len(p), segments))], -1
    )
    return sheet(grid, close_columns=True)


def sphere(radius: float = 1.0, segments: int = 40) -> Mesh:
    """A ball about the origin."""
    t = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    return lathe(np.stack([radius * np.cos(t), radius * np.sin(t)], -1), segments)


def cylinder(radius: float, height: float, edge: float = 0.0, segments: int = 40) -> Mesh:
    """A drum standing on z = 0, its rims rounded by edge."""
    t = np.linspace(0.0, np.pi / 2, 5 if edge else 1)
    low = np.stack([radius - edge + edge * np.sin(t), edge - edge * np.cos(t)], -1)
    high = np.stack([low[::-1, 0], height - low[::-1, 1]], -1)
    return lathe(np.concatenate([[[0.0, 0.0]], low, high, [[0.0, height]]]), segments)


def tube(
    path: ArrayLike,
    radius: ArrayLike,
    segments: int = 12,
    closed: bool = False,
    flatten: tuple[float, float] = (1.0, 1.0),
    shape: Floats | None = None,
    start: ArrayLike = (0.0, 0.0, 1.0),
) -> Mesh:
    """A pipe along a path (N, 3).

    radius: one, or one per point. flatten: factors across and along `start`, a direction the section's second axis
    begins close to. shape: radial factors (segments,) of the section.
    """
    p = array(path)
    count = len(p)
    along = np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0) if closed else np.gradient(p, axis=0)
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    up = array(start)
    if abs(float(up @ along[0])) > 0.95:
        up = array([0.0, 1.0, 0.0]) if abs(along[0][1]) < 0.9 else array([1.0, 0.0, 0.0])
    ups = np.empty_like(p)
    for i in range(count):  # carry the frame along the path, so that the pipe does not twist
        up = up - along[i] * float(up @ along[i])
        up = up / np.linalg.norm(up)
        ups[i] = up
    side = np.cross(along, ups)
    angle = np.linspace(0.0, 2 * np.pi, segments, endpoint=False)
    factor = np.ones(segments) if shape is None else shape
    radii = np.broadcast_to(array(radius), (count,))[:, None, None]
    ring = (side[:, None] * (np.cos(angle) * factor * flatten[0])[None, :, None]) + (
        ups[:, None] * (np.sin(angle) * factor * flatten[1])[None, :, None]
    )
    grid = p[:, None] + radii * ring
    body = sheet(grid, close_rows=closed, close_columns=True)
    return body if closed else join(body, fan(grid[0]), fan(grid[-1]))


def rod(a: ArrayLike, b: ArrayLike, radius: float, radius_b: float | None = None, segments: int = 12) -> Mesh:
    """A straight pipe from a to b with slightly rounded ends."""
    start, end = array(a), array(b)
    last = radius if radius_b is None else radius_b
    length = float(np.linalg.norm(end - start))
    round_off = min(0.3 * radius, 0.3 * length)
    steps = array([0.0, round_off * 0.3, round_off, 0.5 * length, length - round_off, length - 0.3 * round_off, length])
    fraction = (steps / length)[:, None]
    radii = radius + (last - radius) * fraction[:, 0]
    radii = radii * array([0.7, 0.9, 1, 1, 1, 0.9, 0.7])
    return tube(start + (end - start) * fraction, radii, segments)


def ring(radius: float, thickness: float, segments: int = 56, sides: int = 12) -> Mesh:
    """A torus lying in the xy plane."""
    t = np.linspace(0.0, 2 * np.pi, segments, endpoint=False)
    return tube(np.stack([radius * np.cos(t), radius * np.sin(t), 0 * t], -1), thickness, sides, closed=True)


def box(size: ArrayLike, edge: float = 0.02, steps: int = 4) -> Mesh:
    """A box of size (3,) about the origin with edges rounded by edge."""
    half = array(size) / 2
    r = min(edge, float(half.min()) * 0.98)
    # Points are crowded at the edges, where the rounding is; the middle of a side needs none. The two middle rows
    # both look straight out and are told apart by their sign alone: the flat of the side lies between them.
    line = np.tan(np.linspace(-np.pi / 4, 0, steps))
    line = np.concatenate([line, -line[::-1]])
    sign = np.repeat([-1.0, 1.0], steps)
    pieces = []
    for axis in range(3):
        first, second = [i for i in range(3) if i != axis]
        for side in (-1.0, 1.0):
            direction = np.empty((2 * steps, 2 * steps, 3))
            direction[..., axis], direction[..., first], direction[..., second] = side, line[:, None], line[None, :]
            direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
            corner = np.empty_like(direction)
            corner[..., axis], corner[..., first], corner[..., second] = side, sign[:, None], sign[None, :]
            grid = corner * (half - r) + r * direction
            pieces.append(sheet(grid if (side > 0) == (axis != 1) else grid.transpose(1, 0, 2)))
    return join(*pieces)


# ---------------------------------------------------------------- flat outlines


def _cross(a: Floats, b: Floats, c: Floats) -> Floats:
    """Twice the signed area of triangles a b c, each (..., 2)."""
    out: Floats = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])
    return out


def _area(outline: Floats) -> float:
    """Signed area of a closed outline (N, 2); positive when counter-clockwise."""
    x, y = outline[:, 0], outline[:, 1]
    return float(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _fill(outline: Floats) -> Ints:
    """Triangles (N-2, 3) of a simple counter-clockwise outline (N, 2), by cutting off ears."""
    left = list(range(len(outline)))
    faces = []
    guard = 0
    while len(left) > 3 and guard < 2 * len(left):
        a, b, c = left[-1], left[0], left[1]
        pa, pb, pc = outline[a], outline[b], outline[c]
        area = float(_cross(pa, pb, pc))
        rest = outline[left[2:-1]]
        inside = (_cross(pa, pb, rest) > 0) & (_cross(pb, pc, rest) > 0) & (_cross(pc, pa, rest) > 0)
        if area > 0 and not bool(inside.any()):
            faces.append((a, b, c))
            # The next ear is sought one corner further on, else long outlines become one needle-thin fan.
            left = [*left[2:], left[1]] if len(left) > 4 else left[1:]
            guard = 0
        elif area >= -1e-12 and abs(area) <= 1e-12:
            left = left[1:]
            guard = 0
        else:
            left = [*left[1:], left[0]]
            guard += 1
    if len(left) == 3:
        faces.append((left[0], left[1], left[2]))
    return np.array(faces, dtype=np.int64)


def _inset(outline: Floats, by: float) -> Floats:
    """A counter-clockwise outline (N, 2) drawn in by a distance."""
    before, after = outline - np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0) - outline
    before = before / (np.linalg.norm(before, axis=1, keepdims=True) + 1e-12)
    after = after / (np.linalg.norm(after, axis=1, keepdims=True) + 1e-12)
    normal_a, normal_b = np.stack([-before[:, 1], before[:, 0]], -1), np.stack([-after[:, 1], after[:, 0]], -1)
    middle = normal_a + normal_b
    middle = middle / (np.linalg.norm(middle, axis=1, keepdims=True) + 1e-12)
    reach = np.maximum(np.sum(middle * normal_a, axis=1, keepdims=True), 0.5)
    out: Floats = outline + middle * by / reach
    return out


def plate(outline: ArrayLike, thickness: float, edge: float = 0.0) -> Mesh:
    """An outline (N, 2) in the xy plane given a thickness about z = 0, its rims rounded by edge."""
    flat = array(outline)
    if _area(flat) < 0:
        flat = flat[::-1]
    half = thickness / 2
    r = min(edge, half)
    t = np.linspace(0.0, np.pi / 2, 4 if r else 1)
    levels = [(r * (1 - np.cos(a)), half - r + r * np.sin(a)) for a in t]
    rings = [(inset, -z) for inset, z in levels[::-1]] + list(levels)
    grid = np.stack([np.column_stack([_inset(flat, inset), np.full(len(flat), z)]) for inset, z in rings])
    wall = sheet(grid, close_columns=True)
    faces = _fill(flat)
    return join(wall, Mesh(grid[-1], faces), Mesh(grid[0], faces[:, ::-1]))


def divide(mesh: Mesh, longest: float) -> Mesh:
    """The mesh with edges longer than a limit cut in half, again and again."""
    corners = mesh.points[mesh.faces]
    done = []
    for _ in range(24):
        edge = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)
        worst = edge.argmax(axis=1)
        long = edge[np.arange(len(edge)), worst] > longest
        done.append(corners[~long])
        if not long.any():
            break
        pick = worst[long][:, None] + np.arange(3)
        ordered = np.take_along_axis(corners[long], (pick % 3)[:, :, None], axis=1)
        a, b, c = ordered[:, 0], ordered[:, 1], ordered[:, 2]
        middle = (a + b) / 2
        corners = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
    soup = np.concatenate(done)
    return Mesh(soup.reshape(-1, 3), np.arange(len(soup) * 3, dtype=np.int64).reshape(-1, 3))


# ---------------------------------------------------------------- normals


def corner_normals(mesh: Mesh, crease: float = 42.0) -> tuple[Floats, Floats]:
    """Corners (F, 3, 3) and their unit normals (F, 3, 3): smooth, save across edges sharper than crease degrees."""
    corners = mesh.points[mesh.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    keep = area > 1e-12
    corners, normal, area = corners[keep], normal[keep], area[keep]
    unit = normal / area[:, None]
    # Points at the same place count as one, whichever patch they came from.
    key = np.round(corners.reshape(-1, 3) * 2e4).astype(np.int64) @ np.array([1, 1 << 20, 1 << 40])
    _, vertex, counts = np.unique(key, return_inverse=True, return_counts=True)
    order = np.argsort(vertex, kind="stable")
    first = np.cumsum(counts) - counts
    per = counts[vertex]
    total = int(per.sum())
    source = np.repeat(np.arange(len(vertex)), per)
    within = np.arange(total) - np.repeat(np.cumsum(per) - per, per)
    neighbour = order[np.repeat(first[vertex], per) + within] // 3
    near = np.einsum("ij,ij->i", unit[source // 3], unit[neighbour]) > np.cos(np.radians(crease))
    summed = np.stack(
        [np.bincount(source[near], normal[neighbour[near], axis], minlength=len(vertex)) for axis in range(3)], -1
    )
    summed = summed / np.linalg.norm(summed, axis=1, keepdims=True)
    return corners, summed.reshape(-1, 3, 3)
