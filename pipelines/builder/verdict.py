"""What dead workers, errors and failed samples mean for a build. Decided from plain values: nothing here reads or waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.manifest.model import Limits
from pipelines.shards.journal import STRIKES
from pipelines.workers.executor import NODE_DIED
from stylefx.errors import IncompleteError

ANONYMOUS_DEATHS = 3  # of one shard's workers, outside any sample


DEATHS_IN_A_ROW = 8


_SHARD_S, _SAMPLE_S = 120.0, 30.0


@dataclass(frozen=True)
class Verdict:
    """On a worker's death: what to say; why its sample is quarantined from now on; whether the shard is tried no more; and what
    stops the whole build."""

    said: str
    quarantine: str | None = None
    give_up: bool = False
    error: IncompleteError | None = None


@dataclass
class Judge:
    """Counts the deaths. A sample is blamed for its worker's and quarantined at the second; a death outside any sample counts
    against the shard, and many in a row against the whole installation."""

    given_up: list[str] = field(default_factory=list)
    _strikes: Counter[str] = field(default_factory=Counter)
    _anonymous: Counter[str] = field(default_factory=Counter)
    _in_a_row: int = 0

    def success(self) -> None:
        """A shard was committed."""
        self._in_a_row = 0

    def death(self, shard: str, sample: str | None, how: str) -> Verdict:
        """Of a worker of ``shard`` that was rendering ``sample``, or none."""
        if sample and how != NODE_DIED:  # a machine that goes away is nobody's fault
            self._strikes[sample] += 1
            said = f"{shard}: a worker died on {sample} ({how}), strike {self._strikes[sample]}"
            struck_out = self._strikes[sample] >= STRIKES
            return Verdict(said, f"ended its worker {STRIKES} times ({how})" if struck_out else None)
        self._anonymous[shard] += 1
        self._in_a_row += how != NODE_DIED  # one machine takes as many shards with it as it has cores
        give_up = self._anonymous[shard] >= ANONYMOUS_DEATHS
        if give_up:
            self.given_up.append(shard)
        said = f"{shard}: a worker died outside any sample ({how})"
        return Verdict(said, None, give_up, self._too_many(how) if self._in_a_row >= DEATHS_IN_A_ROW else None)

    def _too_many(self, how: str) -> IncompleteError:
        return IncompleteError(
            f"{self._in_a_row} workers in a row died outside any sample ({how}); "
            "look at memory and installation of the nodes, then run the same command again"
        )

    def check_given_up(self) -> None:
        """IncompleteError when a shard was given up."""
        if self.given_up:
            raise IncompleteError(
                f"{len(self.given_up)} shards were given up, the first is {self.given_up[0]}: "
                f"{ANONYMOUS_DEATHS} workers died outside any sample; look at the memory of the nodes and run again"
            )


def how_it_died(how: str, sample: str | None, since_s: int | None, limit_s: float, now_s: float) -> str:
    """The executor's word for it, or the time limit where the sample had run as long; times as in ``time.time()``."""
    late = bool(sample and limit_s and since_s is not None and now_s - since_s >= limit_s)
    return f"took longer than {limit_s:g} s" if late else how


def shard_limit_s(limits: Limits, samples: int) -> float:
    """After which a shard's worker counts as hanging."""
    return limits.shard_seconds or _SHARD_S + _SAMPLE_S * samples


def too_many_failed(
    counts: Mapping[str, int], samples: int, limits: Limits, reasons: Sequence[str] = ()
) -> IncompleteError | None:
    """Whether more than the manifest's share of all planned samples failed or is quarantined; the commonest reason is named."""
    bad = counts["failed"] + counts["quarantined"]
    if bad <= limits.max_failed_share * samples:
        return None
    example = f" (such as: {Counter(reasons).most_common(1)[0][0]})" if reasons else ""
    return IncompleteError(
        f"{bad} of {samples} samples failed, more than limits.max_failed_share = {limits.max_failed_share:g} "
        f"allows{example}; mend them and run again with --retry-failed, or raise the limit"
    )


def too_many_filtered(counts: Mapping[str, int], samples: int, limits: Limits) -> IncompleteError | None:
    """Whether more than the manifest's share was left out on purpose."""
    filtered = counts["filtered"]
    if filtered <= limits.max_filtered_share * samples:
        return None
    return IncompleteError(
        f"{filtered} of {samples} samples were filtered, more than limits.max_filtered_share = "
        f"{limits.max_filtered_share:g} allows; look at the reasons, or raise the limit and run again"
    )
