"""``stylefx studio``: a local page to transfer styles in the browser, or to browse and listen to a corpus."""

from __future__ import annotations

import click

from stylefx.command_line import ends_like_interrupt, json_option, out_option, overwrite_option, say, show_json
from stylefx.errors import UserError


@click.command()
@click.argument("corpus", required=False)
@click.option(
    "--model", "checkpoint", default="shipped", show_default=True, metavar="CKPT",
    help="Checkpoint, the folder of a training run, or a model that comes with stylefx.",
)  # fmt: skip
@out_option("Write the page as a folder that any web server can serve, and end.", "--export", metavar="FOLDER")
@overwrite_option("--export: replace a studio that is there.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: a free one.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser; print the address only.")
@json_option("Print the address (with --export: the folder and its bytes) as JSON.")
def studio(
    corpus: str | None, checkpoint: str, out: str | None, overwrite: bool, port: int, no_browser: bool, as_json: bool
) -> None:
    """Open a page on this computer: drop a recording and a reference, hear the transfer, tune and save it. With CORPUS: browse,
    filter and listen to its samples.

    The model runs in the browser. The page is served to this computer only and asks nothing of any other.
    """
    from stylefx.studio.serve import files_answer, make_server, serve

    if corpus and out:
        raise UserError("--export writes the transfer page; for a corpus as one file use `stylefx-pipe report`")
    if out:
        from stylefx.studio.site import export_site

        size = export_site(out, checkpoint, overwrite)
        if as_json:
            show_json({"studio": out, "bytes": size})
        else:
            say(f"{out}: the studio, {size / 1e6:.1f} MB; serve it with any web server, such as python -m http.server")
        return
    if corpus:
        from stylefx.studio.browse import browse_answer

        answer = browse_answer(corpus)
    else:
        from stylefx.studio.site import site_files

        answer = files_answer(site_files(checkpoint))
    with ends_like_interrupt():
        serve(make_server(answer, port), not no_browser, _tell_json if as_json else _tell)


def _tell(address: str) -> None:
    click.echo(f"{address}: the studio, on this computer only; Ctrl-C ends it")  # with -q too: nothing else says where it is


def _tell_json(address: str) -> None:
    show_json({"address": address})
