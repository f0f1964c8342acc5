"""The error tree, its exit codes, and telling a full disk."""

import errno
import pickle
import re
import sqlite3

import pytest

from retrieval.core import errors
from retrieval.core.errors import (
    BadValue,
    DiskFull,
    ImageError,
    Reason,
    RetrievalError,
    disk_full_is_said,
    is_disk_full,
)


def tree(base: type[RetrievalError]) -> list[type[RetrievalError]]:
    """The classes of the module, not the subclasses that other packages make."""
    below = [c for c in base.__subclasses__() if c.__module__ == errors.__name__]
    return [base, *(c for child in below for c in tree(child))]


def documented() -> dict[str, int]:
    rows = re.findall(r"^``(\w+)``\s+(\d+)\s", errors.__doc__ or "", re.MULTILINE)
    return {name: int(code) for name, code in rows}


def test_every_error_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in tree(RetrievalError)]
    assert len(set(codes)) == len(codes)
    # 0 is success, 2 is typer's; a shell has its own meaning for 126 to 128.
    assert not {0, 2, 126, 127, 128} & set(codes)


def test_the_table_in_the_docstring_is_the_tree() -> None:
    assert documented() == {kind.__name__: kind.exit_code for kind in tree(RetrievalError)}


def test_an_error_reads_as_message_and_hint() -> None:
    assert str(BadValue("It is wrong.", "Mend it.")) == "It is wrong. Mend it."
    assert str(BadValue("It is wrong.")) == "It is wrong."


@pytest.mark.parametrize("error", [BadValue("m", "h"), ImageError(Reason.TRUNCATED, "m", "h")])
def test_an_error_survives_the_way_between_processes(error: RetrievalError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert (back.message, back.hint, vars(back)) == ("m", "h", vars(error))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_said(code: int) -> None:
    with pytest.raises(DiskFull, match="while writing the index") as said, disk_full_is_said("the index"):
        raise OSError(code, "whatever")
    assert isinstance(said.value.__cause__, OSError)


def test_a_full_disk_is_recognised_below_other_errors() -> None:
    def chain() -> None:
        try:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as inner:
                raise ValueError("cannot save") from inner
        except ValueError:
            raise RuntimeError("giving up")  # noqa: B904 - the context is the point

    with pytest.raises(DiskFull), disk_full_is_said("it"):
        chain()


def test_a_full_disk_is_recognised_in_sqlites_words() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 3")
    with pytest.raises(DiskFull), disk_full_is_said("the catalog"):
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    connection.close()


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), ValueError("full of beans"), KeyError(errno.ENOSPC)])
def test_other_errors_pass_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as passed, disk_full_is_said("it"):
        raise error
    assert passed.value is error


def test_our_own_errors_pass_even_where_a_full_disk_caused_them() -> None:
    ours = BadValue("no")
    ours.__cause__ = OSError(errno.ENOSPC, "full")
    with pytest.raises(BadValue) as passed, disk_full_is_said("it"):
        raise ours
    assert passed.value is ours


def test_nothing_is_not_a_full_disk() -> None:
    assert not is_disk_full(None)
