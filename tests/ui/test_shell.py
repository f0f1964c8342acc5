"""The frame around every page, the language it is in, and how a page joins."""

import re
from collections.abc import Iterator
from dataclasses import replace

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from retrieval.core.errors import GalleryDamaged
from retrieval.workflows.results import Summary
from tests.ui.tree import Tree
from tests.ui.twins import SUMMARY, SearcherTwin, ViewsTwin
from ui.addresses import Addresses
from ui.app import create_app
from ui.pages import PAGES
from ui.shell.frame import render_state
from ui.shell.page import Page
from ui.shell.site import Site
from ui.words import CHINESE, ENGLISH, LANGUAGES, Words

LIBRARY = Page(
    lambda words: words.shell.library, "library", lambda _site, words, _blocks: gr.Markdown(f"{words.code}: shelves")
)


def site(searcher: SearcherTwin) -> Site:
    return Site("Retrieval", searcher, Addresses("v1"), 1000)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    gallery = tmp_path_factory.mktemp("gallery")
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=gallery, hosts={"testserver"}, pages=(PAGES[0], LIBRARY))
    with TestClient(app) as client:
        yield client


def frame_of(document: str) -> Tree:
    """The header of a document."""
    found = re.search(r'<header id="shell">.*?</header>', document, re.DOTALL)
    assert found
    return Tree(found[0])


def test_every_page_has_an_address_and_says_where_one_is(client: TestClient) -> None:
    for address, name in (("/", "Search"), ("/library", "Library")):
        document = client.get(address).text
        links = {
            str(attributes["href"]): attributes for tag, attributes in frame_of(document).tags
            if tag == "a" and "shell-brand" not in str(attributes.get("class"))
        }  # fmt: skip
        assert list(links) == ["./", "./library"]
        current = [href for href, attributes in links.items() if attributes.get("aria-current") == "page"]
        assert current == [f".{address}"]
        assert f"{name}</h1>" in document
    assert "shelves" in client.get("/library").text
    assert "shelves" not in client.get("/").text


def test_a_page_that_needs_a_gallery_is_left_out_without_one() -> None:
    app = create_app(SearcherTwin(), ViewsTwin(), hosts={"testserver"}, pages=(PAGES[0], LIBRARY))
    with TestClient(app) as client:
        assert "library" not in client.get("/").text
        assert client.get("/library").status_code == 404


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        (None, None, "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        (None, "zh-TW", "zh-CN"),
        (None, "en-GB,zh;q=0.9", "en"),
        (None, "de-DE,zh;q=0.5,en;q=0.4", "zh-CN"),
        (None, "zh;q=0, fr", "en"),
        (None, "zh;q=nonsense", "en"),
        ("zh-CN", "en", "zh-CN"),
        ("en", "zh-CN", "en"),
        ("klingon", "zh-CN", "zh-CN"),
        ('"; Path=/', "zh-CN", "zh-CN"),
    ],
)
def test_the_language_is_the_one_chosen_or_else_the_browser_s(
    client: TestClient, cookie: str | None, accepted: str | None, code: str
) -> None:
    headers = {"Accept-Language": accepted or ""} | ({"Cookie": f"language={cookie}"} if cookie else {})
    for address in ("/", "/library"):
        answer = client.get(address, headers=headers)
        assert answer.headers["content-language"] == code
        assert "Cookie" in answer.headers["vary"]
        assert "no-cache" in answer.headers["cache-control"]
        assert f'lang="{code}"' in answer.text
        assert LANGUAGES[code].shell.library in frame_of(answer.text).text
    assert f"{code}: shelves" in client.get("/library", headers=headers).text
    state = client.get("/shell/state", headers=headers).text
    assert LANGUAGES[code].shell.images.of(1234) in state


def test_the_interface_for_programs_is_the_same_in_every_language(client: TestClient) -> None:
    infos = [client.get("/gradio_api/info", headers={"Accept-Language": code}).json() for code in LANGUAGES]
    named = [set(info["named_endpoints"]) for info in infos]
    assert named == [{"/search", "/status", "/labels", "/set_label", "/index", "/jobs"}] * len(LANGUAGES)


def test_an_unknown_address_is_a_page_that_leads_on(client: TestClient) -> None:
    answer = client.get("/nothing-here", headers={"Accept": "text/html", "Accept-Language": "zh"})
    assert answer.status_code == 404
    assert CHINESE.shell.no_page_title in answer.text
    assert CHINESE.shell.library in frame_of(answer.text).text
    assert client.get("/nothing-here").headers["content-type"] == "application/json"


def test_gradio_s_own_files_are_kept_by_browsers(client: TestClient) -> None:
    script = re.search(r'src="\./(assets/[^"]+\.js)"', client.get("/").text)
    assert script
    assert "immutable" in client.get(f"/{script[1]}").headers["cache-control"]
    assert "immutable" not in client.get("/assets/none.js").headers.get("cache-control", "")


def test_what_the_frame_leans_on_is_there_in_gradio_s_document(client: TestClient) -> None:
    document = client.get("/").text
    assert document.count('<header id="shell">') == 1
    assert document.index("<title>Retrieval</title>") < document.index("</head>") < document.index('id="shell"')
    assert document.index("window.gradio_config") < document.index("window.retrievalWords")


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_the_line_about_the_gallery(words: Words) -> None:
    text = Tree(render_state(site(SearcherTwin()), words)).text
    for part in (words.shell.images.of(1234), "mobilenetv2_100", words.shell.exact):
        assert part in text
    assert "faiss-flat" not in text
    assert "faiss-flat" in render_state(site(SearcherTwin()), words)
    large = render_state(site(SearcherTwin(state=replace(SUMMARY, index="faiss-ivf-sq8"))), words)
    assert words.shell.approximate in Tree(large).text
    assert words.shell.untrained_title not in text
    untrained = render_state(site(SearcherTwin(state=replace(SUMMARY, trained=False))), words)
    assert words.shell.untrained_title in Tree(untrained).text
    empty = render_state(site(SearcherTwin(state=replace(SUMMARY, images=0, trained=False))), words)
    assert Tree(empty).text == words.shell.empty


def test_a_gallery_that_cannot_be_read_still_has_pages() -> None:
    class Broken(SearcherTwin):
        def summary(self) -> Summary:
            raise GalleryDamaged("The catalog is damaged.")

    assert ENGLISH.shell.unknown in render_state(site(Broken()), ENGLISH)


def test_a_title_cannot_break_out_of_the_frame() -> None:
    app = create_app(SearcherTwin(), ViewsTwin(), hosts={"testserver"}, title='</script><b>"&')
    with TestClient(app) as client:
        document = client.get("/").text
    assert "<b>" not in document
    frame_of(document)
