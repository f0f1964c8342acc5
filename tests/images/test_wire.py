"""Frames, and the checks on what comes out of them."""

import io
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.core.errors import ImageError, Reason
from retrieval.core.types import ImageFacts
from retrieval.images import wire


class Trickle(io.RawIOBase):
    """A pipe that takes and gives a few bytes at a time."""

    def __init__(self, data=b"", step=3):
        self.data = bytearray(data)
        self.step = step

    def write(self, buffer):
        taken = bytes(buffer[: self.step])
        self.data += taken
        return len(taken)

    def readinto(self, buffer):
        count = min(self.step, len(buffer), len(self.data))
        buffer[:count] = self.data[:count]
        del self.data[:count]
        return count


def frame(header, payload=b""):
    pipe = Trickle()
    wire.write_frame(pipe, header, payload)
    return bytes(pipe.data)


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.booleans())), st.binary())
def test_frames_arrive_as_they_were_sent(header, payload):
    pipe = Trickle(frame(header, payload) + frame({"next": 1}))
    assert wire.read_frame(pipe, 10_000) == (header, bytearray(payload))
    assert wire.read_frame(pipe, 0) == ({"next": 1}, bytearray())
    with pytest.raises(wire.ConnectionEnded):
        wire.read_frame(pipe, 0)


def test_a_frame_that_breaks_off():
    whole = frame({"a": 1}, b"payload")
    for length in range(len(whole)):
        with pytest.raises(wire.ConnectionEnded):
            wire.read_frame(Trickle(whole[:length]), 100)


@pytest.mark.parametrize(
    "data",
    [
        frame({}, b"x" * 101),
        b"\xff" * 12 + b"x" * 50,
        b"\0\0\0\4" + b"\0" * 8 + b"{]}{",
        b"\0\0\0\2" + b"\0" * 8 + b"[]",
        b"\0\0\0\2" + b"\0" * 8 + b"\xff\xfe",
        b"\0\0\xc3\x50" + b"\0" * 8 + b"[" * 50_000,
        b"\0\0\0\1" + b"\x7f" + b"\xff" * 7 + b"1",
    ],
)
def test_bad_frames(data):
    with pytest.raises(wire.BadFrame):
        wire.read_frame(Trickle(data, step=4096), 100)


def test_a_reader_that_is_gone():
    class Broken(io.RawIOBase):
        def write(self, buffer):
            raise BrokenPipeError

    with pytest.raises(wire.ConnectionEnded):
        wire.write_frame(Broken(), {})


def test_errors_survive_the_way():
    for reason in Reason:
        found = wire.unpack_error(wire.pack_error(ImageError(reason, "what", "do this")))
        assert (found.reason, found.message, found.hint) == (reason, "what", "do this")
    long = wire.unpack_error(wire.pack_error(ImageError(Reason.CORRUPT, "x" * 5000, "y" * 5000)))
    assert len(long.message) == 1000


@pytest.mark.parametrize(
    "value",
    [
        None,
        "corrupt",
        {},
        {"reason": "corrupt", "message": "m"},
        {"reason": "nonsense", "message": "m", "hint": "h"},
        {"reason": "corrupt", "message": 1, "hint": "h"},
        {"reason": "corrupt", "message": "m" * 1001, "hint": "h"},
        {"reason": ["corrupt"], "message": "m", "hint": "h"},
    ],
)
def test_bad_errors(value):
    with pytest.raises(wire.BadFrame):
        wire.unpack_error(value)


def test_a_strangers_words_are_made_safe_to_show():
    found = wire.unpack_error({"reason": "corrupt", "message": "a\n\x1b[31m", "hint": "\r"})
    assert "\n" not in str(found)
    assert "\x1b" not in str(found)
    assert "\r" not in str(found)


FACTS = ImageFacts(bytes(range(32)), 10, 3, 4, "JPEG", datetime(2020, 1, 2, 3, 4, 5), -(2**63))


def test_facts_survive_the_way():
    assert wire.unpack_facts(wire.pack_facts(FACTS)) == FACTS


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "00"}, {"digest": None}, {"digest": "zz" * 32}, {"bytes": -1}, {"bytes": "1"}, {"bytes": True},
        {"width": 0}, {"height": 1.5}, {"width": 2**63}, {"format": ""}, {"format": "x" * 33}, {"format": "a\n"},
        {"format": None}, {"captured": "yesterday"}, {"captured": 7}, {"phash": -(2**63) - 1}, {"phash": 2**63},
        {"phash": None},
    ],
    ids=str,
)  # fmt: skip
def test_bad_facts(change):
    with pytest.raises(wire.BadFrame):
        wire.unpack_facts({**wire.pack_facts(FACTS), **change})


@pytest.mark.parametrize("value", [None, "facts", [], {}])
def test_facts_of_another_shape(value):
    with pytest.raises(wire.BadFrame):
        wire.unpack_facts(value)
