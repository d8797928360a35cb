"""Validation: everything that is wrong with an acknowledgement, before it is sent."""

from __future__ import annotations

from datetime import datetime

from ..errors import InvalidArgument, Problem
from ..models import direct_fulfillment as df
from ..models import retail_procurement as rp
from .checks import Acknowledgement, shape_problem
from .direct_fulfillment_checks import direct_fulfillment_problems
from .lines import Order
from .retail_checks import retail_problems


def problems_of(
    acknowledgement: Acknowledgement,
    *,
    order: Order | None = None,
    status: rp.OrderStatus | None = None,
    now: datetime,
) -> tuple[Problem, ...]:
    """Return all that is wrong with *acknowledgement*, each with its place in the document.

    Give the order as it is, and of a retail order its status; what is not given is not
    compared. A struct of wrong types is one problem, and nothing else is looked at.

    Raises:
        InvalidArgument: The order is of the other API.
    """
    if malformed := shape_problem(acknowledgement):
        return (malformed,)
    if isinstance(acknowledgement, rp.OrderAcknowledgement):
        if isinstance(order, df.Order):
            raise InvalidArgument(
                "a retail acknowledgement answers no direct fulfillment order"
            )
        return tuple(retail_problems(acknowledgement, order=order, status=status, now=now))
    if isinstance(order, rp.Order):
        raise InvalidArgument("a direct fulfillment acknowledgement answers no retail order")
    return tuple(direct_fulfillment_problems(acknowledgement, order=order, now=now))
