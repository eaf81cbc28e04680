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
from harness.authoring.version_split import MIN_CLASS_ROWS, split_versions
from harness.errors import UsageError

_PLAIN_SCALAR = re.compile(r"[A-Za-z_][\w./()%-]*( [\w./()%-]+)*\.?", re.ASCII)
_RESERVED_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_NAME_LENGTH = 64


def write_scenario(
    name: str, data: Path, label: str, positive: Sequence[str], key: str | None, folder: Path
) -> Path:
    """Write ``NAME.yaml`` into a folder, which is created if necessary.

    Raises:
        UsageError: The file exists, the name is invalid, or the data is not suitable.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"Invalid name '{name}': use letters, digits and underscores, starting with a letter."
        )
    if len(name) > _MAX_NAME_LENGTH:
        raise UsageError(f"Invalid name '{name}': use at most {_MAX_NAME_LENGTH} characters.")
    file = folder / f"{name}.yaml"
    if file.exists():
        raise UsageError(f"{file} already exists.", remedy="Choose another name, or delete the file.")
    text = scenario_text(name, read_data(data), label, positive, key, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
    return file


def scenario_text(
    name: str, data: Data, label: str, positive: Sequence[str], key: str | None, folder: Path
) -> str:
    """Return the YAML of a first scenario, for a file in a folder.

    Raises:
        UsageError: The data has no suitable key, label or feature.
    """
    classes = find_classes(data, label, positive)
    key = find_key(data, label, key)
    values = data.frame[label]
    is_positive, labelled = values.isin(classes.positive), values.notna()
    labelled_data = replace(data, frame=data.frame[labelled])
    candidates = find_candidates(labelled_data, key, label, is_positive[labelled])
    numeric, categorical, out = (
        [each for each in candidates if each.kind in kinds]
        for kinds in (("numeric",), ("categorical",), ("date", "out"))
    )
    if not numeric and not categorical:
        reasons = "; ".join(f"{each.name}: {each.reason}" for each in out)
        raise UsageError(
            f"No column of {data.path.name} can be a feature.", remedy=reasons or "It has no other columns."
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
        split=split_versions(data, key, is_positive, labelled),
        enough=bool(smaller >= MIN_CLASS_ROWS),
        least=MIN_CLASS_ROWS,
    )


def _render(**values: object) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.authoring"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, in which the filters quote what needs it
    )
    environment.filters |= {"scalar": _scalar, "quoted": _quote}
    return environment.get_template("scenario.yaml.j2").render(values)


def _scalar(value: object) -> str:
    """Return a value as YAML, quoted if it would otherwise have another meaning."""
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _PLAIN_SCALAR.fullmatch(value) and value.lower() not in _RESERVED_WORDS else _quote(value)


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
