"""The former location of ``impute_and_encode``, from which custom pipelines in earlier plans import."""

from harness.pipelines import impute_and_encode

__all__ = ["impute_and_encode"]
