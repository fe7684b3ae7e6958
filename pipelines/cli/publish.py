"""`stylefx-pipe publish`: a finished corpus to a hub or an object store."""

from __future__ import annotations

import click

from stylefx.command_line import json_option, say, show_json


@click.command("publish")
@click.argument("corpus")
@click.argument("to", metavar="hf://datasets/OWNER/NAME|s3://BUCKET/PREFIX")
@click.option("--replace", is_flag=True, help="Replace another corpus that is there.")
@click.option("--lineage", metavar="FILE", help="Append OpenLineage events, one JSON object a line.")
@json_option("Print the result as JSON.")
def publish(corpus: str, to: str, replace: bool, lineage: str | None, as_json: bool) -> None:
    """Upload CORPUS, shard by shard, what describes it after them, and the index last: until then readers find what was there.

    The same command again goes on where it was ended, and after `build --grow` uploads the new shards only. Credentials come from
    the environment (HF_TOKEN; AWS_ACCESS_KEY_ID, ...).
    """
    from pipelines.corpus.view import CorpusView
    from pipelines.lineage.events import Lineage
    from pipelines.publish.pieces import published
    from pipelines.publish.run import publish as run
    from pipelines.publish.target import open_target

    view = CorpusView(corpus)
    pieces, target = published(view), open_target(to)
    with Lineage(lineage, f"publish {view.manifest['name']}", inputs=[view.where], outputs=[target.where]) as events:
        done = run(pieces, target, replace, lambda text: say(text, err=True))
        events.counts(done.uploaded_bytes, files=done.uploaded)
    show_json(done.to_dict()) if as_json else say(done.text())
