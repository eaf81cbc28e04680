"""The report as an HTML page."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest

from harness.parity.compare import Parity, report_not_compared
from harness.report.html import render_html
from harness.results import Result, Verdict
from harness.targets.registry import TARGETS
from harness.targets.run_parity import compare_runs
from harness.views.bound_table import make_bound_rows
from harness.views.formatting import typeset
from tests.unit import report_samples as samples

_NASTY = "<script>alert('x')</script> & \"quotes\" $math$ {{ 7 * 7 }}"


class _Outline(HTMLParser):
    """The tags of a page, their attributes and its text; checks that the tags nest."""

    VOID = ("meta", "link", "wbr", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _outline(result: Result, parity: Parity | None = None) -> _Outline:
    return _Outline(render_html(samples.plan(), result, parity))


def _parity_section(parity: Parity) -> str:
    """Return the text of the parity section."""
    page = render_html(samples.plan(), samples.cloud(), parity)
    start = page.index('<section aria-labelledby="parity">')
    panel = page[start : page.index("</section>", start)].replace("<wbr>", "")
    return " ".join(unescape(re.sub("<[^>]+>", " ", panel)).split())


def _large_result(versions: int, features: int) -> Result:
    weights = {f"feature_{at:02}_{'x' * 60}": samples.explanation((at - 20) / 1000) for at in range(features)}
    return samples.result(
        tuple(samples.version(f"v{at}_{'y' * 60}", at, explanations=weights) for at in range(versions))
    )


def test_the_page_loads_nothing() -> None:
    """The page opens offline: it has no address of another host, no script and no import."""
    page = render_html(samples.plan(), samples.result())
    assert not re.findall(r"https?://|<script|@import|<iframe|src=", page)


def test_the_same_result_gives_the_same_page() -> None:
    """Two reports of one result have the same bytes."""
    assert render_html(samples.plan(), samples.result()) == render_html(samples.plan(), samples.result())


def test_the_verdict_comes_first() -> None:
    """The first heading below the title is the verdict."""
    page = render_html(samples.plan(), samples.result())
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page)[0].endswith("PASS")


def test_warnings_follow_the_verdict() -> None:
    """Warnings are shown with the verdict."""
    page = render_html(samples.plan(), samples.result(warnings=("Version <3> expires.",)))
    assert page.index("Version &lt;3&gt; expires.") < page.index('aria-labelledby="bounds"')


def test_every_bound_is_shown() -> None:
    """The table of bounds has each bound with its value and distance, and nothing else."""
    page = render_html(samples.plan(), samples.result())
    cell = r'"judged [^"]+"><strong>(.*?)</strong>\s*<small>(.*?)</small><small>distance (.*?)</small>'
    shown = [tuple(map(unescape, each)) for each in re.findall(cell, page)]
    rows = make_bound_rows(samples.result().versions)
    expected = [tuple(map(typeset, (row.value, row.bound, row.distance))) for row in rows]
    assert (sorted(expected), 14) == (sorted(shown), len(shown))


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.OBSERVED])
def test_every_verdict_is_a_word(verdict: Verdict) -> None:
    """No verdict is shown only by color."""
    version = samples.version("march", 2, bounds=(samples.bound(verdict=verdict),))
    assert f"</span> {verdict.value}</span>" in render_html(samples.plan(), samples.result((version,)))


def test_a_missing_value_is_shown_as_not_measured() -> None:
    """A bounded metric without a value is shown as 'not measured'."""
    bounds = (samples.bound("test_roc_auc", Verdict.NOT_PROVEN),)
    version = samples.version("march", 2, metrics={"test_roc_auc": None}, bounds=bounds)
    assert "not measured" in _outline(samples.result((version,))).text


def test_names_and_messages_are_escaped() -> None:
    """Names and messages are shown as text, whatever they contain."""
    bound = samples.bound(_NASTY, Verdict.NOT_PROVEN, reason=_NASTY)
    version = samples.version(
        _NASTY, 2, bounds=(bound,), explanations={_NASTY: samples.explanation(1)}, metrics={_NASTY: 1}
    )
    failure = samples.failure(message=_NASTY, remedy=_NASTY)
    page = _outline(samples.result((version,), failure=failure))
    assert (_NASTY in page.text, [tag for tag, _ in page.tags if tag == "script"]) == (True, [])


def test_a_failure_shows_its_remedy() -> None:
    """The error of a failed run is shown with its remedy."""
    text = _outline(samples.result((), failure=samples.failure())).text
    assert "ran out of memory" in text
    assert "spark.driver.memory to 4g" in text


def test_versions_that_were_not_reached_are_named() -> None:
    """A run that ended early names the missing versions."""
    result = samples.result(samples.result().versions[:1], failure=samples.failure())
    assert "Not reached: february, march." in _outline(result).text


def test_every_plot_has_a_text() -> None:
    """Each plot is an image with its numbers as alternative text."""
    drawn = [attributes for tag, attributes in _outline(samples.result()).tags if tag == "svg"]
    assert len(drawn) == 4 + 9 + 1
    assert all(each["role"] == "img" and each["aria-label"] for each in drawn)


def test_the_contents_lead_to_every_section() -> None:
    """Each section except the verdict is in the contents, and nothing else is."""
    for result in (samples.result(), samples.result(versions=())):
        tags = _outline(result).tags
        links = [attributes["href"] for tag, attributes in tags if tag == "a"]
        headings = [f"#{attributes['id']}" for tag, attributes in tags if tag == "h2"]
        assert headings == ["#verdict", *links]


def test_every_header_cell_has_a_scope() -> None:
    """Each header cell has a scope, row or column, for screen readers."""
    headers = [attributes for tag, attributes in _outline(samples.result()).tags if tag == "th"]
    assert {"row", "col"} == {attributes.get("scope") for attributes in headers}


def test_equal_identifiers_have_equal_content() -> None:
    """Two plots share an identifier only for the same content."""
    page = render_html(samples.plan(), samples.result())
    tags = dict.fromkeys(re.findall(r'(<(?:clipPath|path|section|h2)[^>]* id="[^"]+"[^>]*>)', page))
    identifiers = [re.search(r'id="([^"]+)"', tag) for tag in tags]
    names = [each.group(1) for each in identifiers if each]
    assert names
    assert len(names) == len(set(names))


def test_no_placeholder_color_is_left() -> None:
    """Every color of a plot is a variable of the page, for light and dark mode."""
    page = render_html(samples.plan(), samples.result())
    assert not re.findall(r"<svg.*?#[0-9a-f]{6}.*?</svg>", page[page.index("<body>") :], flags=re.DOTALL)


def test_bundle_and_fingerprint_are_complete() -> None:
    """URIs and digests in the lineage, which people copy, are not truncated."""
    result = samples.result()
    text = _outline(result).text
    assert all(each.fingerprint in text and str(each.bundle) in text for each in result.versions)


def test_settings_show_their_origin() -> None:
    """The table of settings shows each value's origin."""
    assert "HARNESS_DRIVER_MEMORY" in _outline(samples.result()).text


