"""What the library answers: over a real gallery, with jobs that are only noted."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from retrieval.core.errors import Reason
from retrieval.workflows.duplicates import Copy, Duplicates, keep_groups
from retrieval.workflows.folders import Completion
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.jobs import Job, Jobs, State
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.jobs.requests import (
    BackupJob,
    CheckJob,
    DuplicatesJob,
    IndexJob,
    JobRequest,
    LabelCheckJob,
    RetryJob,
)
from retrieval.workflows.layout import PARTS
from retrieval.workflows.models import STRONGER
from retrieval.workflows.upkeep import list_roots
from retrieval.workflows.watching import Watch, watch_of
from tests.ui.drawing import draw_folder
from tests.ui.library_pieces import ROOT, library_pieces
from tests.ui.tree import Tree
from tests.ui.twins import SearcherTwin
from ui.addresses import Addresses
from ui.library import folder_cards
from ui.library.library import FOLDER, OWN, Library
from ui.library.routes import library_routes
from ui.shell.site import Site
from ui.words import ENGLISH


class JobsTwin(Jobs):
    """Notes what it is asked for; ``known`` is what it has."""

    def __init__(self, gallery: Path) -> None:
        super().__init__(gallery)
        self.asked: list[JobRequest] = []
        self.known: list[Job] = []

    def list(self) -> list[Job]:
        return self.known

    def submit(self, request: JobRequest, *, resumes: int | None = None) -> Job:
        self.asked.append(request)
        return Job(1, request.kind, request.to_dict(), State.QUEUED)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Path]:
    """(gallery, photos), with a file that could not be read."""
    base = tmp_path_factory.mktemp("library")
    draw_folder(base / "photos")
    (base / "photos" / "bad.jpg").write_bytes(b"")
    index_paths(base / "gallery", [base / "photos"], model=str(tiny_model), workers=1)
    return base / "gallery", base / "photos"


@pytest.fixture
def library(filled: tuple[Path, Path]) -> Library:
    return library_of(filled[0])


def library_of(gallery: Path, *, may_write: bool = True) -> Library:
    site = Site("0", SearcherTwin(), Addresses("1"), 1000, gallery, JobsTwin(gallery), may_write)
    return Library(site, ENGLISH)


def asked(library: Library) -> list[JobRequest]:
    jobs = library._site.jobs
    assert isinstance(jobs, JobsTwin)
    return jobs.asked


def test_the_pieces_are_whole_and_every_failure_has_words() -> None:
    for html in library_pieces(ENGLISH, Addresses("1")).values():
        assert Tree(html).tags
    assert set(ENGLISH.library.reasons) == {reason.value for reason in Reason}


def test_a_gallery_is_shown_with_its_folders_account_and_failures(library: Library, filled: tuple[Path, Path]) -> None:
    assert str(filled[1]) in library.folders()
    assert ENGLISH.library.account["found"] in library.account()
    assert "bad.jpg" in library.failures()
    assert ENGLISH.library.reasons["empty"] in library.failures("0|empty")
    for odd in ("", "x|y", "-1|", "99999999999999|empty", "٣|"):
        assert "bad.jpg" in library.failures(odd)
    for name in (*PARTS, "catalog", "others", "total"):
        assert ENGLISH.library.parts[name] in library.disk()
    assert "catalog" not in library.disk()


def test_deeds_become_jobs(library: Library, filled: tuple[Path, Path]) -> None:
    for deed in ("scan", "retry", "twins", "doubts", "check", "repair"):
        assert library.do(deed, "").told == ""
    assert library.do("backup", "/backups/a.tar").told == ""
    library.add(str(filled[1]))
    library.add("")
    expected = [IndexJob(), RetryJob(), DuplicatesJob(), LabelCheckJob(), CheckJob(), CheckJob(repair=True)]
    assert asked(library) == [*expected, BackupJob(target="/backups/a.tar"), IndexJob(paths=(str(filled[1]),))]
    assert "not a full path" in library.do("backup", "a.tar").told


def test_a_model_is_one_of_three(library: Library, filled: tuple[Path, Path], tiny_model: Path) -> None:
    photos = str(filled[1])
    wanted = [(OWN, str(tiny_model)), (STRONGER, "x"), ("odd", "x"), (FOLDER, f" {tiny_model} ")]
    assert [library.add(photos, *one).told for one in wanted] == [""] * 4
    models = [one.model for one in asked(library) if isinstance(one, IndexJob)]
    assert models == [None, "auto", None, str(tiny_model)]
    for path in ("", " ", "untrained", "/no/such/folder", str(Path(__file__))):
        assert ENGLISH.library.model_missing in library.add(photos, FOLDER, path).told
    assert len(asked(library)) == 4


@pytest.mark.parametrize("deed", ["", "no such deed", None, 7, "__class__"])
def test_what_is_unknown_does_nothing(library: Library, deed: object) -> None:
    assert library.do(deed, "") == library.do("keep", "")


def test_where_nothing_may_be_changed_nothing_is_and_no_folder_of_the_machine_is_named(
    filled: tuple[Path, Path],
) -> None:
    library = library_of(filled[0], may_write=False)
    root = str(list_roots(filled[0])[0].id)
    for deed in library._deeds:
        library.do(deed, root if deed == "remove" else "on")
    library.add(str(filled[1]))
    assert asked(library) == []
    assert len(list_roots(filled[0])) == 1
    assert watch_of(filled[0]) == Watch()
    assert library.choices("/") == ""
    assert library.look("/") == ("", "")
    # What nobody has looked for, and what the server does not do, is not spoken of.
    assert (library.watch(), library.twins(), library.doubts()) == ("", "", "")
    for html in (library.folders(), library.failures()):
        assert not {tag["data-do"] for _, tag in Tree(html).tags if "data-do" in tag} - {"failures"}


def test_removing_asks_first_and_says_what_is_forgotten(tmp_path: Path, tiny_model: Path) -> None:
    draw_folder(tmp_path / "photos")
    index_paths(tmp_path / "gallery", [tmp_path / "photos"], model=str(tiny_model), workers=1)
    library = library_of(tmp_path / "gallery")
    (root,) = list_roots(tmp_path / "gallery")
    question = library.do("ask-remove", str(root.id))
    assert "No picture is deleted" in question.ask
    assert str(root.present) in question.ask
    assert len(list_roots(tmp_path / "gallery")) == 1
    files = sorted((tmp_path / "photos").rglob("*"))
    assert str(root.present) in library.do("remove", str(root.id)).told
    assert list_roots(tmp_path / "gallery") == []
    assert sorted((tmp_path / "photos").rglob("*")) == files
    assert "not in the gallery any more" in library.do("remove", str(root.id)).told
    # Then it is as for a newcomer.
    assert ENGLISH.library.first_text in library.invitation()
    assert library.folders() == library.watch() == library.disk() == ""


def test_watching_is_switched_and_kept(tmp_path: Path) -> None:
    library = library_of(tmp_path)
    library.do("watch", "on")
    library.do("period", "60")
    assert watch_of(tmp_path) == Watch(True, 60)
    assert "error" in library.do("period", "7").told
    assert "error" in library.do("period", "x").told
    library.do("watch", "off")
    assert watch_of(tmp_path) == Watch(False, 60)


def test_jobs_are_told_until_they_are_over_and_quiet_ones_not_at_all(library: Library) -> None:
    jobs = library._site.jobs
    assert isinstance(jobs, JobsTwin)
    job = Job(3, "index", {}, State.RUNNING, ended=None)
    jobs.known = [job]
    assert library.work().running == 3
    assert ENGLISH.jobs.kinds["index"] in library.work().html
    jobs.known = [replace(job, state=State.DONE, ended=1e12, result={"new": 2})]
    assert (library.work().running, library.work().over) == (0, 3)
    assert ENGLISH.library.to_search in library.work().html
    jobs.known = [replace(job, state=State.DONE, ended=1e12, request={"quiet": True})]
    assert library.work().html == ""
    jobs.known = [replace(job, state=State.DONE, ended=1.0)]
    assert library.work().html == ""


def test_names_are_escaped_and_those_that_are_no_text_are_not_offered() -> None:
    evil = "/<img src=x onerror=alert(1)>{{7*7}}"
    html = folder_cards.render_folders([replace(ROOT, path=evil)], ENGLISH, may_write=True)
    assert "<img" not in html
    assert "{{" not in html
    offered = folder_cards.render_choices(Completion(("/a/caf\udce9", '/a/"b"')), "/a/", ENGLISH)
    values = [tag["value"] for _, tag in Tree(offered).tags if tag.get("data-do") == "choose"]
    assert values == ["/", '/a/"b"']


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tuple[TestClient, Callable[..., JobFolder]]]:
    app = FastAPI()
    app.include_router(library_routes(Jobs(tmp_path)))

    def job(number: int, kind: str, **values: object) -> JobFolder:
        folder = JobFolder(tmp_path / ".jobs" / str(number))
        folder.path.mkdir(parents=True)
        request = {"target": "/x"} if kind == "backup" else {}
        folder.write("request.json", {"kind": kind, "request": request, "created": 1.0})
        folder.write("state.json", {"state": "done", **values})
        return folder

    with TestClient(app) as client:
        yield client, job


def test_a_list_of_duplicates_is_given_as_a_table(client: tuple[TestClient, Callable[..., JobFolder]]) -> None:
    copy = Copy(7, "/a/1.png", 40, 30, 5, "", False)
    folder = client[1](3, "duplicates")
    keep_groups(Duplicates(9, ((copy, replace(copy, path="/a/2.png")),), 0, 1.0), folder.duplicates)
    answer = client[0].get("/library/duplicates/3.csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["path"] for row in rows] == ["/a/1.png", "/a/2.png"]
    assert "attachment" in answer.headers["content-disposition"]
    client[1](4, "index")
    for number in (1, 4):
        assert client[0].get(f"/library/duplicates/{number}.csv").status_code == 404


def test_only_the_file_that_a_backup_made_is_given(
    client: tuple[TestClient, Callable[..., JobFolder]], tmp_path: Path
) -> None:
    made = tmp_path / "b.tar"
    made.write_bytes(b"12345")
    client[1](1, "backup", result={"file": str(made), "bytes": 5})
    client[1](2, "check", result={"file": str(made), "bytes": 5})
    client[1](3, "backup", result={"file": "/no/such", "bytes": 5})
    failed = client[1](4, "backup", result={"file": str(made), "bytes": 5})
    failed.change_state(state="failed")
    assert client[0].get("/library/backup/1").content == b"12345"
    assert [client[0].get(f"/library/backup/{n}").status_code for n in (2, 3, 4, 5)] == [404] * 4
    # Another file has taken its place.
    made.write_bytes(b"123456")
    assert client[0].get("/library/backup/1").status_code == 404
    made.unlink()
    secret = tmp_path / "secret"
    secret.write_bytes(b"12345")
    made.symlink_to(secret)
    assert client[0].get("/library/backup/1").status_code == 404
    assert json.loads(client[0].get("/library/backup/1").content)["error"]
