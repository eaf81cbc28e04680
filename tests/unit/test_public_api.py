"""The package's public names."""

from __future__ import annotations

import pytest

import harness


def test_every_public_name_can_be_imported() -> None:
    """Each name of ``harness.__all__`` is an attribute of the package."""
    assert ["HarnessError", "Result", "Verdict", "run"] == sorted(harness.__all__)
    assert all(getattr(harness, name) is not None for name in harness.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that the package does not have is reported like that of any other module."""
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'Rsult'"):
        _ = harness.Rsult
