"""The lineage diagram and its text alternative."""

from __future__ import annotations

from html import escape
from typing import Any

from harness.report.html import render_html
from harness.results import VersionResult
from harness.views.lineage_diagram import MODELS, LineageRow, describe_lineage, make_lineage_rows
from tests.unit import report_samples as samples


def _first(**changes: Any) -> LineageRow:
    """Return the first row of the diagram, with the version changed."""
    result = samples.result()
    first = result.versions[0].model_copy(update=changes)
    return make_lineage_rows(samples.plan(), (first,))[0]


def test_a_trained_version_leads_to_its_models_and_bundle() -> None:
    """The sentence of a trained version leads from the step to its models and bundle."""
    row = _first(bundle="abfss://models@x/y", run_id="0123456789abcdef")
    assert (MODELS, True, "01234567") == (row.models, row.published, row.run)
    assert row.sentence.endswith(
        "on which MLflow run 01234567 trains featurizer, classifier, explainer, published as one bundle"
    )


def test_an_unpublished_bundle_is_shown_as_such() -> None:
    """A version whose bundle was not published is shown as not published."""
    assert _first(bundle=None).sentence.endswith(", not published")


def test_a_version_that_is_only_built_has_no_models() -> None:
    """A version that is only built has no models in the diagram."""
    row = _first(run_id=None, bundle=None)
    assert ((), True) == (row.models, row.sentence.endswith("; no model was trained"))


def test_a_refused_step_leaves_the_previous_version() -> None:
    """A step that was refused as expected leaves the table at the previous version."""
    row = _first(error="DELTA_X", run_id=None, bundle=None, version=3)
    assert (True, True) == (row.refused, "was refused; the table stays at version 3" in row.sentence)


def test_long_steps_are_cut_only_in_the_diagram() -> None:
    """A long step is shortened in the diagram and complete in the text alternative."""
    condition = "x = 1 or " * 20 + "y = 2"
    version = {"name": "january", "append": {"where": condition}}
    plan = samples.plan(scenario=samples.scenario(versions=[version]))
    [row] = make_lineage_rows(plan, samples.result().versions[:1])
    assert (26, True) == (len(row.step), condition in row.source)


def test_the_page_has_the_diagram_with_its_text() -> None:
    """The page has the diagram with one row per version and a text alternative for all."""
    rows = make_lineage_rows(samples.plan(), samples.result().versions)
    page = render_html(samples.plan(), samples.result())
    assert f'aria-label="{escape(describe_lineage(rows))}"' in page
    assert [each.top for each in rows] == sorted({each.top for each in rows})
    assert len(rows) == page.count(">featurizer</text>")


def test_names_are_escaped_in_the_diagram() -> None:
    """Names of versions are escaped in the diagram."""
    hostile = VersionResult(name="<b>&", version=0, rows=1, fingerprint="0" * 32, data_schema={})
    page = render_html(samples.plan(), samples.result(versions=(hostile,)))
    assert "<b>&<" not in page
