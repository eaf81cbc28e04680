"""The document with the proof of each shipped scenario: ``make proofs``.

``python -m harness.studies.proving.write_proofs FILE [SCENARIO...]``
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from harness.errors import HarnessError, UsageError
from harness.files import write_text
from harness.loading.loader import load_scenario
from harness.request import RunRequest
from harness.studies.proving.matrix import Proof
from harness.studies.proving.proof_tables import format_markdown
from harness.studies.proving.prove_runs import ProofRequest, prove

_SEEDS = 10
_HEAD = f"""# Which faults do the shipped scenarios catch?

`make proofs` writes this page. Each fault was injected {_SEEDS} times into the rows that the last trained
version added, each time into other rows, and judged by the bounds that need no model, as
`harness prove NAME --quick --seeds {_SEEDS}` does. Faults that a table can't have are left out.
[studies.md](studies.md#prove) explains the faults.
"""


def main(arguments: list[str]) -> int:
    """Prove scenarios, write the document, and return the exit code."""
    file, *names = arguments
    console = Console(stderr=True)
    sections = [_HEAD]
    for name in names or _list_shipped():
        try:
            proof = prove(RunRequest(name), ProofRequest(quick=True, seeds=_SEEDS), console)
        except UsageError as error:
            sections.append(f"## {name}\n\nNot proven: {error.message}\n")
        except HarnessError as error:
            sys.stderr.write(f"{error}\n")
            return int(error.exit_code)
        else:
            sections.append(_write_section(proof))
    write_text(Path(file), "\n".join(sections))
    return 0


def _list_shipped() -> list[str]:
    """Return the shipped scenarios, first those that require faults to be caught."""
    names = [each.stem for each in sorted(Path("scenarios").glob("*.yaml"))]
    return sorted(names, key=lambda name: not load_scenario(name).scenario.prove.require)


def _write_section(proof: Proof) -> str:
    missed = ", ".join(f"`{row.fault}`" for row in proof.missed)
    caught = sum(row.is_caught for row in proof.rows)
    count = sum(not row.skipped for row in proof.rows)
    sentence = f"{caught} of {count} faults in the rows that `{proof.version}` added are caught."
    if missed:
        sentence += f" Missed without a model: {missed}."
    return f"## {proof.scenario}\n\n{sentence}\n\n{format_markdown(proof)}"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
