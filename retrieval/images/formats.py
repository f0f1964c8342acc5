"""Which image format is it? Told from the first bytes; a file's ending is only a hint."""

from collections.abc import Callable
from typing import Literal

HEAD_BYTES = 64
"""How much of a file's beginning ``sniff`` and ``refused_kind`` look at."""

READ_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
"""What ``sniff`` can answer; Pillow's names."""

RAW_ENDINGS = frozenset(
    b"3fr ari arw bay cr2 cr3 crw cs1 dcr dcs dng erf fff iiq k25 kdc mdc mef mos mrw nef nrw orf pef ptx raf raw "
    b"rw2 rwl sr2 srf srw x3f".split()
)
"""Endings of camera raw files. Many of them carry TIFF's magic, with only a small preview inside."""

IMAGE_ENDINGS = RAW_ENDINGS | frozenset(
    b"jpg jpeg jpe jfif jif png apng webp gif bmp dib tif tiff avif avifs heic heics heif heifs hif "
    b"jxl jp2 j2k jpf jpx".split()
)
"""Endings that promise an image, also of formats that are refused: those are then listed with their reason."""

# An ISO media file (HEIC, AVIF, but also MP4) names its kinds: a major brand and compatible ones.
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"))

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_BMP_HEADER_SIZES = frozenset((12, 16, 40, 52, 56, 64, 108, 124))


def sniff(head: bytes) -> str | None:
    """The format that a file's first bytes announce, one of ``READ_FORMATS``, or None.

    Args:
        head: the beginning of the file, ``HEAD_BYTES`` of it or all if it is shorter.
    """
    return next((name for name, test in _TESTS if test(head)), None)


def refused_kind(head: bytes, name: bytes = b"") -> str | None:
    """What to call a file of a kind that is known and not read here (camera raw, JPEG XL, ...), or None.

    Args:
        head: as for ``sniff``.
        name: the file's name if it has one: raw files with TIFF's magic are told by their ending only.
    """
    if _ending(name) in RAW_ENDINGS or _is_raw(head):
        return "camera raw"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")):
        return "JPEG XL"
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG 2000"
    return "Photoshop" if head.startswith(b"8BPS\0") else None


def looks_like_image_name(name: bytes) -> bool:
    """Whether a file's ending promises an image; no promise is made about the content."""
    return _ending(name) in IMAGE_ENDINGS


def is_raw_name(name: bytes) -> bool:
    """Whether a file's ending is one of a camera raw format."""
    return _ending(name) in RAW_ENDINGS


def looks_cut_short(kind: str, data: bytes) -> bool:
    """Whether a file that could not be decoded misses its end: the copy was broken off, the content not damaged."""
    if kind == "JPEG":
        return b"\xff\xd9" not in data[-1024:]
    if kind == "PNG":
        return b"IEND" not in data[-1024:]
    if kind == "GIF":
        return b";" not in data[-16:]
    if kind == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if kind == "BMP":
        return int.from_bytes(data[2:6], "little") > len(data)
    if kind == "TIFF":
        return _first_directory(data) >= len(data)
    return kind in ("AVIF", "HEIF") and _boxes_overrun(data)


def _ending(name: bytes) -> bytes:
    return name.rpartition(b".")[2].lower() if b"." in name else b""


def _brands(head: bytes) -> frozenset[bytes]:
    """Major and compatible brands of an ISO media file's first box, as far as they lie in ``head``."""
    if head[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset((head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))))


def _is_avif(head: bytes) -> bool:
    return bool(_brands(head) & _AVIF_BRANDS)


def _is_heif(head: bytes) -> bool:
    return head[8:12] in _HEIF_BRANDS and bool(_brands(head)) and not _is_avif(head)


def _is_bmp(head: bytes) -> bool:
    # Two letters alone would take every text that starts with BM.
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES


def _is_raw(head: bytes) -> bool:
    if head.startswith((b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")):
        return True
    return head[4:12] == b"ftypcrx " or (head[:4] == b"II*\0" and head[8:10] == b"CR")


def _first_directory(data: bytes) -> int:
    """Where a TIFF says that its first directory lies; programs often write it last."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    is_big = b"+" in data[2:4]
    return int.from_bytes(data[8:16] if is_big else data[4:8], order)


def _boxes_overrun(data: bytes) -> bool:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return False  # this box runs to the end, wherever that is
        if size < 8:
            return False  # damaged, not cut
        at += size
    return at != len(data)


_TESTS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("JPEG", lambda head: head.startswith(b"\xff\xd8\xff")),
    ("PNG", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    ("WEBP", lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP"),
    ("GIF", lambda head: head.startswith((b"GIF87a", b"GIF89a"))),
    ("TIFF", lambda head: head.startswith(_TIFF_MAGIC) and not _is_raw(head)),
    ("AVIF", _is_avif),
    ("HEIF", _is_heif),
    ("BMP", _is_bmp),
)
