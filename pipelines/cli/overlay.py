"""The command overlay."""

from __future__ import annotations

from dataclasses import asdict

import click

from stylefx.command_line import json_option, say, show_json


@click.command()
@click.argument("corpus")
@click.option("--map", "function", required=True, metavar="MODULE:FUNCTION", help="What is called with every sample.")
@click.option("--name", help="Of the overlay; default: the function's.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; default: all cores.")
@click.option("--executor", type=click.Choice(["auto", "ray", "inline", "direct"]), default="auto", show_default=True)
@click.option("--address", help="Ray cluster to use.")
@click.option("--replace", is_flag=True, help="Make it anew where another function made it.")
@json_option("Print where the overlay is and the counts as JSON.")
def overlay(
    corpus: str,
    function: str,
    name: str | None,
    workers: int | None,
    executor: str,
    address: str | None,
    replace: bool,
    as_json: bool,
) -> int:
    """Map the finished CORPUS to derived columns beside it: embeddings, metrics, stems, transcripts.

    FUNCTION is called with every sample (key, label, group, source, sample_rate, names, audio(name), metadata) and returns a dict
    of suffix and value: arrays become KEY.suffix.npy, text .txt, bytes .bin, everything else .json. No byte of the corpus is
    touched. The same command again resumes, and maps what the corpus has grown by.
    """
    from pipelines.overlays.build import make_overlay
    from pipelines.overlays.task import run_overlay_task
    from pipelines.workers.open import open_executor
    from pipelines.workers.runtime import address_from_environment
    from stylefx.files.address import safe_uri

    address = address or address_from_environment(executor, address)
    summary = make_overlay(
        corpus,
        function,
        name,
        replace,
        lambda: open_executor(executor, run_overlay_task, workers, address),
        lambda text: say(text, err=True),
    )
    if as_json:
        show_json({**asdict(summary), "where": safe_uri(summary.where)})
    else:
        say(f"{safe_uri(summary.where)}: {summary.shards} shards, {summary.mapped} mapped now, {summary.samples} samples")
    return 0
