"""Days and sizes as people write them."""

from datetime import datetime

import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows.bounds import bytes_in, day


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024", datetime(2024, 1, 1)),
        ("2024-05", datetime(2024, 5, 1)),
        (" 2024-05-17 ", datetime(2024, 5, 17)),
        ("2024-05-17 14:30", datetime(2024, 5, 17, 14, 30)),
        ("2024-05-17T14:30:05", datetime(2024, 5, 17, 14, 30, 5)),
        ("", None),
        (None, None),
    ],
)
def test_days(text: str | None, moment: datetime | None) -> None:
    assert day(text) == moment


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5000", 5000), ("200kB", 200_000), ("1.5 MB", 1_500_000), ("1MiB", 1_048_576), ("0", 0), (" ", None),
        ("999999999999999gb", 2**63 - 1),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int | None) -> None:
    assert bytes_in(text) == size


@pytest.mark.parametrize("text", ["yesterday", "2024-13", "2024-02-30", "17.5.2024", "0000"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="not a date"):
        day(text)


@pytest.mark.parametrize("text", ["large", "-5", "5 parsecs", "1e9", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="not a size"):
        bytes_in(text)
