"""The effects in torch, with exact gradients to the audio and to every parameter."""

from stylefx.differentiable.chain import DifferentiableChain

__all__ = ["DifferentiableChain"]
