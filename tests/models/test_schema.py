"""Our structs against Amazon's models, name by name."""

from __future__ import annotations

import inspect
from enum import StrEnum
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
import sample_files

from vendororders_async.models import (
    common,
    direct_fulfillment,
    retail_procurement,
    tokens,
    transactions,
)

# Lists and texts in the models, not structs of ours.
_NO_STRUCTS = {"ErrorList", "ItemStatus", "Decimal", "DateTimeInterval", "TaxLineItem"}


def definitions(*names: str) -> dict[str, dict[str, Any]]:
    """Return the properties of every definition; of several versions, those of all."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        for definition, described in sample_files.model(name)["definitions"].items():
            # one of them is called buyerCustomizedInfoDetail
            known = found.setdefault(definition[0].upper() + definition[1:], {})
            known.update(described.get("properties", {}))
    return {name: known for name, known in found.items() if name not in _NO_STRUCTS}


def classes(base: type, *modules: ModuleType) -> dict[str, Any]:
    """Return the public classes under *base* that *modules* define or share."""
    return {
        name: one
        for module in modules
        for name, one in vars(module).items()
        if inspect.isclass(one)
        and issubclass(one, base)
        and one not in (base, common.Wire)
        and not name.startswith("_")
    }


class Api(NamedTuple):
    """Models of Amazon's that describe one API, and our modules that do."""

    definitions: dict[str, dict[str, Any]]
    structs: dict[str, Any]
    enums: dict[str, Any]
    # what the models describe in place, by our own name for it
    inline: dict[str, tuple[str, ...]]
    # where the values of our enumerations are written
    values: dict[str, tuple[str, ...]]
    # fields that only the other API has, in a struct that both share
    shared: dict[str, set[str]]


_TRANSACTION = {"TransactionState": ("Transaction", "status")}
APIS = {
    "retail": Api(
        definitions("vendorTransactionStatus.json", "vendorOrders.json"),
        classes(msgspec.Struct, common, retail_procurement, transactions),
        classes(StrEnum, common, retail_procurement, transactions),
        {
            "OrderItemStatusOrderedQuantity": ("OrderItemStatus", "orderedQuantity"),
            "OrderItemStatusAcknowledgementStatus": (
                "OrderItemStatus",
                "acknowledgementStatus",
            ),
            "OrderItemStatusReceivingStatus": ("OrderItemStatus", "receivingStatus"),
        },
        {
            "PurchaseOrderState": ("Order", "purchaseOrderState"),
            "PurchaseOrderType": ("OrderDetails", "purchaseOrderType"),
            "PaymentMethod": ("OrderDetails", "paymentMethod"),
            "PurchaseOrderStatus": ("OrderStatus", "purchaseOrderStatus"),
            "ConfirmationStatus": (
                "OrderItemStatus",
                "acknowledgementStatus",
                "confirmationStatus",
            ),
            "ReceiveStatus": ("OrderItemStatus", "receivingStatus", "receiveStatus"),
            "AcknowledgementCode": ("OrderItemAcknowledgement", "acknowledgementCode"),
            "RejectionReason": ("OrderItemAcknowledgement", "rejectionReason"),
            **_TRANSACTION,
        },
        {},
    ),
    "direct-fulfillment": Api(
        definitions(
            "vendorDirectFulfillmentTransactionsV1.json",
            "vendorDirectFulfillmentTransactions_2021-12-28.json",
            "vendorDirectFulfillmentOrdersV1.json",
            "vendorDirectFulfillmentOrders_2021-12-28.json",
        ),
        classes(msgspec.Struct, direct_fulfillment, transactions)
        | {
            one.__name__: one
            for one in (common.SubmitAcknowledgementResponse, common.TransactionId)
        },
        classes(StrEnum, direct_fulfillment, transactions),
        {},
        {
            "OrderStatus": ("OrderDetails", "orderStatus"),
            "UnitOfMeasure": ("ItemQuantity", "unitOfMeasure"),
            "TaxType": ("TaxDetails", "type"),
            **_TRANSACTION,
        },
        {"ItemQuantity": {"unitSize"}, "Money": {"unitOfMeasure"}},
    ),
    "tokens": Api(
        definitions("tokens_2021-03-01.json"),
        classes(msgspec.Struct, tokens) | {"Error": common.Error},
        {},
        {},
        {},
        {},
    ),
}
STRUCTS = [(api, name) for api in APIS for name in sorted(APIS[api].structs)]
ENUMS = [
    (api, name)
    for api in APIS
    for name in sorted(APIS[api].enums)
    if name != "PoItemState"  # a parameter's, as others are: tests/test_operations.py
]
needs_models = pytest.mark.skipif(not sample_files.HAS_MODELS, reason=sample_files.NO_MODELS)


def properties(api: Api, name: str, *path: str) -> Any:
    """Return the properties of a definition, or of what it describes in place."""
    found = api.definitions[name]
    for key in path:
        found = found[key]["properties"]
    return found


def field_names(struct: Any) -> set[str]:
    """Return the names that a struct has on the wire."""
    return {field.encode_name for field in msgspec.structs.fields(struct)}


@needs_models
@pytest.mark.parametrize(("api", "name"), STRUCTS)
def test_every_struct_has_the_fields_of_its_definition(api: str, name: str) -> None:
    """No property is forgotten, none is misspelt, none is invented."""
    models = APIS[api]
    described = set(properties(models, *models.inline.get(name, (name,))))

    assert field_names(models.structs[name]) == described | models.shared.get(name, set())


@needs_models
@pytest.mark.parametrize("api", APIS)
def test_every_definition_has_a_struct(api: str) -> None:
    """What Amazon describes, we can read."""
    models = APIS[api]

    assert set(models.definitions) == set(models.structs) - set(models.inline)


@needs_models
def test_both_versions_describe_the_same_taxes() -> None:
    """The earlier one in place, the later one by the name that we took over."""
    v1 = sample_files.model("vendorDirectFulfillmentOrdersV1.json")["definitions"]
    taxes = field_names(direct_fulfillment.TaxItemDetails)

    assert set(v1["OrderDetails"]["properties"]["taxTotal"]["properties"]) == taxes
    assert set(v1["OrderItem"]["properties"]["taxDetails"]["properties"]) == taxes


@needs_models
@pytest.mark.parametrize(("api", "name"), ENUMS)
def test_every_enumeration_has_the_values_of_the_model(api: str, name: str) -> None:
    """The words that may be sent and compared with are Amazon's words."""
    models = APIS[api]
    definition, *path = models.values[name]
    known = properties(models, definition, *path[:-1])[path[-1]]["enum"]

    assert {one.value for one in models.enums[name]} == set(known)


@pytest.mark.parametrize(("api", "name"), STRUCTS)
def test_every_struct_takes_its_fields_by_name_only(api: str, name: str) -> None:
    """Because msgspec does not inherit kw_only, so each class must say it."""
    struct = APIS[api].structs[name]

    assert struct.__struct_config__.frozen
    with pytest.raises(TypeError, match="positional"):
        struct("first")
