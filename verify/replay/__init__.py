"""Findings about values as folders that `polygraphy run` shows again, without this suite."""

from __future__ import annotations

from verify.replay.again import replay
from verify.replay.command import Command, command_of, polygraphy_run, tensorrt_run
from verify.replay.folder import FILES
from verify.replay.line import nested, try_line
from verify.replay.shrink import feed
from verify.replay.store import Request, rerun, store, store_all

__all__ = [
    "FILES",
    "Command",
    "Request",
    "command_of",
    "feed",
    "nested",
    "polygraphy_run",
    "replay",
    "rerun",
    "store",
    "store_all",
    "tensorrt_run",
    "try_line",
]
