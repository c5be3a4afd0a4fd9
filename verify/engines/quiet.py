"""Keep Polygraphy's log to errors: what it says of loading is not what a user asked for."""

from __future__ import annotations

from polygraphy.logger import G_LOGGER

__all__ = ["quieten"]


def quieten() -> None:
    """Show only Polygraphy's errors in this process."""
    G_LOGGER.module_severity = G_LOGGER.ERROR
