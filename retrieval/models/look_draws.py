"""What is drawn for a batch of views: where to cut, and how much of everything.

Every draw has a number of its own and is made whether it is used or not, so that one setting does not shift what the
next one sees. All is drawn on the CPU, in float64, and is the same on any device.
"""

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrieval.functional.counter import Keys, uniform
from retrieval.models.looks import Look

_TRIES = 10
# Numbers of the draws; never changed, or every view of every seed is another one.
_PLACE = 2 * _TRIES
_FLIP, _JITTER, _ORDER, _FACTORS, _TURN, _GREY, _BLUR, _SIGMA, _SOLARISE = 22, 23, 24, 25, 28, 29, 30, 31, 32
_DRAWS = 33
_ORDERS = 24


class LookDraws(NamedTuple):
    """How B views of one look are made.

    Attributes:
        boxes: [B, 4] int64 left, top, width, height of the crop in the picture's pixels, inside it.
        flips: [B] bool.
        orders: [B] int64 in 0 to 23, the order of the four changes of colour (``batch_colour.ORDERS``).
        factors: [B, 3] float32 of brightness, contrast and saturation; 1 where there is no jitter.
        turns: [B] float32 of the hue, in full circles; 0 where there is no jitter.
        greys: [B] bool.
        sigmas: [B] float32 standard deviation of the blur in pixels; 0 for none.
        solarised: [B] bool.
    """

    boxes: NDArray[np.int64]
    flips: NDArray[np.bool_]
    orders: NDArray[np.int64]
    factors: NDArray[np.float32]
    turns: NDArray[np.float32]
    greys: NDArray[np.bool_]
    sigmas: NDArray[np.float32]
    solarised: NDArray[np.bool_]


def draw_looks(look: Look, keys: Keys, sizes: NDArray[np.int64]) -> LookDraws:
    """Draw one view of each picture.

    Args:
        look: how views are made.
        keys: [B] of these views (``functional.counter``).
        sizes: [B, 2] width and height of each picture in pixels, at least 1.
    """
    draws = uniform(keys, 0, _DRAWS)
    jittered = draws[:, _JITTER] < look.jitter
    reach = np.array([look.brightness, look.contrast, look.saturation])
    factors = 1 + (2 * draws[:, _FACTORS:_TURN] - 1) * reach
    turns = (2 * draws[:, _TURN] - 1) * look.hue
    least, most = look.sigma
    sigmas = least + (most - least) * draws[:, _SIGMA]
    return LookDraws(
        boxes=_boxes(look, draws, sizes),
        flips=draws[:, _FLIP] < look.flip,
        orders=(draws[:, _ORDER] * _ORDERS).astype(np.int64),
        factors=np.where(jittered[:, None], factors, 1.0).astype(np.float32),
        turns=np.where(jittered, turns, 0.0).astype(np.float32),
        greys=draws[:, _GREY] < look.grey,
        sigmas=np.where(draws[:, _BLUR] < look.blur, sigmas, 0.0).astype(np.float32),
        solarised=draws[:, _SOLARISE] < look.solarise,
    )


def _boxes(look: Look, draws: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Random resized crops as torchvision's: the first of ten tries that lies inside the picture; else, cut from the
    middle, as much of it as the nearest allowed proportions leave."""
    width, height = sizes[:, 0], sizes[:, 1]
    share = look.scale[0] + (look.scale[1] - look.scale[0]) * draws[:, :_TRIES]
    ratio = np.exp(log(look.ratio[0]) + log(look.ratio[1] / look.ratio[0]) * draws[:, _TRIES:_PLACE])
    area = (width * height)[:, None] * share
    w, h = np.rint(np.sqrt(area * ratio)).astype(np.int64), np.rint(np.sqrt(area / ratio)).astype(np.int64)
    inside = (w > 0) & (w <= width[:, None]) & (h > 0) & (h <= height[:, None])
    rows, first = np.arange(len(sizes)), inside.argmax(1)
    found = inside[rows, first]
    own = (width / height).clip(*look.ratio)
    w = np.where(found, w[rows, first], np.minimum(width, np.rint(height * own)).astype(np.int64).clip(1))
    h = np.where(found, h[rows, first], np.minimum(height, np.rint(width / own)).astype(np.int64).clip(1))
    left, top = np.where(found, draws[:, _PLACE : _PLACE + 2].T, 0.5)
    return np.stack([(left * (width - w + found)), (top * (height - h + found)), w, h], 1).astype(np.int64)
