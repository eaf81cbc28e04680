"""A harness for dataset versioning: what does a new version of a Delta table do to a model?

From Python or a notebook::

    import harness

    result = harness.run("scenarios/three_versions.yaml")
    result.verdict  # Verdict.PASS
    result.versions[0].metrics["cv_roc_auc"]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.results import Result

__all__ = ["run"]


def run(
    scenario: str | Path, *, target: str | None = None, quiet: bool = False, only: Sequence[str] = ()
) -> Result:
    """Run one scenario, and give its result.

    Args:
        scenario: A scenario's file, or its name below ``scenarios/``.
        target: Where to run; the settings' choice where it is not said.
        quiet: Show neither progress nor verdict.
        only: Which combination of a scenario's matrix, such as ``["seed=1"]``.

    Returns:
        The result, also where bounds failed; ``result.verdict`` tells.

    Raises:
        harness.errors.HarnessError: There is no verdict; ``exit_code`` and the message say why.
    """
    from rich.console import Console

    from harness.request import RunRequest, open_session
    from harness.workflow import execute

    request = RunRequest(str(scenario), target, only=tuple(only))
    session = open_session(request, Console(quiet=quiet, highlight=False), takes_one=True)
    return execute(session, session.single).result
