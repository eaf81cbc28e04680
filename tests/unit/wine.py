"""A synthetic table of wines, for tests of a scenario that is not about loans."""

from __future__ import annotations

import random
from pathlib import Path

ROWS = 600
HEAD = "tasted,bottle_id,acidity,color,alcohol,maker,country,stars,quality"


def write_wines(folder: Path, *, dated: bool = True) -> Path:
    """Write a CSV file in which alcohol predicts the quality well, and the stars leak it."""
    chance = random.Random(3)  # noqa: S311 - made data, no secret
    lines = [HEAD]
    for number in range(ROWS):
        alcohol = chance.gauss(10, 1)
        quality = "good" if alcohol + chance.gauss(0, 1) > 11 else "poor"
        cells = (
            f"2023-{1 + number // 60:02}-0{1 + number % 9}" if dated else "soon",
            f"B{number:04}",
            f"{chance.gauss(7, 1):.2f}",
            chance.choice(("red", "white")),
            f"{alcohol:.2f}",
            f"M{number % 97}",
            "there",
            str(int(quality == "good")),
            quality,
        )
        lines.append(",".join(cells))
    file = folder / "wine.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
