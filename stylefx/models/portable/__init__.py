"""Models for programs without stylefx: ONNX, and torch's own exported programs."""
