"""A redirect to another host, over real sockets: no token and no secret ever goes there."""

from __future__ import annotations

import virtual_time
from aiohttp import web
from faulty_questions import QUESTIONS
from hold import Record
from loopback import WebServer
from syncing import on_virtual_time

from vendororders_async import VendorOrdersClient
from vendororders_async.errors import VendorOrdersError
from vendororders_async.simulator import API_OPERATIONS, Settings, Simulator
from vendororders_async.testing import accounts_of


def test_nobody_else_is_sent_a_token(figure: Record) -> None:
    """What is asked of the API and of Login with Amazon is asked of them alone."""
    strayed: list[str] = []
    fired: list[int] = []
    said: list[str] = []

    async def note(request: web.Request) -> web.Response:
        strayed.append(request.path)
        return web.Response()

    async def scene(operations: tuple[str, ...]) -> None:
        now = on_virtual_time()
        async with WebServer(note) as elsewhere:
            simulator = Simulator(
                Settings(
                    orders=20,
                    direct_fulfillment_orders=20,
                    anchor=now(),
                    redirect_to=f"{elsewhere.url}/x",
                ),
                now=now,
            )
            scripts = [simulator.inject(one, "redirect", times=99) for one in operations]
            async with simulator.serve() as served:
                for question in QUESTIONS.values():
                    async with VendorOrdersClient(accounts_of(served)[0], now=now) as client:
                        try:
                            await question(simulator, client)[1]()
                        except VendorOrdersError as error:
                            said.append(str(error))
            fired.append(sum(script.fired for script in scripts))

    virtual_time.run(scene(API_OPERATIONS))
    virtual_time.run(scene(("token",)))
    figure(
        "Faults", "redirects over HTTP", times=sum(fired), orders=sum(fired), lost=len(strayed)
    )

    assert all(count >= len(QUESTIONS) for count in fired)
    assert strayed == []
    assert not any("127.0.0.1" in one for one in said)
