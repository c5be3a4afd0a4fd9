"""The one exception that ends a command with a clear line and exit code 2."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(Exception):
    """Bad usage or bad input: the message names the file, key or option, and what is right."""
