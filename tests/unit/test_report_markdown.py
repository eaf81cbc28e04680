"""The report as Markdown."""

import pytest

from harness.parity.compare import Parity, report_not_compared
from harness.report.markdown import escape_text, format_code, render_markdown
from harness.results import Result, Verdict
from harness.targets.registry import TARGETS
from harness.targets.run_parity import compare_runs
from tests.unit import report_samples as samples


def _lines(result: Result, parity: Parity | None = None) -> list[str]:
    return render_markdown(samples.plan(), result, parity).splitlines()


def test_the_headline_is_the_verdict() -> None:
    """The first line of the comment has the verdict, the scenario and the target."""
    assert _lines(samples.result())[0] == "## ✅ PASS: three\\_versions on embedded"


def test_failed_bounds_come_first() -> None:
    """Failed bounds are listed above those that hold."""
    bounds = (samples.bound(), samples.bound("test_roc_auc", Verdict.FAIL))
    lines = _lines(samples.result((samples.version("march", 2, bounds=bounds),)))
    first = lines[lines.index("### Bounds") + 4]
    assert first == "| ✗ fail | `march` | `test_roc_auc` | 0.5500 ± 0.039 | `>= 0.6` | -0.0500 |"


def test_changes_of_explanations_are_shown() -> None:
    """The comment shows how each feature's weight has changed and whether its sign did."""
    assert "| `total_acc` | -0.0006 | +0.0004 | -0.0009 | -0.0013 (changes sign) |" in [
        line.replace("0.000600", "0.0006").replace("0.000400", "0.0004").replace("0.000900", "0.0009")
        for line in _lines(samples.result())
    ]


def test_every_table_has_as_many_cells_as_its_header() -> None:
    """| No name, bound or message changes the number of a table's cells."""
    bound = samples.bound("a|b`c", Verdict.NOT_PROVEN, reason="x | y\n| z")
    version = samples.version("v|1", 2, bounds=(bound,), explanations={"f|g": samples.explanation(1)})
    widths: list[set[int]] = [set()]
    for line in _lines(samples.result((version,))):
        if line.startswith("|"):
            widths[-1].add(line.replace("\\|", "").count("|"))
        elif widths[-1]:
            widths.append(set())
    assert [1] * (len(widths) - 1) + [0] == [len(width) for width in widths]
    assert len(widths) > 5


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("&lt;img&gt;", "<img>"),
        ("\\*a\\* \\[b\\](c)".replace("(c)", "\\(c\\)"), "*a* [b](c)"),
        ("&#64;everyone", "@everyone"),
        ("one two", "one\ntwo"),
    ],
)
def test_prose_means_nothing_to_markdown(expected: str, text: str) -> None:
    """A message can't format text, create a link, mention a user or start a new line."""
    assert escape_text(text) == expected


@pytest.mark.parametrize(
    ("expected", "text"), [("`a_b`", "a_b"), ("`a\\|b`", "a|b"), ("`` a`b ``", "a`b"), ("", "")]
)
def test_code_shows_any_name(expected: str, text: str) -> None:
    """A name is shown as code whatever characters it has."""
    assert format_code(text) == expected


def test_warnings_come_before_the_tables() -> None:
    """Warnings follow the verdict, and mean nothing to Markdown."""
    lines = _lines(samples.result(warnings=("Version 3 of `t` expires.",)))
    assert lines.index("**Warning:** Version 3 of \\`t\\` expires.") < lines.index("### Bounds")


def test_a_failure_comes_before_the_tables() -> None:
    """The comment on a failed run starts with the error and its remedy."""
    page = render_markdown(samples.plan(), samples.result((), failure=samples.failure()))
    assert page.startswith("## 🛑 STOPPED")
    assert "Set spark.driver.memory to 4g" in page


def test_collapsed_sections_are_closed() -> None:
    """Every collapsed section is closed."""
    page = render_markdown(samples.plan(), samples.result())
    assert page.count("<details>") == page.count("</details>") == 5


def test_many_versions_show_the_latest() -> None:
    """A long history is limited to the latest versions, and the comment says so."""
    versions = tuple(samples.version(f"v{at}", at) for at in range(30))
    page = render_markdown(samples.plan(), samples.result(versions))
    assert "The last 6 of 30 versions are shown." in page


def test_lineage_names_the_bundle() -> None:
    """The lineage table names the bundle of each version."""
    assert any(f"`{samples.BUNDLE}/march`" in line for line in _lines(samples.result()))


def _parity(parity: Parity) -> list[str]:
    """Return the comment's parity section."""
    lines = _lines(samples.cloud(), parity)
    start = lines.index("### Parity")
    return [line for line in lines[start + 1 : lines.index("### Explanations")] if line]


