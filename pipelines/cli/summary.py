"""What a build has done, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stylefx.command_line import say
from stylefx.files.address import safe_uri
from stylefx.progress import duration

if TYPE_CHECKING:
    from pipelines.builder.job import BuildSummary


def build_counts(summary: BuildSummary, out: str) -> dict[str, Any]:
    """A build in numbers, for programs."""
    return {
        "corpus": safe_uri(out),
        **summary.tally.to_dict(),
        "rendered_shards": summary.rendered_shards,
        "finished": summary.finished,
        "filtered_by_reason": dict(summary.filtered),
        "bad": [{"key": key, "status": status, "reason": reason} for key, status, reason in summary.bad],
        "repaired": [{"shard": name, "reason": reason} for name, reason in summary.repaired],
        "wall_s": round(summary.wall_s, 3),
        "startup_s": round(summary.startup_s, 3),
        "workers": summary.workers,
        "environments": dict(summary.environments),
    }


def print_summary(summary: BuildSummary, out: str, manifest: str) -> None:
    from pipelines.corpus.view import CorpusView

    tally = summary.tally
    counts = tally.counts
    say(f"corpus:     {safe_uri(out)}")
    say(f"shards:     {tally.shards_done} of {tally.shards} committed, {summary.rendered_shards} rendered now")
    hours = counts["ok"] * tally.sample_hours
    say(f"samples:    {counts['ok']} ({hours:.2f} h of input, as much of target)")
    left_out = ", ".join(f"{n} {status}" for status, n in counts.items() if n and status != "ok")
    if left_out:
        say(f"left out:   {left_out}")
        for key, status, reason in summary.bad[:10]:
            say(f"  {key}: {status}: {reason}")
        for reason, n in summary.filtered.most_common(5):
            say(f"  {n} filtered: {reason}")
    planned = ", ".join(f"{n:,} {reason}" for reason, (n, _) in CorpusView(out).rejected().items() if n)
    if planned:
        say(f"not planned: {planned}")
    for name, reason in summary.repaired[:10]:
        say(f"repaired:   {name} ({reason})")
    if tally.rendered:
        stages = sorted(tally.seconds.items(), key=lambda item: -item[1])
        text = ", ".join(f"{name} {1000 * s / tally.rendered:.1f}" for name, s in stages)
        say(f"time:       {duration(summary.wall_s)}, {summary.startup_s:.1f} s of it start-up, {summary.workers} workers")
        say(f"per sample: {text} ms")
    if len(summary.environments) > 1:
        say(f"note:       made in {len(summary.environments)} environments; between them samples agree to 1 LSB, not in bytes")
    if summary.finished:
        say(f"next:       stylefx-pipe verify {safe_uri(out)}   or   stylefx-pipe report {safe_uri(out)}")
    else:
        say(f"next:       when all shares are done: stylefx-pipe build {manifest} --finalize")
