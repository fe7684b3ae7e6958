"""What one seed does: a plan, a cluster, the weather of the store, drivers that come and go, and how workers and nodes end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from benchmarks.simulation.store import Weather


@dataclass(frozen=True)
class DriverScript:
    """A driver: when it starts, on which machine, with which share, when it is killed or told to stop, how often it is started
    anew when it did not finish, and after which pause."""

    start_s: float
    machine: int
    share: tuple[int, int] = (0, 1)
    take_over: bool = False
    kill_after_s: float | None = None
    signal_after_s: float | None = None
    again: int = 2
    pause_s: float = 5.0


@dataclass(frozen=True)
class Scenario:
    """All that a seed decides before anything happens; what happens to single requests and samples is drawn on the way."""

    plan: int
    weather: Weather
    drivers: tuple[DriverScript, ...]
    nodes: tuple[int, ...]  # CPUs of each
    joins: tuple[tuple[float, int], ...]
    leaves: tuple[tuple[float, float], ...]  # (when, how long its processes go on)
    crash: float  # shares of samples ...
    out_of_memory: float
    hang: float
    crawl: float
    poison: bool  # one sample ends every worker
    sample_limit_s: float
    lingers_s: float  # for which workers of a killed driver go on
    skews_s: tuple[float, ...] = field(default=(0.0,))


def _share(draw: random.Random, chance: float, most: float) -> float:
    return draw.random() * most if draw.random() < chance else 0.0


def draw_scenario(seed: int, plans: int) -> Scenario:
    draw = random.Random(f"scenario {seed}")
    outages = []
    for _ in range(draw.choice((0, 0, 0, 1, 2))):
        since_s = draw.expovariate(1 / 40)
        outages.append((since_s, since_s + draw.choice((3.0, 20.0, 100.0, 300.0))))
    weather = Weather(
        busy=_share(draw, 0.6, 0.2),
        lost_reply=_share(draw, 0.6, 0.2),
        late=_share(draw, 0.3, 0.5),
        late_s=draw.choice((2.0, 20.0, 60.0)),
        stale=_share(draw, 0.5, 0.7),
        stale_s=draw.choice((2.0, 10.0, 60.0)),
        slow=_share(draw, 0.3, 0.05),
        latency_s=draw.choice((0.005, 0.05, 0.3)),
        outages=tuple(outages),
    )
    nodes = tuple(draw.choice((1, 1, 2, 4)) for _ in range(draw.choice((1, 1, 2, 3))))
    return Scenario(
        plan=draw.randrange(plans),
        weather=weather,
        drivers=_drivers(draw),
        nodes=nodes,
        joins=tuple((draw.expovariate(1 / 20), draw.choice((1, 2))) for _ in range(draw.choice((0, 0, 1, 2)))),
        leaves=tuple((draw.expovariate(1 / 20), draw.choice((0.0, 0.0, 5.0, 60.0))) for _ in range(draw.choice((0, 0, 0, 1, 2)))),
        crash=_share(draw, 0.4, 0.15),
        out_of_memory=_share(draw, 0.2, 0.1),
        hang=_share(draw, 0.2, 0.05),
        crawl=_share(draw, 0.3, 0.1),
        poison=draw.random() < 0.15,
        sample_limit_s=draw.choice((0.0, 30.0, 120.0)),
        lingers_s=draw.choice((0.0, 0.0, 2.0, 30.0)),
        skews_s=tuple(draw.uniform(-60, 60) if draw.random() < 0.3 else 0.0 for _ in range(6)),
    )


def _drivers(draw: random.Random) -> tuple[DriverScript, ...]:
    kind = draw.choice(("one", "one", "two", "two", "take over", "shares"))
    out = [_driver(draw, 0.0, 0)]
    if kind == "two":
        out.append(_driver(draw, draw.choice((0.0, 0.05, draw.uniform(0, 60))), draw.randrange(2)))
    elif kind == "take over":
        out.append(_driver(draw, draw.uniform(0, 40), draw.randrange(2), take_over=True))
    elif kind == "shares":
        out = [_driver(draw, draw.uniform(0, 5), i, share=(i, 2)) for i in range(2)]
    return tuple(out)


def _driver(
    draw: random.Random, start_s: float, machine: int, share: tuple[int, int] = (0, 1), take_over: bool = False
) -> DriverScript:
    return DriverScript(
        start_s,
        machine,
        share,
        take_over,
        kill_after_s=draw.expovariate(1 / 15) if draw.random() < 0.35 else None,
        signal_after_s=draw.expovariate(1 / 15) if draw.random() < 0.15 else None,
        again=draw.choice((0, 1, 3)),
        pause_s=draw.choice((0.5, 5.0, 30.0, 250.0)),
    )
