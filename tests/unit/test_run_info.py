"""The facts about a run's inputs and locations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from harness.plan import BaselineRun, BaselineVersion, SourceData
from harness.results import Commit
from harness.views.run_info import list_facts
from tests.unit import report_samples as samples


def _facts(**changes: Any) -> dict[str, str]:
    return {fact.name: fact.value for fact in list_facts(samples.plan(**changes), samples.result())}


def test_a_single_source_is_the_source() -> None:
    """A single source is shown with its digest, without its path in the scenario."""
    values = _facts()
    assert (samples.SOURCE, "41d0" * 16) == (values["Source"], values["Source SHA-256"])
    assert not {"Parameters", "Synthetic rows", "Existing Delta table (read-only)"} & set(values)


def test_several_sources_are_named_by_path() -> None:
    """Several sources are named by their paths in the scenario; a folder has no digest."""
    first, second = (SourceData(uri=f"file:///{name}", format="csv") for name in "ab")
    values = _facts(sources={"a.csv": first, "b.csv": second.model_copy(update={"sha256": "c" * 64})})
    sources = {name: value for name, value in values.items() if name.startswith("Source")}
    assert {
        "Source a.csv": "file:///a",
        "Source b.csv": "file:///b",
        "Source b.csv SHA-256": "c" * 64,
    } == sources


def test_synthetic_rows_are_a_source() -> None:
    """Synthetic rows are shown with their number, years and seed."""
    synthetic = {"kind": "loans", "rows": 60_000, "seed": 11}
    table = {"name": "loans", "source": {"generate": synthetic}, "key": "id"}
    values = _facts(scenario=samples.scenario(table=table), sources={})
    assert ("60,000 loans, 2007 to 2018, seed 11", None) == (values["Synthetic rows"], values.get("Source"))


def test_an_existing_table_is_labeled_as_such() -> None:
    """An existing table is labeled as one that the run did not build."""
    uri = samples.result().table_uri
    values = _facts(existing_table=uri, sources={}, parameters={"table.uri": uri, "table.versions": "v12"})
    assert (uri, None) == (values["Existing Delta table (read-only)"], values.get("Delta table"))
    assert f"table.uri={uri}, table.versions=v12" == values["Parameters"]


def test_a_version_that_was_read_by_a_time_is_named() -> None:
    """A version that was read by a time is shown with its number and commit, and whether it is the newest."""
    times = {"past": "2026-01-05", "later": "2031-01-01"}
    reads = [{"name": name, "read": time} for name, time in times.items()]
    plan = samples.plan(
        scenario=samples.scenario(
            table={"uri": "abfss://lake@dls.dfs.core.windows.net/t", "key": "id"},
            versions=[*reads, {"name": "now", "read": "latest"}],
        ),
        sources={},
    )
    commit = Commit(operation="WRITE", time=datetime(2026, 1, 4, 12, tzinfo=UTC), reader=1, writer=2)
    versions = tuple(samples.version(name, 7, commit=commit) for name in (*times, "now"))
    values = {fact.name: fact.value for fact in list_facts(plan, samples.result(versions))}
    found = "version 7, committed 2026-01-04 12:00:00 UTC"
    assert {
        "Read: past": f"as of 2026-01-05 00:00:00 UTC: {found}",
        "Read: later": f"as of 2031-01-01 00:00:00 UTC: {found}, the newest",
    } == {name: value for name, value in values.items() if name.startswith("Read")}


def _baseline(**changes: Any) -> BaselineRun:
    versions = {
        name: BaselineVersion(version=version.version, fingerprint=version.fingerprint)
        for name, version in ((each.name, each) for each in samples.result().versions)
    }
    run = BaselineRun(
        run_id="20260201-080000-three_versions-0a1b",
        started=datetime(2026, 2, 1, 8, tzinfo=UTC),
        target="embedded",
        harness_version="0.1.0",
        code_sha256=None,
        digest="0" * 64,
        versions=versions,
    )
    return run.model_copy(update=changes)


def _describe_baseline(run: BaselineRun, **named: str) -> str:
    bound = {"baseline": {"from": "good.json", "min": -0.1, **named}}
    versions = samples.scenario().model_dump(by_alias=True, exclude_unset=True)["versions"]
    versions[2]["expect"] = {"metrics": {"test_f1": bound, "test_roc_auc": bound}}
    plan = samples.plan(scenario=samples.scenario(versions=versions), baseline_runs={"good.json": run})
    values = {fact.name: fact.value for fact in list_facts(plan, samples.result())}
    return values["Baseline good.json"]


def test_a_baseline_is_shown_with_its_run() -> None:
    """The run that bounds compare with is shown with its date; nothing is said to differ if nothing does."""
    expected = (
        "20260201-080000-three_versions-0a1b of 2026-02-01 08:00 UTC; the same harness; "
        "march: Delta version 2, the same data"
    )
    assert expected == _describe_baseline(_baseline())


def test_the_differences_of_a_baseline_are_shown() -> None:
    """Target, code, allowed differences, dataset version and data of a baseline are shown if they differ."""
    run = _baseline(
        target="compose",
        harness_version="0.0.9",
        code_sha256="c" * 64,
        differences=("its seed is 8, not 7",),
    )
    expected = (
        "20260201-080000-three_versions-0a1b of 2026-02-01 08:00 UTC; on compose, not embedded; "
        "harness 0.0.9, not 0.1.0; other Python code in the pipeline; its seed is 8, not 7; "
        "january: Delta version 0, not 2 of march, other data"
    )
    assert expected == _describe_baseline(run, version="january")


def test_a_custom_pipeline_is_shown_with_its_digest() -> None:
    """A custom pipeline is shown with the digest of its code."""
    pipeline = {**samples.scenario().model_dump()["pipeline"], "use": "boosted:Trees"}
    plan = samples.plan(scenario=samples.scenario(pipeline=pipeline), code={"boosted.py": ""})
    values = {fact.name: fact.value for fact in list_facts(plan, samples.result())}
    assert ("boosted:Trees", plan.code_sha256) == (
        values["Custom pipeline"],
        values["Custom pipeline SHA-256"],
    )
