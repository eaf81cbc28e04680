"""Publishing of bundles, depending on 'when' and on the bounds."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from harness.job import main
from harness.job.clock import Clock
from harness.job.running_job import Job
from harness.results import BoundResult, Verdict, VersionResult
from harness.scenario.bound_spec import BoundSpec, Quantity
from tests.embedded.runner import change_scenario, make_plan
from tests.embedded.small import SMALL


def bound(verdict: Verdict, *, must_fail: bool = False) -> BoundResult:
    """Return a bound on the number of rows."""
    spec = BoundSpec(
        version="first",
        quantity=Quantity(kind="rows"),
        metric="rows",
        kind="min",
        limit=2,
        must_fail=must_fail,
    )
    return BoundResult(spec=spec, measured=1, distance=-1, verdict=verdict)


@pytest.mark.parametrize(
    ("when", "bounds", "published"),
    [
        pytest.param("pass", [bound(Verdict.PASS)], True, id="all hold"),
        pytest.param("pass", [bound(Verdict.PASS), bound(Verdict.NOT_PROVEN)], False, id="not proven"),
        pytest.param("pass", [bound(Verdict.FAIL, must_fail=True)], False, id="one fails as expected"),
        pytest.param("always", [bound(Verdict.FAIL)], True, id="always"),
        pytest.param("never", [bound(Verdict.PASS)], False, id="never"),
    ],
)
def test_a_bundle_is_published_if_every_bound_holds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str, bounds: list[BoundResult], published: bool
) -> None:
    """A bundle is published if 'when' allows it; with 'pass', only if every bound itself holds."""
    opened: list[Any] = []
    monkeypatch.setattr(main, "open_store", lambda *arguments: opened.append(arguments))
    plan = make_plan(change_scenario(SMALL, {"publish": {"when": when}}), tmp_path / "none.csv", tmp_path)
    job = Job(plan, Clock(lambda _event: None), cast("Any", None), Future(), tmp_path)
    version = VersionResult(
        name="first", version=0, rows=1, fingerprint="", data_schema={}, bounds=tuple(bounds)
    )
    job.versions = (version,)
    main.publish(job, [])
    assert published == bool(opened)
