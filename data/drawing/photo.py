"""What a camera makes of light: exposure, a lens's softness, a sensor's noise, and a JPEG file."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from drawing.mesh import Floats
from drawing.surfaces import encoded


def exposed(light: Floats, stops: float) -> Floats:
    """Light (H, W, 3) brought to 0..1: a middle tone of the picture to a middle grey, highlights rolled off."""
    grey = light.mean(axis=2)
    level = 0.5 * float(np.median(grey)) + 0.5 * float(grey.mean())
    # Only partly evened out: a bright picture should stay bright.
    gain = 2.0**stops * (0.30 / max(level, 1e-3)) ** 0.55
    x = light * gain
    out: Floats = np.where(x < 0.6, x, 0.6 + 0.4 * (1 - np.exp(-(x - 0.6) / 0.4)))
    return out


def take(light: Floats, rng: np.random.Generator) -> bytes:
    """Light (H, W, 3), linear, as the bytes of a JPEG file without metadata."""
    size = light.shape[0]
    picture = exposed(light, rng.uniform(-0.35, 0.35))
    line = np.linspace(-1, 1, size)
    away = line[:, None] ** 2 + line[None, :] ** 2
    picture = picture * (1 - rng.uniform(0.0, 0.14) * away)[..., None]
    values = encoded(picture)
    blur = rng.choice([0.0, 0.0, 0.35, 0.6, 0.9])
    if blur:
        soft = Image.fromarray((values * 255 + 0.5).astype(np.uint8)).filter(ImageFilter.GaussianBlur(float(blur)))
        values = np.asarray(soft) / 255.0
    strength = rng.choice([0.006, 0.012, 0.02, 0.032])
    shared = rng.standard_normal((size, size, 1)) * 0.8 + rng.standard_normal((size, size, 3)) * 0.5
    values = values + strength * shared * (1.15 - 0.6 * values)
    out = io.BytesIO()
    whole = (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(whole).save(out, "JPEG", quality=int(rng.integers(66, 86)), optimize=True, subsampling=2)
    return out.getvalue()
