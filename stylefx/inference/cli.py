"""``stylefx transfer``: make a recording, or a folder of them, sound produced like references."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from stylefx.errors import IncompleteError, UserError
from stylefx.inference.levels import MAX_INTENSITY
from stylefx.inference.options import audio_options, parse_ceiling, parse_loudness, render_progress, show_rendered
from stylefx.inference.publish import check_writable
from stylefx.progress import step_progress

_LOUDNESS_WORDS = ("as-is", "input", "reference")


@click.command()
@click.argument("source", metavar="INPUT")
@click.argument("references", metavar="REFERENCE...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="OUT", help="Output file (.wav, .flac, .aiff); a folder for a folder.")
@click.option(
    "--model", "checkpoint", default="shipped", show_default=True, metavar="CKPT",
    help="Checkpoint, or the folder of a training run; by default the model that comes with stylefx.",
)  # fmt: skip
@click.option("--weight", "weights", type=float, multiple=True, help="Weight of a reference, once for each; default: all alike.")
@click.option("--intensity", type=float, default=1.0, show_default=True, help=f"How much of the style, 0..{MAX_INTENSITY}.")
@click.option("--refine", "steps", type=int, default=0, metavar="N", help="Improve the prediction by N gradient steps.")
@click.option("--windows", type=int, default=8, show_default=True, help="How many stretches of each recording to listen to.")
@click.option("--settings", "settings_file", metavar="FILE", help="Where to write the settings; default: OUT with .json.")
@click.option("--page", metavar="HTML", help="Also write one page to listen, compare and go on from the prediction.")
@click.option("--figure", metavar="PNG", help="Also draw spectra, equaliser and compressor curves.")
@audio_options(_LOUDNESS_WORDS)
def transfer(
    source: str,
    references: tuple[str, ...],
    output: str,
    checkpoint: str,
    weights: tuple[float, ...],
    intensity: float,
    steps: int,
    windows: int,
    settings_file: str | None,
    page: str | None,
    figure: str | None,
    loudness: str,
    true_peak: str,
    bits: str | None,
) -> None:
    """Make INPUT sound produced like the REFERENCEs: predict the settings of the effects, render, and write both.

    INPUT is a recording (any sample rate and length, mono or stereo) or a folder of recordings.
    """
    wanted = parse_loudness(loudness, _LOUDNESS_WORDS)
    ceiling = parse_ceiling(true_peak)
    if Path(source).is_dir() and (settings_file or page or figure):
        raise UserError(
            "--settings, --page and --figure are for a single recording; a folder gets its settings beside each output"
        )

    for extra in (page, figure):
        if extra:
            check_writable(Path(extra))

    from stylefx.inference.transfer import Options, StyleTransfer  # torch takes seconds to import, the checks above none

    options = Options(
        weights=weights,
        intensity=intensity,
        refine_steps=steps,
        loudness=wanted,
        ceiling_dbtp=ceiling,
        bits=bits,
        windows=windows,
    )
    tool = StyleTransfer(checkpoint)
    if Path(source).is_dir():
        _folder(tool, Path(source), references, Path(output), options)
        return
    with render_progress("transfer") as progress:
        done = tool.transfer(source, references, output, options, settings_file=settings_file, progress=progress)
    _show(done)
    if page:
        from stylefx.inference.page.build import write_page

        write_page(page, done.style, source, references)
        click.echo(f"{page}: open it in a browser")
    if figure:
        from stylefx.inference.figure import write_figure

        write_figure(figure, done, source, references[0])
        click.echo(f"{figure}: picture")


def _show(done) -> None:
    from stylefx.inference.table import settings_table

    click.echo(settings_table(done.style))
    refined = done.style.about.get("refine")
    if refined:
        click.echo(
            f"refine: distance to the references {refined['before']:.3f} -> {refined['after']:.3f} in {refined['steps']} steps"
        )
    agreement = done.style.about["confidence"]
    click.echo(f"agreement of {agreement['windows']} windows: {agreement['agreement']}")
    show_rendered(done.rendered, str(done.output))
    click.echo(f"{done.settings_file}: settings")


def _folder(tool, source: Path, references: Sequence[str], output: Path, options) -> None:
    from stylefx.inference.batch import plan_folder, run_folder

    jobs = plan_folder(source, output)
    with step_progress("transfer", len(jobs)) as report:
        failed = run_folder(jobs, lambda job: tool.transfer(job.source, references, job.output, options), report)
    for job, error in failed:
        click.echo(f"failed: {job.source}: {error}", err=True)
    click.echo(f"{output}: {len(jobs) - len(failed)} of {len(jobs)} recordings")
    if failed:
        raise IncompleteError(f"{len(failed)} of {len(jobs)} recordings could not be done; they are named above")
