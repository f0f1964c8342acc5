"""The report's page: what it says, that labels stay text, that it needs nothing but itself, and how it is laid out."""

import base64
import io
import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from retrieval.core.errors import DiskFull
from retrieval.evaluation import report as module
from retrieval.evaluation.calibrate import calibrate
from retrieval.evaluation.comparison import compare
from retrieval.evaluation.pictures import Picture, QuerySection, query_row
from retrieval.evaluation.report import Report, query_rows, render, write_report
from retrieval.evaluation.report_parts import classes
from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.svg import Chart, Series
from tests.conftest import picture
from tests.evaluation.test_comparison import clusters
from tests.ui.conftest import CHROMIUM_FLAGS, chromium

ODD = [
    "<script>alert(1)</script>",
    '" onload="alert(2)',
    "a & b &amp; c",
    "line\nbreak\x00\x1b[31m",
    "bad\udce4bytes",
    "Löwenzahn 蒲公英 🌼",
    "l" * 300,
    "</style></main><img src=https://example.org/x.png>",
    "'single'",
    "",
    "plain",
    "x" * 40,
]
VOID = {"meta", "img", "br"}


class Tree(HTMLParser):
    """Checks that every element is closed in order, and keeps elements and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def jpeg(number):
    buffer = io.BytesIO()
    picture(number).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def full():
    before, after = (retrieve(*clusters(spread), resamples=50) for spread in (1.5, 0.9))
    comparison = compare(before, after, resamples=50)
    measured = calibrate(after)

    def pic(number):
        return Picture(None if number % 5 == 2 else jpeg(number), ODD[number // 6], f"{ODD[number // 6]}/{number}.jpg")

    steps = list(range(50))
    return Report(
        title=ODD[0],
        subtitle=ODD[7],
        facts={ODD[1]: ODD[3], "Data": ODD[4]},
        notes=[ODD[0], ODD[6]],
        comparison=comparison,
        class_names=ODD,
        charts=[
            Chart(ODD[0], ODD[1], ODD[2], [Series(ODD[7], steps, [1 / (1 + s) for s in steps])], ODD[7]),
            Chart("Two", "step", "value", [Series(name, steps, [0.1 * s for s in steps]) for name in (ODD[0], ODD[5])]),
        ],
        reliability=measured.reliability,
        threshold=measured.threshold,
        queries=[QuerySection(ODD[0], ODD[1], query_rows(after.worst(3), {"Before": before, "After": after}, pic))],
        details=[(ODD[0], f"{ODD[0]}\n{ODD[4]}\n\tx = 1")],
    )


def test_it_is_well_formed_and_says_what_was_found(full):
    tree = Tree(render(full))
    text = " ".join(tree.texts)
    change = full.comparison.changes["recall_at_1"]
    assert full.comparison.verdict == "better"
    assert "Better than before" in text
    assert f"{100 * change.before.mean:.1f} %" in text
    assert f"+{100 * change.difference.mean:.1f}" in text
    for name in ("Recall@1", "Recall@10", "R-precision", "MAP@R", "mAP@10", "Precision@1"):
        assert name in text
    assert sum(tag == "tr" for tag, _ in tree.elements) == 1 + len(full.comparison.changes) + 1 + 12
    assert sum(tag == "article" for tag, _ in tree.elements) == 3


def test_labels_stay_text_and_nothing_runs_or_is_fetched(full):
    tree = Tree(render(full))
    assert {tag for tag, _ in tree.elements} & {"script", "link", "iframe", "object", "base", "form"} == set()
    for tag, attributes in tree.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "srcset", "style")]
        if "src" in attributes:
            assert tag == "img"
            assert attributes["src"].startswith("data:image/jpeg;base64,")
    policy = next(a["content"] for tag, a in tree.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    style = module._STYLE.read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style


def test_odd_labels_are_all_there_and_can_be_written(full, tmp_path):
    write_report(tmp_path / "report.html", full)
    page = (tmp_path / "report.html").read_bytes().decode()
    text = " ".join(Tree(page).texts)
    for shown in (
        "<script>alert(1)</script>",
        '" onload="alert(2)',
        "a & b &amp; c",
        "\\x1b",
        "bad\\xe4bytes",
        "蒲公英 🌼",
    ):
        assert shown in text.replace("\\u001b", "\\x1b")
    assert os.listdir(tmp_path) == ["report.html"]


def test_pictures_are_the_bytes_that_were_given(full):
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', render(full))
    assert sources
    assert {base64.b64decode(one) for one in sources} <= {jpeg(number) for number in range(72)}


def test_rows_show_the_matches_in_their_order():
    vectors, numbers = clusters(0.9)
    result = retrieve(vectors, numbers, np.arange(72) + 100, resamples=5)
    seen = []

    def pic(number):
        seen.append(number)
        return Picture(None, f"label {numbers[number - 100]}")

    (row,) = query_rows([7], {"Matches": result}, pic, shown=4)
    assert seen == [*result.matches.ids[7, :4].tolist(), 107]
    (ranking,) = row.rankings
    assert [one.score for one in ranking.pictures] == result.matches.scores[7, :4].tolist()
    assert [one.same for one in ranking.pictures] == result.relevant[7, :4].tolist()
    assert ranking.value == result.values["map_at_r"][7]
    html = query_row(row)
    assert html.count("✓") == result.relevant[7, :4].sum()
    assert html.count("✕") == 4 - result.relevant[7, :4].sum()


def test_queries_and_matches_may_come_from_two_sets():
    vectors, numbers = clusters(0.9, classes=2, each=2)
    result = retrieve(vectors, numbers, resamples=5)
    (row,) = query_rows([0], {"": result}, lambda n: Picture(None, f"q{n}"), lambda n: Picture(None, f"m{n}"))
    assert row.query.label == "q0"
    assert [one.label[0] for one in row.rankings[0].pictures] == ["m"] * 3, "no picture for an empty match"


@pytest.mark.parametrize(
    ("spreads", "verdict", "said"),
    [
        ((0.9, 1.5), "worse", "Worse than before"),
        ((0.9, 0.9), "open", "Not proven better"),
        ((1.5, 0.3), "better", "Better than before"),
    ],
)
def test_the_verdict_is_that_of_the_intervals(spreads, verdict, said):
    comparison = compare(*(retrieve(*clusters(spread), resamples=50) for spread in spreads), resamples=50)
    page = render(Report("title", comparison=comparison, class_names=ODD))
    assert f'class="verdict-card {verdict}"' in page
    assert said in page
    Tree(page)


def test_one_model_alone_and_an_empty_report():
    alone = retrieve(*clusters(0.9), resamples=5)
    page = render(Report("title", result=alone))
    Tree(page)
    assert "What the model finds" in page
    assert 'class="verdict-card' not in page
    Tree(render(Report("title")))
    Tree(render(Report("title", charts=[Chart("t", "x", "y", [])], queries=[QuerySection("q", "", [])])))


def test_classes_are_drawn_by_gain_and_need_names(full):
    changes = full.comparison.classes()
    page = classes(full.comparison, [f"name {n}" for n in range(12)])
    gained = [f"name {change.number}" for change in reversed(changes) if change.difference > 0]
    drawn = re.findall(r'class="what" title="(name \d+)"', page)
    assert drawn[: len(gained)] == gained
    with pytest.raises(ValueError, match="have names"):
        render(replace(full, class_names=ODD[:3]))


def test_a_full_disk_is_said(full, tmp_path, monkeypatch):
    def full_disk(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full_disk)
    with pytest.raises(DiskFull, match="report"):
        write_report(tmp_path / "report.html", full)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; skipped where there is none."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as driver:
        try:
            launched = driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield launched
        launched.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_never_scrolls_sideways_and_fetches_nothing(full, browser, tmp_path, width, scheme):
    write_report(tmp_path / "report.html", full)
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "[...document.querySelectorAll('section, .card, .query, .scroll, .verdict-card, .notes')]"
        ".filter(one => one.getBoundingClientRect().right > innerWidth + 0.5).length"
    )
    assert wide == 0
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 21, 19)"
    assert dark == (scheme == "dark")
    page.close()
