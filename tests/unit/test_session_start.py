"""The time until a test session starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SLOW = {"databricks", "deltalake", "hypothesis", "mlflow", "numpy", "pandas", "pydantic", "pyspark", "rich"}
_RUN_AND_LIST_IMPORTS = """
import sys, pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", "tests/unit/test_clock.py"])
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
sys.exit(code)
"""


def test_one_test_file_starts_without_slow_imports() -> None:
    """A session that runs one small test file imports none of the libraries that take long to load."""
    outcome = subprocess.run(
        [sys.executable, "-c", _RUN_AND_LIST_IMPORTS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    imported = set(outcome.stderr.splitlines()[-1].split())
    assert (0, set()) == (outcome.returncode, SLOW & imported), outcome.stdout
