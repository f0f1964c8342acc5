"""Opening an image that may be hostile: the right decoder only, limits first, every failure with its reason."""

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, PngImagePlugin, UnidentifiedImageError, features

from retrieval.core.errors import ImageError, Reason
from retrieval.core.settings import Limits
from retrieval.core.text import shown
from retrieval.images.formats import HEAD_BYTES, is_raw_name, looks_cut_short, refused_kind, sniff

# Our own limit is set by the user and checked below; Pillow's would come first and could not be raised.
Image.MAX_IMAGE_PIXELS = None
# Programs keep their whole workflow in PNG texts; the time and memory limits hold for larger ones.
PngImagePlugin.MAX_TEXT_CHUNK = 16 * 1024 * 1024

_EXPORT = "Export it as JPEG or PNG and index that."
_DNG_VERSION = 0xC612  # a TIFF tag that only DNG, a camera raw format, has
_MODULES = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
}

_plugin_formats: tuple[str, ...] = ()
_one_thread = False


def load_plugins(names: tuple[str, ...]) -> None:
    """Import modules that register further Pillow formats; ``open_image`` then reads those too.

    Raises whatever the modules raise.
    """
    global _plugin_formats
    Image.preinit()
    before = set(Image.OPEN)
    for name in names:
        importlib.import_module(name)
    _plugin_formats += tuple(sorted(set(Image.OPEN) - before - set(_MODULES)))


def use_one_thread() -> None:
    """Let every decoder use one thread: whoever runs several decoders at once has no cores left over."""
    global _one_thread
    _one_thread = True


def open_image(data: bytes, limits: Limits, name: bytes = b"") -> tuple[Image.Image, str]:
    """The image, opened but not decoded, and its format.

    Args:
        data: the whole file.
        limits: ``max_pixels`` is checked.
        name: the file's name, if it has one; tells camera raw files.

    Raises:
        ImageError: EMPTY, NOT_AN_IMAGE, UNSUPPORTED or TOO_MANY_PIXELS.
        Exception: whatever the decoder raises; ``decoder_failures`` turns it into an ImageError.
    """
    kind = _recognise(data, name)
    _prepare(kind)
    image = Image.open(BytesIO(data), formats=[kind])
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise ImageError(
            Reason.TOO_MANY_PIXELS,
            f"The image has {_mega(pixels)} megapixels, the limit is {_mega(limits.max_pixels)}.",
            "Set RETRIEVAL_MAX_MEGAPIXELS higher if you trust it and have the memory (about 4 MB a megapixel).",
        )
    if pixels <= 0:
        raise ImageError(Reason.CORRUPT, "The image is 0 pixels large.", "Get another copy of the file.")
    if kind == "TIFF" and _DNG_VERSION in getattr(image, "tag_v2", ()):
        raise _refused("camera raw")
    return image, kind


@contextmanager
def decoder_failures(data: bytes) -> Iterator[None]:
    """Turn whatever a decoder raises within the block into an ImageError, and keep it from printing warnings.

    Args:
        data: the file being decoded, to tell a broken-off file from a damaged one.

    Raises:
        ImageError: as raised in the block, or TRUNCATED, CORRUPT, or TOO_MANY_PIXELS when memory runs out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ImageError:
            raise
        except MemoryError as error:
            raise out_of_memory() from error
        except Exception as error:
            raise _explained(error, data) from error


def out_of_memory() -> ImageError:
    """The failure to record for an image that needs more memory than there is."""
    return ImageError(
        Reason.TOO_MANY_PIXELS,
        "There was not enough memory to decode the image.",
        "Close other programs and index again, or scale the image down.",
    )


def _recognise(data: bytes, name: bytes) -> str:
    if not data:
        raise ImageError(Reason.EMPTY, "The file is empty.", "Copy it again from where it came, or delete it.")
    head = data[:HEAD_BYTES]
    kind = sniff(head)
    if kind is None:
        kind = _plugin_for(data[:16])
    elif kind == "TIFF" and is_raw_name(name):
        raise _refused("camera raw")
    if kind is not None:
        return kind
    other = refused_kind(head, name)
    if other:
        raise _refused(other)
    raise ImageError(
        Reason.NOT_AN_IMAGE,
        "The content is not an image in any known format.",
        "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC are read, whatever the file's ending.",
    )


def _plugin_for(prefix: bytes) -> str | None:
    for kind in _plugin_formats:
        accept = Image.OPEN[kind][1]
        # Without such a function the plugin has to try; a string is a refusal in words.
        if accept is None or accept(prefix) is True:
            return kind
    return None


def _mega(pixels: int) -> str:
    millions = pixels / 1e6
    return f"{millions:,.0f}" if millions >= 1000 else f"{millions:.4g}"


def _refused(kind: str) -> ImageError:
    return ImageError(Reason.UNSUPPORTED, f"This is a {kind} file, a format that is not read here.", _EXPORT)


def _prepare(kind: str) -> None:
    """Import the one decoder that is needed."""
    if kind == "HEIF":
        _register_heif()
    elif kind == "AVIF" and not features.check("avif"):
        raise ImageError(
            Reason.UNSUPPORTED,
            "AVIF images cannot be read: this Pillow was built without AVIF.",
            "Run: pip install --upgrade pillow",
        )
    if kind not in Image.OPEN and kind in _MODULES:
        importlib.import_module(_MODULES[kind])
    if kind == "AVIF" and _one_thread:
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def _register_heif() -> None:
    if "HEIF" in Image.OPEN:
        return
    if importlib.util.find_spec("pillow_heif") is None:
        raise ImageError(
            Reason.UNSUPPORTED,
            "HEIC images need one more package.",
            "Run: pip install 'retrieval[heif]' and index again.",
        )
    import pillow_heif

    options = {"decode_threads": 1} if _one_thread else {}
    pillow_heif.register_heif_opener(thumbnails=False, **options)


def _explained(error: Exception, data: bytes) -> ImageError:
    words = shown(str(error) or type(error).__name__, 200)
    if isinstance(error, UnidentifiedImageError):
        words = "its header is damaged"  # Pillow's own words name a Python object
    kind = sniff(data[:HEAD_BYTES]) or ""
    if isinstance(error, EOFError) or "truncated" in words.lower() or looks_cut_short(kind, data):
        return ImageError(
            Reason.TRUNCATED,
            f"The file ends too early ({words}).",
            "Copy it again from where it came, and index again.",
        )
    return ImageError(
        Reason.CORRUPT, f"The file is damaged ({words}).", "Open it in another program and save it anew, then index it."
    )
