"""The likely word behind a mistaken one."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the nearest known word, or nothing where none is near."""
    return asked(nearest(word, known))


def asked(meant: str | None) -> str:
    """`` Did you mean 'x'?`` for the word that is meant, or nothing where none is."""
    return f" Did you mean '{meant}'?" if meant else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is nearest; none where none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)
