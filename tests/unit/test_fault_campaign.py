"""What ``make test-faults`` finds: each kind of leftover, and runs with other numbers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlflow import MlflowClient

from harness.files import write_text
from harness.results import Result, Verdict
from harness.runs import JUNIT, PLAN, RESULT, UNSETTLED, RunFolder
from harness.storage.model_store import MANIFEST, FolderStore, ModelStore
from tests.faults.campaign import Campaign, Kill
from tests.unit import report_samples as samples

_LINES = "import time; print('[ 1 s]\\n[ 2 s]', flush=True); time.sleep({seconds}); exit({code})"


@dataclass
class _Victim:
    """A target whose command is a process that only sleeps."""

    home: Path
    open_runs: Sequence[str] = ()
    seconds: float = 60.0
    exit_codes: Iterator[int] = field(default_factory=lambda: repeat(0))
    names = ("job", "outage")
    harmless = ("outage",)

    def start(self, *_: str) -> AbstractContextManager[subprocess.Popen[str]]:
        command = [sys.executable, "-c", _LINES.format(seconds=self.seconds, code=next(self.exit_codes))]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def run(self, *_: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess((), 0, "", "")

    def kill(self, name: str) -> bool:
        return name in self.harmless

    def recover(self) -> None:
        return

    def open_store(self) -> ModelStore:
        return FolderStore(self.home / "models")

    def open_tracking(self) -> MlflowClient:
        runs = [SimpleNamespace(info=SimpleNamespace(run_id=each)) for each in self.open_runs]
        client = SimpleNamespace(search_experiments=lambda: (), search_runs=lambda *_: runs)
        return cast(MlflowClient, client)

    def list_leftovers(self) -> Iterator[str]:
        yield from ()


def make_run(home: Path, number: int, result: Result | None) -> RunFolder:
    """Write a run with its plan and, if it has one, its result and its report for CI servers."""
    run = RunFolder.create(home / "runs", f"20260101-00000{number}-small-000{number}")
    write_text(run.path / PLAN, "{}")
    if result is not None:
        write_text(run.path / RESULT, result.to_json())
        write_text(run.path / JUNIT, "")
    return run


def search(victim: Any) -> list[str]:
    """Return what a campaign finds."""
    return list(Campaign(victim, "small.yaml", lambda _line: None).list_leftovers())


def test_a_clean_home_has_no_leftovers(tmp_path: Path) -> None:
    """Nothing is found if every run has a result, and every bundle belongs to one."""
    bundle = tmp_path / "models" / "lc_loan" / f"v0-{'0' * 32}"
    write_text(bundle / MANIFEST, "{}")
    result = samples.result()
    versions = (result.versions[0].model_copy(update={"bundle": str(bundle)}), *result.versions[1:])
    make_run(tmp_path, 1, result.model_copy(update={"versions": versions}))
    assert [] == search(_Victim(tmp_path))


@pytest.mark.parametrize("has_manifest", [True, False])
def test_a_bundle_that_no_run_has_proven_is_found(tmp_path: Path, has_manifest: bool) -> None:
    """A bundle is found that no result lists, and a copy without a manifest."""
    bundle = tmp_path / "models" / "lc_loan" / f"v0-{'0' * 32}"
    write_text(bundle / (MANIFEST if has_manifest else "classifier"), "{}")
    [found] = search(_Victim(tmp_path))
    assert bundle.name in found


def test_runs_that_are_not_settled_are_found(tmp_path: Path) -> None:
    """A run without a result, an unsettled run, and an open run in MLflow are found."""
    make_run(tmp_path, 1, None)
    run = make_run(tmp_path, 2, samples.result())
    write_text(run.path / UNSETTLED, "")
    found = search(_Victim(tmp_path, open_runs=["abc"]))
    assert ["abc", "small-0001", "small-0002"] == [
        next(name for name in ("abc", "small-0001", "small-0002") if name in each) for each in found
    ]


def test_runs_with_other_numbers_are_counted(tmp_path: Path) -> None:
    """Runs that passed are compared with the first one."""
    passed = samples.result().model_copy(update={"verdict": Verdict.PASS})
    other = passed.versions[0].model_copy(update={"rows": 7})
    make_run(tmp_path, 1, passed)
    make_run(tmp_path, 2, passed)
    make_run(tmp_path, 3, passed.model_copy(update={"versions": (other, *passed.versions[1:])}))
    campaign = Campaign(cast(Any, _Victim(tmp_path)), "small.yaml", lambda _line: None)
    assert (3, 1) == campaign.compare_numbers()


def test_the_command_is_killed_after_a_line(tmp_path: Path) -> None:
    """The command is killed after a line of its progress; one that has ended before isn't counted."""
    campaign = Campaign(cast(Any, _Victim(tmp_path)), "small.yaml", lambda _line: None)
    assert -9 == campaign.kill(Kill("command", 1, 0.0))
    ended = Campaign(cast(Any, _Victim(tmp_path, seconds=0.0)), "small.yaml", lambda _line: None)
    assert ended.kill(Kill("job", 1, 0.0)) is None


def test_a_run_that_should_have_survived_is_found(tmp_path: Path) -> None:
    """A run that fails after an outage that it must survive is a finding, but not before its first line."""
    codes = chain((0,), repeat(3, 7), repeat(0))  # The first run is undisturbed.
    victim = _Victim(tmp_path, seconds=0.1, exit_codes=codes)
    shown: list[str] = []
    campaign = Campaign(cast(Any, victim), "small.yaml", shown.append, only=["outage"])
    campaign.run(kills=8, seed=1)
    failed = [line.partition(" lines")[0][-6:] for line in shown if line.endswith("outage: exit code 3")]
    assert {"0 of 2", "1 of 2"} == set(failed)
    assert ["the run didn't survive 'outage'"] * failed.count("1 of 2") == campaign.findings
    assert [*["outage: exit code 3"] * 7, "outage: exit code 0"] == campaign.codes
