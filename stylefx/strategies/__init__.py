"""Differentiation strategies: autodiff, SPSA, neural proxies and end-to-end networks behind one interface."""

from stylefx.strategies.base import Strategy, make_strategy, strategy_names

__all__ = ["Strategy", "make_strategy", "strategy_names"]
