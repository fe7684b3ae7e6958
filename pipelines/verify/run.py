"""A whole verification: shards and index, splits, and if asked a share of samples rendered again."""

from __future__ import annotations

from pydantic import ValidationError

from pipelines.corpus.description import plan_digest, read_corpus
from pipelines.corpus.plans import plans_of
from pipelines.manifest.model import Manifest
from pipelines.storage.base import Storage
from pipelines.verify.deep import verify_deep
from pipelines.verify.report import Finding, VerifyReport
from pipelines.verify.shards import verify
from pipelines.verify.splits import check_sides, contents_of
from stylefx.errors import DamageError
from stylefx.progress import Progress


def run_verify(storage: Storage, deep_share: float = 0.0, seed: int = 0, progress: Progress | None = None) -> VerifyReport:
    """UserError where there is no corpus or no plan; damage is in the report."""
    progress = progress or Progress(bars=False, echo=lambda text: None)
    plans = plans_of(storage)
    corpus = read_corpus(storage)
    assert corpus is not None  # or there were no plans
    try:
        manifest = Manifest.model_validate(corpus["manifest"])
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise DamageError(
            f"the manifest in corpus.json of {storage.where} is damaged ({problems}); restore corpus.json"
        ) from None
    shards = [shard for _, part in plans for shard in part]
    report = verify(storage, shards, manifest.recipe_digest(), progress.counter("shards checked", len(shards)))
    for entry, (_, part) in zip(corpus["generations"], plans, strict=True):
        if entry.get("plan_digest") != plan_digest(part):
            report.findings.append(Finding("", "", f"plan-{entry.get('number', 0):04d}.parquet is not the plan of corpus.json"))
    check_sides(report, plans, contents_of(storage, len(plans)))
    if deep_share > 0:
        verify_deep(storage, manifest, plans, deep_share, seed, report, progress.counter("samples rendered again"))
    return report


def drop(storage: Storage, report: VerifyReport) -> list[str]:
    """Remove the sidecars of damaged shards: from now on they are not committed, and the next build renders them."""
    names = report.damaged_shards()
    for name in names:
        storage.delete(f"{name}.json")
    return names
