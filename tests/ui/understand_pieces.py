"""Every piece of the Understand page, made of values without letters."""

from typing import Any

from retrieval.workflows.checkup import LIMITS
from retrieval.workflows.jobs import Failure, Job, JobProgress, State
from retrieval.workflows.mapping import MapState
from ui.addresses import Addresses
from ui.understand.check_cards import render_check, render_strict
from ui.understand.map_cards import render_given, render_map, render_status, render_undone
from ui.words import Words

_RUNS = Job(1, "map", {}, State.RUNNING, JobProgress("Drawing the map", 3, 9, seconds_left=70.0))


def understand_pieces(words: Words, addresses: Addresses) -> dict[str, str]:
    """By name."""
    may: dict[str, Any] = {"may_write": True, "shows_paths": True}
    alarms = [{"name": name, "value": value} for name, value, _ in LIMITS.values()]
    found = {"images": 9, "of": 10, "fingerprint": "1", "alarms": alarms, "hubs": [{"id": 1, "occurrence": 7}]}
    done = Job(2, "diagnose", {}, State.DONE, ended=9.0, result=found)
    advice = {"temperature": 0.1, "as_good": [0.1, 0.2], "liked": 2, "seeds": 3, "at_end": "low"}
    best = Job(3, "temperature", {}, State.DONE, ended=9.0, result={"recommendation": advice})
    lost = Job(4, "map", {}, State.FAILED, error=Failure("unexpected", "7"))
    stopped = Job(5, "map", {}, State.CANCELLED)
    old = MapState(12, 9, 5.0, 3)
    check = {"fingerprint": "2", "addresses": addresses, "words": words, **may}
    strict = {"words": words, **may}
    return {
        "map": render_map(old, addresses, words, may_write=True),
        "map, none": render_status(MapState(12), None, words, **may),
        "map, few": render_status(MapState(2), None, words, **may),
        "map, old": render_status(old, lost, words, **may),
        "map, drawn": render_status(MapState(9, 9, 5.0, 3), stopped, words, **may),
        "map, at work": render_status(old, _RUNS, words, **may),
        "map, read only": render_status(MapState(12), None, words, may_write=False, shows_paths=False),
        "given": render_given("7", 3, 4, "5", words),
        "undone": render_undone("6", words),
        "check": render_check(None, None, **check),
        "check, few": render_check(None, None, enough=False, **check),
        "check, found": render_check(done, done, **check),
        "strict": render_strict(None, None, (5.0, 90.0), known=True, **strict),
        "strict, waits": render_strict(None, None, None, known=False, **strict),
        "strict, lacks": render_strict(None, None, None, known=True, **strict),
        "strict, found": render_strict(best, best, (5.0, 90.0), known=True, **strict),
    }
