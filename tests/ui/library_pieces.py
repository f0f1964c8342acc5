"""Every piece of the library page's HTML, of data without letters, so that every letter is from the tables."""

from dataclasses import replace

from retrieval.catalog.files import FailedFile
from retrieval.workflows.duplicates import Copy
from retrieval.workflows.folders import Completion, FolderLook
from retrieval.workflows.jobs import KINDS, Failure, Job, JobProgress, State
from retrieval.workflows.label_check import Doubt, LabelCheck, Outlier
from retrieval.workflows.labelling import Tile
from retrieval.workflows.last_run import LastRun
from retrieval.workflows.upkeep import FailurePage, RootStatus
from retrieval.workflows.watching import Watch
from ui.addresses import Addresses
from ui.library import account_cards, care_cards, doubt_cards, folder_cards, work_cards
from ui.words import Words

LOOK = FolderLook("/1", 9, 5, 2, 1000, 100.0, 10_000, 900, False)
ROOT = RootStatus(3, "/1/2", True, "", True, 5, 1, 2, 1e9)
ROOTS = [ROOT, replace(ROOT, online=False, scanned=None), replace(ROOT, whole=False)]
REPORT = dict.fromkeys((*account_cards.PARTS, *account_cards.BESIDE, "found"), 7)
FAILED = FailurePage({"empty": 41}, [FailedFile(1, b"2", "/1/2", "empty", "3", "4")], 20, 41)
COPY = Copy(7, "/1/2.3", 40, 30, 2000, "2021-06-07T14:05:00", False)
JOB = Job(3, "index", {}, State.RUNNING, JobProgress("Indexing", 5, 9, "image", 2, 1.0, 100.0))
DOUBTS = tuple(Doubt(n, "/1/2", "3", "4", 0.9, 0.8) for n in range(1, 14))
FOUND = LabelCheck(DOUBTS, 20, 100, 0.9, tuple(Outlier(n, "/1/2", 0.1) for n in range(20, 40)), 100, 200)
TILES = {n: Tile(n, f"{n}.5", ("3",), None, n == 2) for n in range(1, 35)}


def library_pieces(words: Words, addresses: Addresses) -> dict[str, str]:
    """Each piece by its name."""
    states = {
        "waits": replace(JOB, state=State.QUEUED),
        "begins": replace(JOB, progress=None),
        "stops": replace(JOB, cancelling=True),
        "blocked": replace(JOB, progress=JobProgress(work_cards.WAITS)),
    }
    ends = {
        "done": replace(JOB, state=State.DONE, result={"new": 3}),
        "idle": replace(JOB, state=State.DONE, result={}),
        "cancelled": replace(JOB, state=State.CANCELLED),
        "lost": replace(JOB, state=State.LOST),
        "bug": replace(JOB, state=State.FAILED, error=Failure("unexpected", "1")),
        "full": replace(JOB, state=State.FAILED, error=Failure("disk_full", "1", "2")),
    }
    checked = doubt_cards.Checked(replace(JOB, ended=1e9), FOUND, DOUBTS, TILES)
    nobody = replace(checked, found=replace(FOUND, doubts=(), doubted=0, outliers=()), open=())
    turned = doubt_cards.Turned()
    groups = [[COPY, replace(COPY, captured="", offline=True)]] * 11
    many = [f"/{n}" for n in range(12)]
    return {
        "invitation": folder_cards.render_invitation(words, is_first=True),
        "another": folder_cards.render_invitation(words, is_first=False),
        "choices": folder_cards.render_choices(Completion(("/1/2", "/1/3"), True), "/1", words),
        "looking": folder_cards.render_looking(words),
        "look": folder_cards.render_look(LOOK, words),
        "nothing": folder_cards.render_look(replace(LOOK, to_read=0, whole=True, seconds=None, disk=0), words),
        "folders": folder_cards.render_folders(ROOTS, words, may_write=True),
        "ask remove": folder_cards.render_ask_remove(ROOT, words),
        "ask prune": folder_cards.render_ask_prune(many, words),
        "account": account_cards.render_account(LastRun(1e9, REPORT), words),
        "failures": account_cards.render_failures(FAILED, "empty", words, may_write=True),
        "watch": care_cards.render_watch(Watch(True), words),
        "twins": care_cards.render_twins(JOB, groups, 10, addresses, words, may_write=True),
        "no twins": care_cards.render_twins(JOB, [], 0, addresses, words, may_write=True),
        "doubts": doubt_cards.render_doubts(checked, turned, addresses, words, may_write=True),
        "doubts answered": doubt_cards.render_doubts(
            replace(checked, open=()), turned, addresses, words, may_write=True
        ),
        "no doubts": doubt_cards.render_doubts(nobody, turned, addresses, words, may_write=True),
        "doubts, too few": doubt_cards.render_doubts(None, turned, addresses, words, may_write=True, enough=False),
        "doubts to come": doubt_cards.render_doubts(None, turned, addresses, words, may_write=True),
        "disk": care_cards.render_disk(dict.fromkeys(words.library.parts, 2000), words),
        "backup": care_cards.render_backup({"file": "/1.2", "bytes": 3000}, 3, words),
        "well": care_cards.render_check({"problems": []}, words, may_write=True),
        "ill": care_cards.render_check({"problems": ["1"]}, words, may_write=True),
        **{f"running {kind}": work_cards.render_running(replace(JOB, kind=kind), words) for kind in KINDS},
        **{f"running {name}": work_cards.render_running(job, words) for name, job in states.items()},
        **{f"over {name}": work_cards.render_over(job, 5, words) for name, job in ends.items()},
    }
