"""What determines the numbers of a run, or of one version: the identity of work that is never done twice.

Two runs with equal parts measure the same numbers. Bounds, publishing and descriptions are left out: the
numbers are judged again. ``docs/reuse.md`` lists the parts for users.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.bounds.standard import compares_added_rows
from harness.plan import Plan, SourceData
from harness.scenario.champion import parse_model_reference
from harness.scenario.model import Scenario, Version
from harness.scenario.rows import Rows
from harness.scenario.text_checks import depends_on_moment

_JUDGING = {
    "name",
    "description",
    "versions",
    "every",
    "observe",
    "proof",
    "prove",
    "verdict",
    "caught_by",
    "matrix",
    "publish",
    "champion",
    "approve",
}
"""Fields of a scenario that change no number, and those that become parts in another form."""
_SPARK_PREFIXES = ("spark.master", "spark.default.", "spark.databricks.delta.", "spark.sql.")
_FOLDER_SETTINGS = ("spark.sql.warehouse.dir",)
_KEY_DIGITS = 32
_MOST_NAMED = 3
_WORDS = {
    "moment": "the time, on which an expression depends",
    "code": "the harness's code",
    "libraries": "the libraries",
    "custom code": "the pipeline's code",
    "target": "the target",
    "spark": "Spark's settings",
    "sources": "the content of a source",
    "existing table": "the table",
    "rows": "its rows",
    "rows before": "the rows of the version before",
    "explained rows": "the rows of the first trained version, which choose what is explained",
    "added rows": "what is measured of added rows",
    "first trained": "the first trained version",
    "steps": "the steps of the table",
    "champion": "the champion",
    "trained": "which versions are trained",
}
"""Part to what a sentence calls it; the other parts are keys of the scenario file."""


@dataclass(frozen=True)
class Work:
    """The parts that determine some numbers."""

    parts: Mapping[str, str] = field(default_factory=dict)
    """Name of a part to its content as JSON, or to a digest of it."""
    is_known: bool = True
    """Whether they identify the numbers: some data may have changed unnoticed if not."""

    @cached_property
    def key(self) -> str:
        """The digest of all parts: 32 hexadecimal digits."""
        text = json.dumps(self.parts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_DIGITS]

    def describe_differences(self, other: Work) -> str:
        """Return in words what differs from other work, such as ``pipeline.features and seed``.

        Empty if nothing does.
        """
        return _join([_WORDS.get(name, name) for name in self._list_different(other)])

    def _list_different(self, other: Work) -> list[str]:
        names = dict.fromkeys((*self.parts, *other.parts))
        return [
            found
            for name in names
            if self.parts.get(name) != other.parts.get(name)
            for found in _narrow(name, self.parts.get(name), other.parts.get(name))
        ]


def identify_run(plan: Plan) -> Work:
    """Return what determines the numbers of a whole run, as far as it is known without Spark."""
    scenario = plan.scenario
    added = [each.name for each in scenario.versions if compares_added_rows(scenario, each.name)]
    parts = {
        **_identify_common(plan),
        "steps": _to_json([_describe_step(each) for each in scenario.versions]),
        "trained": _to_json(scenario.trained),
        "added rows": _to_json(added),
        "sources": _describe_sources(plan, scenario.versions),
        "existing table": _to_json([plan.existing_table, plan.commits]),
        "champion": plan.champion or "",
    }
    # An alias may have moved since.
    is_fixed = plan.champion is None or not parse_model_reference(plan.champion).alias
    return Work(parts, is_known=is_fixed and _is_known(plan, scenario.versions))


def identify_version(plan: Plan, name: str) -> Work:
    """Return what determines the numbers of one trained version, as far as it is known without Spark.

    It is the same in every run that makes the same versions up to this one, and whose first trained version
    is the same: the explained rows are chosen there.
    """
    scenario = plan.scenario
    versions = scenario.versions[: scenario.index_of(name) + 1]
    commits = {each.name: plan.commits[each.name] for each in versions if each.name in plan.commits}
    parts = {
        **_identify_common(plan),
        "steps": _to_json([_describe_step(each) for each in versions]),
        "first trained": next(iter(scenario.trained), ""),
        "sources": _describe_sources(plan, versions),
        "existing table": _to_json([plan.existing_table, commits]),
    }
    return Work(parts, is_known=_is_known(plan, versions))


def identify_training(
    plan: Plan, *, fingerprint: str, before: str, explained: str, libraries: Mapping[str, str]
) -> Work:
    """Return what determines the numbers of a model, once the rows are known.

    Args:
        plan: The run.
        fingerprint: Fingerprint of the version's rows.
        before: Fingerprint of the version before it, which decides what its added rows are; empty for the
            first one.
        explained: Fingerprint of the first trained version, where the explained rows are chosen.
        libraries: Versions of the libraries with which the job runs.
    """
    return Work(
        {
            **_identify_common(plan),
            "libraries": _to_json(libraries),
            "rows": fingerprint,
            "rows before": before,
            "explained rows": explained,
        }
    )


def identify_counts(plan: Plan, layout: str, libraries: Mapping[str, str]) -> Work:
    """Return what determines the counts of a data file of an existing table.

    Args:
        plan: The run.
        layout: What decides how the table's files are read.
        libraries: Versions of the libraries with which the job runs.
    """
    return Work({**_identify_common(plan), "libraries": _to_json(libraries), "layout": layout})


def _identify_common(plan: Plan) -> dict[str, str]:
    scenario = plan.scenario
    values = scenario.model_dump(mode="json", by_alias=True, exclude=_JUDGING)
    table = values.pop("table")
    spark = {
        name: value
        for name, value in plan.environment.spark.items()
        if name.startswith(_SPARK_PREFIXES) and name not in _FOLDER_SETTINGS
    }
    steps = [each.step.model_dump(mode="json") for each in scenario.versions]
    # Expressions such as current_date() measure something else each time: nothing of another run is the same.
    is_repeatable = not depends_on_moment(_to_json([values, steps]))
    return {
        "moment": "" if is_repeatable else plan.run_id,
        "code": plan.harness_version,
        "libraries": plan.environment.libraries,
        "custom code": plan.code_sha256 or "",
        "target": plan.environment.target,
        "spark": _to_json(spark),
        "table": _to_json({name: table[name] for name in ("key", "key_from", "columns", "sensitive")}),
        **{name: _to_json(value) for name, value in values.items()},
        "proof": _to_json({"min_class_rows": scenario.proof.min_class_rows}),
    }


def _describe_step(version: Version) -> Any:
    described = version.model_dump(mode="json", by_alias=True, exclude={"expect", "train"}, exclude_none=True)
    return {**described, "is_built": version.expect_error is None}


def _describe_sources(plan: Plan, versions: tuple[Version, ...]) -> str:
    used = _list_sources(plan.scenario, versions)
    own = plan.scenario.table.source
    generated = None if own is None or own.generate is None else own.generate.model_dump(mode="json")
    contents = {
        name: [source.content, source.format, source.options]
        for name, source in plan.sources.items()
        if name in used
    }
    return _to_json([contents, generated])


def _list_sources(scenario: Scenario, versions: tuple[Version, ...]) -> set[str]:
    """Return the paths of the sources that versions read, as the scenario writes them."""
    sources = [scenario.table.source]
    sources += [each.step.source for each in versions if isinstance(each.step, Rows)]
    return {source.path for source in sources if source is not None and source.generate is None}


def _is_known(plan: Plan, versions: tuple[Version, ...]) -> bool:
    used = _list_sources(plan.scenario, versions)
    sources: list[SourceData | None] = [plan.sources.get(name) for name in used]
    reads = [each.name for each in versions if each.read is not None]
    return all(source is not None and source.content for source in sources) and all(
        name in plan.commits for name in reads
    )


def _to_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _narrow(name: str, here: str | None, there: str | None) -> Iterator[str]:
    """Yield the keys in which a part differs, such as ``pipeline.features``; the part itself if unknown."""
    if name in _WORDS or here is None or there is None:
        yield name
        return
    one, other = json.loads(here), json.loads(there)
    if not (isinstance(one, dict) and isinstance(other, dict)):
        yield name
        return
    for key in dict.fromkeys((*one, *other)):
        if one.get(key) != other.get(key):
            yield f"{name}.{key}"


def _join(names: list[str]) -> str:
    if len(names) > _MOST_NAMED:
        names = [*names[:_MOST_NAMED], f"{len(names) - _MOST_NAMED} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
