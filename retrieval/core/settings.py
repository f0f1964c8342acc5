"""Typed settings, each with an environment variable and a default.

============================  ===========  ==================================================================
variable                      default      meaning
============================  ===========  ==================================================================
``RETRIEVAL_GALLERY``         (user data)  the gallery's folder
``RETRIEVAL_MAX_MEGAPIXELS``  150          larger images are refused before they are decoded
``RETRIEVAL_MAX_FILE_MB``     1024         larger files are refused before they are read
``RETRIEVAL_MAX_UPLOAD_MB``   64           larger uploads are refused
``RETRIEVAL_DECODE_SECONDS``  30           a file that takes longer to decode is a failure
``RETRIEVAL_THREADS``         (cores)      processor threads for the encoder, its training and the index
``RETRIEVAL_PRECISION``       auto         numbers the encoder computes in: auto (measured), fp32, bf16 or fp16
``RETRIEVAL_PLUGINS``         (none)       modules with further Pillow formats, imported by the decoders
``RETRIEVAL_DATA``            (user data)  what is remembered of datasets: their splits
``RETRIEVAL_CACHE``           (user cache) pictures prepared for training; may be deleted at any time
============================  ===========  ==================================================================
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.core.errors import BadValue

Environment = Mapping[str, str]

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost.

    Attributes:
        max_pixels: width times height, checked before decoding.
        max_bytes: size of the file, checked before reading.
        seconds: time for reading and decoding one file.
    """

    max_pixels: int = 150_000_000
    max_bytes: int = 1024 * 1024 * 1024
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is set outside the command line."""

    gallery: Path
    limits: Limits
    max_upload_bytes: int
    threads: int
    precision: str
    plugins: tuple[str, ...]
    data: Path
    cache: Path


def available_cores() -> int:
    """Processor cores this process may use (affinity respected where the system tells it)."""
    # Here and below imported late: decoding processes need the limits only, and start often.
    import psutil

    try:
        return max(1, len(psutil.Process().cpu_affinity()))
    except (AttributeError, psutil.Error):
        return os.cpu_count() or 1


def load_settings(environment: Environment | None = None) -> Settings:
    """Settings from the environment.

    Raises:
        BadValue: a variable holds something other than a positive number or one of its words, or names a home folder
            of nobody.
    """
    import platformdirs

    env = os.environ if environment is None else environment
    data = Path(platformdirs.user_data_dir("retrieval", appauthor=False))
    cache = Path(platformdirs.user_cache_dir("retrieval", appauthor=False))
    return Settings(
        gallery=_folder(env, "RETRIEVAL_GALLERY", data / "gallery"),
        data=_folder(env, "RETRIEVAL_DATA", data),
        cache=_folder(env, "RETRIEVAL_CACHE", cache),
        limits=Limits(
            max_pixels=max(1, int(_positive(env, "RETRIEVAL_MAX_MEGAPIXELS", 150) * 1_000_000)),
            max_bytes=max(1, int(_positive(env, "RETRIEVAL_MAX_FILE_MB", 1024) * 1024 * 1024)),
            seconds=_positive(env, "RETRIEVAL_DECODE_SECONDS", 30),
        ),
        max_upload_bytes=max(1, int(_positive(env, "RETRIEVAL_MAX_UPLOAD_MB", 64) * 1024 * 1024)),
        threads=max(1, int(_positive(env, "RETRIEVAL_THREADS", available_cores()))),
        precision=_one_of(env, "RETRIEVAL_PRECISION", PRECISIONS),
        plugins=tuple(name.strip() for name in env.get("RETRIEVAL_PLUGINS", "").split(",") if name.strip()),
    )


def _folder(env: Environment, name: str, default: Path) -> Path:
    text = env.get(name)
    try:
        return Path(text).expanduser() if text else default
    except RuntimeError as error:
        raise BadValue(f"{name}={text!r}: {error}", "Write the folder's path out in full.") from error


def _positive(env: Environment, name: str, default: float) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise BadValue(f"{name}={text!r} is not a positive number.", f"Unset it to get the default, {default:g}.")
    return value


def _one_of(env: Environment, name: str, words: tuple[str, ...]) -> str:
    """The variable's word; the first of ``words`` where it is not set."""
    text = env.get(name) or words[0]
    if text not in words:
        raise BadValue(f"{name}={text!r} is not known.", f"Use one of: {', '.join(words)}.")
    return text
