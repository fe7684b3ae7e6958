"""``stylefx transfer``: make a recording, or a folder of them, sound produced like references."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stylefx.command_line import ends_like_interrupt, importing, json_option, out_option, say, show_json
from stylefx.errors import UserError
from stylefx.files.atomic import check_free, check_writable
from stylefx.inference.choices import DEFAULT_WINDOWS, FORMATS, LOUDNESS_WORDS, MAX_INTENSITY
from stylefx.inference.cli.options import (
    audio_options,
    parse_ceiling,
    parse_loudness,
    render_progress,
    rendered_numbers,
    show_rendered,
)
from stylefx.inference.cli.pipes import STANDARD, readable, writable
from stylefx.models.intents import BELIEF, BETWEEN, REFERENCES, TOWARDS
from stylefx.progress import step_progress

if TYPE_CHECKING:
    from stylefx.inference.transfer import Transferred

_APPROACHED = {
    BELIEF: "the curve that the model believes in",
    REFERENCES: "the references",
    BETWEEN: "the middle of prediction and references",
}


@click.command()
@click.argument("source", metavar="INPUT")
@click.argument("references", metavar="REFERENCE...", nargs=-1, required=True)
@out_option("Output file (.wav, .flac, .aiff); a folder for a folder.", required=True, metavar="OUT")
@click.option(
    "--model", "checkpoint", default="shipped", show_default=True, metavar="CKPT",
    help="Checkpoint, the folder of a training run, hub:user/name, or a model that comes with stylefx: studio, paper, tiny.",
)  # fmt: skip
@click.option(
    "--intent",
    metavar="style|balance",
    help="style: do what was done to the references; balance: make spectrum and dynamics theirs. Default: the model's first.",
)
@click.option("--weight", "weights", type=float, multiple=True, help="Weight of a reference, once for each; default: all alike.")
@click.option(
    "--tone-weight", "tone_weights", type=float, multiple=True, help="The same for equaliser and the like alone; may be 0."
)
@click.option("--dynamics-weight", "dynamics_weights", type=float, multiple=True, help="The same for compressor and the like.")
@click.option(
    "--amount",
    "amounts",
    default="",
    metavar="STAGE=A,...",
    help="How much of a stage: equaliser=0.5,compressor=1; also tone, dynamics, or the name of an effect. 0 leaves it out.",
)
@click.option("--intensity", type=float, default=1.0, show_default=True, help=f"How much of the style, 0..{MAX_INTENSITY}.")
@click.option("--refine", "steps", type=int, default=0, metavar="N", help="Improve the prediction by N gradient steps.")
@click.option(
    "--refine-to",
    type=click.Choice(TOWARDS),
    help="What those steps approach: what the model believes was done to the references; the references' average spectrum and "
    "dynamics; or the middle between these and the predicted ones, for references of the same content.  "
    "[default: belief for style, references for balance]",
)
@click.option(
    "--windows", type=int, default=DEFAULT_WINDOWS, show_default=True, help="How many stretches of each recording to listen to."
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--no-tags", is_flag=True, help="Leave tags, cover and broadcast chunks of the input behind.")
@click.option("--album", is_flag=True, help="A folder: one setting and one gain for all its recordings.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="keep",
    show_default=True,
    help="A folder: format of the outputs; keep: that of each input, FLAC for lossy ones.",
)
@click.option("--jobs", "-j", type=click.IntRange(1), metavar="N", help="A folder: processes; default: by files and cores.")
@click.option("--settings", "settings_file", metavar="FILE", help="Where to write the settings; default: OUT with .json.")
@click.option("--page", metavar="HTML", help="Also write one page to listen, compare and go on from the prediction.")
@click.option("--figure", metavar="PNG", help="Also draw spectra, equaliser and compressor curves.")
@audio_options(LOUDNESS_WORDS)
@json_option("Print settings, loudness and gains as JSON (of a folder: its table).")
def transfer(
    source: str,
    references: tuple[str, ...],
    out: str,
    checkpoint: str,
    intent: str | None,
    weights: tuple[float, ...],
    tone_weights: tuple[float, ...],
    dynamics_weights: tuple[float, ...],
    amounts: str,
    intensity: float,
    steps: int,
    refine_to: str | None,
    overwrite: bool,
    no_tags: bool,
    album: bool,
    form: str,
    jobs: int | None,
    windows: int,
    settings_file: str | None,
    page: str | None,
    figure: str | None,
    loudness: str,
    true_peak: str,
    peaks: str,
    peak_reduction_db: float,
    bits: str | None,
    as_json: bool,
) -> None:
    """Make INPUT sound produced like the REFERENCEs: predict the settings of the effects, render, and write both.

    INPUT is a recording (any sample rate and length, mono or stereo; - is standard input) or a folder of recordings.
    """
    wanted = parse_loudness(loudness, LOUDNESS_WORDS)
    ceiling = parse_ceiling(true_peak)
    folder = Path(source).is_dir()
    _check(source, folder, of_one=bool(settings_file or page or figure), of_many=bool(album or jobs or form != "keep"))
    for extra in filter(None, (page, figure)):
        check_writable(Path(extra))
        check_free(Path(extra), overwrite)

    with importing():
        from stylefx.inference.hearing.amounts import parse_amounts
        from stylefx.inference.options import TransferOptions
        from stylefx.inference.transfer import StyleTransfer  # torch takes a second to import, the checks above none

    options = TransferOptions(
        weights=weights,
        intensity=intensity,
        refine_steps=steps,
        refine_to=refine_to,
        loudness=wanted,
        ceiling_dbtp=ceiling,
        peaks=peaks,
        peak_reduction_db=peak_reduction_db,
        bits=bits,
        windows=windows,
        intent=intent,
        amounts=parse_amounts(amounts),
        tone_weights=tone_weights,
        dynamics_weights=dynamics_weights,
    )
    with importing():
        tool = StyleTransfer(checkpoint)
    if folder:
        from stylefx.inference.cli.folder import do_folder
        from stylefx.inference.folder.run import FolderWork

        work = FolderWork(checkpoint, references, options, overwrite, not no_tags)
        with ends_like_interrupt():
            do_folder(tool, Path(source), Path(out), form, work, jobs, album, as_json)
        return
    with ends_like_interrupt(), ExitStack() as stack:
        recording = stack.enter_context(readable(source))
        styles = [stack.enter_context(readable(r)) for r in references]
        file = stack.enter_context(writable(out))
        with _refine_progress(steps) as on_step, render_progress("transfer") as progress:
            done = tool.transfer(
                recording, styles, file, options, settings_file=settings_file, overwrite=overwrite,
                keep_tags=not no_tags, progress=progress, on_step=on_step,
                names={copy: given for copy, given in zip((recording, *styles), (source, *references)) if copy != given},
            )  # fmt: skip
        err = as_json or out == STANDARD
        if as_json and out != STANDARD:
            show_json({**rendered_numbers(done.rendered, out), "settings": done.style.to_dict()})
        else:
            _show(done, out, err=out == STANDARD)
        if page:
            from stylefx.inference.page.build import write_page
            from stylefx.inference.page.weights import weight_grid

            write_page(page, done.style, recording, styles, weights=weight_grid(tool, recording, styles, options))
            say(f"{page}: open it in a browser", err=err)
        if figure:
            _figure(done, recording, styles[0], figure, err=err)


def _check(source: str, folder: bool, of_one: bool, of_many: bool) -> None:
    """UserError for options of the other kind of input."""
    if folder and of_one:
        raise UserError(
            "--settings, --page and --figure are for a single recording; a folder gets its settings beside each output"
        )
    if not folder and of_many:
        raise UserError(f"--album, --jobs and --format are for a folder, and {source} is none; name the output for its format")


@contextmanager
def _refine_progress(steps: int) -> Iterator[Callable[[int], None] | None]:
    if not steps:
        yield None
        return
    with step_progress("refine", steps) as report:
        yield report


def _figure(done: Transferred, source: str, reference: str, path: str, err: bool) -> None:
    from stylefx.inference.figure import write_figure

    write_figure(path, done, source, reference)
    say(f"{path}: picture", err=err)


def _show(done: Transferred, output: str, err: bool) -> None:
    """Settings as a table, what there is to know, and what was written."""
    from stylefx.inference.cli.table import settings_table
    from stylefx.inference.distances import distance_lines
    from stylefx.inference.hearing.predict import agreement_line
    from stylefx.inference.hearing.restraint import limited_line

    say(settings_table(done.style), err=err)
    refined = done.style.about.get("refine")
    if refined:
        to = _APPROACHED[refined["towards"]]
        say(f"refine: distance to {to} {refined['before']:.3f} -> {refined['after']:.3f} in {refined['steps']} steps", err=err)
    say(agreement_line(done.style.about["confidence"]), err=err)
    for line in (*distance_lines(done.style.about), *map(limited_line, done.style.about.get("limited", ()))):
        say(line, err=err)
    for warning in done.style.about.get("warnings", ()):
        click.echo(f"warning: {warning}", err=True)
    show_rendered(done.rendered, output, err)
    if str(done.output) == output or done.settings_file.parent != done.output.parent:
        say(f"{done.settings_file}: settings", err=err)
