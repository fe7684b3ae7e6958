"""``stylefx export``: settings as a file that another program runs."""

from __future__ import annotations

from pathlib import Path

import click

from stylefx.command_line import json_option, out_option, overwrite_option, say, show_json
from stylefx.files.atomic import check_free, output_file
from stylefx.inference.export.targets import NAMES


@click.command()
@click.argument("settings_file", metavar="SETTINGS")
@click.option("--to", "target", required=True, type=click.Choice(NAMES), help="The program to write for.")
@out_option("The file to write.", required=True, metavar="FILE")
@overwrite_option()
@json_option("Print the file and how it is used as JSON.")
def export(settings_file: str, target: str, out: str, overwrite: bool, as_json: bool) -> None:
    """Write SETTINGS for ffmpeg or SoX (a shell script), pedalboard (a Python script), REAPER (a JSFX plug-in), Faust (a
    program), DAWproject (a project), Equalizer APO (the equaliser as text) or LV2 (presets for LSP's plug-ins).

    What the target does otherwise than `stylefx render` is said in comments at the head of the file.
    """
    from stylefx.inference.export import TARGETS, export_bytes
    from stylefx.inference.settings_file import load_settings

    content = export_bytes(load_settings(settings_file), target)
    with output_file(check_free(Path(out), overwrite)) as temporary:
        temporary.write_bytes(content)
    use = TARGETS[target].use.replace("FILE", out)
    show_json({"file": out, "use": use}) if as_json else say(f"{out}: {use}")
