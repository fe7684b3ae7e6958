"""What both commands share: one habit of options and output, subcommands imported on first use, errors in one sentence."""

from stylefx.command_line.collector import importing
from stylefx.command_line.group import LazyGroup
from stylefx.command_line.options import json_option, out_option, overridable, overwrite_option
from stylefx.command_line.run import ends_like_interrupt, run
from stylefx.command_line.talk import is_quiet, say, show_json

__all__ = [
    "LazyGroup",
    "ends_like_interrupt",
    "importing",
    "is_quiet",
    "json_option",
    "out_option",
    "overridable",
    "overwrite_option",
    "run",
    "say",
    "show_json",
]
