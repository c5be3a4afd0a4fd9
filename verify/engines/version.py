"""What each version of TensorRT has, and how a typed network is made with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["OLDEST", "Strategy", "TooOld", "parse", "strategy"]

OLDEST = (8, 6)


class TooOld(Exception):
    """A version that this project does not drive; the message is one line."""


@dataclass(frozen=True)
class Strategy:
    """How to build a plan of one version.

    ``strongly_typed``: the network takes its types from the file, and is flagged so.
    ``obey_types``: it does not; the FP16 flag, obeyed constraints and the precision and output
    type of each layer force them. ``operator``: the precisions in which the parser knows the
    standard operator Mish. ``function``: a plugin's model may carry the ONNX function of the
    node, and the plugin still wins. ``largest_elements``: of one tensor, None where 64-bit
    volumes are allowed.
    """

    version: tuple[int, int]
    strongly_typed: bool
    obey_types: bool
    precisions: tuple[str, ...]
    operator: tuple[str, ...]
    function: bool
    interfaces: tuple[str, ...]
    largest_elements: int | None

    @property
    def label(self) -> str:
        """For example ``TensorRT 8.6``."""
        return "TensorRT {}.{}".format(*self.version)

    def lacks(self, form: str, precision: str) -> str:
        """Why this version has no such case, in one line; empty if it has."""
        if precision not in self.precisions:
            return f"{self.label} has no {precision}"
        if form == "op" and not self.operator:
            return f"the parser of {self.label} does not know the operator Mish"
        if form == "op" and precision not in self.operator:
            return f"the parser of {self.label} has no Mish in {precision}"
        return ""


def parse(version: str) -> tuple[int, int]:
    """Major and minor of a version such as ``10.16.1.11``; raises ValueError for no version."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if not found:
        raise ValueError(f"{version!r} is not a version of TensorRT")
    return int(found[1]), int(found[2])


def strategy(version: str) -> Strategy:
    """The strategy for an installed version; raises TooOld below 8.6."""
    number = parse(version)
    if number < OLDEST:
        raise TooOld("TensorRT {} is too old; {}.{} or later is needed".format(version, *OLDEST))
    typed = number >= (9, 0)
    # In 9 the parser has no Mish yet, and whether bf16 works there was never tried.
    return Strategy(
        version=number,
        strongly_typed=typed,
        obey_types=not typed,
        precisions=("fp32", "fp16", "bf16") if number >= (10, 0) else ("fp32", "fp16"),
        operator=("fp32", "fp16") if number >= (10, 0) else (),
        # With both attributes on the node the plugin wins over the function, except in these.
        function=not (9, 0) <= number < (10, 7),
        interfaces=("IPluginV3", "IPluginV2DynamicExt") if typed else ("IPluginV2DynamicExt",),
        largest_elements=None if number >= (10, 11) else 2**31 - 1,
    )
