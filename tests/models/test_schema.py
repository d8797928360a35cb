"""Our structs against Amazon's models, name by name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from enum import StrEnum
from random import Random
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
import sample_files
from decoded import MODELS
from hold import Often, Record
from schema_contract import disagreements, enumerations

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
RESPONSES: dict[str, type] = {
    "getPurchaseOrders": retail_procurement.GetPurchaseOrdersResponse,
    "getPurchaseOrder": retail_procurement.GetPurchaseOrderResponse,
    "getPurchaseOrdersStatus": retail_procurement.GetPurchaseOrdersStatusResponse,
    "submitAcknowledgement": common.SubmitAcknowledgementResponse,
    "getTransaction": transactions.GetTransactionResponse,
    "createRestrictedDataToken": tokens.CreateRestrictedDataTokenResponse,
    "getOrders-v1": direct_fulfillment.GetOrdersResponse,
    "getOrder-v1": direct_fulfillment.GetOrderResponse,
    "submitAcknowledgement-v1": common.SubmitAcknowledgementResponse,
    "getTransactionStatus-v1": transactions.GetTransactionResponse,
    "getOrders-2021-12-28": direct_fulfillment.OrderList,
    "getOrder-2021-12-28": direct_fulfillment.Order,
    "submitAcknowledgement-2021-12-28": common.TransactionId,
    "getTransactionStatus-2021-12-28": transactions.TransactionStatus,
}
BODIES: dict[str, type] = {
    "submitAcknowledgement": retail_procurement.SubmitAcknowledgementRequest,
    "submitAcknowledgement-v1": direct_fulfillment.SubmitAcknowledgementRequest,
    "submitAcknowledgement-2021-12-28": direct_fulfillment.SubmitAcknowledgementRequest,
    "createRestrictedDataToken": tokens.CreateRestrictedDataTokenRequest,
}
# What a struct of retail's has too
_SHARED = {"ItemQuantity.unitSize: ours alone", "Money.unitOfMeasure: ours alone"}
# What the other version of direct fulfillment has
_LATER = {
    "OrderDetails.hasCustomizableItems: ours alone",
    "OrderItem.buyerCustomizedInfo: ours alone",
}
# An answer may lack them, and has the same structs; `acknowledgements` checks what is sent
_ADDRESS = {
    f"{name}: required by Amazon"
    for name in (
        *("Address.addressLine1", "Address.countryCode", "Address.name"),
        *("PartyIdentification.partyId", "TaxRegistrationDetails.taxRegistrationNumber"),
    )
}
KNOWN = {
    # without its token such an answer is none
    "createRestrictedDataToken": {
        "CreateRestrictedDataTokenResponse.restrictedDataToken: required by us alone"
    },
    "getOrders-v1": _SHARED | _LATER,
    "getOrder-v1": _SHARED | _LATER,
    "getOrders-2021-12-28": _SHARED,
    "getOrder-2021-12-28": _SHARED,
    # read both ways: tests/test_operations.py
    "getTransactionStatus-2021-12-28": {"Transaction.errors: ListType, not StructType"},
}
KNOWN_BODIES = {
    "submitAcknowledgement": _ADDRESS
    | {"TaxRegistrationDetails.taxRegistrationType: required by Amazon"},
    **dict.fromkeys(
        ("submitAcknowledgement-v1", "submitAcknowledgement-2021-12-28"),
        _ADDRESS
        | {"Address.stateOrRegion: required by Amazon", "ItemQuantity.unitSize: ours alone"},
    ),
}
# Words that nothing is compared with, so that they have no class
WORDS = {
    "ImportDetails.methodOfPayment": "CollectOnDelivery DefinedByBuyerAndSeller FOBPortOfCall"
    " PaidByBuyer PaidBySeller PrepaidBySeller",
    "ImportDetails.internationalCommercialTerms": "CarriageAndInsurancePaidTo CarriagePaidTo"
    " CostAndFreight CostInsuranceAndFreight DeliverDutyPaid DeliveredAtPlace"
    " DeliveredAtTerminal ExWorks FreeAlongSideShip FreeCarrier FreeOnBoard",
    "TaxRegistrationDetails.taxRegistrationType": "GST VAT",
    "Money.unitOfMeasure": "GRAMS KILOGRAMS OUNCES POUNDS",
    "ItemQuantity.unitOfMeasure": "Cases Eaches",
    "RestrictedResource.method": "DELETE GET POST PUT",
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


def contract(name: str, model: Any) -> dict[str, set[str]]:
    """Return where *model*, the file *name*, and our structs are not the same."""
    version = MODELS[name]
    found = {}
    for path in model["paths"].values():
        for described in path.values():
            if "operationId" not in described:
                continue
            operation = described["operationId"] + version
            for status, response in described["responses"].items():
                if status.startswith("2"):
                    schema = response["schema"]
                    found[operation] = disagreements(model, schema, RESPONSES[operation])
            for one in described.get("parameters", ()):
                if one["in"] == "body":
                    body = disagreements(model, one["schema"], BODIES[operation], sends=True)
                    found[f"{operation}, sent"] = body
    return found


def known(name: str) -> dict[str, set[str]]:
    """Return where they are known not to be."""
    version = MODELS[name]
    operations = [one + version for one in sample_files.operations_of(name)]
    answers = {one: KNOWN.get(one, set()) for one in operations}
    sent = {f"{one}, sent": KNOWN_BODIES.get(one, set()) for one in operations if one in BODIES}
    return answers | sent


@needs_models
@pytest.mark.parametrize("name", MODELS)
def test_every_field_of_every_answer_and_body_is_as_the_model_has_it(name: str) -> None:
    """Its name, its type, whether it must be there: version by version, all the way down."""
    assert contract(name, sample_files.model(name)) == known(name)


def _unknown_words(model: Any) -> dict[str, frozenset[str]]:
    ours = {
        frozenset(one.value for one in kind)
        for api in APIS.values()
        for kind in api.enums.values()
    }
    return {
        field: words
        for field, words in enumerations(model).items()
        if words not in ours and words != frozenset(WORDS.get(field, "").split())
    }


@needs_models
@pytest.mark.parametrize("name", MODELS)
def test_every_word_of_every_field_is_known(name: str) -> None:
    """None was added to those that Amazon names, and none was taken away."""
    assert _unknown_words(sample_files.model(name)) == {}


def _fields_of(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each place in a model that has properties, with them."""
    waiting = list(model["definitions"].items())
    for name, schema in waiting:
        if "properties" in schema:
            yield name, schema["properties"]
        waiting += [(f"{name}.{key}", one) for key, one in schema.get("properties", {}).items()]
        if "items" in schema:
            waiting.append((name, schema["items"]))


