"""The pipeline from files to vectors, with decoders and an encoder that are told what to do."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import ImageError, Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Pixels, Vectors
from retrieval.embedding import Embedded, embed_files
from retrieval.embedding.stream import SPARE
from retrieval.images.jobs import FileResult, ReadFile
from retrieval.images.pool import DecodePool

SPEC = Preprocessing(input_size=2)
BAD, KNOWN = 3, 5
"""Items that are multiples of these cannot be decoded, or are known."""


def pixels_of(item: int) -> Pixels:
    return np.array([item % 256, item // 256, 7], np.uint8) * np.ones((2, 2, 1), np.uint8)


def result_of(item: int, odd: bool) -> FileResult:
    if odd and item % BAD == 0:
        return FileResult(size=item, error=ImageError(Reason.CORRUPT, f"bad {item}"))
    if odd and item % KNOWN == 0:
        return FileResult(size=item, digest=b"known")
    return FileResult(size=item, digest=b"new", pixels=pixels_of(item))


def job(item: int) -> ReadFile:
    return ReadFile(b"%d" % item, SPEC)


@dataclass
class Pool:
    """In place of a ``DecodePool``: threads, which finish in an order of their own."""

    workers: int
    odd: bool = True
    delay: dict[int, float] = field(default_factory=dict)
    broken: BaseException | None = None
    submitted: int = 0

    def __post_init__(self) -> None:
        self.threads = ThreadPoolExecutor(self.workers, thread_name_prefix="fake-decoder")

    def submit(self, job: ReadFile) -> "Future[FileResult]":
        self.submitted += 1
        return self.threads.submit(self._run, int(job.path))

    def _run(self, item: int) -> FileResult:
        time.sleep(self.delay.get(item, 0))
        if self.broken is not None and item == 10:
            raise self.broken
        return result_of(item, self.odd)

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.shutdown(cancel_futures=True)


@dataclass
class Encoder:
    """Embeds to the first pixel's values; remembers how it was called."""

    batch: int = 4
    parallel_calls: int = 2
    error: BaseException | None = None
    seconds: float = 0
    gate: threading.Event | None = None
    sizes: list[int] = field(default_factory=list)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def embed(self, pixels: Pixels) -> Vectors:
        with self.lock:
            self.sizes.append(len(pixels))
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                assert self.gate.wait(10)
            time.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return pixels[:, 0, 0].astype(np.float32)
        finally:
            with self.lock:
                self.running -= 1


def run(items: Any, pool: Pool, encoder: Encoder) -> Iterator[Embedded[int]]:
    return embed_files(items, job, cast(DecodePool, pool), encoder, workers=pool.workers)


