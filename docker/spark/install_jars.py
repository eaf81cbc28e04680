"""Install the locked jars next to Spark's own, and remove the jars that they replace."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.runtime.jars import find_pyspark_home, load_class_path
from harness.runtime.java import find_java

REPLACED = ("hadoop-client-api-*.jar", "hadoop-client-runtime-*.jar", "hadoop-shaded-guava-*.jar")

fetched = load_class_path(find_java(None, os.environ), cache=Path("/build/jars"), report=print)
target = find_pyspark_home() / "jars"
for pattern in REPLACED:
    for jar in target.glob(pattern):
        jar.unlink()
for jar in fetched:
    shutil.move(jar, target / jar.name)
