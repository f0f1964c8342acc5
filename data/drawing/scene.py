"""Stands a subject on a surface, lights it, and takes its picture.

The ground is the plane z = 0. The camera looks along +y, and the picture is shifted and stretched so that the
subject fills the share of it that was asked for. Light comes from one soft lamp and from the whole sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from drawing.mesh import Floats, Ints, Material, Mesh, Part, array, corner_normals, turn_matrix
from drawing.raster import rasterise
from drawing.surfaces import Pattern, mix, step

COARSE = 2  # samples across a pixel of the background, which has no outlines to smooth


@dataclass(frozen=True)
class Detail:
    """How finely a picture is drawn, and so how long that takes.

    side: of the picture, pixels. samples: across a pixel, for the subject. lamps, skies: directions that light comes
    from, of the lamp and of the sky; lamp_map, sky_map: pixels across each one's shadow map.
    """

    side: int = 256
    samples: int = 3
    lamps: int = 7
    lamp_map: int = 224
    skies: int = 12
    sky_map: int = 96


FULL = Detail()


@dataclass(frozen=True)
class Look:
    """Everything about a picture but the subject itself; see `catalogue.look` for the ranges drawn from.

    Angles in degrees. distance: the camera's, in units of the subject's radius. fill: the subject's larger extent as a
    share of the picture. place: where in the room left over it stands, (x, y), 0..1. backdrop: "wall", "sweep" (a
    studio's paper: ground and wall in one) or "sky"; wall_distance: how far behind the subject the wall is, in its
    radii. light: direction to the lamp (3,), unit. lamp, sky, horizon: linear RGB. softness: the lamp's angular radius.
    """

    turn: float
    tip: tuple[float, float]
    elevation: float
    roll: float
    distance: float
    fill: float
    place: tuple[float, float]
    ground: Pattern
    wall: Pattern
    backdrop: str
    wall_distance: float
    light: Floats
    lamp: Floats
    sky: Floats
    softness: float
    horizon: Floats


@dataclass(frozen=True)
class Soup:
    """Triangles ready to draw: corners and normals (F, 3, 3), places in the object's own units, and part numbers."""

    corners: Floats
    normals: Floats
    own: Floats
    part: Ints
    materials: list[Material]

    def pick(self, chosen: NDArray[np.bool_]) -> Soup:
        """Some of the triangles."""
        return Soup(self.corners[chosen], self.normals[chosen], self.own[chosen], self.part[chosen], self.materials)


def soup(parts: list[Part], matrix: Floats) -> Soup:
    """The triangles of all parts, rotated by matrix (3, 3)."""
    pieces = [corner_normals(p.mesh) for p in parts]
    own = np.concatenate([corners for corners, _ in pieces])
    normals = np.concatenate([normal for _, normal in pieces])
    number = np.repeat(np.arange(len(parts)), [len(corners) for corners, _ in pieces])
    return Soup(own @ matrix.T, normals @ matrix.T, own, number.astype(np.int64), [p.material for p in parts])


def both(a: Soup, b: Soup) -> Soup:
    """Two heaps of triangles as one."""
    return Soup(
        np.concatenate([a.corners, b.corners]),
        np.concatenate([a.normals, b.normals]),
        np.concatenate([a.own, b.own]),
        np.concatenate([a.part, b.part + len(a.materials)]),
        a.materials + b.materials,
    )


# ---------------------------------------------------------------- camera


@dataclass(frozen=True)
class Camera:
    """A point of view: place (3,), the rows of axes (3, 3) right, down and forward, and where a point falls.

    A point at camera coordinates (x, y, z) falls on focal * (x, y) / z + middle, in units of the picture's width.
    """

    place: Floats
    axes: Floats
    focal: float
    middle: Floats

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Picture coordinates (..., 2), 0..1 inside the picture, and distances (...) of points (..., 3)."""
        local = (points - self.place) @ self.axes.T
        z = np.maximum(local[..., 2], 1e-3)
        return local[..., :2] / z[..., None] * self.focal + self.middle, z

    def rays(self, size: int) -> Floats:
        """Directions (size * size, 3), not unit, through the middles of pixels, row by row."""
        line = (np.arange(size) + 0.5) / size
        x, y = np.meshgrid(line, line)
        flat = np.stack([(x - self.middle[0]) / self.focal, (y - self.middle[1]) / self.focal, np.ones_like(x)], -1)
        return array(flat.reshape(-1, 3) @ self.axes)


def aim(look: Look, points: Floats) -> Camera:
    """A camera that shows points (N, 3) at the size and place the look asks for."""
    low, high = points.min(axis=0), points.max(axis=0)
    target = (low + high) / 2
    radius = float(np.linalg.norm(high - low)) / 2
    e = np.radians(look.elevation)
    forward = array([0.0, np.cos(e), -np.sin(e)])
    right = array([1.0, 0.0, 0.0])
    down = np.cross(forward, right)
    c, s = float(np.cos(np.radians(look.roll))), float(np.sin(np.radians(look.roll)))
    axes = np.stack([c * right + s * down, -s * right + c * down, forward])
    rough = Camera(target - forward * radius * look.distance, axes, 1.0, np.zeros(2))
    flat, _ = rough.project(points)
    small, large = flat.min(axis=0), flat.max(axis=0)
    focal = look.fill / float((large - small).max())
    room = 1.0 - (large - small) * focal
    margin = np.minimum(0.04, room / 2)
    start = margin + (room - 2 * margin) * array(look.place)
    return Camera(rough.place, axes, focal, start - small * focal)


# ---------------------------------------------------------------- shadows


@dataclass(frozen=True)
class ShadowMap:
    """What a far light sees of the subject: the rows of axes are across, up and towards the light."""

    axes: Floats
    low: Floats
    extent: float
    depth: NDArray[np.float32]

    def lit(self, points: Floats, bias: float) -> Floats:
        """How much of the light reaches points (N, 3): 0 to 1, blended between four neighbouring cells."""
        size = self.depth.shape[0]
        local = points @ self.axes.T
        at = (local[:, :2] - self.low) / self.extent * size - 0.5
        base = np.floor(at).astype(np.int64)
        part = at - base
        total = np.zeros(len(points))
        flat = self.depth.reshape(-1)
        height = local[:, 2] + bias
        for dx in (0, 1):
            for dy in (0, 1):
                x, y = np.clip(base[:, 0] + dx, 0, size - 1), np.clip(base[:, 1] + dy, 0, size - 1)
                weight = (part[:, 0] if dx else 1 - part[:, 0]) * (part[:, 1] if dy else 1 - part[:, 1])
                total += weight * (flat[y * size + x] < height)
        return total


def shadow_map(corners: Floats, direction: Floats, size: int) -> ShadowMap:
    """The shadow map of triangles (F, 3, 3) for a light in a unit direction (3,)."""
    helper = array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.9 else array([0.0, 1.0, 0.0])
    across = np.cross(helper, direction)
    across = across / np.linalg.norm(across)
    axes = np.stack([across, np.cross(direction, across), direction])
    local = corners @ axes.T
    low, high = local[..., :2].min(axis=(0, 1)), local[..., :2].max(axis=(0, 1))
    extent = float((high - low).max()) * (1 + 6 / size)
    low = low - extent * 3 / size
    depth, _ = rasterise((local[..., :2] - low) / extent * size, local[..., 2], size)
    return ShadowMap(axes, low, extent, depth)


@dataclass(frozen=True)
class Lights:
    """The lamp, as a handful of points of a soft source, and the sky, as a dozen directions."""

    lamp: list[ShadowMap]
    sky: list[ShadowMap]
    size: float

    def visible(self, points: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """For points and unit normals (N, 3): the lamp's share that arrives (cosine included) and the sky's, 0..1."""
        start = points + normals * self.size * 0.012
        lamp, sky, most = np.zeros(len(points)), np.zeros(len(points)), np.zeros(len(points))
        for m in self.lamp:
            lamp += np.maximum(normals @ m.axes[2], 0) * m.lit(start, self.size * 0.004)
        for m in self.sky:
            facing = np.maximum(normals @ m.axes[2], 0)
            sky += facing * m.lit(start, self.size * 0.006)
            most += max(float(m.axes[2][2]), 0.0)
        return lamp / len(self.lamp), sky / np.maximum(most, 1e-9)


def lights(corners: Floats, look: Look, detail: Detail = FULL) -> Lights:
    """Shadow maps of triangles (F, 3, 3) for the look's lamp and sky."""
    size = float(np.linalg.norm(corners.max(axis=(0, 1)) - corners.min(axis=(0, 1))))
    lamp = [shadow_map(corners, d, detail.lamp_map) for d in spread(look.light, look.softness, detail.lamps)]
    each = np.arange(detail.skies)
    turns = each * 2.39996
    heights = np.sqrt((each + 0.5) / detail.skies)  # evenly over the sky as seen from the ground, weighted by cosine
    flat = np.sqrt(1 - heights**2)
    sky = [
        shadow_map(corners, array([f * np.cos(t), f * np.sin(t), h]), detail.sky_map)
        for t, h, f in zip(turns, heights, flat, strict=True)
    ]
    return Lights(lamp, sky, size)


def spread(direction: Floats, radius: float, count: int) -> list[Floats]:
    """Unit directions (3,) filling a disc of some degrees about a direction."""
    helper = array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.9 else array([1.0, 0.0, 0.0])
    a = np.cross(direction, helper)
    a = a / np.linalg.norm(a)
    b = np.cross(direction, a)
    out = []
    for k in range(count):
        reach = np.tan(np.radians(radius)) * np.sqrt((k + 0.5) / count)
        d = direction + reach * (np.cos(2.4 * k) * a + np.sin(2.4 * k) * b)
        d = d / np.linalg.norm(d)
        if d[2] < 0.05:
            d[2] = 0.05
            d = d / np.linalg.norm(d)
        out.append(d)
    return out


# ---------------------------------------------------------------- shading


def surroundings(look: Look, directions: Floats, ground: Floats) -> Floats:
    """What a mirror sees in unit directions (N, 3): floor below, sky above, a bright window where the lamp is."""
    height = directions[:, 2]
    up = mix(look.sky * 0.9, look.sky * 0.45, height)
    base = mix(ground, up, step(-0.15, 0.15, height))
    window = step(0.80, 0.93, directions @ look.light)[:, None] * look.lamp * 1.3
    across = array([look.light[1], -look.light[0], 0.25])
    strip = step(0.86, 0.93, directions @ (across / np.linalg.norm(across)))[:, None] * look.sky * 1.1
    return array(base + window + strip)


def shade(look: Look, lamps: Lights, camera: Camera, heap: Soup, ground: Floats, size: int) -> tuple[Floats, Floats]:
    """The subject's own picture: light times cover (size, size, 3) and cover (size, size), 0..1."""
    flat, z = camera.project(heap.corners)
    _, seen = rasterise(flat * size, 1.0 / z, size)
    pixel = np.flatnonzero(seen.reshape(-1) >= 0)
    colour, cover = np.zeros((size * size, 3)), np.zeros(size * size)
    if not len(pixel):
        return colour.reshape(size, size, 3), cover.reshape(size, size)
    face = seen.reshape(-1)[pixel]
    where = np.stack([pixel % size + 0.5, pixel // size + 0.5], -1) / size
    weights = _weights(flat[face], z[face], where)
    points = np.einsum("nk,nkd->nd", weights, heap.corners[face])
    own = np.einsum("nk,nkd->nd", weights, heap.own[face])
    normal = np.einsum("nk,nkd->nd", weights, heap.normals[face])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    view = camera.place - points
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    facing = np.einsum("nd,nd->n", normal, view)
    normal[facing < 0] *= -1.0
    facing = np.abs(facing)
    albedo, gloss, metal, glow, alpha = _surface(heap, face, own)
    direct, sky = lamps.visible(points, normal)
    bounce = (0.5 - 0.5 * normal[:, 2])[:, None] * ground * 0.6
    diffuse = direct[:, None] * look.lamp + sky[:, None] * look.sky + bounce + 0.05 * look.sky
    mirror = 2 * facing[:, None] * normal - view
    fresnel = (1 - facing) ** 5
    shine = mix(array([0.04, 0.04, 0.04]), albedo, metal) * (0.15 + 0.85 * gloss)[:, None]
    shine = shine + (gloss * 0.5 * fresnel * (1 - 0.5 * metal))[:, None]
    open_ = (0.35 + 0.65 * np.clip(sky, 0, 1))[:, None]
    half = view + look.light
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    power = 8 + 250 * gloss**2
    spark = np.maximum(np.einsum("nd,nd->n", normal, half), 0) ** power * (power + 8) / 60
    spark *= (direct > 0.02) * np.minimum(direct * 3, 1) * gloss
    light = albedo * (1 - 0.75 * metal)[:, None] * diffuse + shine * surroundings(look, mirror, ground) * open_
    light += spark[:, None] * look.lamp * mix(array([0.06, 0.06, 0.06]), albedo * 0.5, metal) * 4
    light += glow[:, None] * albedo
    colour[pixel] = light * alpha[:, None]
    cover[pixel] = alpha
    return colour.reshape(size, size, 3), cover.reshape(size, size)


def _weights(flat: Floats, z: Floats, where: Floats) -> Floats:
    """Weights (N, 3) of corners at depths (N, 3) for places (N, 2) in triangles (N, 3, 2), true to perspective."""
    a, b, c = flat[:, 0], flat[:, 1], flat[:, 2]
    ab, ac, ap = b - a, c - a, where - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    v = (ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / area
    w = (ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / area
    weights = np.clip(np.stack([1 - v - w, v, w], -1), 0.0, 1.0) / z
    return array(weights / weights.sum(axis=1, keepdims=True))


def _surface(heap: Soup, face: Ints, own: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Colour (N, 3), gloss, metal, glow and alpha (N,) of the triangles face (N,) at places own (N, 3)."""
    part = heap.part[face]
    table = array([[*m.colour, m.gloss, m.metal, m.glow, m.alpha] for m in heap.materials])
    values = table[part]
    albedo = values[:, :3].copy()
    for number in np.unique(part):
        paint = heap.materials[int(number)].paint
        if paint is not None:
            mine = part == number
            albedo[mine] = paint(own[mine], albedo[mine])
    return albedo, values[:, 3], values[:, 4], values[:, 5], values[:, 6]


def background(look: Look, lamps: Lights, camera: Camera, radius: float, side: int) -> Floats:
    """Ground and wall with the subject's shadow on them: light (COARSE * side, same, 3)."""
    size = side * COARSE
    rays = camera.rays(size)
    # Shadows are soft: a quarter of the rays is enough for them.
    rough = camera.rays(side)
    lit = _backdrop_light(look, lamps, camera, rough, radius).reshape(side, side, 3)
    smooth_light = np.stack([_enlarged(lit[..., k], size) for k in range(3)], -1).reshape(-1, 3)
    where, on_ground = _backdrop_hit(look, camera, rays, radius)
    out = np.empty_like(rays)
    paint = where / radius
    out[on_ground] = look.ground(paint[on_ground, 0], paint[on_ground, 1])
    rest = ~on_ground
    if look.backdrop == "sky":
        direction = rays[rest] / np.linalg.norm(rays[rest], axis=1, keepdims=True)
        air = mix(look.horizon, look.sky * 0.8, direction[:, 2] * 2.5)
        cloud = look.wall(direction[:, 0] / (direction[:, 2] + 0.3) * 2, 2 / (direction[:, 2] + 0.3))
        out[rest] = air * (0.9 + 0.2 * cloud.mean(axis=1, keepdims=True))
        far = np.linalg.norm(where[on_ground] - camera.place, axis=1) / radius
        out[on_ground] = out[on_ground] * smooth_light[on_ground]
        out[on_ground] = mix(out[on_ground], look.horizon, 1 - np.exp(-np.maximum(far - 8, 0) / 14))
        return array(out.reshape(size, size, 3))
    pattern = look.ground if look.backdrop == "sweep" else look.wall
    out[rest] = pattern(paint[rest, 0], paint[rest, 2] + paint[rest, 1])
    return array((out * smooth_light).reshape(size, size, 3))


def _backdrop_hit(look: Look, camera: Camera, rays: Floats, radius: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Where rays (N, 3) meet ground or wall (N, 3), and whether it is the ground."""
    down = np.minimum(rays[:, 2], -1e-4)
    to_ground = -camera.place[2] / down
    ground = camera.place + rays * to_ground[:, None]
    if look.backdrop == "sky":
        return ground, rays[:, 2] < -1e-3
    depth = look.wall_distance * radius
    on_ground = (rays[:, 2] < -1e-4) & (ground[:, 1] < depth)
    to_wall = (depth - camera.place[1]) / np.maximum(rays[:, 1], 1e-3)
    return np.where(on_ground[:, None], ground, camera.place + rays * to_wall[:, None]), on_ground


def _backdrop_light(look: Look, lamps: Lights, camera: Camera, rays: Floats, radius: float) -> Floats:
    """The light (N, 3) that falls on the backdrop where rays (N, 3) meet it."""
    where, on_ground = _backdrop_hit(look, camera, rays, radius)
    normal = np.where(on_ground[:, None], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0])
    if look.backdrop == "sweep":  # the paper is curved where floor turns into wall
        bend = np.where(on_ground, where[:, 1] - look.wall_distance * radius, where[:, 2]) / radius
        along = step(-1.2, 1.2, bend)[:, None]
        normal = np.stack([0 * bend, -along[:, 0], 1 - along[:, 0]], -1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    direct, sky = lamps.visible(where, normal)
    if look.backdrop == "wall":  # corners are darker
        sky = sky * np.where(on_ground, 1.0, 0.55 + 0.45 * step(0.0, 0.6, where[:, 2] / radius))
        depth = look.wall_distance * radius
        sky = sky * np.where(on_ground, 0.6 + 0.4 * step(0.0, 0.6, (depth - where[:, 1]) / radius), 1.0)
    sky = np.where(on_ground, sky, np.maximum(sky, 0.0) * 1.6)
    return array(direct[:, None] * look.lamp + sky[:, None] * look.sky)


def _enlarged(values: Floats, size: int) -> Floats:
    """A picture of numbers (S, S) at another size, smoothly."""
    picture = Image.fromarray(values.astype(np.float32))
    return array(np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)))


def _reduced(values: Floats, by: int) -> Floats:
    """A picture (S, S, ...) with every by x by pixels averaged into one."""
    size = values.shape[0] // by
    return array(values.reshape(size, by, size, by, *values.shape[2:]).mean(axis=(1, 3)))


# ---------------------------------------------------------------- the picture


def placed(parts: list[Part], look: Look) -> Soup:
    """The subject turned and tipped as the look says, resting on the ground over the origin."""
    matrix = turn_matrix("x", look.tip[0]) @ turn_matrix("y", look.tip[1]) @ turn_matrix("z", look.turn)
    heap = soup(parts, matrix)
    low, high = heap.corners.min(axis=(0, 1)), heap.corners.max(axis=(0, 1))
    shift = array([-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2]])
    return Soup(heap.corners + shift, heap.normals, heap.own, heap.part, heap.materials)


def draw(
    parts: list[Part],
    look: Look,
    clutter: list[tuple[Mesh, Material]] | None = None,
    detail: Detail = FULL,
) -> tuple[Floats, Floats]:
    """One picture: light (side, side, 3), and the share of each pixel that subject and clutter cover (side, side)."""
    heap = placed(parts, look)
    subject_points = heap.corners.reshape(-1, 3)
    camera = aim(look, subject_points)
    radius = float(np.linalg.norm(subject_points.max(axis=0) - subject_points.min(axis=0))) / 2
    if clutter:
        heap = both(heap, soup([Part(m, material) for m, material in clutter], np.eye(3)))
    solid = array([m.alpha for m in heap.materials])[heap.part] >= 1.0
    lamps = lights(heap.corners[solid], look, detail)
    ground = average(look) * (look.lamp * max(float(look.light[2]), 0.1) + look.sky)
    behind = background(look, lamps, camera, radius, detail.side)
    fine = detail.side * detail.samples
    colour, cover = shade(look, lamps, camera, heap.pick(solid), ground, fine)
    if not solid.all():
        over, veil = _glass(look, lamps, camera, heap, solid, ground, fine)
        colour = colour * (1 - veil[..., None]) + over
        cover = cover * (1 - veil) + veil
    small_cover = _reduced(cover, detail.samples)
    picture = _reduced(colour, detail.samples) + (1 - small_cover)[..., None] * _reduced(behind, COARSE)
    return picture, small_cover


def _glass(
    look: Look, lamps: Lights, camera: Camera, heap: Soup, solid: NDArray[np.bool_], ground: Floats, size: int
) -> tuple[Floats, Floats]:
    """The see-through parts' light times cover and cover, with nothing where a solid part is in front."""
    flat, z = camera.project(heap.corners)
    front, _ = rasterise(flat[solid] * size, 1.0 / z[solid], size)
    glass, _ = rasterise(flat[~solid] * size, 1.0 / z[~solid], size)
    over, veil = shade(look, lamps, camera, heap.pick(~solid), ground, size)
    hidden = front > glass
    over[hidden], veil[hidden] = 0.0, 0.0
    return over, veil


def average(look: Look) -> Floats:
    """The ground's mean colour (3,)."""
    line = np.linspace(-2, 2, 24)
    u, v = np.meshgrid(line, line)
    return array(look.ground(u.ravel(), v.ravel()).mean(axis=0))
