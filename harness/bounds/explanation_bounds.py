"""Agreement between the explanations of two versions: pure functions of the features' weights.

Weights are per standard deviation of their feature: raw weights depend on its unit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import StatisticsError, correlation

from harness.bounds.measured_values import Value
from harness.metrics import CORRELATIONS, EXPLANATION_METRICS, SHARES, Domain
from harness.results import FeatureExplanation, MeasuredValue, VersionResult
from harness.scenario.bound_spec import Quantity
from harness.scenario.proof import Proof

Weights = Mapping[str, FeatureExplanation]

_CLEAR = 1e-9
"""Weights closer to zero than this have no sign."""
_FEWEST_CLEAR = 2
"""Features with a clear weight, without which nothing can be said about their signs, shares and order."""
_FEWEST_TO_RANK = 3


def measure_top_overlap(now: Weights, before: Weights, k: int) -> MeasuredValue:
    """Return the share of the ``k`` top features that are the same; None if there are fewer features."""
    if min(len(now), len(before)) < k:
        return None
    return len(_find_top_features(now, k) & _find_top_features(before, k)) / k


def measure_sign_agreement(now: Weights, before: Weights) -> MeasuredValue:
    """Return the share of features with clear weights in both whose signs agree; None with fewer than two."""
    pairs = [(now[name].mean_per_sd, before[name].mean_per_sd) for name in now if name in before]
    clear = [(a, b) for a, b in pairs if min(abs(a), abs(b)) >= _CLEAR]
    return sum((a > 0) == (b > 0) for a, b in clear) / len(clear) if len(clear) >= _FEWEST_CLEAR else None


def measure_rank_correlation(now: Weights, before: Weights) -> MeasuredValue:
    """Return Spearman's rank correlation of the mean absolute weights of the features that both have.

    None with fewer than three such features, or if all weights of one are the same.
    """
    names = [name for name in now if name in before]
    if len(names) < _FEWEST_TO_RANK:
        return None
    try:
        return correlation(
            _rank([now[name].mean_abs_per_sd for name in names]),
            _rank([before[name].mean_abs_per_sd for name in names]),
        )
    except StatisticsError:
        return None


@dataclass(frozen=True)
class AgreementKind:
    """A kind of bound on how far the explanations of two versions agree."""

    name: str
    """Its key below ``explanations``."""
    measure: Callable[[Weights, Weights, Quantity], MeasuredValue]
    """Returns a share or a correlation from the weights now and before."""
    domain: Domain
    """The values that it can take."""
    label: str
    """Its name in reports; ``{k}`` stands for the number of compared features."""


_ALL = (
    AgreementKind(
        "top_k",
        lambda now, before, what: measure_top_overlap(now, before, what.k or 0),
        SHARES,
        "top_{k}_overlap",
    ),
    AgreementKind(
        "sign_agreement",
        lambda now, before, _: measure_sign_agreement(now, before),
        SHARES,
        "sign_agreement",
    ),
    AgreementKind(
        "rank_correlation",
        lambda now, before, _: measure_rank_correlation(now, before),
        CORRELATIONS,
        "rank_correlation",
    ),
)
AGREEMENTS: Mapping[str, AgreementKind] = {each.name: each for each in _ALL}
"""Every kind of bound on agreement, in the order in which they are judged."""


def measure_agreement(quantity: Quantity, now: VersionResult, before: VersionResult, proof: Proof) -> Value:
    """Measure how far the explanations of two versions agree.

    Args:
        quantity: The kind of agreement.
        now: The later version.
        before: The earlier version.
        proof: What the explanations must rest on.
    """
    for each in (now, before):
        if reason := explain_weak(each, proof) or explain_few_clear(each):
            return Value(None, reason)
    number = AGREEMENTS[quantity.kind].measure(now.explanations, before.explanations, quantity)
    few = f"the explanations of {now.name} and {before.name} have too few features in common"
    if number is not None and quantity.kind == "top_k":
        return Value(number, _explain_arbitrary_top(now, before, quantity.k or 0))
    return Value(number, few if number is None else "")


def explain_weak(version: VersionResult, proof: Proof) -> str:
    """Explain that the explanations of a version prove nothing; empty if they fit the model well enough.

    Args:
        version: The version.
        proof: What its explanations must rest on.
    """
    if version.explanations_reason:
        return f"at {version.name}, {version.explanations_reason}"
    if not version.explanations:
        return f"version {version.name} has no explanations"
    return explain_bad_fit(version.metrics, version.name, proof)


def explain_bad_fit(metrics: Mapping[str, MeasuredValue], version: str, proof: Proof) -> str:
    """Explain that local explanations don't fit the model; empty if they do.

    Args:
        metrics: The metrics of the version.
        version: The version, as reports write it.
        proof: What its explanations must rest on.
    """
    floor = proof.min_explanation_r2
    r2 = next((each for name in EXPLANATION_METRICS if (each := metrics.get(name)) is not None), None)
    if r2 is None:
        return f"at {version}, the R2 of the explanations could not be measured; it must reach {floor:g}"
    if r2 < floor:
        return (
            f"at {version}, the explanations don't fit the model: their mean R2 is {r2:.3g}, below {floor:g}"
        )
    return ""


def explain_few_clear(version: VersionResult) -> str:
    """Explain that too few features of a version have a weight; empty if enough have one."""
    clear = sum(each.mean_abs_per_sd >= _CLEAR for each in version.explanations.values())
    if clear >= _FEWEST_CLEAR:
        return ""
    return f"at {version.name}, fewer than {_FEWEST_CLEAR} features have a weight that is not 0"


def _explain_arbitrary_top(now: VersionResult, before: VersionResult, k: int) -> str:
    """Explain that the top features mean nothing: they are all, or chosen among equal ones; else empty."""
    if len(now.explanations) == k and now.explanations.keys() == before.explanations.keys():
        return f"there are only {k} features, so all of them are always the top {k}; lower 'k'"
    for each in (now, before):
        sizes = sorted((weight.mean_abs_per_sd for weight in each.explanations.values()), reverse=True)
        if len(sizes) > k and sizes[k - 1] - sizes[k] < _CLEAR:
            return f"at {each.name}, the features in places {k} and {k + 1} have the same weight"
    return ""


def _find_top_features(weights: Weights, k: int) -> set[str]:
    return set(sorted(weights, key=lambda name: (-weights[name].mean_abs_per_sd, name))[:k])


def _rank(values: Sequence[float]) -> list[float]:
    """Return ranks from 1 on; equal values share the mean of their ranks."""
    ordered = sorted(values)
    return [(bisect_left(ordered, value) + 1 + bisect_right(ordered, value)) / 2 for value in values]
