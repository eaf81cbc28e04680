"""The help of a command, without Python's types and ranges."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

_TYPE = re.compile(r" <[^<>]+>$")
_RANGE = re.compile(r" *\[(?:[\d.]+<=)?x(?:<=|>=)[\d.]+\]")


class PlainCommand(TyperCommand):
    """A command whose help shows what to write for each parameter, but not its Python type.

    Typer adds ``<str>`` to arguments and ``[x>=0]`` to numbers; the parameter's own text explains both.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """List the arguments, then the options."""
        parameters = self.get_params(ctx)
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            records = [each.get_help_record(ctx) for each in parameters if each.param_type_name == kind]
            rows = [(_TYPE.sub("", name), _RANGE.sub("", text)) for name, text in filter(None, records)]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
