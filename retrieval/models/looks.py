"""Which views of a picture each self-supervised method learns from.

A look says how one view is made: crop, flip, jitter, grey, blur, solarise, in this order (the flip commutes with
what comes after it). A preset is a tuple of looks, as its paper has it at 224 pixels; other sizes are scaled. Below 64
pixels a preset has a variant of its own: no blur, which leaves nothing of so small a picture (SimCLR, appendix B.9;
SimSiam, appendix D), and small crops of half the side.
"""

from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any

from retrieval.core.errors import BadValue

LEAST_SIDE, MOST_SIDE = 8, 4096
BELOW = 64
"""From this input size in pixels on, a preset is the paper's; below it is the variant for small pictures."""

FILTERS = ("bilinear", "bicubic")

_LARGE, _SMALL = 224, 32  # the sizes that the presets below are written for


@dataclass(frozen=True, slots=True)
class Look:
    """How a view is made.

    Attributes:
        size: S, side of the view in pixels, 1 to 4096.
        count: how many such views, at least 1.
        scale: least and most share of the picture's area that a crop covers, in (0, 1].
        ratio: least and most width to height of a crop, above 0; drawn evenly on a logarithmic scale.
        flip: chance of a left-right flip, in [0, 1].
        jitter: chance of the four changes of colour below, in random order, in [0, 1].
        brightness, contrast, saturation: factors are drawn from [1 - x, 1 + x], x in [0, 1].
        hue: turned by at most so many full circles, in [0, 0.5].
        grey: chance of losing all colour, in [0, 1].
        blur: chance of a Gaussian blur, in [0, 1].
        sigma: least and most standard deviation of the blur, in pixels of the view, above 0.
        solarise: chance that values in the upper half are inverted, in [0, 1].
        filter: of the resizing, one of ``FILTERS``.

    Raises:
        BadValue: a value is out of its range.
    """

    size: int
    count: int = 1
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)
    solarise: float = 0.0
    filter: str = "bilinear"

    def __post_init__(self) -> None:
        for name in ("size", "count"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MOST_SIDE:
                raise BadValue(f"A look's {name} {value!r} is not a whole number between 1 and {MOST_SIDE}.")
        for field in fields(self):
            if field.type is float or field.type == "float":
                _require(field.name, (getattr(self, field.name),), 0.0, 0.5 if field.name == "hue" else 1.0)
        for name, most in (("scale", 1.0), ("ratio", 100.0), ("sigma", 100.0)):
            pair = getattr(self, name)
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise BadValue(f"A look's {name} {pair!r} is not a least and a most value.")
            _require(name, pair, 1e-3, most)
            if pair[0] > pair[1]:
                raise BadValue(f"A look's {name} {pair!r} is not a least and a most value.")
        if self.filter not in FILTERS:
            raise BadValue(f"Unknown filter {self.filter!r}.", f"Use one of: {', '.join(FILTERS)}.")


@dataclass(frozen=True, slots=True)
class LookPreset:
    """The views of one paper.

    Attributes:
        paper: where the settings come from.
        large: the looks at 224 pixels.
        small: the looks at 32 pixels.
    """

    paper: str
    large: tuple[Look, ...]
    small: tuple[Look, ...]


def looks_for(preset: str, input_size: int, *, views: int | None = None, crops: int | None = None) -> tuple[Look, ...]:
    """The looks of a preset for an encoder's input size.

    Sizes and blur are scaled from 224 pixels; below 64 pixels from 32, and from the variant for small pictures.

    Args:
        preset: one of ``PRESETS``.
        input_size: side of the full-size views in pixels, 8 to 4096.
        views: full-size views; as in the paper by default. Where the paper's views differ (BYOL), they take turns.
        crops: small crops beside them, at least 0; as in the paper by default (DINO: 8; SwAV: 6).

    Returns:
        The full-size looks first; together their ``count`` is the number of views.

    Raises:
        BadValue: no such preset, a size or a number out of its range, or ``crops`` where the preset has none.
    """
    if preset not in PRESETS:
        raise BadValue(f"There is no preset of views {preset!r}.", f"Use one of: {', '.join(PRESETS)}.")
    if type(input_size) is not int or not LEAST_SIDE <= input_size <= MOST_SIDE:
        raise BadValue(f"The input size {input_size!r} is not between {LEAST_SIDE} and {MOST_SIDE} pixels.")
    chosen, written_for = PRESETS[preset], _LARGE if input_size >= BELOW else _SMALL
    looks = chosen.large if input_size >= BELOW else chosen.small
    full = [look for look in looks if look.size == written_for]
    small = [look for look in looks if look.size != written_for]
    if views is not None:
        full = _taking_turns(full, views)
    if crops is not None:
        small = _with_crops(preset, small, crops)
    return tuple(_scaled(look, input_size / written_for) for look in (*full, *small))


def _require(name: str, values: tuple[Any, ...], least: float, most: float) -> None:
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and isfinite(value) and least <= value <= most):
            raise BadValue(f"A look's {name} {value!r} is not between {least:g} and {most:g}.")


