"""The ONNX side: forms of Mish in their contexts, and wrong ones to prove that a check can fail.

What needs onnx is imported when first used, so that ``python -m models --help`` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.names import (
    CHAIN_LENGTH,
    CONTEXTS,
    CONV_WEIGHTS,
    FORMS,
    INNER_DIMS,
    PRECISIONS,
    RANKS,
    file_name,
    ranks_of,
)

if TYPE_CHECKING:
    from models.forms import PluginNode
    from models.model import build, serialize

__all__ = [
    "CHAIN_LENGTH",
    "CONTEXTS",
    "CONV_WEIGHTS",
    "FORMS",
    "INNER_DIMS",
    "PRECISIONS",
    "RANKS",
    "PluginNode",
    "build",
    "file_name",
    "ranks_of",
    "serialize",
]


def __getattr__(name: str) -> Any:
    if name == "PluginNode":
        from models.forms import PluginNode

        return PluginNode
    if name in ("build", "serialize"):
        from models import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
