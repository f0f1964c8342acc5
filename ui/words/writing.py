"""How a language writes sizes, times and lists."""

from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class WritingWords:
    """Units, dates and signs.

    Attributes:
        moment: a point in time, from ``{year}``, ``{month}``, ``{day}`` and ``{clock}``.
        months: the names of the twelve.
        comma: between the members of a list.
    """

    bytes: Counted
    milliseconds: str
    seconds: str
    minutes: str
    hours: str
    moment: str
    months: tuple[str, ...]
    comma: str


ENGLISH = WritingWords(
    bytes=Counted("{n} byte", "{n} bytes"),
    milliseconds="{n} ms",
    seconds="{n} s",
    minutes="{n} min",
    hours="{n} h",
    moment="{day} {month} {year}, {clock}",
    months=(
        "January", "February", "March", "April", "May", "June",
        "July", "August", "September", "October", "November", "December",
    ),
    comma=", ",
)  # fmt: skip

CHINESE = WritingWords(
    bytes=Counted("{n} 字节", "{n} 字节"),
    milliseconds="{n} 毫秒",
    seconds="{n} 秒",
    minutes="{n} 分钟",
    hours="{n} 小时",
    moment="{year}年{month}{day}日 {clock}",
    months=tuple(f"{n}月" for n in range(1, 13)),
    comma="、",
)
