"""A small scenario that runs in seconds: a table with a known relation, in two versions."""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from harness.scenario.model import Scenario
from tests.embedded.runner import change_scenario, keep_last_version

Row = dict[str, object]

SMALL = Scenario.model_validate(
    {
        "name": "small",
        "seed": 3,
        "table": {"name": "readings", "source": "readings.csv", "key": "id"},
        "pipeline": {
            "label": {"column": "outcome", "positive": ["bad"], "negative": ["good"]},
            "features": ["heat", "load"],
            "model": {"max_iter": 10, "grid": {"reg_param": [0.01]}, "folds": 2},
            "explainer": {"samples": 50, "rows": 5, "background": 50},
        },
        "versions": [
            {"name": "first", "append": {"where": "batch = 1"}, "expect": {"rows": 200}},
            {
                "name": "second",
                "append": {"where": "batch = 2"},
                "expect": {"rows": 300, "metrics": {"test_roc_auc": {"min": 0.7}}},
            },
        ],
    }
)
ONE_VERSION = keep_last_version(SMALL)
UNPUBLISHED = change_scenario(ONE_VERSION, {"publish": {"when": "never"}})
# With so many fits, training takes seconds, even on a fast machine.
LONG = change_scenario(
    UNPUBLISHED, {"pipeline": {"model": {"grid": {"reg_param": [each / 1000 for each in range(12)]}}}}
)


def make_rows() -> list[Row]:
    """Return 300 rows; the hotter, the more likely bad."""
    chance = random.Random(1)  # noqa: S311 - not a secret
    table: list[Row] = []
    for number in range(300):
        heat, load = chance.gauss(20, 5), chance.gauss(50, 10)
        bad = chance.random() < (0.8 if heat > 22 else 0.1)
        table.append(
            {
                "id": number,
                "batch": 1 if number < 200 else 2,
                "heat": round(heat, 3),
                "load": round(load, 3),
                "outcome": "bad" if bad else "good",
            }
        )
    return table


def write_table(folder: Path, change: Callable[[Row], Row] = lambda row: row) -> Path:
    """Write the rows as a CSV file, after applying a change to each."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "readings.csv"
    written = [change(dict(row)) for row in make_rows()]
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(written[0]))
        writer.writeheader()
        writer.writerows(written)
    return file


def write_scenario(folder: Path, scenario: Scenario) -> str:
    """Write the scenario as a file, with its table next to it."""
    write_table(folder)
    return write_file(folder, scenario)


def write_file(folder: Path, scenario: Scenario) -> str:
    """Write the scenario as a file named after it."""
    file = folder / f"{scenario.name}.yaml"
    values = scenario.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    YAML(typ="safe").dump(values, file)
    return str(file)


def write_custom_scenario(folder: Path) -> str:
    """Write the last version of the small scenario with a custom pipeline."""
    code = Path(__file__).with_name("custom_pipelines.py")
    values = ONE_VERSION.model_dump(exclude_unset=True)
    values["pipeline"] = {
        "label": values["pipeline"]["label"],
        "features": values["pipeline"]["features"],
        "use": f"{code.stem}:Good",
        "options": {"penalty": 0.5},
        "metrics": ["fits", "test_brier", "nothing"],
        "explainer": {"samples": 50, "rows": 5, "background": 50},
    }
    file = write_scenario(folder, Scenario.model_validate(values))
    shutil.copy(code, folder)
    return file
