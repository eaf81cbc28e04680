"""The tables of measurements that all reports share."""

import pytest

from harness.results import BoundResult, GridPoint, Result, Verdict
from harness.views import plot_data, tables
from tests.unit import report_samples as samples


def _explain(*weights: float | None) -> Result:
    versions = tuple(
        samples.version(
            f"v{at}", at, explanations={} if weight is None else {"x": samples.explanation(weight)}
        )
        for at, weight in enumerate(weights)
    )
    return samples.result(versions)


def _cells(table: tables.MeasurementTable, label: str) -> list[str]:
    return [cell.text for row in table.rows if row.label == label for cell in row.cells]


def test_a_metric_without_a_value_is_not_measured() -> None:
    """A metric without a value is shown as not measured instead of left blank."""
    version = samples.version("march", 2, metrics={"test_f1": None})
    assert _cells(tables.build_metric_table(samples.result((version,))), "test_f1") == ["not measured"]


def test_standard_errors_have_no_separate_row() -> None:
    """A standard error is shown next to its metric and has no row."""
    labels = [row.label for row in tables.build_metric_table(samples.result()).rows]
    assert "cv_roc_auc_se" not in labels


def test_a_custom_metric_is_shown() -> None:
    """A custom pipeline's own metric is in the table."""
    version = samples.version("march", 2, metrics={"profit": 12.5})
    assert _cells(tables.build_metric_table(samples.result((version,))), "profit") == ["12.50"]


def test_features_are_ranked_by_their_size() -> None:
    """Features are ranked by the size of their weight, whatever its sign."""
    assert tables.rank_features(samples.result().versions)[:3] == ("int_rate", "annual_inc", "inq_last_12m")


def test_a_dropped_feature_is_absent() -> None:
    """A feature that a version lacks is shown as absent."""
    assert _cells(tables.build_explanation_table(_explain(0.5, None)), "x") == ["+0.5000", "absent"]


def test_a_change_of_sign_is_marked() -> None:
    """A feature whose weight changes its sign is marked."""
    assert tables.build_explanation_table(_explain(0.5, -0.5)).rows[0].note == "changes sign"


def test_the_chosen_grid_point_is_marked() -> None:
    """The chosen grid point is marked at every version."""
    rows = tables.build_grid_table(samples.result()).rows
    assert {row.label for row in rows if all(cell.strong for cell in row.cells)} == {
        "reg_param 0.001, elastic_net_param 0"
    }


def test_a_grid_of_another_model_has_its_own_parameters() -> None:
    """Each combination of another model kind's parameters has one row."""
    points = tuple(
        GridPoint(parameters={"num_trees": trees, "max_depth": 5}, cv_roc_auc=0.7, chosen=trees == 20)
        for trees in (10, 20)
    )
    versions = tuple(samples.version(name, number, grid=points) for number, name in enumerate("ab"))
    table = tables.build_grid_table(samples.result(versions))
    expected = ["num_trees 10, max_depth 5", "num_trees 20, max_depth 5"]
    assert expected == [row.label for row in table.rows]
    assert [[False, False], [True, True]] == [[cell.strong for cell in row.cells] for row in table.rows]


def test_without_versions_the_tables_are_empty() -> None:
    """The tables of a run without versions are empty."""
    empty = samples.result((), timings={})
    shown = (
        tables.build_metric_table,
        tables.build_explanation_table,
        tables.build_coefficient_table,
        tables.build_grid_table,
    )
    assert not any(table(empty) for table in (*shown, tables.build_timing_table))


def test_slices_have_every_column_once() -> None:
    """Splitting a wide table keeps every column exactly once."""
    whole = tables.build_metric_table(samples.result())
    assert [part.columns for part in whole.slices(2)] == [("january", "february"), ("march",)]