def test_passwords_in_addresses_are_hidden() -> None:
    """The tracking server's address is shown without its password."""
    environment = samples.plan().environment.model_copy(update={"tracking_uri": "https://me:hunter2@mlflow/"})
    page = render_html(samples.plan(environment=environment), samples.result()).replace("<wbr>", "")
    assert ("https://***@mlflow/" in page, "hunter2" in page) == (True, False)


def test_many_features_are_drawn_in_part_and_listed_in_full() -> None:
    """Of forty features, twelve are plotted, all are in the table, and the page says so."""
    text = _outline(_large_result(2, 40)).text
    assert "28 more features are in the table" in text
    assert all(f"feature_{at:02}_" in text for at in range(40))


@pytest.mark.parametrize(
    "result",
    [
        samples.result(()),
        samples.result((), failure=samples.failure(), timings={}, libraries={}),
        samples.result((samples.version("only", 0),)),
        samples.result(
            (samples.version("bare", 0, metrics={}, explanations={}, coefficients={}, grid=(), timings={}),)
        ),
        samples.result((samples.version("flat", 0, explanations={"x": samples.explanation(0)}),)),
        _large_result(30, 2),
    ],
    ids=[
        "no versions",
        "nothing but a failure",
        "one version",
        "bare version",
        "all weights zero",
        "30 versions",
    ],
)
def test_any_result_makes_a_page_whose_tags_nest(result: Result) -> None:
    """Any result, with little or much in it, gives a page whose tags nest."""
    assert _outline(result).open == []


