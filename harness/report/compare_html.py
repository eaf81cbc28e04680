"""Two runs side by side on one page that opens anywhere, made like the report of one run."""

from __future__ import annotations

from markupsafe import Markup

from harness.report import differences, pairs, words
from harness.report.html import environment, parity_context
from harness.report.panels import MetricPanel, metric_panels
from harness.report.plots import pair_svg
from harness.results import Verdict
from harness.verdict.parity import Parity

_WORDS = {Verdict.PASS: "SAME", Verdict.FAIL: "DIFFERENT", Verdict.NOT_PROVEN: "NOT PROVEN"}


def render_comparison(a: pairs.Run, b: pairs.Run, parity: Parity) -> str:
    """The page; names and messages are escaped wherever they stand.

    Args:
        a: One run.
        b: The other one, which differences are counted towards.
        parity: Both held against each other.
    """
    bounds = pairs.bound_pairs(a.result, b.result)
    sides = differences.sides(parity)
    plans = [run.plan for run in (b, a) if run.plan is not None]
    context = {
        "written_by": plans[0].harness_version if plans else "",
        "word": _WORDS[parity.verdict],
        "runs": (a.result, b.result),
        "turned": sum(pair.turned for pair in bounds),
        "facts": pairs.fact_pairs(a, b),
        "bounds": bounds,
        "plots": _plots(a, b, (sides[0].name, sides[1].name)),
        "groups": (
            ("data", "Data", pairs.data_groups(a.result, b.result)),
            ("metrics", "Metrics", pairs.metric_groups(a.result, b.result)),
            ("explanations", "Explanations", pairs.weight_groups(a.result, b.result)),
        ),
        "parity": parity,
        **parity_context(parity),
    }
    return environment().get_template("compare.html.j2").render(context)


def _plots(a: pairs.Run, b: pairs.Run, names: tuple[str, str]) -> list[tuple[str, Markup]]:
    """The metrics that either run bounds, each run in a colour of its own."""
    left, right = ({each.metric: each for each in metric_panels(run.result)} for run in (a, b))
    empty = MetricPanel("", "", ())
    drawn = []
    for metric in dict.fromkeys([*left, *right]):
        both = (left.get(metric, empty), right.get(metric, empty))
        told = "; ".join(
            f"{name}: {', '.join(f'{point.version} {words.number(point.value)}' for point in panel.points)}"
            for name, panel in zip(names, both, strict=True)
        )
        svg = pair_svg(both, f"{metric} in both runs. {told}.")
        drawn.append((metric, Markup(svg)))  # noqa: S704 - ours, and its text is escaped by who drew it.
    return drawn
