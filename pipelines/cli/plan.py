"""Commands of ``stylefx-pipe`` that come before rendering: schema, manifest, scan, plan."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.share import ShareType
from stylefx.command_line import json_option, out_option, overridable, overwrite_option, say, show_json
from stylefx.errors import UserError

if TYPE_CHECKING:
    from pipelines.catalog.parts import ScanParts
    from pipelines.catalog.tally import ScanSummary
    from pipelines.manifest.model import Manifest

_MANIFEST = click.argument("manifest", type=click.Path(dir_okay=False))


@click.command()
@out_option("Write it to this file instead.", type=click.Path(dir_okay=False, path_type=Path))
@overwrite_option()
def schema(out: Path | None, overwrite: bool) -> None:
    """Print the manifest's JSON Schema, for editors that complete and check YAML."""
    from pipelines.manifest.model import Manifest
    from stylefx.files.output import give

    give(json.dumps(Manifest.model_json_schema(), indent=2) + "\n", out, overwrite)


@click.command("manifest")
@click.argument("name", required=False)
@out_option("Write it to this file instead.", type=click.Path(dir_okay=False, path_type=Path))
@overwrite_option()
def manifest(name: str | None, out: Path | None, overwrite: bool) -> None:
    """Print the manifest NAME that comes with stylefx, or a recipe for building on a cluster; without NAME, list them.

    To start from one: stylefx-pipe manifest demo -o mine.yaml
    """
    from stylefx.files.output import give
    from stylefx.templates import MANIFESTS, template_list, template_text

    give(template_list(MANIFESTS) if name is None else template_text(MANIFESTS, name), out, overwrite)


@click.command()
@_MANIFEST
@overridable
@out_option("The catalog to write; one that is there is brought up to date.", default="catalog-0000.parquet", show_default=True)
@click.option("--previous", type=click.Path(dir_okay=False), help="Take over what did not change; default: the output itself.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes; default: one per core.")
@click.option("--shards", "share", type=ShareType(), help="Decode only this share, for array jobs, and leave it in --parts.")
@click.option(
    "--parts",
    "place",
    metavar="PLACE",
    help="Folder or URL of the shares: what is there is not decoded again. A corpus' own is CORPUS/.build/scan; "
    "default: OUTPUT.parts.",
)
@click.option("--left-out", "everything", is_flag=True, help="Name all that is left out or damaged, not the first ten.")
@json_option()
def scan(
    manifest: str,
    overrides: tuple[str, ...],
    out: str,
    previous: str | None,
    workers: int | None,
    share: tuple[int, int] | None,
    place: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Decode every recording once and write the catalog.

    On several machines each decodes a share, --shards 0/8 to 7/8, in any order; the same command without --shards then writes
    the catalog out of them, the same one byte for byte. A share that was interrupted goes on where it stopped.
    """
    from pipelines.catalog.parts import ScanParts
    from pipelines.manifest.load import load_manifest
    from pipelines.storage.open import open_storage

    loaded, place = load_manifest(manifest, overrides), place or f"{out}.parts"
    parts = ScanParts(open_storage(place), "")
    summary = _scan(loaded, out, previous or out, workers, parts, share)
    _tell(summary, out, everything)
    if share is None and parts.names:
        parts.drop()
        if not parts.storage.remote:
            shutil.rmtree(parts.storage.where, ignore_errors=True)
    written = out if share is None else f"share {share[0]}/{share[1]} in {place}"
    if as_json:
        show_json({"catalog": out, "written": written, **asdict(summary)})
        return
    say(
        f"{written}: {summary.recordings:,} recordings, {summary.hours:,.2f} h; {summary.reused:,} not decoded again; "
        f"errors: {', '.join(f'{n:,} {reason}' for reason, n in summary.errors.items()) or 'none'}"
    )


@click.command()
@_MANIFEST
@overridable
@click.option("--catalog", default="catalog-0000.parquet", show_default=True, help="What `scan` wrote.")
@out_option("The plan to write; one that is there is replaced.", default="plan-0000.parquet", show_default=True)
@json_option("Print the summary as JSON.")
@click.option("--calibrate/--no-calibrate", default=True, help="Render a few samples to estimate core-hours and bytes.")
def plan(manifest: str, overrides: tuple[str, ...], catalog: str, out: str, as_json: bool, calibrate: bool) -> None:
    """Decide which samples go into which shard; print the counts."""
    from pipelines.manifest.load import load_manifest
    from pipelines.plan.make import make_plan
    from pipelines.render.estimate import estimate

    loaded = load_manifest(manifest, overrides)
    if not os.path.exists(catalog):
        _tell(_scan(loaded, catalog, None, None), catalog, False)
    _replace_own(Path(out))
    summary = make_plan(loaded, catalog, out)
    if calibrate:
        summary.estimate = estimate(loaded, out)
    show_json(summary.to_dict()) if as_json else say(summary.text())


def _replace_own(plan: Path) -> None:
    """A plan may take the place of a plan, and that is said; of nothing else."""
    from pipelines.plan.file import plan_meta

    if not plan.exists():
        return
    try:
        plan_meta(plan)
    except UserError:
        raise UserError(f"{plan} exists and is no plan; choose another name with --out") from None
    say(f"{plan} is replaced", err=True)


def _scan(
    loaded: Manifest,
    catalog: str,
    previous: str | None,
    workers: int | None,
    parts: ScanParts | None = None,
    share: tuple[int, int] | None = None,
) -> ScanSummary:
    """``scan`` with its progress on stderr."""
    from pipelines.builder.progress import scan_lines
    from pipelines.catalog.scan import scan as run_scan
    from pipelines.catalog.scan import scan_share
    from stylefx.progress import Progress

    with Progress() as progress:
        if parts is not None and share is not None:
            return scan_share(loaded, parts, share, previous, workers, scan_lines(progress))
        return run_scan(loaded, catalog, previous, workers, scan_lines(progress), parts=parts)


def _tell(summary: ScanSummary, catalog: str, everything: bool) -> None:
    """What was left out, on stderr; where that is more than is shown, all of it in a file beside the catalog."""
    from pathlib import Path

    from pipelines.catalog.tally import report_lines
    from stylefx.files.atomic import publish_text

    beside = Path(catalog).with_suffix(".left-out.txt")
    shown, complete = list(report_lines(summary, everything, f": {beside}")), list(report_lines(summary, everything=True))
    for line in shown:
        click.echo(line, err=True)
    if len(complete) > len(shown):
        publish_text(beside, "\n".join(complete) + "\n")
    else:
        beside.unlink(missing_ok=True)