def test_a_run_that_disagrees_fails_the_comment() -> None:
    """The headline has the worse one of the verdicts of bounds and parity."""
    a = samples.result((samples.version("march", 2, rows=1),))
    lines = _lines(samples.cloud(), compare_runs(a, samples.cloud()))
    assert "## ❌ FAIL: three\\_versions on databricks" == lines[0]


def test_the_comment_has_the_differences() -> None:
    """The comment lists the values that differ between the runs, worst first."""
    a = samples.result((samples.version("march", 2, rows=1, metrics={"one": 1.0, "two": 1.0}),))
    b = samples.cloud((samples.version("march", 2, rows=2, metrics={"two": 1.0 + 1e-8}),))
    parity = compare_runs(a, b)
    same = len(parity.differences) - 3
    runs = "`20260301-101500-7f3a` on embedded and `20260302-080000-three_versions-0b1c` on databricks"
    assert [
        f"✗ The two runs disagree. {same} values identical, 3 different. Compared: {runs}.",
        "| verdict | version | what | name | embedded | databricks | difference | tolerance |",
        "| --- | --- | --- | --- | --- | --- | ---: | ---: |",
        "| ✗ fail | `march` | data | `rows` | `1` | `2` |  | exact |",
        "| ? not proven | `march` | metric | `one` | 1 | absent |  | 1e-06 |",
        "| ✓ pass | `march` | metric | `two` | 1 | 1.0000 | 1.0e-08 | 1e-06 |",
    ] == _parity(parity)[:6]


def test_the_comment_has_libraries_and_gaps() -> None:
    """The comment lists different libraries, and the gaps of a local run in a collapsed section."""
    section = _parity(compare_runs(samples.result(), samples.cloud()))
    assert (True, False, len(TARGETS["databricks"].gaps)) == (
        "| `python` | `3.12.8` | `3.12.3` |" in section,
        any("mlflow" in line for line in section),
        sum(line.startswith("- ") for line in section),
    )


def test_many_differences_are_limited() -> None:
    """Of many differences, twenty are shown and the rest are counted."""
    names = [f"m{at:02}" for at in range(23)]
    a = samples.result((samples.version("march", 2, metrics=dict.fromkeys(names, 1.0)),))
    metrics = {name: 1.0 - at / 1000 for at, name in enumerate(names, start=1)}
    section = _parity(compare_runs(a, samples.cloud((samples.version("march", 2, metrics=metrics),))))
    shown = [line for line in section if line.startswith("| ✗")]
    assert (20, True, True) == (len(shown), "`m22`" in shown[0], "3 smaller differences omitted." in section)


def test_a_run_without_another_is_one_line() -> None:
    """Without another run, the parity section has only the reason."""
    expected = ["? Nothing was compared. There is no local run."]
    assert expected == _parity(report_not_compared(samples.cloud(), "There is no local run."))


def test_without_another_run_the_comment_has_no_parity() -> None:
    """A run that is not compared has no parity section."""
    assert "### Parity" not in _lines(samples.result())


def test_a_bound_that_must_fail_is_marked() -> None:
    """A bound that must fail is marked in the table and in the headline's sentence."""
    bound = samples.bound(verdict=Verdict.FAIL, must_fail=True)
    lines = _lines(samples.result((samples.version("march", 2, bounds=(bound,)),)))
    assert lines[2].startswith("1 bound must fail, and does. Took ")
    assert "| ✓ fails as expected | `march` | `cv_roc_auc` | 0.5500 ± 0.037 | `>= 0.6` | -0.0500 |" in lines


def test_a_found_text_is_escaped() -> None:
    """A text that a bound found is escaped."""
    bound = samples.bound(
        "schema",
        Verdict.FAIL,
        kind="is",
        limit=None,
        measured=None,
        distance=None,
        expected="id int",
        found="a|b is *missing*",
    )
    lines = _lines(samples.result((samples.version("march", 2, bounds=(bound,)),)))
    assert "| ✗ fail | `march` | `schema` | a\\|b is \\*missing\\* | `= id int` |  |" in lines


def test_lineage_has_the_outcome_of_a_version() -> None:
    """The lineage table has the commits of a version and, without an MLflow run, its outcome."""
    commit = {"operation": "ADD COLUMNS", "time": "2026-03-01T10:15:00Z", "reader": 1, "writer": 2}
    built = {"status": "built", "run_id": None, "bundle": None}
    versions = (
        samples.version("wide", 3, **built, commits=1, commit=commit),
        samples.version("wrong", 4, **built, commits=0, error="DELTA_SOMETHING"),
    )
    cells = [line.split(" | ")[4:] for line in _lines(samples.result(versions)) if line.startswith("| `w")]
    assert [
        ["1 commit: ADD COLUMNS", "built, not trained", "not published |"],
        ["0 commits", "failed as expected with DELTA\\_SOMETHING", "not published |"],
    ] == [each for each in cells if each[-1:] == ["not published |"]]
