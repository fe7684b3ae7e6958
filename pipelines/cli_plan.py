"""Commands of ``stylefx-pipe`` that come before rendering: schema, scan, plan; fetch is imported from its own module."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import click

from pipelines.fetch import fetch  # noqa: F401  the command table finds it here

_MANIFEST = click.argument("manifest", type=click.Path(dir_okay=False))
_SET = click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Override a value of the manifest.")


@click.command()
def schema() -> None:
    """Print the manifest's JSON Schema, for editors that complete and check YAML."""
    from pipelines.manifest import Manifest

    click.echo(json.dumps(Manifest.model_json_schema(), indent=2))


@click.command()
@_MANIFEST
@_SET
@click.option("-o", "--output", default="catalog-0000.parquet", show_default=True, help="The catalog file to write.")
@click.option("--previous", type=click.Path(dir_okay=False), help="Take over what did not change; default: the output itself.")
@click.option("--workers", type=click.IntRange(min=0), help="Processes; default: one per core.")
def scan(manifest: str, overrides: tuple[str, ...], output: str, previous: str | None, workers: int | None) -> None:
    """Decode every recording once and write the catalog."""
    from pipelines.manifest import load_manifest
    from pipelines.scan import scan as run_scan

    loaded = load_manifest(manifest, overrides)
    summary = run_scan(loaded, output, previous or output, workers, _progress())
    click.echo(
        f"{output}: {summary.recordings:,} recordings, {summary.hours:,.2f} h; {summary.reused:,} not decoded again; "
        f"errors: {', '.join(f'{n:,} {reason}' for reason, n in summary.errors.items()) or 'none'}"
    )


@click.command()
@_MANIFEST
@_SET
@click.option("--catalog", default="catalog-0000.parquet", show_default=True, help="What `scan` wrote.")
@click.option("-o", "--output", default="plan-0000.parquet", show_default=True, help="The plan file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--calibrate/--no-calibrate", default=True, help="Render a few samples to estimate core-hours and bytes.")
def plan(manifest: str, overrides: tuple[str, ...], catalog: str, output: str, as_json: bool, calibrate: bool) -> None:
    """Decide which samples go into which shard; print the counts."""
    from pipelines.manifest import load_manifest
    from pipelines.plan import make_plan
    from pipelines.plan_estimate import estimate

    loaded = load_manifest(manifest, overrides)
    if not os.path.exists(catalog):
        from pipelines.scan import scan as run_scan

        run_scan(loaded, catalog, None, None, _progress())
    summary = make_plan(loaded, catalog, output)
    if calibrate:
        summary.estimate = estimate(loaded, output)
    click.echo(json.dumps(summary.to_dict(), indent=2) if as_json else summary.text())


def _progress() -> Callable[[int, float], None]:
    """On a terminal one line that changes, elsewhere a line now and then."""
    from pipelines.progress import scan_lines

    if sys.stderr.isatty():
        return scan_lines(lambda text: click.echo(f"\r{text}", err=True, nl=False), every_s=0.2)
    return scan_lines(lambda text: click.echo(text, err=True))
