"""Commands that run a scenario once or several times."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import (
    Champion,
    Fresh,
    Keep,
    Only,
    PastRun,
    ScenarioName,
    TableUri,
    TableVersions,
    Target,
    TrackingTarget,
    open_console,
    read_settings_of_past_runs,
)
from harness.tracked_names import DEFAULT_ALIAS

if TYPE_CHECKING:
    from harness.request import RunRequest


def scenario(
    name: ScenarioName,
    target: Target = None,
    keep: Keep = False,
    fresh: Fresh = False,
    table: TableUri = None,
    versions: TableVersions = None,
    champion: Champion = None,
    only: Only = None,
) -> None:
    """Run a scenario and judge its bounds.

    Builds or reads each version of the table, trains and explains a model on it, tracks the runs in MLflow,
    judges the bounds, writes a report and publishes the models. What an earlier run has measured on the same
    data, with the same code and settings, is not measured again.
    """
    from harness.workflow import run

    request = _make_request(name, target, table, versions, only, champion, keep=keep, fresh=fresh)
    raise typer.Exit(run(request, open_console()))


def watch(
    name: ScenarioName,
    target: Target = None,
    keep: Keep = False,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Run a scenario again each time one of its files changes.

    Watches the scenario, its sources, its code, an existing table on this machine, and harness.toml. Press
    Ctrl-C to stop. The embedded target keeps its JVM between the runs, so that they start sooner.
    """
    from harness.watching import watch as run_on_changes

    request = _make_request(name, target, table, versions, only, keep=keep)
    raise typer.Exit(run_on_changes(request, open_console()))


def resume(run: PastRun) -> None:
    """Resume a run that ended without a verdict.

    It keeps its ID; finished steps are not repeated. 'scenario' resumes it too if nothing has changed since.
    """
    from harness.workflow import resume as resume_run

    raise typer.Exit(resume_run(run, open_console()))


def publish(
    run: PastRun,
    to: Annotated[
        str,
        typer.Option("--to", metavar="STORE", help="Name of a model store under [stores] in harness.toml."),
    ],
    versions: Annotated[
        list[str] | None,
        typer.Option("--version", metavar="NAME", help="Publish only this version; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Publish even if the run did not pass.")] = False,
) -> None:
    """Copy a passed run's models to a model store.

    Copies featurizer, classifier and explainer of each version together from MLflow, reads them back and
    compares them. Publishing a run twice changes nothing.
    """
    from harness.publishing import publish as publish_run

    publish_run(run, to, typer.echo, versions=tuple(versions or ()), force=force)


def rollback(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of a registered model in MLflow.")],
    alias: Annotated[
        str,
        typer.Option(metavar="NAME", help="Alias to move back (default: champion).", show_default=False),
    ] = DEFAULT_ALIAS,
    target: TrackingTarget = None,
) -> None:
    """Let a registered model's alias point to the version before.

    Runs with publish.register record which version an alias pointed to before they moved it. They don't move
    it again to a version from which it was rolled back.
    """
    from harness.rollback import rollback as roll_back

    moved = roll_back(read_settings_of_past_runs(target), model, alias)
    typer.echo(f"'{alias}' of '{model}' now points to version {moved.after}; it was version {moved.before}.")


def calibrate(
    name: ScenarioName,
    repeats: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Number of runs, each with a different seed; at least 3 (default: 10).",
            show_default=False,
        ),
    ] = 10,
    false_alarms: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            help="Accepted false alarm rate of each proposed bound (default: 0.01).",
            show_default=False,
        ),
    ] = 0.01,
    every_metric: Annotated[
        bool,
        typer.Option(
            "--all", help="Propose bounds on every quality metric, not only on those the scenario bounds."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers to this file, as JSON.")
    ] = None,
    target: Target = None,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Propose bounds from repeated runs with different seeds.

    For each proposed bound, shows how often it would fail by chance and which changes it would detect.
    """
    from harness.studies.calibration.calibrate_runs import calibrate as run_repeats
    from harness.studies.study_tables import show_calibration

    console = open_console()
    study = run_repeats(
        _make_request(name, target, table, versions, only),
        console,
        repeats=repeats,
        false_alarms=false_alarms,
        every_metric=every_metric,
        out=out,
    )
    show_calibration(console, study.calibration, study.proposal)
    typer.echo(f"calibration  {study.folder}")


def bisect(
    name: ScenarioName,
    bound: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC[.KIND]",
            help="A bound of the last version (default: the first one that failed in the newest run).",
        ),
    ] = None,
    target: Target = None,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Find the version at which a bound started to fail.

    Trains on as few versions as possible. Exits with 4 if it finds no such version.
    """
    from harness.studies.bisection.bisect_runs import bisect as find, search_exit_code
    from harness.studies.study_tables import show_search

    console = open_console()
    bisection = find(_make_request(name, target, table, versions, only), console, bound=bound)
    show_search(console, bisection)
    raise typer.Exit(search_exit_code(bisection.result))


def prove(
    name: ScenarioName,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Judge only the bounds that need no model, on this machine; takes seconds."
        ),
    ] = False,
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME", help="Inject only this fault; repeatable."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="VERSION",
            help="Version whose added rows get the faults (default: the last trained one).",
            show_default=False,
        ),
    ] = None,
    dose: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the added rows that a fault hits, above 0 and at most 1 (default: the scenario's "
            "prove.dose, otherwise the fault's own).",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Inject each fault N times, each time into other rows (default: 1).",
            show_default=False,
        ),
    ] = 1,
    doses: Annotated[
        bool,
        typer.Option("--find-doses", help="Find the smallest dose that is caught (--quick always does)."),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the whole matrix to FILE as JSON.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the table to FILE as Markdown.")
    ] = None,
    target: Target = None,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Inject faults into new rows and show which bounds catch them.

    Trains a model on the rows with each fault. Never changes the table itself. Exits with 1 if a fault that
    the scenario lists under prove.require is not caught.
    """
    from harness.studies.proving.proof_tables import show_proof
    from harness.studies.proving.prove_runs import ProofRequest, prove as run_proof

    console = open_console()
    proof = run_proof(
        _make_request(name, target, table, versions, only),
        ProofRequest(
            faults=tuple(faults or ()),
            version=at,
            dose=dose,
            seeds=seeds,
            quick=quick,
            finds_doses=doses,
            json_file=json_file,
            markdown_file=markdown,
        ),
        console,
    )
    show_proof(console, proof)
    raise typer.Exit(proof.exit_code)


def validate(
    name: ScenarioName,
    target: Target = None,
    keep: Keep = False,
    fresh: Fresh = False,
    table: TableUri = None,
    versions: TableVersions = None,
    only: Only = None,
) -> None:
    """Run a scenario locally, then on Databricks, and compare.

    --target sets the local target. The results must agree within the parity tolerances.
    """
    from harness.workflow import validate as run_both

    request = _make_request(name, target, table, versions, only, keep=keep, fresh=fresh)
    raise typer.Exit(run_both(request, open_console()))


def _make_request(
    name: str,
    target: str | None,
    table: str | None = None,
    versions: str | None = None,
    only: list[str] | None = None,
    champion: str | None = None,
    *,
    keep: bool = False,
    fresh: bool = False,
) -> RunRequest:
    from harness.loading.table_override import parse_table_override
    from harness.request import RunRequest

    override = parse_table_override(table, versions)
    return RunRequest(name, target, override, tuple(only or ()), keep, fresh, champion)