def _taking_turns(looks: list[Look], views: int) -> list[Look]:
    """So many views of these looks, evenly."""
    if type(views) is not int or views < 1:
        raise BadValue(f"The number of views {views!r} is not at least 1.")
    if len(looks) == 1:
        return [replace(looks[0], count=views)]
    one_each = [replace(look, count=1) for look in looks for _ in range(look.count)]
    return [one_each[n % len(one_each)] for n in range(views)]


def _with_crops(preset: str, looks: list[Look], crops: int) -> list[Look]:
    if not looks and crops:
        having = ", ".join(name for name, one in PRESETS.items() if any(look.size < _LARGE for look in one.large))
        raise BadValue(f"The views {preset!r} have no small crops.", f"These have: {having}.")
    if type(crops) is not int or crops < 0:
        raise BadValue(f"The number of small crops {crops!r} is not at least 0.")
    return [replace(look, count=crops) for look in looks] if crops else []


def _scaled(look: Look, factor: float) -> Look:
    least, most = look.sigma
    sigma = (max(1e-3, least * factor), max(1e-3, most * factor))
    return replace(look, size=max(1, round(look.size * factor)), sigma=sigma)


# ------------------------------------------------------------------ the papers' settings at 224 pixels

_SIMCLR = Look(
    _LARGE, 2, jitter=0.8, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, grey=0.2, blur=0.5, filter="bicubic"
)
_MOCO_V1 = Look(_LARGE, 2, (0.2, 1.0), jitter=1.0, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.4, grey=0.2)
_MOCO_V2 = replace(_MOCO_V1, jitter=0.8, hue=0.1, blur=0.5)
_BYOL = Look(_LARGE, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, grey=0.2, filter="bicubic")
_BYOL_PAIR = (replace(_BYOL, blur=1.0), replace(_BYOL, blur=0.1, solarise=0.2))
_VICREG = replace(_BYOL, count=2, blur=0.5, solarise=0.1)
_SWAV = replace(_SIMCLR, scale=(0.14, 1.0), filter="bilinear")
_SWAV_CROPS = (_SWAV, replace(_SWAV, size=96, count=6, scale=(0.05, 0.14)))
_DINO_PAIR = tuple(replace(look, scale=(0.4, 1.0)) for look in _BYOL_PAIR)
_DINO_CROPS = (*_DINO_PAIR, replace(_BYOL, size=96, count=8, scale=(0.05, 0.4), blur=0.5))
_CROP_ONLY = Look(_LARGE, 1, (0.2, 1.0), filter="bicubic")


