"""Values as YAML that people read and edit."""

from __future__ import annotations

import io
from typing import Any

_WIDTH = 110


def format_yaml(values: Any) -> str:
    """Return YAML with a line for each key and item; only innermost mappings are in braces."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(values, out)
    return out.getvalue()
