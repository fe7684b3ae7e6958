"""`stylefx-pipe inspect`, `report` and `compare`: look at what was built."""

from __future__ import annotations

from pathlib import Path

import click

_SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.command("inspect", context_settings=_SETTINGS)
@click.argument("corpus")
@click.argument("key", required=False)
@click.option("--label", help="One with this label.")
@click.option("--source", help="One of this source.")
@click.option("--status", type=click.Choice(["ok", "filtered", "failed", "quarantined"]), help="One with this outcome.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Another number shows another sample.")
@click.option("--wav", type=click.Path(path_type=Path, file_okay=False), help="Write its halves as WAV into this folder.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with players and spectrograms.")
def inspect(corpus, key, label, source, status, seed, wav, page):
    """Show a sample of CORPUS: the one with KEY, or one drawn among those that match."""
    from pipelines import page as html
    from pipelines.corpus_view import CorpusView
    from pipelines.inspect_sample import choose, describe, export_wav, sample_html

    view = CorpusView(corpus)
    row = choose(view, key, label, source, status, seed)
    click.echo(describe(view, row))
    if wav:
        for path in export_wav(view, row, wav):
            click.echo(f"wrote {path}")
    if page:
        text = html.page(f"Sample of {view.manifest['name']}", "One sample of a corpus.", [("Sample", sample_html(view, row))])
        _write(page, text)


@click.command("report", context_settings=_SETTINGS)
@click.argument("corpus")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Default: report.html in the corpus.")
@click.option("--samples", default=20, type=click.IntRange(0, 200), help="Random samples to listen to.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Another number draws other samples.")
def report(corpus, out, samples, seed):
    """Write one self-contained HTML page about CORPUS."""
    from pipelines.corpus_view import CorpusView
    from pipelines.report import make_report

    view = CorpusView(corpus)
    text = make_report(view, samples, seed)
    if out is None and view.storage.remote:
        view.storage.write("report.html", text.encode())
        click.echo(f"wrote {view.where}/report.html  ({len(text.encode()) / 1e6:.1f} MB)")
    else:
        _write(out or Path(view.where.removeprefix("file://")) / "report.html", text)


@click.command("compare", context_settings=_SETTINGS)
@click.argument("a")
@click.argument("b")
def compare(a, b):
    """Say what differs between the corpora A and B; exit status 4 when something does."""
    from pipelines.compare import compare as run
    from pipelines.corpus_view import CorpusView

    differences = run(CorpusView(a), CorpusView(b))
    click.echo(differences.text())
    return 0 if differences.identical else 4


def _write(path: Path, text: str) -> None:
    """Atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    click.echo(f"wrote {path}  ({path.stat().st_size / 1e6:.1f} MB)")
