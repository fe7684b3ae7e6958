"""``stylefx evaluate``: measure a checkpoint on a held-out split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stylefx.command_line import is_quiet, json_option, out_option, overwrite_option, say, show_json
from stylefx.errors import UserError
from stylefx.evaluation.floor import floor_warning
from stylefx.evaluation.job import BASELINES, DEFAULT_BASELINES, EvaluationJob
from stylefx.evaluation.opening import open_job
from stylefx.evaluation.protocols import PROTOCOLS, protocol
from stylefx.evaluation.report import Report, plain_reports, write_folder, write_json
from stylefx.foreign import ENGINES, OWN
from stylefx.models.intents import TOWARDS

_BASELINE_HELP = "Separated by commas. " + "; ".join(f"{name}: {text}" for name, text in BASELINES.items()) + "."
_REFINED = {"p1", "p2", "p9"}  # protocols that measure every system
_PROTOCOL_HELP = "\n\n".join(f"{name}: {text}" for name, (_, text) in PROTOCOLS.items())


def _names(text: str, known: dict[str, Any], what: str) -> list[str]:
    """Names separated by commas, as a list in the order of the known names; "all" is all of them."""
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known and name != "all"]
    if unknown or not wanted:
        raise UserError(f"there is no {what} {(unknown or [''])[0]!r}; known: {', '.join(known)}, all")
    return [name for name in known if name in wanted or "all" in wanted]


@click.command(epilog=_PROTOCOL_HELP)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("json_file", type=click.Path(path_type=Path), required=False, metavar="")
@click.option("--protocol", "protocols", default="p1", show_default=True, help="Names separated by commas, or all.")
@click.option("--split", default="test", show_default=True, help="Held-out split of the corpus.")
@click.option(
    "--source", "sources", metavar="NAME", multiple=True, help="Only samples of this source; may be given again.  [default: all]"
)
@click.option("--items", type=click.IntRange(min=1), help="At most so many samples, chosen by their keys.  [default: all]")
@click.option("--baselines", default=",".join(DEFAULT_BASELINES), show_default=True, help=_BASELINE_HELP)
@json_option("Print every number as JSON.")
@out_option("Folder for JSON, Markdown and PNG; or one file, NAME.json.", type=click.Path(path_type=Path))
@overwrite_option()
@click.option("--pesq", is_flag=True, help="Also PESQ (speech; needs stylefx[eval]).")
@click.option("--device", default="cpu", show_default=True, help="Where the model runs: cpu, cuda, mps.")
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Samples in memory at a time.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn: styles, contents, the bootstrap.")
@click.option("--oracle-steps", type=click.IntRange(min=1), default=100, show_default=True, help="Gradient steps of the oracle.")
@click.option(
    "--oracle-items", type=click.IntRange(min=1), help="The oracle solves at most so many (of each kind).  [default: all]"
)
@click.option("--intent", help="Measure the model under this intent only (style, balance).  [default: every one it knows]")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=OWN,
    show_default=True,
    help="Whose effects make the truth of p9.",
)
@click.option(
    "--refine", "refine_steps", type=click.IntRange(min=0), default=0, metavar="N",
    help="Also measure the model's settings after N gradient steps, as `stylefx transfer --refine` makes them (p1, p2, p9).",
)  # fmt: skip
@click.option(
    "--refine-to", type=click.Choice(TOWARDS), help="What they approach.  [default: belief for style, references for balance]"
)
@click.option("--preset", help="p5: look for settings drawn by this preset, a name or a YAML file.  [default: the corpus' own]")
@click.option(
    "--outside",
    metavar="NAME=FOLDER",
    multiple=True,
    help="Also measure what another program made of the items (--items-to).",
)
@click.option(
    "--items-to", type=click.Path(path_type=Path, file_okay=False), help="Write p9's items to this folder, measure nothing."
)
@click.option(
    "--listening", type=click.Path(path_type=Path, file_okay=False), help="Write a blind listening test to this folder."
)
@click.option(
    "--training-items", type=click.IntRange(min=1), default=500, show_default=True,
    help="Training samples behind the baselines mean, nearest and ridge.",
)  # fmt: skip
@click.option(
    "--render", type=click.Choice(["stored", "recipe"]), default="stored", show_default=True,
    help="recipe: render the pairs in float from the corpus' dry halves.",
)  # fmt: skip
def evaluate(
    checkpoint: Path,
    corpus: Path,
    json_file: Path | None,
    protocols: str,
    split: str,
    sources: tuple[str, ...],
    items: int | None,
    baselines: str,
    as_json: bool,
    out: Path | None,
    overwrite: bool,
    pesq: bool,
    device: str,
    batch: int,
    seed: int,
    oracle_steps: int,
    oracle_items: int | None,
    intent: str | None,
    engine: str,
    refine_steps: int,
    refine_to: str | None,
    preset: str | None,
    outside: tuple[str, ...],
    items_to: Path | None,
    listening: Path | None,
    training_items: int,
    render: str,
) -> None:
    """Measure CHECKPOINT (a .safetensors file or a run folder) on a held-out split of CORPUS."""
    names = _names(protocols, PROTOCOLS, "protocol")
    chosen = _names(baselines, BASELINES, "baseline")
    _check_used(names, refine_steps, refine_to, preset)
    json_path, folder = _outputs(out, json_file, as_json)
    _check_outputs(json_path, folder, overwrite)
    as_json = as_json and json_file is None
    if pesq:
        from stylefx.evaluation.metrics.pesq import require_pesq

        require_pesq()
    job = open_job(
        checkpoint, corpus, device, intent, split=split, sources=sources, items=items, baselines=chosen, seed=seed, batch=batch,
        pesq=pesq,
        oracle_steps=oracle_steps, oracle_items=oracle_items, engine=engine, outside=_outside(outside),
        training_items=training_items, render=render, refine_steps=refine_steps, refine_to=refine_to, preset=preset,
    )  # fmt: skip
    warning = floor_warning(job.corpus, split)
    if warning:
        click.echo(f"warning: {warning}", err=True)
    if items_to or listening:
        _write_for_others(job, items_to, listening)
        return
    reports = []
    try:
        for name in names:
            report = protocol(name)(job)
            reports.append(report)
            if not (as_json or is_quiet()):
                show(report)
            if folder:
                for path in write_folder(folder, report):
                    say(f"wrote {path}", err=as_json)
    finally:
        job.close()
    if json_path:
        write_json(json_path, reports)
        say(f"wrote {json_path}", err=as_json)
    if as_json:
        show_json(plain_reports(reports))


def _check_used(names: Sequence[str], steps: int, towards: str | None, preset: str | None) -> None:
    """UserError where an option would do nothing."""
    if preset and "p5" not in names:
        raise UserError(f"--preset draws what p5 looks for, and {', '.join(names)} looks for nothing; add --protocol p5")
    if towards and not steps:
        raise UserError(f"--refine-to is {towards}, and no step is asked for; give --refine too")
    if steps and not set(names) & _REFINED:
        raise UserError(f"--refine is measured by {', '.join(sorted(_REFINED))}, not by {', '.join(names)}; add --protocol p1")


def _outputs(out: Path | None, json_file: Path | None, as_json: bool) -> tuple[Path | None, Path | None]:
    """(file, folder) that are asked for. ``--json FILE``, as it was spelled once, leaves FILE a third argument."""
    if json_file is not None and not as_json:
        raise UserError(f"{json_file} is one argument too many; `stylefx evaluate` takes CHECKPOINT and CORPUS")
    if out is not None and out.suffix == ".json" and not out.is_dir():
        if json_file is not None:
            raise UserError(f"two files are given for the numbers, {json_file} and {out}; give one with --out")
        return out, None
    return json_file, out


def _write_for_others(job: EvaluationJob, items_to: Path | None, listening: Path | None) -> None:
    """Items for another program, or a page for ears: nothing is measured."""
    if items_to:
        from stylefx.evaluation.items import write_items

        say(f"wrote {write_items(job, items_to)} items to {items_to}")
    if listening:
        from stylefx.evaluation.listening.build import write_listening

        for path in write_listening(job, listening):
            say(f"wrote {path}")
    job.close()


def _outside(given: tuple[str, ...]) -> dict[str, Path]:
    """NAME=FOLDER, ... as a dict; UserError for what is not so, a taken name, or a folder that is not there."""
    out: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UserError(f"--outside is {text!r}; give NAME=FOLDER, such as matchering=out/matchering")
        if name in out or name in BASELINES or name == "model":
            raise UserError(f"--outside: {name!r} names another system already; choose another name")
        if not Path(folder).is_dir():
            raise UserError(f"--outside: {folder} is not a folder; give the one with {name}'s outputs")
        out[name] = Path(folder)
    return out


def _check_outputs(json_path: Path | None, folder: Path | None, overwrite: bool) -> None:
    """Refuse what cannot be written, or stands there already, before the work and not after it. A folder's files of an earlier
    evaluation are replaced, which is said."""
    from stylefx.files.atomic import check_free, check_writable

    if json_path:
        check_writable(json_path)
        check_free(json_path, overwrite)
    if folder:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: the folder cannot be made: {error.strerror}; choose another with --out") from error
        check_writable(folder / "p1.json")
        if not overwrite and any(folder.glob("p*.json")):
            say(f"{folder} holds an earlier evaluation; its files are replaced where they are made again", err=True)


def show(report: Report) -> None:
    """The report's tables on the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console()
    setup = report.setup
    console.print(
        f"[bold]{report.protocol.upper()} {report.title}[/bold]: {setup['items']} items of {setup['groups']} groups, "
        f"{setup['seconds_each']} s each at {setup['sample_rate']} Hz, split {setup['split']}"
        + (f", {setup['audio_format']}" if setup.get("audio_format") else ""),
        highlight=False,
    )
    for table in report.tables:
        rich = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left", caption=table.note, caption_justify="left")
        for i, column in enumerate(table.columns):
            words = [column] if i == 0 else column.split()
            rich.add_column(
                column, justify="left" if i == 0 else "right", min_width=max(map(len, words)), overflow="fold", no_wrap=i == 0
            )
        for row in table.brief or table.rows:
            rich.add_row(*row)
        console.print(rich, highlight=False)
    for note in report.notes:
        console.print(f"* {note}", highlight=False)