def test_the_limit_of_a_change_is_relative_to_the_earlier_version() -> None:
    """The limit of a change is drawn on the metric's own scale."""
    panel = next(
        each
        for each in plot_data.build_metric_panels(samples.result().versions)
        if each.metric == "cv_roc_auc"
    )
    assert panel.points[1].limits == (
        plot_data.Limit(0.6, relative=False),
        plot_data.Limit(0.6431 - 0.1, relative=True),
    )


def test_an_equals_bound_with_tolerance_has_two_limits() -> None:
    """A tolerance is drawn as a range."""
    bound = samples.bound("rows", kind="equals", limit=100, tolerance=5)
    panel = plot_data.build_metric_panels((samples.version("march", 2, bounds=(bound,)),))[0]
    assert [limit.value for limit in panel.points[0].limits] == [95, 105]


def test_a_plots_text_has_every_number() -> None:
    """The text alternative of a plot has all values and verdicts."""
    panel = next(
        each
        for each in plot_data.build_metric_panels(samples.result().versions)
        if each.metric == "lime_r2_mean"
    )
    assert panel.alternative == (
        "lime_r2_mean over the versions: january 0.8127, pass; february 0.8342, pass; march 0.8293, pass."
    )


GOOD = samples.since("march", run="good")


def _panels(*bounds: BoundResult) -> tuple[plot_data.MetricPanel, ...]:
    before = samples.version("february", 1, metrics={"test_log_loss": 0.5}, bounds=())
    now = samples.version("march", 2, metrics={"test_log_loss": 0.6}, bounds=bounds)
    return plot_data.build_metric_panels(samples.result((before, now)).versions)


def test_the_limit_of_a_relative_change_is_on_the_metrics_scale() -> None:
    """The limit of a relative change is drawn on the metric's own scale."""
    fields = {"kind": "change_max", "limit": 0.1, "relative": True, "reference": samples.since("february")}
    [panel] = _panels(samples.bound("test_log_loss", Verdict.FAIL, **fields))
    assert (plot_data.Limit(0.55, relative=True),) == panel.points[1].limits


@pytest.mark.parametrize(
    ("relative", "measured", "limit"), [(False, 0.1, 0.5 + 0.05), (True, 0.2, 0.5 * 1.05), (True, -1.0, None)]
)
def test_a_limit_since_another_run_is_computed_from_the_change(
    *, relative: bool, measured: float, limit: float | None
) -> None:
    """The limit of a change from another run is computed from the measured change."""
    fields = {"kind": "change_max", "limit": 0.05, "relative": relative, "reference": GOOD}
    [panel] = _panels(samples.bound("test_log_loss", Verdict.FAIL, measured=measured, **fields))
    assert ([] if limit is None else [pytest.approx(limit)]) == [
        each.value for each in panel.points[1].limits
    ]


def test_a_limit_since_a_run_that_could_not_be_compared_is_not_drawn() -> None:
    """Without a measured change from another run, no limit is drawn."""
    fields = {"kind": "change_max", "limit": 0.05, "reference": GOOD}
    [panel] = _panels(samples.bound("test_log_loss", Verdict.NOT_PROVEN, measured=None, **fields))
    assert () == panel.points[1].limits


def test_a_text_has_no_plot() -> None:
    """A bound on a text is not plotted."""
    assert () == _panels(samples.bound("schema", kind="is", limit=None, measured=None, distance=None))


def test_an_agreement_is_plotted_at_its_versions() -> None:
    """An agreement of explanations is plotted at the versions where it was measured."""
    bound = samples.bound(
        "top_3_overlap",
        quantity={"kind": "top_k", "k": 3},
        measured=1.0,
        limit=0.66,
        distance=0.34,
        reference=samples.since("february"),
    )
    [panel] = _panels(bound)
    assert [None, 1.0] == [point.value for point in panel.points]


def test_a_plot_has_the_outcome_of_a_bound_that_must_fail() -> None:
    """A plot shows the outcome of a bound that must fail, as all reports do."""
    [panel] = _panels(samples.bound("test_log_loss", Verdict.FAIL, must_fail=True))
    assert Verdict.PASS is panel.points[1].verdict
