#!/usr/bin/env bash
# All GPUs (or, with DEVICES=n, that many CPU processes) of one machine:
#   manifests/cluster/torchrun.sh manifests/train/base.yaml data.corpora=[corpus] --out runs/base
# It can be run again after any interruption: it goes on from the last checkpoint.
set -euo pipefail
devices=${DEVICES:-$(nvidia-smi -L 2>/dev/null | wc -l)}
[ "$devices" -gt 0 ] || devices=1
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / devices > 0 ? $(nproc) / devices : 1))}
exec torchrun --standalone --nproc-per-node "$devices" --max-restarts 3 -m stylefx.cli train "$@" --resume
