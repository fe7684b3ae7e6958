"""A whole verification: shards and index, splits, and if asked a share of samples rendered again."""

from __future__ import annotations

from pydantic import ValidationError

from pipelines.build_corpus import plan_digest, read_corpus
from pipelines.build_prepare import plans_of
from pipelines.manifest import Manifest
from pipelines.storage import Storage
from pipelines.verify import Finding, Report, verify
from pipelines.verify_deep import verify_deep
from pipelines.verify_sides import check_sides, contents_of
from stylefx.errors import DamageError


def run_verify(storage: Storage, deep_share: float = 0.0, seed: int = 0) -> Report:
    """UserError where there is no corpus or no plan; damage is in the report."""
    plans = plans_of(storage)
    corpus = read_corpus(storage)
    try:
        manifest = Manifest.model_validate(corpus["manifest"])
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise DamageError(
            f"the manifest in corpus.json of {storage.where} is damaged ({problems}); restore corpus.json"
        ) from None
    shards = [shard for _, part in plans for shard in part]
    report = verify(storage, shards, manifest.recipe_digest())
    for entry, (_, part) in zip(corpus["generations"], plans, strict=True):
        if entry.get("plan_digest") != plan_digest(part):
            report.findings.append(Finding("", "", f"plan-{entry.get('number', 0):04d}.parquet is not the plan of corpus.json"))
    check_sides(report, plans, contents_of(storage, len(plans)))
    if deep_share > 0:
        verify_deep(storage, manifest, plans, deep_share, seed, report)
    return report


def drop(storage: Storage, report: Report) -> list[str]:
    """Remove the sidecars of damaged shards: from now on they are not committed, and the next build renders them."""
    names = report.damaged_shards()
    for name in names:
        storage.delete(f"{name}.json")
    return names
