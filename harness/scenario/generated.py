"""The columns of rows that are made; the rows themselves come from ``harness.job.generate``."""

from __future__ import annotations

LOANS = {
    "id": "bigint",
    "issue_d": "date",
    "loan_amnt": "double",
    "term": "int",
    "int_rate": "double",
    "annual_inc": "double",
    "dti": "double",
    "grade": "string",
    "home_ownership": "string",
    "purpose": "string",
    "delinq_2yrs": "int",
    "inq_last_12m": "int",
    "total_acc": "int",
    "earliest_cr_line": "date",
    "loan_status": "string",
}
"""Column to its type, as Spark writes it; in this order."""
