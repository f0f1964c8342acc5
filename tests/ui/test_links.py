"""A link is the search it was made of; anything else that stands in an address is none."""

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from retrieval.core.types import FileRecord, ImageRecord, Region
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.app import create_app
from ui.asking import Asked, Nonsense, Picture
from ui.links import link_of, read_link
from ui.options import Options

KEY = "ab" * 32

shares = st.floats(0, 0.4)
regions = st.none() | st.builds(lambda a, b, c, d: Region(a, b, a + c + 0.1, b + d + 0.1), *[shares] * 4)
numbers = st.integers(1, 2**63 - 1)
pictures = st.builds(lambda n, r: Picture(n, None, r), numbers, regions) | st.builds(
    lambda r: Picture(None, None, r, KEY), regions
)
searches = st.builds(
    Asked,
    st.lists(pictures, min_size=1, max_size=4).map(tuple),
    st.lists(pictures, max_size=3).map(tuple),
    # Yes stands before no in a link; their order among each other means nothing.
    st.dictionaries(numbers, st.booleans(), max_size=4).map(lambda d: tuple(sorted(d.items(), key=lambda p: not p[1]))),
    st.integers(0, 99),
)
texts = st.text("aB &=?#+%/é猫", max_size=6).map(str.strip)
labels = st.lists(st.text("aB &=?#+%é", min_size=1, max_size=6).filter(str.strip), max_size=3)
settings = st.builds(
    Options,
    k=st.integers(1, 100),
    labels=labels,
    not_labels=labels,
    under=texts,
    min_score=st.sampled_from([0.0, 0.05, 0.6]),
    after=texts,
    before=texts,
    min_side=st.none() | st.integers(1, 9000).map(float),
    max_side=st.none() | st.integers(1, 9000).map(float),
    min_size=texts,
    max_size=texts,
)


@given(searches, settings)
def test_a_link_gives_the_search_back(asked: Asked, options: Options) -> None:
    again, read = read_link(link_of(asked, options))
    assert again == asked
    assert read == options


def test_an_upload_that_is_not_known_by_its_content_has_no_link() -> None:
    assert link_of(Asked((Picture(file="/a.jpg"),)), Options()) == ""
    assert link_of(Asked((Picture(file="/a.jpg", key=KEY),)), Options()) == f"?like=q{KEY}"


@pytest.mark.parametrize(
    "query",
    [
        None, 7, "", "?", "?like=", "?like=0", "?like=-1", "?like=x", "?like=q123", "?like=1@", "?like=1@0,0,0,0",
        "?like=1@nan,0,1,1", "?like=1&k=x", "?like=1&k=nan", "?like=1&k=-1", "?like=1&k=inf", "?like=1&page=-1",
        "?like=1&yes=x", "?like=" + "9" * 9000, "?" + "&".join(["like=1"] * 800),
    ],
)  # fmt: skip
def test_anything_else_is_no_search(query: object) -> None:
    with pytest.raises(Nonsense):
        read_link(query)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    searcher = SearcherTwin()
    searcher.remember(b"photo")
    app = create_app(searcher, ViewsTwin(), gallery=tmp_path_factory.mktemp("gallery"), hosts=None)
    return TestClient(app, headers={"host": "localhost"})


def test_results_are_taken_away_as_a_table_and_as_copies(client: TestClient) -> None:
    table = client.get("/export.csv?like=5")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="results.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    archive = zipfile.ZipFile(io.BytesIO(client.get("/export.zip?like=5").content))
    # The pictures of the twin are not there.
    assert archive.namelist() == ["results.csv", "left-out.txt"]
    assert client.get("/export.csv?like=x").status_code == 400
    assert client.get("/export.csv?like=1&after=soon").status_code == 422


def test_copies_are_found_and_no_path_is_told_where_paths_are_hidden(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"the original")

    class Stored(SearcherTwin):
        def record(self, image_id: int) -> ImageRecord:
            found = super().record(image_id)
            there = FileRecord(str(tmp_path / ("a.jpg" if image_id == 1 else "gone.jpg")), "present", False)
            return replace(found, files=(there,))

    app = create_app(Stored(), ViewsTwin(), hosts=None, hide_paths=True)
    answer = TestClient(app).get("/export.zip?like=5", headers={"host": "localhost"})
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["0001-1-apple_1.jpg", "results.csv", "left-out.txt"]
    assert archive.read("0001-1-apple_1.jpg") == b"the original"
    written = b"".join(map(archive.read, archive.namelist()))
    assert archive.read("left-out.txt").splitlines() == [b"apple 1.jpg"] * 2
    assert b"fruit" not in written
    assert tmp_path.name.encode() not in written


def test_a_kept_photo_is_given_by_its_key_only(client: TestClient) -> None:
    import hashlib

    kept = client.get(f"/queries/{hashlib.sha256(b'photo').hexdigest()}")
    assert (kept.status_code, kept.headers["content-type"]) == (200, "image/jpeg")
    assert kept.headers["cache-control"] == "private, no-store"
    for key in ("0" * 64, "..%2Fcatalog", "x"):
        assert client.get(f"/queries/{key}").status_code == 404
