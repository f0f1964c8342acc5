"""The page that shows what the search makes of the pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class CheckedWords:
    """One finding of the check-up.

    Attributes:
        name: what was looked at.
        value: what was measured, with ``{n}``.
        good, fair, bad: what that means, and what to do.
    """

    name: str
    value: str
    good: str
    fair: str
    bad: str


@dataclass(frozen=True, slots=True)
class UnderstandWords:
    """Texts of the map, of the check-up, and of the comparison of temperatures."""

    map_title: str
    map_lead: str
    map_none: str
    map_none_text: str
    map_few: str
    map_few_text: str
    map_drawn: Counted
    map_stale: Counted
    draw: str
    redraw: str
    ask_owner: str
    ask_start: str
    map_label: Counted
    map_keys: str
    simple: str
    loading: str
    not_loaded: str
    zoom_in: str
    zoom_out: str
    whole: str
    lasso: str
    lasso_help: str
    select_view: str
    colours: str
    colours_help: str
    no_label: str
    other_labels: str
    show_label: str
    all_labels: str
    picture: str
    similar: str
    large: str
    pin_close: str
    selection: str
    selected_none: str
    selected: Counted
    and_more: str
    clear: str
    take_out: str
    label: str
    give: str
    given: Counted
    undo: str
    undone: str
    nothing_selected: str
    nothing_selected_hint: str
    no_label_given: str
    no_label_given_hint: str
    check_title: str
    check_lead: str
    check_cost: str
    check_few: str
    check_start: str
    check_again: str
    check_made: str
    check_old: str
    check_well: str
    check_attention: Counted
    verdict_good: str
    verdict_fair: str
    verdict_bad: str
    checked: Mapping[str, CheckedWords]
    hubs_title: str
    hubs_text: str
    hub_times: Counted
    report: str
    report_help: str
    strict_title: str
    strict_lead: str
    strict_cost: str
    strict_cost_wait: str
    strict_lack: str
    to_labels: str
    strict_start: str
    strict_again: str
    strict_best: str
    strict_only: str
    strict_as_good: str
    strict_liked: str
    strict_end: str
    strict_use: str
    stop: str
    stopping: str
    failed: str
    stopped: str