def agrees(found: Embedded[int], odd: bool = True) -> None:
    expected = result_of(found.item, odd)
    assert found.file.size == found.item
    assert (found.file.error is None) == (expected.error is None)
    if expected.pixels is None:
        assert found.vector is None
    else:
        assert found.vector is not None
        assert found.vector.tolist() == [found.item % 256, found.item // 256, 7]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 60),
    batch=st.integers(1, 9),
    parallel=st.integers(1, 3),
    workers=st.integers(1, 4),
    slow=st.dictionaries(st.integers(0, 60), st.sampled_from([0.001, 0.01]), max_size=5),
)
def test_every_item_comes_out_once_with_its_own_result(
    count: int, batch: int, parallel: int, workers: int, slow: dict[int, float]
) -> None:
    encoder = Encoder(batch, parallel)
    with Pool(workers, delay=slow) as pool:
        found = list(run(range(count), pool, encoder))
    assert sorted(one.item for one in found) == list(range(count))
    for one in found:
        agrees(one)
    good = sum(result_of(item, True).pixels is not None for item in range(count))
    # No picture is embedded twice, all batches but the last are full, no more run at once than was asked for.
    assert sum(encoder.sizes) == good
    assert sorted(encoder.sizes, reverse=True)[: good // batch] == [batch] * (good // batch)
    assert len(encoder.sizes) == -(-good // batch)
    assert encoder.most <= parallel


def test_results_do_not_depend_on_the_order_of_the_items() -> None:
    def vectors(items: list[int]) -> dict[int, list[float] | None]:
        with Pool(2) as pool:
            return {o.item: None if o.vector is None else o.vector.tolist() for o in run(items, pool, Encoder())}

    items = list(range(50))
    shuffled = np.random.default_rng(0).permutation(items).tolist()
    assert vectors(items) == vectors(shuffled) == vectors(items[::-1])


def test_the_same_item_given_twice_comes_out_twice() -> None:
    with Pool(2, odd=False) as pool:
        assert sorted(o.item for o in run([7, 7, 8], pool, Encoder())) == [7, 7, 8]


@pytest.mark.parametrize(("batch", "parallel", "workers"), [(4, 1, 1), (4, 2, 3), (1, 1, 1), (9, 3, 4)])
def test_no_more_is_under_way_than_is_said(batch: int, parallel: int, workers: int) -> None:
    """With the encoder at a standstill, items are taken up to the bound and not beyond."""
    bound, taken = (parallel + SPARE + 1) * batch + 2 * workers, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(10 * bound):
            taken = item + 1
            yield item

    encoder = Encoder(batch, parallel, gate=threading.Event())
    assert encoder.gate is not None
    with Pool(workers, odd=False) as pool:
        flow = run(items(), pool, encoder)
        assert taken == 0
        first: list[Embedded[int]] = []
        thread = threading.Thread(target=lambda: first.append(next(flow)))
        thread.start()
        deadline = time.monotonic() + 5
        while (taken < bound or encoder.running < parallel) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        assert taken == pool.submitted == bound
        assert encoder.running == parallel
        encoder.gate.set()
        thread.join()
        done = len(first)
        for _ in flow:
            done += 1
            # What was handed out is not under way any more, nor what was finished together with it.
            assert taken <= done + bound + batch
    assert done == 10 * bound


def test_items_are_taken_only_as_results_are_asked_for() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    encoder = Encoder(4, 1)
    with Pool(1, odd=False) as pool:
        flow = run(endless(), pool, encoder)
        for _ in range(20):
            next(flow)
        assert taken <= 20 + (1 + SPARE + 1) * 4 + 2 + 4
        flow.close()  # type: ignore[attr-defined]


def test_one_slow_file_holds_up_nobody() -> None:
    with Pool(2, odd=False, delay={0: 0.5}) as pool:
        order = [o.item for o in run(range(40), pool, Encoder(4, 1))]
    assert sorted(order) == list(range(40))
    assert order.index(0) >= 36


def test_a_failure_is_handed_out_while_the_encoder_is_busy() -> None:
    """Also where only failures are left: they must not wait for a batch to fill."""
    encoder = Encoder(batch=100, parallel_calls=1)
    with Pool(1) as pool:
        assert [o.item for o in run([3, 6, 9], pool, encoder)] == [3, 6, 9]
    assert encoder.sizes == []


def test_a_small_last_batch_is_embedded() -> None:
    encoder = Encoder(batch=4, parallel_calls=1)
    with Pool(1, odd=False) as pool:
        assert len(list(run(range(6), pool, encoder))) == 6
    assert encoder.sizes == [4, 2]


def test_no_items_are_no_results() -> None:
    encoder = Encoder()
    with Pool(1) as pool:
        assert list(run([], pool, encoder)) == []
    assert (encoder.sizes, pool.submitted) == ([], 0)


def encode_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("encode")]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("where", ["encoder", "decoder", "items", "job", "shape"])
def test_an_error_reaches_the_caller_and_ends_everything(where: str) -> None:
    encoder = Encoder(4, 2, error=MemoryError("out") if where == "encoder" else None)
    broken = RuntimeError("out") if where == "decoder" else None

    def items() -> Iterator[int]:
        for item in range(1000):
            if where == "items" and item == 20:
                raise LookupError("out")
            yield item

    def job_or_error(item: int) -> ReadFile:
        if where == "job" and item == 20:
            raise LookupError("out")
        return job(item)

    if where == "shape":
        encoder.embed = lambda pixels: np.zeros((len(pixels) - 1, 3), np.float32)  # type: ignore[method-assign]
    kinds = {"encoder": MemoryError, "decoder": RuntimeError, "shape": ValueError}
    with Pool(2, odd=False, broken=broken) as pool:
        flow = embed_files(items(), job_or_error, cast(DecodePool, pool), encoder, workers=2)
        with pytest.raises(kinds.get(where, LookupError), match=r"out|zip"):
            list(flow)
        assert encode_threads() == []
        assert list(flow) == []


def test_encoding_goes_on_while_the_caller_does_something_else() -> None:
    """Five batches without the caller, who may be writing to a slow disk: the one under way and four that wait."""
    encoder = Encoder(4, 1, seconds=0.05)
    with Pool(2, odd=False) as pool:
        flow = run(range(100), pool, encoder)
        next(flow)
        deadline = time.monotonic() + 5
        while len(encoder.sizes) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(encoder.sizes) >= 6
        assert len(list(flow)) == 99


@pytest.mark.timeout(20)
def test_closing_early_leaves_no_thread_and_begins_no_further_batch() -> None:
    """One batch is done, one is being embedded, others wait for a thread: they are dropped."""
    gate = threading.Event()

    @dataclass
    class Halting(Encoder):
        def embed(self, pixels: Pixels) -> Vectors:
            vectors = super().embed(pixels)
            if len(self.sizes) == 1:
                # Meanwhile the decoder gets ahead.
                time.sleep(0.2)
            else:
                assert gate.wait(10)
            return vectors

    encoder = Halting(batch=1, parallel_calls=1)
    with Pool(1, odd=False) as pool:
        flow = run(range(1000), pool, encoder)
        next(flow)
        deadline = time.monotonic() + 5
        while len(encoder.sizes) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert encode_threads()
        threading.Timer(0.2, gate.set).start()
        flow.close()  # type: ignore[attr-defined]
        assert encode_threads() == []
        assert encoder.sizes == [1, 1]
        assert pool.submitted <= 20


@pytest.mark.timeout(20)
def test_a_flow_that_was_never_begun_starts_nothing() -> None:
    with Pool(1) as pool:
        flow = run(range(10), pool, Encoder())
        flow.close()  # type: ignore[attr-defined]
        assert (pool.submitted, encode_threads()) == (0, [])
