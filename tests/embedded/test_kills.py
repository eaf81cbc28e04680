"""Ten kills at random moments, as in the campaigns of ``make test-faults``: runs go on, and pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.embedded.small import ONE_VERSION, write_scenario
from tests.faults.campaign import Campaign
from tests.faults.embedded import EmbeddedVictim

pytestmark = pytest.mark.spark


def test_ten_killed_runs_go_on(tmp_path: Path) -> None:
    """Whichever process is killed: the run goes on with the same numbers, and nothing is left or twice."""
    victim = EmbeddedVictim(tmp_path / "home")
    lines: list[str] = []
    campaign = Campaign(victim, write_scenario(tmp_path, ONE_VERSION), lines.append, resumes=True)
    campaign.run(kills=10, seed=1)
    assert ([], 0) == (campaign.findings, campaign.compare_numbers()[1]), "\n".join(lines)
