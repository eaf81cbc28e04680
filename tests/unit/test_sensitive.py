"""Sensitive columns of a scenario, and what belongs to them."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scenario.model import Scenario
from harness.scenario.sensitive import hide_slot, hide_value


def make_scenario(sensitive: object, **derive: str) -> Scenario:
    values: dict[str, Any] = {
        "name": "small",
        "table": {"source": "rows.csv", "key": ["id", "k"], "sensitive": sensitive},
        "pipeline": {
            "label": {"column": "y", "positive": [1], "negative": [0]},
            "features": ["x"],
            "derive": derive,
        },
        "versions": [{"name": "first", "append": {}}],
    }
    return Scenario.model_validate(values)


def test_one_column_needs_no_list() -> None:
    """A single sensitive column can be written without a list; names are not case-sensitive."""
    assert {"income"} == make_scenario("Income").sensitive_columns


@pytest.mark.parametrize(
    ("derive", "expected"),
    [
        pytest.param({"ratio": "debt / Income"}, {"income", "ratio"}, id="an expression"),
        pytest.param({"ratio": "debt / `income`"}, {"income", "ratio"}, id="a quoted name"),
        pytest.param({"b": "A + 1", "A": "log(income)"}, {"income", "a", "b"}, id="one after the other"),
        pytest.param({"ratio": "debt / income_2"}, {"income"}, id="a longer name"),
    ],
)
def test_what_is_derived_from_a_sensitive_column_is_sensitive(
    derive: dict[str, str], expected: set[str]
) -> None:
    """A derived column whose expression mentions a sensitive column is sensitive too."""
    assert expected == make_scenario(["income"], **derive).sensitive_columns


def test_the_value_of_a_sensitive_category_is_hidden_in_its_slot() -> None:
    """The slot of a sensitive category has a digest in place of the value; other slots stay as they are."""
    slots = ("Home=RENT", "home_size", "zip=1=2", "home")
    assert (f"Home={hide_value('RENT')}", "home_size", "zip=1=2", "home") == tuple(
        hide_slot(slot, {"home"}) for slot in slots
    )


@pytest.mark.parametrize(("sensitive", "expected"), [([], False), (["x"], False), (["K"], True)])
def test_a_key_is_sensitive_if_a_part_of_it_is(sensitive: list[str], *, expected: bool) -> None:
    """The whole key is sensitive if one of its columns is."""
    assert expected == make_scenario(sensitive).has_sensitive_key
