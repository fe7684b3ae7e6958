"""On the CPU plain torch in place of the compiled loops: a reference whose first call needs no compilation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from unittest import mock

from stylefx.differentiable.operators import biquads, dynamics, forms, spectral_distance


def _scan_on_cpu(original, tensor) -> str:
    return "scan" if tensor.device.type == "cpu" else original(tensor)


@contextmanager
def plain_cpu() -> Iterator[None]:
    with ExitStack() as patches:
        for module in (biquads, dynamics):
            patches.enter_context(mock.patch.object(module, "default_form", partial(_scan_on_cpu, forms.default_form)))
        patches.enter_context(mock.patch.object(spectral_distance, "compiled_here", return_value=False))
        yield
