"""Texts of the page on which the gallery's encoder is taught."""

from collections.abc import Mapping
from dataclasses import dataclass

from ui.words.counted import Counted


@dataclass(frozen=True, slots=True)
class TeachWords:
    """Texts of the page.

    Attributes:
        parts: what is being done, by what a job calls it.
        alarms: what a sign of failure means and what to do, by its name in ``training.alarms``.
    """

    lead: str
    # -- 1
    ready_title: str
    ready_yes: str
    ready_images: Counted
    ready_labels: Counted
    ready_no_labels: str
    ready_no_pairs: str
    ready_more: str
    to_labels: str
    alone: Counted
    held_out: Counted
    held_out_why: str
    held_out_new: str
    nothing_indexed: str
    no_such_job: str
    no_such_model: str
    anew: str
    # -- 2
    choose_title: str
    quick: str
    quick_text: str
    quick_expect: str
    deep: str
    deep_text: str
    deep_expect: str
    cost: str
    cost_range: str
    cost_memory: str
    cost_device: str
    cost_wait: str
    cost_unknown: str
    processor: str
    graphics: str
    chosen: str
    more: str
    recipe: str
    recipe_info: str
    recipe_own: str
    epochs: str
    epochs_info: str
    start: str
    # -- 3
    watch_title: str
    none_yet: str
    queued: str
    running: str
    stopping: str
    done: str
    failed: str
    cancelled: str
    lost: str
    broken: str
    goes_on: str
    stop: str
    resume: str
    again: str
    ends: str
    cancelled_other: str
    lost_other: str
    switch_job: str
    calibrate_job: str
    left: str
    of_total: str
    epoch: str
    working: str
    parts: Mapping[str, str]
    curve_validation: str
    curve_loss: str
    curve_spoken: str
    curve_waits: str
    try_number: str
    whole: str
    alarm: str
    alarms: Mapping[str, str]
    log: str
    log_empty: str
    # -- 4
    proof_title: str
    proof_none: str
    better: str
    open: str
    worse: str
    first_right: str
    first_sure: str
    all_right: str
    all_sure: str
    asked: Counted
    measure: str
    before: str
    after: str
    gains: str
    losses: str
    no_gains: str
    no_losses: str
    class_line: str
    rows_better: str
    rows_worse: str
    rows_hint: str
    query: str
    no_picture: str
    match_right: str
    match_wrong: str
    report: str
    outdated: str
    # -- 5
    switch_title: str
    gate_yes: str
    gate_no: str
    gate_first: str
    gate_all: str
    gate_first_worse: str
    gate_all_worse: str
    gate_perfect: str
    gate_leaks: Counted
    gate_other: str
    gate_hint: str
    switch_ask: str
    force_ask: str
    looking: str
    switch_cost: str
    switch_cost_none: str
    switch_disk: str
    switch_cover: str
    switch_away: Counted
    switch_measures: Counted
    proof_measured: Counted
    switch_meanwhile: str
    switch_now: str
    force_warning: str
    force_now: str
    not_now: str
    switching: str
    is_live: str
    back_ask: str
    back_means: str
    back_now: str
    went_back: str
    # -- 6
    models_title: str
    models_lead: str
    live: str
    kept: str
    untrained: str
    made: str
    from_what: str
    numbers: str
    covers: str
    size: str
    chances: str
    chances_yes: str
    chances_no: str
    figures: str
    figures_line: str
    forced: str
    use_again: str
    drop_ask: str
    drop_means: str
    drop_now: str
    calibrate: str
    calibrate_means: str
    dropped: str
