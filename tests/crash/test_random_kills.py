"""SIGKILL at random wall-clock times, more than fifty times, and nothing is lost and nothing is there twice.

A run over three hundred pictures (some twice, some broken) is killed at a time drawn uniformly over the time that an
uninterrupted run takes; then, seen by a process that knows nothing, everything must agree and search must be right
for what was committed. Then the run is started again, and killed again. Wherever one gets to its end, the gallery
must equal one that was never interrupted. The same for a run on photos that were moved, edited, removed, copied and
added to, for a migration of the catalog, and for the command itself, imports and all.

Half of the kills hit the process and its decoders, half the process alone: then its decoders must end by themselves.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest

from retrieval.core.errors import EmptyGallery
from tests.crash.support import (
    NOTHING,
    assert_as_if_never_interrupted,
    assert_gone,
    assert_sound,
    change_library,
)

pytestmark = pytest.mark.slow

SEQUENCES = 6
FIRST_RUN_KILLS = 6
SECOND_RUN_KILLS = 3
COMMAND_KILLS = 3

assert SEQUENCES * (FIRST_RUN_KILLS + SECOND_RUN_KILLS) >= 50


class Victim:
    """A gallery whose runs are killed at random times, and what it held when it was last looked at."""

    def __init__(self, launcher, gallery, photos, model, seed):
        self.launcher, self.gallery, self.photos, self.model = launcher, gallery, photos, model
        self.random = random.Random(seed)
        self.truth = NOTHING

    def killed(self, longest, reference, earlier=NOTHING):
        """Start a run, kill it within ``longest`` seconds, and look. False if it was done before that."""
        run = self.launcher.start("index", gallery=self.gallery, photos=self.photos, model=self.model)
        ended = run.kill_after(self.random.uniform(0, longest), everything=self.random.random() < 0.5)
        if ended.signal is None:
            assert ended.code == 0, ended.words
            return False
        assert ended.signal == signal.SIGKILL
        self.truth = assert_sound(self.gallery, reference, self.truth, earlier)
        return True


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_first_runs(seed, launcher, index, small_model, uninterrupted, tmp_path):
    kills, galleries = 0, 0
    while kills < FIRST_RUN_KILLS:
        gallery, galleries = tmp_path / f"gallery-{galleries}", galleries + 1
        victim = Victim(launcher, gallery, uninterrupted.photos, small_model, f"first {seed} {galleries}")
        while kills < FIRST_RUN_KILLS and victim.killed(uninterrupted.first_seconds, uninterrupted.first):
            kills += 1
        index(gallery, uninterrupted.photos)
        assert_as_if_never_interrupted(gallery, uninterrupted.first, uninterrupted.before_change)


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_second_runs(seed, launcher, index, small_model, uninterrupted, tmp_path):
    kills, galleries = 0, 0
    while kills < SECOND_RUN_KILLS:
        gallery, galleries = tmp_path / f"gallery-{galleries}", galleries + 1
        photos = shutil.copytree(uninterrupted.photos, tmp_path / f"photos-{galleries}")
        victim = Victim(launcher, gallery, photos, small_model, f"second {seed} {galleries}")
        index(gallery, photos)
        victim.truth = assert_sound(gallery, uninterrupted.first)
        change_library(photos)
        while kills < SECOND_RUN_KILLS and victim.killed(
            uninterrupted.second_seconds, uninterrupted.second, uninterrupted.first
        ):
            kills += 1
        index(gallery, photos)
        assert_as_if_never_interrupted(gallery, uninterrupted.second, uninterrupted.gallery)


def test_the_command(command, small_model, uninterrupted, tmp_path):
    """The real thing, whose process group is killed, as a terminal that is closed does."""
    generator, kills, galleries = random.Random("command"), 0, 0
    start = time.monotonic()
    _index_by_command(command, tmp_path / "timed", uninterrupted.photos, small_model).wait()
    seconds = time.monotonic() - start
    while kills < COMMAND_KILLS:
        gallery, galleries, truth = tmp_path / f"gallery-{galleries}", galleries + 1, NOTHING
        while kills < COMMAND_KILLS:
            process = _index_by_command(command, gallery, uninterrupted.photos, small_model)
            begun = time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                process.wait(generator.uniform(0.4, 1.0) * seconds)
                # Sooner than the first time, as when something else ran then: or the next ones would all get away.
                seconds = min(seconds, time.monotonic() - begun)
            if not _group_was_killed(process):
                break
            kills += 1
            # Nothing is committed yet where the command answers that nothing is indexed.
            looked = subprocess.run([*command, "status", "--check", "--gallery", str(gallery)], capture_output=True)
            assert looked.returncode in (0, EmptyGallery.exit_code), looked.stderr
            truth = assert_sound(gallery, uninterrupted.first, truth)
        assert _index_by_command(command, gallery, uninterrupted.photos, small_model).wait() == 0
        assert_as_if_never_interrupted(gallery, uninterrupted.first, uninterrupted.before_change)


def _index_by_command(command, gallery, photos, model):
    return subprocess.Popen(
        [*command, "index", str(photos), "--gallery", str(gallery), "--model", str(model)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _group_was_killed(process):
    """SIGKILL to the group. False if it was done before that."""
    if process.poll() is None:
        decoders = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        assert_gone(decoders)
    return process.wait() == -signal.SIGKILL
