"""Suggestions for mistyped words."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known word, or an empty text if none is near."""
    return suggest(nearest(word, known))


def suggest(meant: str | None) -> str:
    """Return `` Did you mean 'x'?``, or an empty text if there is no suggestion."""
    return f" Did you mean '{meant}'?" if meant else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the nearest known word, or ``None`` if none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)
