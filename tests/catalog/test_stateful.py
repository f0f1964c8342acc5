"""Random work on a folder of real files, against a dictionary of what should be known."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from .support import BAD, World, digest_of

FOLDERS = (b"", b"a", b"ab", b"a/b", b"caf\xe9" if os.name != "nt" else b"cafe")
paths = st.builds(os.path.join, st.sampled_from(FOLDERS), st.sampled_from((b"x", b"y", b"z")))
contents = st.integers(0, 5).map(lambda n: b"content %d" % n) | st.integers(0, 1).map(lambda n: BAD + b"%d" % n)


@functools.cache
def an_empty_gallery() -> Path:
    """Copied for each example: making a catalog takes longer than all else."""
    folder = Path(tempfile.mkdtemp(prefix="retrieval-empty-"))
    atexit.register(shutil.rmtree, folder)
    World(folder).close()
    return folder


class FolderAgainstModel(RuleBasedStateMachine):
    """``files`` is what lies in the folder now, ``indexed`` what lay in it when it was indexed last."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="retrieval-folder-"))
        self.photos = os.fsencode(self.folder / "photos")
        shutil.copytree(an_empty_gallery(), self.folder / "gallery")
        self.world = World(self.folder / "gallery")
        self.root = self.world.root(self.folder / "photos")
        self.files: dict[bytes, bytes] = {}
        self.indexed: dict[bytes, bytes] = {}
        self.ever: set[bytes] = set()
        self.clock = 10**18
        # An index that was opened at some point and follows the feed.
        self.follower: set[int] = set()
        self.follows = 0

    def path(self, name: bytes) -> bytes:
        return os.path.join(self.photos, name)

    def stamp(self, name: bytes) -> None:
        """Every write has a time of its own: what a scan compares is not what is tested here."""
        self.clock += 10**9
        os.utime(self.path(name), ns=(self.clock, self.clock))

    @rule(name=paths, content=contents)
    def write(self, name: bytes, content: bytes) -> None:
        """Creates a file, or edits one."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        Path(os.fsdecode(self.path(name))).write_bytes(content)
        self.stamp(name)
        self.files[name] = content

    @precondition(lambda self: self.files)
    @rule(data=st.data(), goal=paths)
    def rename(self, data: st.DataObject, goal: bytes) -> None:
        source = data.draw(st.sampled_from(sorted(self.files)))
        os.makedirs(os.path.dirname(self.path(goal)), exist_ok=True)
        os.replace(self.path(source), self.path(goal))
        self.files[goal] = self.files.pop(source)

    @precondition(lambda self: len(self.files) > 1)
    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        one, other = data.draw(st.lists(st.sampled_from(sorted(self.files)), min_size=2, max_size=2, unique=True))
        aside = os.path.join(os.fsencode(self.folder), b"aside")
        os.replace(self.path(one), aside)
        os.replace(self.path(other), self.path(one))
        os.replace(aside, self.path(other))
        self.files[one], self.files[other] = self.files[other], self.files[one]

    @precondition(lambda self: self.files)
    @rule(data=st.data(), goal=paths)
    def copy(self, data: st.DataObject, goal: bytes) -> None:
        self.write(goal, self.files[data.draw(st.sampled_from(sorted(self.files)))])

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        os.unlink(self.path(name))
        del self.files[name]

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        self.stamp(data.draw(st.sampled_from(sorted(self.files))))

    @rule(batch=st.sampled_from([1, 2, 100]))
    def index(self, batch: int) -> None:
        self.index_in_batches_of(batch)

    @rule()
    def index_as_usual(self) -> None:
        """Once more, so that it is drawn more often."""
        self.index_in_batches_of(100)

    def index_in_batches_of(self, batch: int) -> None:
        before = len(self.world.embedded)
        unseen = {c for c in self.files.values() if not c.startswith(BAD)} - self.ever
        counts, _ = self.world.index(self.root, batch)
        # Every file is accounted for, once.
        outcomes = (counts.new, counts.changed, counts.moved, counts.copied, counts.unchanged, counts.failed)
        assert sum(outcomes) == len(self.files)
        assert counts.failed == sum(content.startswith(BAD) for content in self.files.values())
        # A content is embedded when it is seen for the first time, and then never again.
        assert counts.embedded == len(unseen)
        assert set(self.world.embedded[before:]) == {digest_of(content) for content in unseen}
        # "New" is a content never seen before, unless a known path changed to it.
        assert len(unseen) - counts.changed <= counts.new <= len(unseen)
        self.ever |= unseen
        self.indexed = dict(self.files)
        self.agrees()

    @rule()
    def prune(self) -> None:
        """Contents that no record holds are forgotten, and would be embedded again."""
        self.world.catalog.files.forget([i for i, _ in self.world.catalog.files.missing()])
        assert self.world.catalog.files.states()["missing"] == 0
        stored = {bytes(d) for (d,) in self.world.sql("SELECT digest FROM images")}  # type: ignore[arg-type]
        self.ever = {content for content in self.ever if digest_of(content) in stored}
        assert {c for c in self.indexed.values() if not c.startswith(BAD)} <= self.ever
        self.agrees()

    @rule()
    def follow(self) -> None:
        """An index that follows the feed is what a new one would be made of."""
        feed = self.world.catalog.spaces.changes_since(self.world.space.id, self.follows)
        assert not set(feed.added.tolist()) & set(feed.removed.tolist())
        self.follower = self.world.replay(self.follows, self.follower)
        self.follows = feed.last
        assert self.follower == set(self.world.findable())

    def agrees(self) -> None:
        """What was present at the last index is found, and the records are the files."""
        good = {content for content in self.indexed.values() if not content.startswith(BAD)}
        assert self.world.contents() == {digest_of(content).hex() for content in good}
        assert self.world.replay(0, ()) == set(self.world.findable())

        states = self.world.catalog.files.states()
        failed = {name for name, content in self.indexed.items() if content.startswith(BAD)}
        assert (states["present"], states["failed"]) == (len(self.indexed) - len(failed), len(failed))
        assert {failure.relpath for failure in self.world.catalog.files.failures()} == failed
        known = self.world.catalog.files.known(self.root.id, list(self.indexed))
        assert known.keys() == self.indexed.keys()
        for record in self.world.catalog.images.records(self.world.findable()).values():
            present = {os.path.relpath(os.fsencode(f.path), self.photos) for f in record.files if f.state == "present"}
            assert present == {n for n, c in self.indexed.items() if digest_of(c).hex() == record.digest}
            folders = {Path(f.path).parent.name for f in record.files if Path(f.path).parent != self.folder / "photos"}
            assert set(record.labels) == {os.fsencode(name).decode("latin-1").replace("é", "\\xe9") for name in folders}

    def teardown(self) -> None:
        assert self.world.catalog.check() == []
        self.world.close()
        shutil.rmtree(self.folder)


# Not shrunk: that takes longer than a test may, and 25 steps can be read.
FolderAgainstModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
TestFolder = FolderAgainstModel.TestCase
