"""One seed from its beginning to its last word: disturbed builds, then one that nobody disturbs; what is promised is checked at
every change of the store and at the end."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from benchmarks.simulation.clock import Machine, Process, Simulation, process
from benchmarks.simulation.cluster import Cluster, Job, exceptions
from benchmarks.simulation.plans import Plan
from benchmarks.simulation.scenario import DriverScript, Scenario
from benchmarks.simulation.store import Store, Weather
from pipelines.builder.job import BuildOptions, BuildSummary
from pipelines.builder.lease import Share
from pipelines.builder.run import build
from pipelines.shards.make import run_task
from pipelines.workers.ray import RayExecutor
from stylefx.corpus.schema import INDEX_FILE, SPLITS
from stylefx.errors import IncompleteError, Interrupted, StylefxError

ROOT = "corpora/simulated"
ADDRESS = f"sim://{ROOT}"
_CALM_S = 400.0  # leases of the dead have run out, and late requests have arrived
_VOLATILE = ("seconds", "wall_s", "finished_s", "attempts", "node", "peak_memory_mb")


class Broken(AssertionError):
    """A promise that was not kept."""


class Play(Simulation):
    """The simulation of one scenario; ``store`` and ``rendering`` are what the product meets of it."""

    def __init__(self, seed: int | str, scenario: Scenario, plan: Plan):
        super().__init__(f"play {seed}")
        self.scenario, self.plan = scenario, plan
        self.store = Store(self, scenario.weather)
        for name, data in plan.files.items():
            self.store.put(f"{ROOT}/{name}", data)
        self.cluster = Cluster(self)
        self.calm = False
        self._poison = self.random.choice([s.key for listed in plan.samples for s in listed]) if scenario.poison else None
        self.said: list[str] = []
        self.machines = [Machine(f"head-{i}", scenario.skews_s[i % len(scenario.skews_s)]) for i in range(4)]
        self.drivers_left = 0
        self.drivers = 0
        self.store.watch = self._watch

    # -- what happens to a sample that is rendered

    def rendering(self, key: str) -> None:
        here, scenario = process(), self.scenario
        assert here is not None
        draw = self.random.random
        self.pause(0.2 + 2 * draw())
        if self.calm:
            return
        if key == self._poison or draw() < scenario.crash:
            self._end(here, exceptions.WorkerCrashedError)
        if draw() < scenario.out_of_memory:
            self._end(here, exceptions.OutOfMemoryError)
        if draw() < scenario.hang:
            self.pause(1e5)
        if draw() < scenario.crawl:
            self.pause(self.random.choice((20.0, 100.0, 2000.0)))

    def _end(self, here: Process, error: type[Exception]) -> None:
        here.memory["died of"] = error
        here.kill()
        self.pause(0.0)

    # -- drivers

    def drive(self, script: DriverScript, again: int) -> None:
        """Start a driver; it is started again where its script says so."""
        machine = self.machines[script.machine]
        self.drivers_left += 1
        self.drivers += 1
        outcome: list[Any] = []
        driver = self.launch(machine, f"driver on {machine.name}", lambda: outcome.append(self._build(script)))

        def ended() -> None:
            self.drivers_left -= 1
            if again and not self.calm and not (outcome and isinstance(outcome[0], BuildSummary)):
                self.drivers_left += 1
                self.after(script.pause_s, restart)

        def restart() -> None:
            self.drivers_left -= 1
            self.drive(replace(script, kill_after_s=None, signal_after_s=None), again - 1)

        driver.on_death.append(ended)
        if script.kill_after_s is not None:
            self.after(script.kill_after_s, driver.kill)
        if script.signal_after_s is not None:
            self.after(script.signal_after_s, lambda: self._signal(driver))

    @staticmethod
    def _signal(driver: Process) -> None:
        stopper = driver.memory.get("stopper")
        if driver.alive and stopper is not None:
            stopper._on_signal(15, None)

    def _build(self, script: DriverScript, retry: tuple[str, ...] = ()) -> BuildSummary | StylefxError:
        """What a driver process does; its end is one of those that the product promises."""
        here, scenario = process(), self.scenario
        assert here is not None
        here.memory["ray"] = Job(self.cluster, scenario.lingers_s)
        share = Share(*script.share)
        options = BuildOptions(
            executor="ray",
            opened=lambda: RayExecutor(run_task, None, "simulated:6379", lambda: None),
            share=share,
            take_over=script.take_over,
            retry=retry,
            sample_limit_s=scenario.sample_limit_s,
        )
        try:
            summary = build(self.plan.manifest, ADDRESS, self.plan.shards, options=options)
        except (IncompleteError, Interrupted) as error:
            if "internal error" in str(error):
                raise Broken(f"exit status 3 with {error}") from error
            self.said.append(f"{self.now_s:9.2f} {here.name} {here.pid}: {error}")
            return error
        except Exception as error:
            raise Broken(f"a build ended with {type(error).__name__}: {error}") from error
        self._check_summary(summary, share)
        self.said.append(f"{self.now_s:9.2f} {here.name} {here.pid}: finished")
        return summary

    # -- promises

    def _check_summary(self, summary: BuildSummary, share: Share) -> None:
        mine = [shard for shard in self.plan.shards if shard.number in share]
        tally = summary.tally
        if (tally.shards_done, tally.samples_done) != (len(mine), sum(s.samples for s in mine)):
            raise Broken(f"of {len(mine)} shards {tally.shards_done} were counted, {tally.samples_done} samples")

    def _watch(self, name: str, data: bytes | None) -> None:
        """At every change. What is found ends the play, and is not an answer of the store, which the product would bear with."""
        if name == f"{ROOT}/{INDEX_FILE}" and data is not None:
            try:
                self._check_index(json.loads(data))
            except Broken as finding:
                self.broken = self.broken or finding

    def _check_index(self, index: dict[str, Any]) -> None:
        """An index stands only over shards that are all there, and whole."""
        names = [shard["name"] for shard in index["shards"]]
        if sorted(names) != sorted(shard.name for shard in self.plan.shards):
            raise Broken(f"the index lists {names}")
        for shard in index["shards"]:
            self._check_shard(shard)

    def _check_shard(self, entry: dict[str, Any]) -> None:
        stem = f"{ROOT}/{entry['name']}"
        for suffix, field in ((".tar", "sha256"), (".parquet", "parquet_sha256")):
            data = self.store.get(stem + suffix)
            if data is None or hashlib.sha256(data).hexdigest() != entry[field]:
                raise Broken(f"the index says something else of {entry['name']}{suffix} than what is there")
        sidecar = self.store.get(stem + ".json")
        if sidecar is None or json.loads(sidecar)["sha256"] != entry["sha256"]:
            raise Broken(f"the index says something else of {entry['name']} than its sidecar")

    def left(self) -> dict[str, str]:
        """{name: digest} of the store; of sidecars what does not tell of times and machines."""
        out = {}
        for name in self.store.names(f"{ROOT}/"):
            data = self.store.get(name) or b""
            stem = name.removeprefix(f"{ROOT}/")
            if stem.endswith(".json") and stem.partition("/")[0] in SPLITS:
                data = json.dumps({k: v for k, v in json.loads(data).items() if k not in _VOLATILE}).encode()
            out[stem] = hashlib.blake2b(data, digest_size=8).hexdigest()
        return out

    # -- the whole

    def disturbed(self) -> None:
        scenario = self.scenario
        for i, cpus in enumerate(scenario.nodes):
            self.cluster.join(cpus, scenario.skews_s[(i + 2) % len(scenario.skews_s)])
        for when_s, cpus in scenario.joins:
            self.at(when_s, lambda cpus=cpus: self.cluster.join(cpus))
        for when_s, lingers_s in scenario.leaves:
            self.at(when_s, lambda lingers_s=lingers_s: self._leave(lingers_s))
        self.drivers_left += len(scenario.drivers)
        for script in scenario.drivers:
            self.at(script.start_s, lambda script=script: self._begin(script))
        self.run(lambda: not self.drivers_left)

    def _begin(self, script: DriverScript) -> None:
        self.drivers_left -= 1
        self.drive(script, script.again)

    def _leave(self, lingers_s: float) -> None:
        if len(self.cluster.living) > 1:
            self.random.choice(self.cluster.living).leave(lingers_s)

    def undisturbed(self) -> None:
        """The fair weather after it all, and a build that tries again what was given up."""
        self.calm = True
        self.store.weather = Weather(latency_s=0.01)
        until_s = self.now_s + _CALM_S
        self.run(lambda: self.now_s > until_s)
        if not self.cluster.living:
            self.cluster.join(2)
        outcome: list[Any] = []
        script = DriverScript(0.0, 3)
        driver = self.launch(
            self.machines[3], "the last driver", lambda: outcome.append(self._build(script, ("quarantined", "failed")))
        )
        self.run(lambda: not driver.alive)
        if not outcome or not isinstance(outcome[0], BuildSummary):
            raise Broken(f"an undisturbed build did not finish: {outcome}")
