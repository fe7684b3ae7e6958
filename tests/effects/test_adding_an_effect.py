"""A new effect is one file in effects and one in differentiable: nothing else has to know of it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from stylefx.effects.chain import EffectChain
from stylefx.effects.files import chain_from_yaml, chain_to_yaml
from stylefx.effects.registry import effect_names, make_effect
from tests.support.registries import forget_new_effects

EXAMPLE = Path(__file__).parent / "example"


@pytest.fixture
def tremolo(monkeypatch):
    """The example, registered for one test only."""
    forget_new_effects(monkeypatch)
    for module in ("tremolo", "tremolo_twin"):
        name = f"tests.effects.example.{module}"
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.import_module(name)


@pytest.mark.usefixtures("tremolo")
def test_the_example_renders_serialises_and_has_gradients():
    import torch

    from stylefx.differentiable import DifferentiableChain

    chain = EffectChain.of(make_effect("compressor"), make_effect("tremolo"))
    assert "tremolo" in effect_names()
    assert chain_from_yaml(chain_to_yaml(chain)).to_dict() == chain.to_dict()
    rng = np.random.default_rng(1)
    audio, controls = rng.standard_normal((2, 3000)).astype(np.float32), rng.random(chain.num_controls)
    rendered = chain.render(audio, chain.settings(controls), 24000)
    stream = chain.start(chain.settings(controls), 24000, 2)
    np.testing.assert_array_equal(np.concatenate([stream(audio[:, :700]), stream(audio[:, 700:])], axis=1), rendered)

    wanted = torch.tensor(controls[None], requires_grad=True)
    out = DifferentiableChain(chain)(torch.from_numpy(audio)[None], wanted, 24000)
    np.testing.assert_allclose(out[0].detach().numpy(), rendered, atol=1e-4 * np.abs(rendered).max())
    out.square().sum().backward()
    assert (wanted.grad[0, -2:] != 0).all()


def test_the_documents_show_the_example_as_it_is_tested():
    text = (Path(__file__).parents[2] / "docs/effects/new-effect.md").read_text(encoding="utf-8")
    for name in ("tremolo.py", "tremolo_twin.py"):
        code = (EXAMPLE / name).read_text(encoding="utf-8")
        assert code[code.index("\n@") :].strip() in text, f"docs/effects/new-effect.md and tests/effects/example/{name} differ"