def _for_small(looks: tuple[Look, ...]) -> tuple[Look, ...]:
    """The same at 32 pixels: no blur, small crops of half the side."""
    return tuple(replace(look, size=_SMALL if look.size == _LARGE else _SMALL // 2, blur=0.0) for look in looks)


# SimCLR, appendix B.9: half the strength of colour on CIFAR-10.
_SIMCLR_SMALL = replace(_SIMCLR, size=_SMALL, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, blur=0.0)
# No paper has multi-crop at 32 pixels: colour as SimCLR there, and no crop of less than 9 pixels a side.
_SWAV_SMALL = (
    replace(_SIMCLR_SMALL, scale=(0.2, 1.0), filter="bilinear"),
    replace(_SIMCLR_SMALL, size=_SMALL // 2, count=6, scale=(0.08, 0.2), filter="bilinear"),
)
_W_MSE_SMALL = replace(_SIMCLR_SMALL, scale=(0.2, 1.0), grey=0.1)

PRESETS: dict[str, LookPreset] = {
    "simclr": LookPreset(
        "Chen et al. 2020, appendices A and B.9, https://arxiv.org/abs/2002.05709; github.com/google-research/simclr, "
        "run.py: color_jitter_strength 1, use_blur",
        (_SIMCLR,),
        (_SIMCLR_SMALL,),
    ),
    "moco-v1": LookPreset(
        "He et al. 2020, section 3.3, https://arxiv.org/abs/1911.05722; github.com/facebookresearch/moco, main_moco.py",
        (_MOCO_V1,),
        _for_small((_MOCO_V1,)),
    ),
    "moco-v2": LookPreset(
        "Chen, Fan, Girshick and He 2020, https://arxiv.org/abs/2003.04297; github.com/facebookresearch/moco, "
        "main_moco.py --aug-plus",
        (_MOCO_V2,),
        _for_small((_MOCO_V2,)),
    ),
    "byol": LookPreset(
        "Grill et al. 2020, appendix B, https://arxiv.org/abs/2006.07733; "
        "github.com/google-deepmind/deepmind-research, byol/utils/augmentations.py",
        _BYOL_PAIR,
        _for_small(_BYOL_PAIR),
    ),
    "simsiam": LookPreset(
        "Chen and He 2021, section 3 and appendix D, https://arxiv.org/abs/2011.10566; "
        "github.com/facebookresearch/simsiam, main_simsiam.py",
        (_MOCO_V2,),
        _for_small((_MOCO_V2,)),
    ),
    "swav-multi-crop": LookPreset(
        "Caron et al. 2020, section 3.2, https://arxiv.org/abs/2006.09882; github.com/facebookresearch/swav, "
        "src/multicropdataset.py and scripts/swav_800ep_pretrain.sh",
        _SWAV_CROPS,
        _SWAV_SMALL,
    ),
    "dino-multi-crop": LookPreset(
        "Caron et al. 2021, section 3, https://arxiv.org/abs/2104.14294; github.com/facebookresearch/dino, "
        "main_dino.py",
        _DINO_CROPS,
        _for_small(_DINO_CROPS),
    ),
    "barlow": LookPreset(
        "Zbontar et al. 2021, section 2.2, https://arxiv.org/abs/2103.03230; github.com/facebookresearch/barlowtwins, "
        "main.py",
        _BYOL_PAIR,
        _for_small(_BYOL_PAIR),
    ),
    # The two branches are alike, with the values that lightly has; the paper's appendix itself was not at hand to check
    # them against. The authors' released code (github.com/facebookresearch/vicreg) differs: for its pair, looks = byol.
    "vicreg": LookPreset(
        "Bardes, Ponce and LeCun 2022, appendix C, https://arxiv.org/abs/2105.04906", (_VICREG,), _for_small((_VICREG,))
    ),
    # Large: as SimCLR, which is what the authors' command for ImageNet-100 has. W-MSE 4 has views=4.
    "w-mse": LookPreset(
        "Ermolov et al. 2021, section 4, https://arxiv.org/abs/2007.06346; github.com/htdt/self-supervised, README and "
        "datasets/imagenet.py (large), cfg.py (small)",
        (_SIMCLR,),
        (_W_MSE_SMALL,),
    ),
    "deepcluster": LookPreset(
        "DeepCluster-v2 in Caron et al. 2020, appendix, https://arxiv.org/abs/2006.09882; "
        "github.com/facebookresearch/swav, scripts/deepclusterv2_800ep_pretrain.sh",
        _SWAV_CROPS,
        _SWAV_SMALL,
    ),
    # What is to be rebuilt is the view itself: a crop and a flip, no change of colour.
    "autoencoder": LookPreset(
        "He et al. 2022, masked autoencoders, section 4.1, https://arxiv.org/abs/2111.06377",
        (_CROP_ONLY,),
        _for_small((_CROP_ONLY,)),
    ),
}
"""By name."""
