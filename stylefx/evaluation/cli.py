"""``stylefx evaluate``: measure a checkpoint on a held-out split."""

from __future__ import annotations

from pathlib import Path

import click

from stylefx.errors import UserError
from stylefx.evaluation.job import BASELINES, DEFAULT_BASELINES, Job
from stylefx.evaluation.protocols import PROTOCOLS, protocol
from stylefx.evaluation.report import Report, write_folder, write_json

_BASELINE_HELP = "Separated by commas. " + "; ".join(f"{name}: {text}" for name, text in BASELINES.items()) + "."
_PROTOCOL_HELP = "\n\n".join(f"{name}: {text}" for name, (_, text) in PROTOCOLS.items())


def _names(text: str, known: dict, what: str) -> list[str]:
    """Names separated by commas, as a list in the order of the known names; "all" is all of them."""
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known and name != "all"]
    if unknown or not wanted:
        raise UserError(f"there is no {what} {(unknown or [''])[0]!r}; known: {', '.join(known)}, all")
    return [name for name in known if name in wanted or "all" in wanted]


@click.command(epilog=_PROTOCOL_HELP)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option("--protocol", "protocols", default="p1", show_default=True, help="Names separated by commas, or all.")
@click.option("--split", default="test", show_default=True, help="Held-out split of the corpus.")
@click.option("--items", type=click.IntRange(min=1), help="At most so many samples, chosen by their keys.  [default: all]")
@click.option("--baselines", default=",".join(DEFAULT_BASELINES), show_default=True, help=_BASELINE_HELP)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write every number to this file.")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for JSON, Markdown and PNG.")
@click.option("--pesq", is_flag=True, help="Also PESQ (speech; needs stylefx[eval]).")
@click.option("--device", default="cpu", show_default=True, help="Where the model runs: cpu, cuda, mps.")
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Samples in memory at a time.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn: styles, contents, the bootstrap.")
@click.option("--oracle-steps", type=click.IntRange(min=1), default=100, show_default=True, help="Gradient steps of the oracle.")
@click.option(
    "--training-items", type=click.IntRange(min=1), default=500, show_default=True,
    help="Training samples behind the baselines mean and nearest.",
)  # fmt: skip
def evaluate(checkpoint, corpus, protocols, split, items, baselines, json_path, folder, pesq, device, batch, seed, oracle_steps,
             training_items):  # fmt: skip
    """Measure CHECKPOINT (a .safetensors file or a run folder) on a held-out split of CORPUS."""
    names = _names(protocols, PROTOCOLS, "protocol")
    chosen = _names(baselines, BASELINES, "baseline")
    _check_outputs(json_path, folder)
    if pesq:
        from stylefx.evaluation.pesq import require_pesq

        require_pesq()
    job = open_job(
        checkpoint, corpus, device, split=split, items=items, baselines=chosen, seed=seed, batch=batch, pesq=pesq,
        oracle_steps=oracle_steps, training_items=training_items,
    )  # fmt: skip
    reports = []
    try:
        for name in names:
            report = protocol(name)(job)
            reports.append(report)
            show(report)
            if folder:
                for path in write_folder(folder, report):
                    click.echo(f"wrote {path}")
    finally:
        job.close()
    if json_path:
        write_json(json_path, reports)
        click.echo(f"wrote {json_path}")


def _check_outputs(json_path: Path | None, folder: Path | None) -> None:
    """Refuse what cannot be written before the work, not after it."""
    from stylefx.inference.publish import check_writable

    if json_path:
        check_writable(json_path)
    if folder:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: the folder cannot be made: {error.strerror}; choose another with --out") from error
        check_writable(folder / "p1.json")


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the device {device!r} cannot be used ({reason}); choose another with --device") from error


def open_job(checkpoint: Path, corpus_path: Path, device: str = "cpu", **options) -> Job:
    """Load both and make the job."""
    from stylefx.corpus.reader import open_corpus
    from stylefx.evaluation.systems import Model
    from stylefx.models.checkpoint import load_model, read_card

    _check_device(device)
    corpus = open_corpus(corpus_path)
    model = load_model(checkpoint, device=device)
    setup = {
        "checkpoint": checkpoint.name,
        "corpus": corpus_path.name,
        "model_sample_rate": model.sample_rate,
        "device": device,
        "weights_sha256": read_card(checkpoint)["sha256"][:16],
    }
    return Job(Model(model, device), corpus, checkpoint=checkpoint, setup=setup, **options)


def show(report: Report) -> None:
    """The report's tables on the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console()
    setup = report.setup
    console.print(
        f"[bold]{report.protocol.upper()} {report.title}[/bold]: {setup['items']} items of {setup['groups']} groups, "
        f"{setup['seconds_each']} s each at {setup['sample_rate']} Hz, split {setup['split']}",
        highlight=False,
    )
    for table in report.tables:
        rich = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left", caption=table.note, caption_justify="left")
        for i, column in enumerate(table.columns):
            side, words = ("left", [column]) if i == 0 else ("right", column.split())
            rich.add_column(column, justify=side, min_width=max(map(len, words)), overflow="fold", no_wrap=i == 0)
        for row in table.brief or table.rows:
            rich.add_row(*row)
        console.print(rich, highlight=False)
    for note in report.notes:
        console.print(f"* {note}", highlight=False)
