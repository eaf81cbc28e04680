"""Lines of a scenario file at which GitHub shows failed bounds."""

from __future__ import annotations

import re
from pathlib import Path

from harness.bounds.judge import judge_versions
from harness.files import sha256_of
from harness.loading.document import read_document
from harness.report import github
from harness.results import BoundResult
from harness.scenario.model import Scenario
from tests.unit import bounds_samples, report_samples as samples

SCENARIO = """\
name: three_versions
table: { source: rows.csv, key: id }
pipeline:
  label: { column: status, positive: [late], negative: [paid] }
  features: [amount]
versions:
  - name: one
    append:
  - name: two
    append:
    expect:
      rows: 5
      metrics:
        test_accuracy:
          - min: 0.9
          - max: 0.1
            on: added
          - change:
              since: one
              min: 0.5
            baseline:
              from: good
              min: 0.5
      schema:
        at_least: { no: int }
      operation: MERGE
      same_data_as: one
      protocol:
        writer: 7
every:
  nulls:
    amount: 0
  explanations:
    top_k: { k: 1, min: 1 }
    sign_agreement:
      min: 1
    share:
      amount:
        max: 0.1
"""
_LINE = re.compile(r",line=(\d+),")
LINES = {
    "rows.equals": 12,
    "test_accuracy.min": 15,
    "added_test_accuracy.max": 16,
    "test_accuracy.change_min one": 20,
    "test_accuracy.change_min two of good": 23,
    "schema.is": 24,
    "operation.is": 26,
    "same_data_as.is": 27,
    "protocol.writer.equals": 29,
    "nulls(amount).equals": 32,
    "top_1_overlap.min one": 34,
    "sign_agreement.min one": 35,
    "share(amount).max": 39,
}


def _annotate(tmp_path: Path) -> dict[str, str]:
    """Return the annotation of every bound of the scenario above, all of which fail."""
    file = tmp_path / "three_versions.yaml"
    scenario = Scenario.model_validate(read_document(file).values)
    now = bounds_samples.explained("two", {"amount": -1.0, "other": 0.1}).model_copy(
        update={
            "metrics": {"test_accuracy": 0.5, "added_test_accuracy": 0.5},
            "nulls": {"amount": 0.5},
            "fingerprint": "1" * 32,
            "commit": _COMMIT,
        }
    )
    before = bounds_samples.explained("one", {"amount": 0.1, "other": 1.0})
    before = before.model_copy(update={"metrics": {"test_accuracy": 0.5}, "nulls": {"amount": 0.0}})
    baselines = {"good": {"two": {"test_accuracy": 0.5}}}
    judged = judge_versions(scenario, [before, now], baselines)
    plan = samples.plan(scenario=scenario, scenario_file=str(file), scenario_sha256=sha256_of(file))
    annotations = github.list_verdict_commands(plan, samples.result(judged))
    names = [_name(bound) for version in judged[1:] for bound in version.bounds]
    return dict(
        zip(names, [line for line in annotations if ": two: " in line.replace("%3A", ":")], strict=True)
    )


def _name(bound: BoundResult) -> str:
    return f"{bound.metric}.{bound.kind} {bound.since or ''}".strip()


_COMMIT = samples.version(
    "any", 0, commit={"operation": "WRITE", "time": "2026-03-01T10:15:00Z", "reader": 1, "writer": 2}
).commit


def test_each_bound_is_annotated_at_its_own_line(tmp_path: Path) -> None:
    """Each bound is annotated at its line, even one of a list, of every version, or on a text."""
    (tmp_path / "three_versions.yaml").write_text(SCENARIO)
    lines = {name: int(_LINE.findall(annotation)[0]) for name, annotation in _annotate(tmp_path).items()}
    assert LINES == lines
