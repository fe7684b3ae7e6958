"""matchering (github.com/sergree/matchering, GPL-3.0) on the items of P9, in an environment of its own.

    stylefx evaluate CHECKPOINT CORPUS --protocol p9 --items-to out/items
    python -m benchmarks.outside.matchering out/items out/matchering
    stylefx evaluate CHECKPOINT CORPUS --protocol p9 --outside matchering=out/matchering

The environment is made once, at --environment; what is there already in OUTPUTS is kept. It
runs isolated (-I): a folder of outputs that is called matchering is no module.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import venv
from pathlib import Path

VERSION = "2.0.6"
_WORKER = """
import sys, time
from pathlib import Path
import matchering
items, outputs = map(Path, sys.argv[1:])
for source in sorted(items.glob("*-input.wav")):
    name = source.name.removesuffix("-input.wav")
    result, part = outputs / f"{name}.wav", outputs / f"{name}.part.wav"
    if result.exists():
        continue
    started = time.process_time()
    matchering.process(str(source), str(items / f"{name}-reference.wav"), [matchering.pcm24(str(part))])
    part.rename(result)
    print(f"{name} {time.process_time() - started:.2f} s", flush=True)
"""


def environment(folder: Path) -> Path:
    """The Python of an environment with matchering; made where it is missing."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    found = subprocess.run([python, "-I", "-c", "import matchering"], capture_output=True, check=False)
    if found.returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "-q", f"matchering=={VERSION}"], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("items", type=Path, help="the folder of --items-to")
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--environment", type=Path, default=Path("out/matchering-environment"))
    given = parser.parse_args()
    if not any(given.items.glob("*-input.wav")):
        parser.error(f"{given.items} holds no NAME-input.wav; write items with stylefx evaluate ... --items-to {given.items}")
    given.outputs.mkdir(parents=True, exist_ok=True)
    python, started = environment(given.environment).absolute(), time.perf_counter()
    subprocess.run([python, "-I", "-c", _WORKER, given.items, given.outputs], check=True)
    print(f"{len(list(given.outputs.glob('*.wav')))} outputs in {given.outputs}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
