"""From whatever a file holds to sRGB over white, in two steps around the resize.

``resizable`` brings a picture into a mode in which averaging pixels is right (no palette, alpha premultiplied);
``to_srgb`` does the rest on the small picture, where it is cheap.
"""

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from retrieval.core.errors import ImageError, Reason

_MAX_PROFILE = 8 * 1024 * 1024
_STRIP = 4 * 1024 * 1024  # pixels converted at once, so that a float copy of a large picture never exists
_DIRECT = frozenset(("L", "RGB", "CMYK", "La", "RGBa"))
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_VISIBLE = 2  # a difference of this many levels is rounding, not another colour space

# 16 bits to 8 by value range, rounded.
_HIGH_BYTE = ((np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def resizable(image: Image.Image) -> Image.Image:
    """The loaded picture in one of the modes L, RGB, CMYK, La, RGBa.

    Whole numbers of 16 bits are scaled from 0..65535. Larger ones are scaled from 0..2^31-1 if one exceeds 65535.
    Floats are taken as 0..1 if none exceeds 1, as 0..255 if none exceeds 255, else as 0..65535 or 0..maximum.

    Raises:
        ImageError: UNSUPPORTED, for a mode that is not known here.
    """
    mode = image.mode
    if image.has_transparency_data and mode not in ("La", "RGBa"):
        return _premultiplied(image)
    if mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        # Pillow turns all CMYK JPEGs over, as Adobe writes them; the others mean what they say.
        return ImageChops.invert(image)
    if mode in _DIRECT:
        return image
    if mode == "1":
        return image.convert("L")
    if mode.startswith("I;16"):
        return _by_strips(image, _from_16_bits)
    if mode in ("I", "F"):
        white = _white_level(image)
        return _by_strips(image, lambda values: _from_range(values, white))
    if mode == "LAB":
        return _from_lab(image)
    if mode in ("P", "PA", "RGBX", "YCbCr", "HSV"):
        return image.convert("RGB")
    raise ImageError(
        Reason.UNSUPPORTED,
        f"Pictures with pixels of the kind {mode!r} are not supported.",
        "Export it as an 8-bit JPEG or PNG.",
    )


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture from ``resizable`` as RGB: laid over white, then through its ICC profile.

    Args:
        image: in one of the modes that ``resizable`` gives.
        profile: the ICC profile that came with the file; one that is broken or of another kind is ignored.
    """
    flat = _over_white(image) if image.mode in ("La", "RGBa") else image
    if profile:
        flat = _through_profile(flat, profile)
    return flat if flat.mode == "RGB" else flat.convert("RGB")


def _premultiplied(image: Image.Image) -> Image.Image:
    # From L and 1 with a transparent level too: Pillow's way to RGBA knows that level for every mode.
    if image.mode == "LA":
        return image.convert("La")
    return (image if image.mode == "RGBA" else image.convert("RGBA")).convert("RGBa")


def _over_white(image: Image.Image) -> Image.Image:
    *colours, alpha = image.split()
    gap = ImageChops.invert(alpha)
    layers = [ImageChops.add(colour, gap) for colour in colours]
    return layers[0] if len(layers) == 1 else Image.merge("RGB", layers)


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    space = _SPACES.get(profile[16:20])
    if space is None or len(profile) > _MAX_PROFILE or (image.mode == "CMYK") != (space == "CMYK"):
        return image
    if space == "L" and image.mode == "RGB":
        return image  # a grey profile says nothing about colours
    if space == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    transform = _transform(profile, space)
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=16)
def _transform(profile: bytes, space: str) -> Any:
    """A transform to sRGB; None for a profile that cannot be used, or that is sRGB already."""
    # Most files have no profile: the colour engine is loaded for those that do.
    from PIL import ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            space,
            "RGB",
            ImageCms.Intent.PERCEPTUAL,
        )
        probe = Image.fromarray(_probe_colours()).convert(space)
        before = np.asarray(probe.convert("RGB"), dtype=np.int16)
        after = np.asarray(transform.apply(probe), dtype=np.int16)
    except Exception:  # a damaged profile, in whatever way the engine notices
        return None
    return transform if int(np.abs(after - before).max()) > _VISIBLE else None


def _probe_colours() -> NDArray[np.uint8]:
    """[5, 25, 3]: every mix of five levels."""
    levels = np.array([0, 64, 128, 192, 255], dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(5, 25, 3)


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    converted = transform.apply(image)
    converted.info.pop("icc_profile", None)
    return converted


def _by_strips(image: Image.Image, convert: Any) -> Image.Image:
    """An L picture made by ``convert``, from [h, W] values to [h, W] uint8, a few rows at a time."""
    out = Image.new("L", image.size)
    for top, values in _strips(image):
        out.paste(Image.fromarray(convert(values)), (0, top))
    return out


def _strips(image: Image.Image) -> Any:
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield top, np.asarray(image.crop(box))


def _from_16_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    scaled: NDArray[np.uint8] = _HIGH_BYTE[values]
    return scaled


def _white_level(image: Image.Image) -> float:
    highest = 0.0
    for _, values in _strips(image):
        finite = values[np.isfinite(values)]
        highest = max(highest, float(finite.max(initial=0)))
    if image.mode == "I":
        return 65535.0 if highest <= 65535 else 2.0**31 - 1
    return next((white for white in (1.0, 255.0, 65535.0) if highest <= white), highest)


def _from_range(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    scaled = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=white, neginf=0.0) * (255.0 / white)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
