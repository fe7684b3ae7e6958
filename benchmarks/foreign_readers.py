"""A corpus read by others: webdataset and Hugging Face datasets in a fresh virtual environment that knows nothing of stylefx.

python -m benchmarks.foreign_readers
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from pipelines.corpus.view import CorpusView
from tests.support.builds import manifest_for, run_build, write_sources

ROOT = Path(__file__).parents[1]
PACKAGES = ("webdataset", "datasets", "soundfile", "numpy")
READ = """
import glob, hashlib, io, json, sys
import datasets, soundfile, webdataset
corpus = sys.argv[1]
def digest(sample):
    return hashlib.sha256(soundfile.read(io.BytesIO(sample["a.target.flac"]), dtype="int32")[0].tobytes()).hexdigest()
tars = sorted(glob.glob(corpus + "/train/*.tar"))
found = {"webdataset": {s["__key__"]: digest(s) for s in webdataset.WebDataset(tars, shardshuffle=False)}}
rows = datasets.load_dataset(corpus, split="train", streaming=True)
found["datasets"] = {s["__key__"]: digest(s) for s in rows}
print(json.dumps(found))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "corpus"
        run_build(manifest_for(write_sources(folder / "voices"), corpus), executor="direct")
        expected = {r["key"] for r in CorpusView(str(corpus)).rows() if r["split"] == "train" and r["status"] == "ok"}
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, *PACKAGES], check=True)
        run = subprocess.run([str(python), "-c", READ, str(corpus)], capture_output=True, text=True, check=True, cwd=folder)
    found = json.loads(run.stdout.splitlines()[-1])
    if set(found["webdataset"]) != expected or found["webdataset"] != found["datasets"]:
        sys.exit(f"the readers differ: { ({k: len(v) for k, v in found.items()}) }, {len(expected)} samples were stored")
    print(f"webdataset and datasets found all {len(expected)} samples, equal to the bit")


if __name__ == "__main__":
    main()
