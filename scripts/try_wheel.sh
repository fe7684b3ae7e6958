#!/usr/bin/env bash
# What an installed wheel must do outside the checkout: bash scripts/try_wheel.sh FOLDER-OF-ITS-PROGRAMS
set -euo pipefail
bin=$(realpath "${1:?give the folder that holds stylefx and stylefx-pipe}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
"$bin/python" - <<'PYTHON'
import numpy
import soundfile

rng = numpy.random.default_rng(0)
for name in ("voice", "reference"):
    soundfile.write(f"{name}.wav", 0.1 * rng.standard_normal(4 * 24000), 24000)
open("typed.py", "w").write("from stylefx.effects.registry import effect_names\n\nnames: list[str] = effect_names()\n")
PYTHON
"$bin/stylefx" --version
"$bin/stylefx-pipe" manifest demo >manifest.yaml
"$bin/stylefx-pipe" manifest slurm_build >/dev/null
"$bin/stylefx" config base >train.yaml
"$bin/stylefx-pipe" schema >/dev/null
"$bin/stylefx" transfer voice.wav reference.wav -o out.wav --page out.html
"$bin/stylefx" render voice.wav --settings out.json -o again.wav
"$bin/stylefx" export out.json --to reaper -o out.jsfx
if [ -x "$bin/mypy" ]; then "$bin/mypy" --strict typed.py; fi
ls -l out.wav out.json out.html again.wav out.jsfx
