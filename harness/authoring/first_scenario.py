"""A first scenario, written from a data file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.authoring.column_profile import find_candidates, find_classes, find_key
from harness.authoring.data_file import Data, read_data
from harness.authoring.version_split import ENOUGH, cut
from harness.errors import UsageError

_PLAIN = re.compile(r"[A-Za-z_][\w./()%-]*( [\w./()%-]+)*\.?", re.ASCII)
_NO_TEXT = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def write_scenario(
    name: str, data: Path, label: str, positive: Sequence[str], key: str | None, folder: Path
) -> Path:
    """Write ``NAME.yaml`` into a folder, which is made where it is not there.

    Raises:
        UsageError: There is such a file, or the data lacks what a scenario needs.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name: letters, digits and underscores, beginning with a letter.")
    file = folder / f"{name}.yaml"
    if file.exists():
        raise UsageError(f"{file} is there already.", remedy="Take another name, or remove it.")
    text = scenario_text(name, read_data(data), label, positive, key, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
    return file


def scenario_text(
    name: str, data: Data, label: str, positive: Sequence[str], key: str | None, folder: Path
) -> str:
    """The scenario's YAML, for a file in a folder.

    Raises:
        UsageError: The data lacks what a scenario needs.
    """
    classes = find_classes(data, label, positive)
    key = find_key(data, label, key)
    values = data.frame[label]
    is_positive, labelled = values.isin(classes.positive), values.notna()
    known = replace(data, frame=data.frame[labelled])
    candidates = find_candidates(known, key, label, is_positive[labelled])
    numeric, categorical, out = (
        [each for each in candidates if each.kind in kinds]
        for kinds in (("numeric",), ("categorical",), ("date", "out"))
    )
    if not numeric and not categorical:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in out)
        raise UsageError(
            f"No column of {data.path.name} can be a feature.", remedy=reasons or "It has no others."
        )
    smaller = min((is_positive & labelled).sum(), (~is_positive & labelled).sum())
    return _render(
        name=name,
        file=data.path.name,
        source=os.path.relpath(data.path.resolve(), folder.resolve()),
        options=data.options,
        rows=f"{len(data.frame):,}",
        columns=len(data.frame.columns),
        key=key,
        label=label,
        classes=classes,
        numeric=numeric,
        categorical=categorical,
        out=out,
        parts=cut(data, key, is_positive, labelled),
        enough=bool(smaller >= ENOUGH),
        least=ENOUGH,
    )


def _render(**values: object) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.authoring"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, in which the filters quote what needs it
    )
    environment.filters |= {"scalar": _scalar, "quoted": _quoted}
    return environment.get_template("scenario.yaml.j2").render(values)


def _scalar(value: object) -> str:
    """A value as YAML has it, in quotes where it would be something else without."""
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT else _quoted(value)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
