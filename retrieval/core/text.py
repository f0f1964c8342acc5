"""Paths as bytes, as text, and as something that can be shown.

A path on POSIX is bytes. ``os.fsdecode`` gives text that round-trips (undecodable bytes become lone
surrogates), and that text is what travels inside the program and in JSON. What a person sees goes through
``shown``.
"""

import unicodedata


def shown(text: str, limit: int | None = None) -> str:
    r"""``text`` made safe for a terminal or a page: one line, no control characters, always encodable.

    Undecodable bytes appear as ``\xNN``, line breaks and other control characters as escapes. With ``limit``
    the middle is cut out so that at most ``limit`` characters remain; both ends of a path tell most.
    """
    out = []
    for char in text:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif char in "\n\r\t":
            out.append({"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char])
        elif unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            out.append(f"\\u{code:04x}")
        else:
            out.append(char)
    line = "".join(out)
    if limit is not None and len(line) > limit:
        if limit < 1:
            return ""
        head = (limit - 1) // 2
        line = line[:head] + "…" + line[len(line) - (limit - 1 - head) :]
    return line


def path_text(path: bytes) -> str:
    """A path for people and for JSON; undecodable bytes as escapes."""
    return path.decode(errors="backslashreplace")
