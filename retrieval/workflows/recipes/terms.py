"""The sum of losses of a recipe: its keys, how they change it, and how a file names another one."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from retrieval.core.errors import BadValue
from retrieval.losses import LOSSES
from retrieval.methods.metric_learning import Term
from retrieval.methods.terms import SHARED, resolve
from retrieval.mining import MINERS
from retrieval.workflows.recipes.keys import nearest_hint, typed

_MINER = "miner."
"""Before the options of a miner: ``LOSS.miner.OPTION``."""

_NAMED = ("loss", "weight", "miner", "options", "miner_options")


def plain_terms(terms: Iterable[Term]) -> list[dict[str, Any]]:
    """JSON-ready values, each of which makes the same ``Term``."""
    return [asdict(t) | {"options": dict(t.options), "miner_options": dict(t.miner_options)} for t in terms]


def term_keys(terms: Iterable[Term]) -> dict[str, Any]:
    """``LOSS.weight``, ``LOSS.miner``, ``LOSS.option`` and ``LOSS.miner.option``, with their present values."""
    keys: dict[str, Any] = {}
    for term in terms:
        keys |= {f"{term.loss}.weight": term.weight, f"{term.loss}.miner": term.miner}
        keys |= {f"{term.loss}.{name}": value for name, value in _options(term).items()}
        keys |= {f"{term.loss}.{_MINER}{name}": value for name, value in _miner_options(term).items()}
    return keys


def with_miners(terms: Iterable[Term], values: Mapping[str, Any]) -> tuple[Term, ...]:
    """The terms with the miners that ``values`` names under ``LOSS.miner``; what else it holds is left.

    A miner that is changed begins with its own options.

    Raises:
        BadValue: there is no such miner; the nearest is named.
    """
    return tuple(_with_miner(term, values) for term in terms)


def changed_terms(terms: Iterable[Term], values: Mapping[str, Any]) -> tuple[Term, ...]:
    """The terms with the keys of ``term_keys`` that ``values`` holds changed; other keys are left.

    Raises:
        BadValue: a value of the wrong type, or a miner that does not exist.
    """
    return tuple(_changed(term, values) for term in with_miners(terms, values))


def named_terms(where: str, given: Any) -> tuple[Term, ...]:
    """The sum of losses that a file names.

    Args:
        where: for messages, e.g. ``mine.toml: terms``.
        given: a list of tables with ``loss`` and, as wanted, ``weight``, ``miner``, ``options``, ``miner_options``.

    Raises:
        BadValue: anything else, or an unknown loss, miner or option; the nearest is named.
    """
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise BadValue(f"{where} takes a list of tables.", 'Write [[terms]] and below it loss = "triplet".')
    terms = tuple(_named(where, one) for one in given)
    if terms:
        resolve(terms)
    return terms


def _named(where: str, given: Mapping[str, Any]) -> Term:
    for key in given:
        if key not in _NAMED:
            raise BadValue(f"{where} has no key {key!r}.", nearest_hint(key, _NAMED))
    if "loss" not in given:
        raise BadValue(f"{where}: a table names no loss.", 'Write below it loss = "triplet".')
    loss = given["loss"]
    if not isinstance(loss, str) or loss not in LOSSES:
        raise BadValue(f"{where}: there is no loss {loss!r}.", nearest_hint(str(loss), LOSSES, "There are"))
    # By the same keys, so that a name or a value is refused in the same words.
    values = {f"{loss}.weight": given["weight"]} if "weight" in given else {}
    for part, prefix in (("options", ""), ("miner_options", _MINER)):
        options = given.get(part, {})
        if not isinstance(options, Mapping):
            raise BadValue(f"{where}: {part} of {loss} takes a table, not {options!r}.", "Write {name = value}.")
        values |= {f"{loss}.{prefix}{name}": value for name, value in options.items()}
    term = _with_miner(Term(loss), {f"{loss}.miner": given.get("miner")})
    known = term_keys([term])
    for key in values:
        if key not in known:
            raise BadValue(f"{where} has no key {key!r}.", nearest_hint(key, known))
    return _changed(term, values)


def _with_miner(term: Term, values: Mapping[str, Any]) -> Term:
    key = f"{term.loss}.miner"
    if key not in values:
        return term
    name = typed(key, values[key], str | None)
    if name is not None and name not in MINERS:
        raise BadValue(f"There is no miner {name!r}.", nearest_hint(name, MINERS, "There are"))
    return term if name == term.miner else replace(term, miner=name, miner_options={})


def _options(term: Term) -> dict[str, Any]:
    return {**LOSSES[term.loss].options, **term.options}


def _miner_options(term: Term) -> dict[str, Any]:
    """As they take effect: the margin of a loss is its miner's, unless that has its own."""
    if term.miner not in MINERS:
        return {}
    own = MINERS[term.miner].options
    shared = {name: value for name, value in _options(term).items() if name in own and name in SHARED}
    return {**own, **shared, **term.miner_options}


def _changed(term: Term, values: Mapping[str, Any]) -> Term:
    options, of_miner = _options(term), _miner_options(term)
    for key, value in values.items():
        loss, _, name = key.partition(".")
        if loss != term.loss:
            continue
        if name == "weight":
            term = replace(term, weight=typed(key, value, float))
        elif name in options:
            term = replace(term, options={**term.options, name: typed(key, value, type(options[name]))})
        elif (option := name.removeprefix(_MINER)) != name and option in of_miner:
            chosen = {**term.miner_options, option: typed(key, value, type(of_miner[option]))}
            term = replace(term, miner_options=chosen)
    return term
