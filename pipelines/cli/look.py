"""`stylefx-pipe inspect`, `report`, `preset` and `compare`: look at what was built."""

from __future__ import annotations

from pathlib import Path

import click

from stylefx.command_line import json_option, out_option, overwrite_option, say, show_json

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
@overwrite_option()
@json_option("Print the sample's row and document as JSON.")
def inspect(
    corpus: str,
    key: str | None,
    label: str | None,
    source: str | None,
    status: str | None,
    seed: int,
    wav: Path | None,
    page: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Show a sample of CORPUS: the one with KEY, or one drawn among those that match."""
    from pipelines.corpus.view import CorpusView
    from pipelines.look import page as html
    from pipelines.look.inspect import choose, describe, export_wav, sample_html

    view = CorpusView(corpus)
    row = choose(view, key, label, source, status, seed)
    show_json({"row": row, "document": view.document(row)}) if as_json else say(describe(view, row))
    if wav:
        for path in export_wav(view, row, wav, overwrite):
            say(f"wrote {path}", err=as_json)
    if page:
        lead = f"One sample of the corpus {view.manifest['name']}."
        text = html.page(row["key"], lead, [("", sample_html(view, row, heading=False))])
        _write(page, text, overwrite, as_json)


@click.command("report", context_settings=_SETTINGS)
@click.argument("corpus")
@out_option("Default: report.html in the corpus, which is made anew.", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--samples", default=20, type=click.IntRange(0, 200), help="Random samples to listen to.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Another number draws other samples.")
@overwrite_option()
@json_option("Print where it is and how large.")
def report(corpus: str, out: Path | None, samples: int, seed: int, overwrite: bool, as_json: bool) -> None:
    """Write one self-contained HTML page about CORPUS."""
    from pipelines.corpus.view import CorpusView
    from pipelines.look.report import make_report

    view = CorpusView(corpus)
    text = make_report(view, samples, seed)
    if out is None and view.storage.remote:
        view.storage.write("report.html", text.encode())
        say(f"wrote {view.where}/report.html  ({len(text.encode()) / 1e6:.1f} MB)", err=as_json)
    else:
        out = out or Path(view.where.removeprefix("file://")) / "report.html"
        _write(out, text, overwrite or out.name == "report.html", as_json)
    if as_json:
        show_json({"report": str(out or f"{view.where}/report.html"), "bytes": len(text.encode())})


@click.command("preset", context_settings=_SETTINGS)
@click.argument("name")
@click.argument("recording", type=click.Path(path_type=Path))
@out_option("The page to write.", "--listen", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--pairs", default=4, type=click.IntRange(1, 40), help="How many pairs to draw.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Another number draws other pairs.")
@overwrite_option()
@json_option("Print where it is and how large.")
def preset(name: str, recording: Path, out: Path, pairs: int, seed: int, overwrite: bool, as_json: bool) -> None:
    """Hear and see: a page with pairs that the preset NAME (or a YAML file of chains) makes of RECORDING, and their distances."""
    from pipelines.look.preset import preset_page
    from stylefx.files.atomic import check_free

    check_free(out, overwrite)
    text = preset_page(name, recording, pairs, seed)
    _write(out, text, overwrite, as_json)
    if as_json:
        show_json({"page": str(out), "bytes": len(text.encode())})


@click.command("compare", context_settings=_SETTINGS)
@click.argument("a")
@click.argument("b")
@json_option()
def compare(a: str, b: str, as_json: bool) -> int:
    """Say what differs between the corpora A and B; exit status 4 when something does."""
    from pipelines.corpus.view import CorpusView
    from pipelines.look.compare import compare as run

    differences = run(CorpusView(a), CorpusView(b))
    if as_json:
        show_json({"identical": differences.identical, "levels": differences.levels, "lines": differences.lines})
    else:
        say(differences.text())
    return 0 if differences.identical else 4


def _write(path: Path, text: str, overwrite: bool, as_json: bool) -> None:
    from stylefx.files.atomic import check_free, publish_text

    path.parent.mkdir(parents=True, exist_ok=True)
    publish_text(check_free(path, overwrite), text)
    say(f"wrote {path}  ({path.stat().st_size / 1e6:.1f} MB)", err=as_json)
