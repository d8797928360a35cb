"""aioresponses, mended for aiohttp 3.14.

aiohttp 3.14 wants a ``stream_writer`` for each response (aioresponses#289), and pauses a
reader whose buffer is over its limit, which a mocked one cannot do: its parser is missing.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aioresponses import aioresponses, core

__all__ = ["aioresponses"]


class _Response(aiohttp.ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        writer: Any = SimpleNamespace(output_size=0)  # all that is read of it
        super().__init__(*args, stream_writer=writer, **kwargs)


def _endless_reader(loop: Any) -> aiohttp.StreamReader:
    return aiohttp.StreamReader(ResponseHandler(loop=loop), limit=2**40, loop=loop)


vars(core).update(ClientResponse=_Response, stream_reader_factory=_endless_reader)
