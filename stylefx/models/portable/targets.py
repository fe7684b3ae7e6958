"""The names of the formats, importable without torch."""

from __future__ import annotations

ONNX, TORCH = "onnx", "torch-export"
TARGETS = (ONNX, TORCH)
