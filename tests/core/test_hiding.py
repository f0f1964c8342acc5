"""Nothing that tells where a file lies is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.core.hiding import file_name, hide_paths, without_paths


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Nothing is indexed in the gallery /home/anna/my pictures yet.", "Nothing is indexed in the gallery …"),
        ("'/srv/x' is a file, not a gallery.", "' …"),
        ("There is no file ~/x.", "There is no file …"),
        ("There is no file ~anna/x.", "There is no file …"),
        (r"There is no folder C:\photos of mine.", "There is no folder …"),
        (r"There is no folder \\server\share.", "There is no folder …"),
        ("/a/b cannot be read.", "…"),
        ("gallery=/a/b", "gallery= …"),
        ("(/a/b)", "( …"),
        ("Reading and/or writing 3/4 of a: b c failed.", "Reading and/or writing 3/4 of a: b c failed."),
        ("Run `retrieval index FOLDER` first.", "Run `retrieval index FOLDER` first."),
        ("Run `/usr/bin/x` first.", "Run …"),
        ("", ""),
    ],
)
def test_a_sentence_ends_before_the_first_path(text: str, left: str) -> None:
    assert without_paths(text) == left


def test_values_keep_their_shape_and_lose_their_places() -> None:
    values = {
        "paths": ["/home/anna/a b/1.jpg", "C:\\x\\2.jpg", "plain"],
        "run": {"/home/anna/run": 1.5, "n": None},
        "said": "3 files of /home/anna are missing.",
        "flag": True,
    }
    assert hide_paths(values) == {
        "paths": ["1.jpg", "2.jpg", "plain"],
        "run": {"run": 1.5, "n": None},
        "said": "3 files of …",
        "flag": True,
    }


PARTS = st.lists(st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1), min_size=2)


@given(PARTS, st.sampled_from(["", "Not found: ", "The file "]))
def test_no_folder_of_any_path_is_left(parts: list[str], before: str) -> None:
    folders = ["secret7" + part for part in parts[:-1]]
    path = "/" + "/".join([*folders, "name"])
    assert "secret7" not in str(hide_paths([before + path, {path: path}]))
    assert file_name(path) == "name"
