"""Plugins of the workers: further formats, and those that cannot be had."""

import os

import pytest

from retrieval.core.errors import BadValue, Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images import process as process_module
from retrieval.images.jobs import DecodeBytes, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.process import PoolError

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

SPEC = Preprocessing(input_size=48)
QUICK = Limits(seconds=1.0)
posix = pytest.mark.skipif(os.name != "posix", reason="uses POSIX signals or files")


def test_plugins_may_read_further_formats(plugins, write):
    path = write("flat", b"FLAT\x05\x10\xff")
    with DecodePool(1, QUICK, ("flat_format",)) as pool:
        result = pool.run(ReadFile(path, SPEC))
    assert result.error is None
    assert result.facts.format == "FLAT"
    assert (result.facts.width, result.facts.height) == (40, 30)
    assert (result.pixels == (5, 16, 255)).all()
    with DecodePool(1, QUICK) as pool:
        assert pool.run(ReadFile(path, SPEC)).error.reason == Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(("plugin", "words"), [("raises_at_import", "libfancy"), ("no_such_module", "no_such_module")])
def test_a_plugin_that_cannot_be_imported(plugins, plugin, words):
    with DecodePool(2, QUICK, (plugin,)) as pool:
        futures = [pool.submit(DecodeBytes(b"", SPEC)) for _ in range(5)]
        for future in futures:
            with pytest.raises(BadValue, match=words):
                future.result(timeout=30)
        with pytest.raises(BadValue, match="RETRIEVAL_PLUGINS"):
            pool.submit(DecodeBytes(b"", SPEC))


@posix
def test_a_worker_that_dies_at_every_start(plugins):
    with DecodePool(2, QUICK, ("dies_at_import",)) as pool:
        futures = [pool.submit(DecodeBytes(b"", SPEC)) for _ in range(5)]
        for future in futures:
            with pytest.raises(PoolError, match="a library is missing here"):
                future.result(timeout=30)
        with pytest.raises(PoolError, match="3 tries"):
            pool.run(DecodeBytes(b"", SPEC))


def test_a_python_that_cannot_be_started(monkeypatch):
    monkeypatch.setattr(process_module.sys, "executable", "/nowhere/python")
    with DecodePool(1, QUICK) as pool, pytest.raises(PoolError, match="/nowhere/python"):
        pool.run(DecodeBytes(b"", SPEC))
