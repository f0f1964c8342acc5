"""What a picture's metadata tells: which side is up, and when it was taken. Garbage never fails an image."""

from datetime import datetime

from PIL import Image
from PIL.Image import Transpose

_ORIENTATION, _DATE_TIME, _EXIF_IFD, _DATE_TIME_ORIGINAL = 0x0112, 0x0132, 0x8769, 0x9003
_PLACES = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
_EARLIEST_YEAR = 1800  # before photography: a clock that was never set

_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset((Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90))


def read_metadata(image: Image.Image) -> tuple[Transpose | None, datetime | None]:
    """What turns the pixels upright (None: they are), and the time the picture was taken without a time zone.

    Call it after ``image.load()``: some formats have metadata behind the pixels, and TIFF turns them itself.
    """
    # Parsing takes longer than decoding a small JPEG; most images have nothing to parse.
    if not hasattr(image, "tag_v2") and not any(place in image.info for place in _PLACES):
        return None, None
    try:
        tags = image.getexif()
        return _UPRIGHT.get(int(tags.get(_ORIENTATION, 1))), _captured(tags)
    except Exception:  # whatever a parser makes of damaged tags
        return None, None


def is_sideways(turn: Transpose | None) -> bool:
    """Whether the turn swaps width and height."""
    return turn in _SIDEWAYS


def _captured(tags: Image.Exif) -> datetime | None:
    try:
        original = tags.get_ifd(_EXIF_IFD).get(_DATE_TIME_ORIGINAL)
    except Exception:  # this part may be damaged where the other is not
        original = None
    return _parse(original) or _parse(tags.get(_DATE_TIME))


def _parse(value: object) -> datetime | None:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.strptime(value.strip(" \0")[:19].replace("-", ":"), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    return moment if moment.year >= _EARLIEST_YEAR else None
