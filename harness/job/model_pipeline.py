"""The former location of ``harness.pipelines``, from which custom pipelines in earlier plans import."""

from harness.pipelines import (
    FEATURES,
    FOLD,
    KEY,
    LABEL,
    SCORE,
    Context,
    Explainer,
    Fitted,
    ModelPipeline,
    Prepared,
)

__all__ = [
    "FEATURES",
    "FOLD",
    "KEY",
    "LABEL",
    "SCORE",
    "Context",
    "Explainer",
    "Fitted",
    "ModelPipeline",
    "Prepared",
]
