"""HTML from Jinja2 templates: what is put in is escaped unless it is ``Markup``, and a name that is missing is an error.

``head.html`` beside this file is what the heads of all pages begin with.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["Markup", "render_html", "template_macros"]


@lru_cache(maxsize=8)
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The filter ``tojson`` writes <, >, & and ' as escapes: no text in the data can end or open a script.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    return environment


def render_html(template: Path, **values: Any) -> str:
    """The page that ``template`` makes of ``values``; templates beside it can be included."""
    return _environment(template.parent).get_template(template.name).render(**values)


def template_macros(template: Path) -> Any:
    """The macros of a template as functions that return ``Markup``; their arguments are escaped."""
    return _environment(template.parent).get_template(template.name).module