# What is in no answer but a refusal: decode_errors reads that, and says nothing where it cannot
_UNREAD = {
    "tokens_2021-03-01.json": {"ErrorList", "Error"},
    "vendorDirectFulfillmentTransactions_2021-12-28.json": {"ErrorList", "Error"},
    "vendorDirectFulfillmentOrders_2021-12-28.json": {
        *("ErrorList", "Error"),
        "SubmitAcknowledgementResponse",  # the answer is a TransactionId
    },
}


@needs_models
@pytest.mark.parametrize("name", MODELS)
def test_a_change_of_any_field_of_a_model_is_seen(
    name: str, often: Often, chance: Random, figure: Record
) -> None:
    """Renamed, added, taken away, of another type or with another word: each is told."""
    model = sample_files.model(name)
    unseen = []
    places = [
        (place, key)
        for place, (_, fields) in enumerate(_fields_of(model))
        for key in (*fields, "")
    ]
    tried = chance.sample(places, min(often(8, 1_000), len(places)))
    for place, key in tried:
        for change in ("renamed", "taken away", "of another type") if key else ("added",):
            changed = copy.deepcopy(model)
            where, fields = list(_fields_of(changed))[place]
            if change == "added":
                fields["news"] = {"type": "string"}
            elif change == "of another type":
                is_text = fields[key].get("type") == "string"
                fields[key] = {"type": "integer" if is_text else "string"}
            else:
                old = fields.pop(key)
                fields |= {"renamed": old} if change == "renamed" else {}
            is_seen = contract(name, changed) != known(name)
            if not is_seen and where not in _UNREAD.get(name, ()):
                unseen.append(f"{where}.{key} {change}")
    for field, words in enumerations(model).items():
        changed = copy.deepcopy(model)
        _with_another_word(changed["definitions"], words)
        unseen += [] if _unknown_words(changed) else [f"another word of {field}"]

    count = len(tried)
    what = "a field of Amazon's models, added, renamed, taken away or of another type"
    figure("Drift", what, times=count, orders=count, lost=len(unseen))

    assert len(places) >= 6
    assert unseen == []


def _with_another_word(schema: Any, words: frozenset[str]) -> None:
    for one in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(one, dict) and frozenset(one.get("enum", ())) == words:
            one["enum"] = [*one["enum"], "NEWS"]
        if isinstance(one, dict | list):
            _with_another_word(one, words)


@pytest.mark.parametrize(("api", "name"), STRUCTS)
def test_every_struct_takes_its_fields_by_name_only(api: str, name: str) -> None:
    """Because msgspec does not inherit kw_only, so each class must say it."""
    struct = APIS[api].structs[name]

    assert struct.__struct_config__.frozen
    with pytest.raises(TypeError, match="positional"):
        struct("first")
