"""A difference hash: 64 bits that stay nearly the same when a picture is re-saved, scaled or slightly retouched."""

GRID = (9, 8)
"""Width and height of the grey picture that is hashed: 8 differences in each of 8 rows."""


def difference_hash(grey: bytes) -> int:
    """One bit for each pair of neighbours in a row: is the left one brighter?

    Args:
        grey: 72 values, 0 to 255, row by row: the whole upright picture scaled to ``GRID``.

    Returns:
        The bits, first pair highest, as a signed 64-bit integer (what a database column holds).
    """
    if len(grey) != GRID[0] * GRID[1]:
        raise ValueError(f"A difference hash needs {GRID[0] * GRID[1]} values, not {len(grey)}.")
    bits = 0
    for start in range(0, len(grey), GRID[0]):
        for left in range(start, start + GRID[0] - 1):
            bits = bits << 1 | (grey[left] > grey[left + 1])
    return bits - (1 << 64) if bits >> 63 else bits
