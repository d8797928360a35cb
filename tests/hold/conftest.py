"""What is killed, whom it asks and where it writes; a module says ORDERS and KINDS of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from killing import Mortals, undertaker
from s3 import s3_server
from stores import fresh_stores

from vendororders_async.simulator import Simulator
from vendororders_async.testing import SimulatedAmazon, running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have a new store of each kind, if the module has no `new_store` of its own."""
    kinds = getattr(metafunc.module, "KINDS", ())
    if kinds and "new_store" in metafunc.fixturenames:
        metafunc.parametrize("new_store", kinds, indirect=True)


@pytest.fixture(scope="module")
def amazon(request: pytest.FixtureRequest) -> Iterator[SimulatedAmazon]:
    """A simulator of the module's ORDERS, which all its tests ask."""
    with running(Simulator(request.module.ORDERS)) as amazon:
        yield amazon


@pytest.fixture(scope="module")
def mortals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortals]:
    """What starts runs and commands, and kills them."""
    with undertaker(tmp_path_factory.mktemp("tmp")) as mortals:
        yield mortals


@pytest.fixture
def new_store(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Return what returns the URL of a store that nobody has written to."""
    if request.param == "s3":
        numbers = count()
        with s3_server() as s3:
            s3.bucket("orders")
            yield lambda: s3.url(f"orders/{next(numbers)}", settle="0.3")
        return
    yield fresh_stores(request.param, request)
