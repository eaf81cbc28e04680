"""The dialect of a CSV file that nobody has described."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.authoring.csv_detection import detect_dialect


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("id,x\n1,2\n", {}),
        ("id;x\n1;2,5\n2;3\n", {"sep": ";", "decimal": ","}),
        ("id;x\n1;1.002,5\n2;3\n", {"sep": ";", "decimal": ",", "thousands": "."}),
        ('id,x\n1,"1,002.5"\n2,"12,000"\n', {"thousands": ","}),
        ("id\tx\n1\ta,b\n", {"sep": "\t"}),
        ("id,x\n1,NA\n2,?\n3,5\n", {"nulls": "?, NA"}),
        ("id,x\n1,NA\n2,US\n3,FR\n", {}),
        ('id, x\n1, "a, b"\n', {"trim": "true"}),
        ("id,x\n1,2024-01-01\n2,-\n", {"nulls": "-"}),
        ('"id|no","x"\n1,2\n', {}),
    ],
    ids=[
        "plain",
        "decimal comma",
        "decimal comma and thousands",
        "thousands",
        "tabs",
        "null words",
        "a country",
        "spaces",
        "dates",
        "separators in quotes",
    ],
)
def test_the_dialect_is_detected(tmp_path: Path, content: str, options: dict[str, str]) -> None:
    """Options are found from the content, only those that are needed, each with a reason."""
    file = tmp_path / "rows.csv"
    file.write_text(content)
    found = detect_dialect(file)
    assert options == found.options
    assert set(options) == set(found.reasons)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", None), ("utf-8-sig", None), ("latin-1", "iso-8859-1"), ("utf-16", "utf-16")],
)
def test_the_encoding_is_detected(tmp_path: Path, encoding: str, name: str | None) -> None:
    """A file that is not UTF-8 has its likeliest encoding among the options."""
    file = tmp_path / "rows.csv"
    file.write_text("id,städte\n1,Köln\n", encoding=encoding)
    found = detect_dialect(file)
    assert name == found.options.get("encoding")
    assert (("id", "städte"), "Köln") == (found.columns.names, found.columns.text[1][0])
