"""Text into HTML: nothing gets through that is not meant as text."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.markup import escape, file_size, milliseconds, moment, prose
from ui.words import CHINESE, ENGLISH


@given(st.text(st.characters(codec=None)))
def test_escaped_text_holds_no_sign_of_markup_or_templates_and_can_be_encoded(text: str) -> None:
    escaped = escape(text)
    escaped.encode("utf-8")
    assert not set(escaped) & set("<>\"'{}$`\n\r\x00")


def test_what_is_escaped_stays_readable() -> None:
    assert escape("Äpfel & Öl, 3 > 2") == "Äpfel &amp; Öl, 3 &gt; 2"
    assert escape("caf\udce9\n") == "caf\\xe9\\n"
    assert escape("${x}") == "&#36;&#123;x&#125;"
    assert escape("a" * 300, 9) == "aaaa…aaaa"


def test_prose_marks_commands_and_escapes_both() -> None:
    assert prose("Run `index <F>` & wait.") == "Run <code>index &lt;F&gt;</code> &amp; wait."


@pytest.mark.parametrize(
    ("size", "words"),
    [(1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (1_400_000, "1.4 MB"), (250_000_000, "250 MB"),
     (999_999, "1.0 MB"), (3 * 10**15, "3000 TB")],
)  # fmt: skip
def test_file_sizes(size: int, words: str) -> None:
    assert file_size(size, ENGLISH) == words


def test_times() -> None:
    when = datetime(2021, 6, 7, 14, 5)
    assert moment(when, ENGLISH) == "7 June 2021, 14:05"
    assert moment(when, CHINESE) == "2021年6月7日 14:05"
    assert [milliseconds(s, ENGLISH) for s in (0.0004, 0.084, 2.34)] == ["0.4 ms", "84 ms", "2.3 s"]