def _differing_runs() -> Parity:
    """Return two runs with a value that differs, one that is missing and one within the tolerance."""
    metrics = {"one": 1.0, "two": 1.0, "three": 3.0}
    a = samples.result((samples.version("march", 2, metrics=metrics),))
    off = {"two": 2.0, "three": 3.0 + 1e-8}
    return compare_runs(a, samples.cloud((samples.version("march", 2, metrics=off),)))


def test_a_disagreement_is_the_first_heading() -> None:
    """A run whose bounds hold fails if the other run does not agree."""
    page = render_html(samples.plan(), samples.cloud(), _differing_runs())
    assert ("FAIL", True) == (
        re.findall(r"<h2[^>]*>(.*?)</h2>", page)[0].split()[-1],
        "<title>FAIL: three_versions on databricks</title>" in page,
    )


def test_the_parity_section_starts_with_the_verdict_and_the_differences() -> None:
    """The section has the verdict, the runs, disagreeing values, the tally, then small differences."""
    text = _parity_section(_differing_runs())
    same = len(_differing_runs().differences) - 3
    parts = (
        "✗ fail The two runs disagree.",
        "embedded 20260301-101500-7f3a databricks 20260302-080000-three_versions-0b1c",
        "two metric march ✗ fail 1 2 5.0e-01 1e-06",
        "one metric march ? not proven 1 absent 1e-06",
        f"{same} values identical, 3 different.",
        "Differences within the tolerance",
        "three metric march ✓ pass 3 3.0000 3.3e-09 1e-06",
    )
    assert sorted(map(text.index, parts)) == [text.index(part) for part in parts]


def test_the_parity_section_has_the_tolerances() -> None:
    """The parity section shows the tolerances even if nothing differs."""
    tolerances = "metrics 1e-06, coefficients 0.0001, explanations 0.0001"
    assert f"Relative tolerances: {tolerances}; data must be identical." in _parity_section(
        compare_runs(samples.result(), samples.cloud())
    )


def test_the_parity_section_has_libraries_and_gaps() -> None:
    """The section has the libraries of both runs, with different ones marked, and the gaps."""
    panel = _parity_section(compare_runs(samples.result(), samples.cloud()))
    parts = (
        "python 3.12.8 3.12.3 different",
        "mlflow 3.17.2 3.17.2 same",
        "photon absent 1 different",
        *TARGETS["databricks"].gaps,
    )
    assert [] == [part for part in parts if part not in panel]


def test_two_local_runs_have_no_gaps() -> None:
    """The comparison of two local runs lists no gaps of a local run."""
    text = _parity_section(compare_runs(samples.result(run_id="one"), samples.result(run_id="two")))
    assert ("a one on embedded b two on embedded" in text, "Not proven by a local run" in text) == (
        True,
        False,
    )


def test_a_run_without_another_has_a_reason() -> None:
    """Without another run, the parity section has only the verdict and the reason."""
    expected = "Parity ? not proven Nothing was compared. There is no local run."
    assert expected == _parity_section(report_not_compared(samples.cloud(), "There is no local run."))


def test_without_another_run_there_is_no_parity_section() -> None:
    """A run that is not compared has no parity section."""
    assert 'id="parity"' not in render_html(samples.plan(), samples.result())


def test_names_of_the_other_run_are_escaped() -> None:
    """Names, libraries and reasons of a comparison are escaped, and the tags nest."""
    a = samples.result(
        (samples.version(_NASTY, 2, metrics={_NASTY: 1}),), run_id=_NASTY, libraries={_NASTY: _NASTY}
    )
    for parity in (compare_runs(a, samples.cloud()), report_not_compared(samples.cloud(), _NASTY)):
        page = _outline(samples.cloud(), parity)
        scripts = [tag for tag, _ in page.tags if tag == "script"]
        assert (True, [], []) == (_NASTY in page.text, scripts, page.open)


def test_a_run_that_observes_says_so() -> None:
    """The report of a run that only observes has a verdict of its own, and no bounds."""
    observed = samples.result((samples.version("march", 2),), verdict=Verdict.OBSERVED)
    page = render_html(samples.plan(), observed)
    assert "</span> OBSERVED</h2>" in page
    assert "The scenario only observes: nothing was judged, and nothing was published." in page
