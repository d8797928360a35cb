"""Extras: what is imported only where it is used, and may not be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ConfigurationError


@contextmanager
def extra(name: str, what: str) -> Iterator[None]:
    """Say which extra brings what *what* needs, where an import in the block fails.

        with extra("postgres", "postgres://"):
            import asyncpg

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__package__):  # a mistake of ours
            raise
        raise ConfigurationError(
            f"{what} needs {error.name}: pip install 'vendororders-async[{name}]'"
        ) from error
