"""Plain values as YAML, the way a person would write a scenario."""

from __future__ import annotations

import io
from typing import Any

_WIDTH = 110


def as_yaml(values: Any) -> str:
    """Mappings and lists a line each, in their order; innermost ones in braces."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(values, out)
    return out.getvalue()
