"""A pipeline that imports internals of the harness."""

import harness.job.explain as explain
from harness import errors, pipelines
from harness.job.builtin import impute_and_encode
from harness.pipelines import FEATURES
from somewhere import Base

class Internal(Base):
    pass
