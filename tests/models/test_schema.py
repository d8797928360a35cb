"""Our structs against Amazon's models, name by name."""

from __future__ import annotations

import inspect
from enum import StrEnum
from types import ModuleType
from typing import Any

import msgspec
import pytest
import sample_files

from vendororders_async.models import common, retail_procurement, transactions

# Our own names for what the models describe in place, without a name.
_INLINE = {
    "OrderItemStatusOrderedQuantity": ("OrderItemStatus", "orderedQuantity"),
    "OrderItemStatusAcknowledgementStatus": ("OrderItemStatus", "acknowledgementStatus"),
    "OrderItemStatusReceivingStatus": ("OrderItemStatus", "receivingStatus"),
}
# Lists and texts in the models, not structs of ours.
_NO_STRUCTS = {"ErrorList", "ItemStatus", "Decimal", "DateTimeInterval"}

# Where the values of our enumerations are written in the models.
_ENUMS: dict[str, tuple[str, ...]] = {
    "PurchaseOrderState": ("Order", "purchaseOrderState"),
    "PurchaseOrderType": ("OrderDetails", "purchaseOrderType"),
    "PaymentMethod": ("OrderDetails", "paymentMethod"),
    "PurchaseOrderStatus": ("OrderStatus", "purchaseOrderStatus"),
    "ConfirmationStatus": ("OrderItemStatus", "acknowledgementStatus", "confirmationStatus"),
    "ReceiveStatus": ("OrderItemStatus", "receivingStatus", "receiveStatus"),
    "AcknowledgementCode": ("OrderItemAcknowledgement", "acknowledgementCode"),
    "RejectionReason": ("OrderItemAcknowledgement", "rejectionReason"),
    "TransactionState": ("Transaction", "status"),
}

DEFINITIONS: dict[str, Any] = {
    **sample_files.model("vendorTransactionStatus.json")["definitions"],
    **sample_files.model("vendorOrders.json")["definitions"],
}
needs_models = pytest.mark.skipif(not sample_files.HAS_MODELS, reason=sample_files.NO_MODELS)


def classes(base: type, *modules: ModuleType) -> dict[str, Any]:
    """Return the public classes under *base* that *modules* define or share."""
    return {
        name: one
        for module in modules
        for name, one in vars(module).items()
        if inspect.isclass(one) and issubclass(one, base) and not name.startswith("_")
    }


STRUCTS = classes(msgspec.Struct, common, retail_procurement, transactions)
STRUCTS.pop("Wire")
ENUMS = classes(StrEnum, common, retail_procurement, transactions)
ENUMS.pop("StrEnum")


def properties(name: str, *path: str) -> Any:
    """Return the properties of a definition, or of what it describes in place."""
    found = DEFINITIONS[name]["properties"]
    for key in path:
        found = found[key]["properties"]
    return found


@needs_models
@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_every_struct_has_the_fields_of_its_definition(name: str) -> None:
    """No property is forgotten, none is misspelt, none is invented."""
    fields = {field.encode_name for field in msgspec.structs.fields(STRUCTS[name])}

    assert fields == set(properties(*_INLINE.get(name, (name,))))


@needs_models
def test_every_definition_has_a_struct() -> None:
    """What Amazon describes, we can read."""
    assert set(DEFINITIONS) - _NO_STRUCTS == set(STRUCTS) - set(_INLINE)


@needs_models
@pytest.mark.parametrize("name", sorted(ENUMS))
def test_every_enumeration_has_the_values_of_the_model(name: str) -> None:
    """The words that may be sent and compared with are Amazon's words."""
    definition, *path = _ENUMS[name]
    known = properties(definition, *path[:-1])[path[-1]]["enum"]

    assert {one.value for one in ENUMS[name]} == set(known)


@pytest.mark.parametrize("name", sorted(STRUCTS))
def test_every_struct_takes_its_fields_by_name_only(name: str) -> None:
    """Because msgspec does not inherit kw_only, so each class must say it."""
    assert STRUCTS[name].__struct_config__.frozen
    with pytest.raises(TypeError, match="positional"):
        STRUCTS[name]("first")
