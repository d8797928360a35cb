"""The table of operations: every name spelled right, nothing sent that was not meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest
import sample_files
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from vendororders_async.errors import InvalidArgument
from vendororders_async.models.common import ItemQuantity, PartyIdentification
from vendororders_async.models.direct_fulfillment import OrderStatus as DirectFulfillmentStatus
from vendororders_async.models.retail_procurement import (
    ConfirmationStatus,
    Order,
    OrderAcknowledgement,
    OrderAcknowledgementItem,
    OrderDetails,
    OrderItemAcknowledgement,
    OrderStatus,
    PoItemState,
    PurchaseOrderState,
    PurchaseOrderStatus,
    ReceiveStatus,
    SubmitAcknowledgementRequest,
)
from vendororders_async.operations import (
    API_NAMES,
    CHANGED,
    CREATE_RESTRICTED_DATA_TOKEN,
    CREATED,
    DIRECT_FULFILLMENT,
    GET_PURCHASE_ORDER,
    GET_PURCHASE_ORDERS,
    GET_PURCHASE_ORDERS_STATUS,
    GET_TRANSACTION,
    RETAIL,
    STATUSES,
    SUBMIT_ACKNOWLEDGEMENT,
    Call,
    GetOrder,
    GetOrders,
    GetPurchaseOrder,
    GetPurchaseOrders,
    GetPurchaseOrdersStatus,
    GetTransaction,
    GetTransactionStatus,
    Operation,
    Parameters,
    SortOrder,
    Stream,
    api_named,
    check,
    direct_fulfillment_named,
    http_request,
    query,
)
from vendororders_async.windows import LONGEST_QUERY, Window

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 7, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=7))

# each operation with the parameters that it takes
TABLE: dict[str, tuple[Operation[Any], type[Parameters] | None]] = {
    "getPurchaseOrders": (GET_PURCHASE_ORDERS, GetPurchaseOrders),
    "getPurchaseOrder": (GET_PURCHASE_ORDER, GetPurchaseOrder),
    "getPurchaseOrdersStatus": (GET_PURCHASE_ORDERS_STATUS, GetPurchaseOrdersStatus),
    "submitAcknowledgement": (SUBMIT_ACKNOWLEDGEMENT, None),
    "getTransaction": (GET_TRANSACTION, GetTransaction),
    "createRestrictedDataToken": (CREATE_RESTRICTED_DATA_TOKEN, None),
}
_ASKED: dict[str, type[Parameters]] = {
    "getOrders": GetOrders,
    "getOrder": GetOrder,
    "getTransactionStatus": GetTransactionStatus,
}
TABLE |= {
    f"{operation.name} {version}": (operation, _ASKED.get(operation.name))
    for version, operations in DIRECT_FULFILLMENT.items()
    for operation in msgspec.structs.astuple(operations)[1:]
}
ENUMS: dict[str, type[StrEnum]] = {
    "sortOrder": SortOrder,
    "poItemState": PoItemState,
    "purchaseOrderState": PurchaseOrderState,
    "purchaseOrderStatus": PurchaseOrderStatus,
    "itemConfirmationStatus": ConfirmationStatus,
    "itemReceiveStatus": ReceiveStatus,
    "status": DirectFulfillmentStatus,
}
MODELS = {
    "vendorOrders.json": "",
    "vendorTransactionStatus.json": "",
    "tokens_2021-03-01.json": "",
    "vendorDirectFulfillmentOrdersV1.json": " v1",
    "vendorDirectFulfillmentTransactionsV1.json": " v1",
    "vendorDirectFulfillmentOrders_2021-12-28.json": " 2021-12-28",
    "vendorDirectFulfillmentTransactions_2021-12-28.json": " 2021-12-28",
}
AMAZON = {
    f"{name}{version}": described
    for model, version in MODELS.items()
    for name, described in sample_files.operations_of(model).items()
}
needs_models = pytest.mark.skipif(not sample_files.HAS_MODELS, reason=sample_files.NO_MODELS)


def allowed(question: Parameters | SubmitAcknowledgementRequest) -> None:
    """Run the check of arguments as for production."""
    check(question, now=NOW, longest=LONGEST_QUERY)


def target(operation: Operation[Any], question: Parameters) -> str:
    """Return how *question* is spelled as a target."""
    return http_request(Call(operation, question)).target


@needs_models
@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_parameter_is_spelled_as_in_the_model(name: str) -> None:
    """Amazon ignores a misspelt parameter in silence, so none may be."""
    operation, asks = TABLE[name]
    described = AMAZON[name]
    names = {one["name"] for one in described["parameters"] if one["in"] != "body"}

    assert (operation.method, operation.path) == (described["method"], described["path"])
    assert (
        {one.encode_name for one in msgspec.structs.fields(asks)} == names
        if asks
        else not names
    )


_KINDS: dict[tuple[str, str | None], object] = {
    ("string", None): str,
    ("string", "date-time"): datetime,
    ("string", "boolean"): bool,
    ("integer", "int64"): int,
}


@needs_models
@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_parameter_is_of_the_kind_that_the_model_says(name: str) -> None:
    """Its type, whether it must be there, where it goes, and what it may be."""
    operation, asks = TABLE[name]
    ours = {one.encode_name: one for one in msgspec.structs.fields(asks)} if asks else {}
    for one in AMAZON[name]["parameters"]:
        if one["in"] == "body":
            assert asks is None
            continue
        field = ours[one["name"]]
        kind = _KINDS[one["type"], one.get("format")]

        assert field.type == (kind if one["required"] else kind | None)  # type: ignore[operator] # a class
        assert field.required == one["required"]
        assert (one["in"] == "path") == (f"{{{one['name']}}}" in operation.path)
        assert one["in"] in ("path", "query")
        assert (one.get("minimum"), one.get("maximum")) == (
            (1, 100) if one["name"] == "limit" else (None, None)
        )


@needs_models
def test_every_operation_of_the_models_is_in_the_table() -> None:
    """What Amazon offers, can be asked."""
    assert set(AMAZON) == set(TABLE)


@needs_models
def test_every_choice_of_the_models_is_known() -> None:
    """The words that a parameter takes are Amazon's, all of them."""
    offered = {
        one["name"]: set(one["enum"])
        for described in AMAZON.values()
        for one in described["parameters"]
        if "enum" in one
    }

    assert offered == {name: {one.value for one in kind} for name, kind in ENUMS.items()}


@pytest.mark.parametrize("errors", ["[%s]", '{"errors": [%s]}'], ids=["as v1", "as its model"])
def test_errors_of_a_transaction_are_read_however_they_are_wrapped(errors: str) -> None:
    """The model of 2021-12-28 puts an object around them, and no other does."""
    error = '{"code": "INVALID_ORDER_ID", "message": "Invalid order ID."}'
    body = '{"transactionStatus": {"transactionId": "t", "status": "Failure", "errors": %s}}'
    operation = DIRECT_FULFILLMENT["2021-12-28"].get_transaction_status
    found = operation.decode((body % (errors % error)).encode()).payload

    assert found is not None
    assert found.transaction_status is not None
    assert found.transaction_status.status == "Failure"
    assert [one.code for one in found.transaction_status.errors] == ["INVALID_ORDER_ID"]


@needs_models
@pytest.mark.parametrize("name", sorted(set(TABLE) - {"getTransaction"}))
def test_the_plan_is_the_published_one(name: str) -> None:
    """So many a second, so many at once, says the table in each description."""
    plan = TABLE[name][0].plan

    assert f"| {plan.rate:.0f} | {plan.burst:.0f} |" in AMAZON[name]["description"]


def test_lists_and_orders_with_people_in_them_are_restricted() -> None:
    """And nothing else is; both versions share a bucket, and neither one of retail's."""
    restricted = {name for name, (operation, _) in TABLE.items() if operation.is_restricted}

    assert restricted == {
        f"{name} {version}"
        for name in ("getOrders", "getOrder")
        for version in DIRECT_FULFILLMENT
    }
    assert {
        operation.api for name, (operation, _) in TABLE.items() if name.endswith(("v1", "28"))
    } == {"direct_fulfillment"}


@pytest.mark.parametrize("version", ["v2", "", "2021"])
def test_another_version_is_refused(version: str) -> None:
    """The error names those that there are."""
    with pytest.raises(InvalidArgument, match=r"there as v1, 2021-12-28, not"):
        direct_fulfillment_named(version)
    with pytest.raises(InvalidArgument, match=r"there as v1, 2021-12-28, not"):
        api_named("retail", version)


def test_an_api_is_named_as_users_and_as_tables_do() -> None:
    """With a hyphen or an underscore; anything else is refused."""
    assert [api_named(name).name for name in API_NAMES] == ["retail", "direct_fulfillment"]
    assert api_named("direct_fulfillment", "2021-12-28").version == "2021-12-28"
    with pytest.raises(InvalidArgument, match="retail or direct-fulfillment"):
        api_named("seller")


def test_every_parameter_of_customer_orders_is_spelled_as_the_documentation_does() -> None:
    """All eight at once."""
    question = GetOrders(
        ship_from_party_id="ABCD",
        status="NEW",
        limit=50,
        created_after=START,
        created_before=START + timedelta(hours=1),
        sort_order="ASC",
        next_token="t=",
        include_details=True,
    )
    asked = target(DIRECT_FULFILLMENT["v1"].get_orders, question)

    assert asked == (
        "/vendor/directFulfillment/orders/v1/purchaseOrders?shipFromPartyId=ABCD&status=NEW"
        "&limit=50&createdAfter=2026-01-01T00%3A00%3A00Z&createdBefore=2026-01-01T01%3A00%3A00Z"
        "&sortOrder=ASC&nextToken=t%3D&includeDetails=true"
    )
    with pytest.raises(InvalidArgument, match="status must be one of NEW"):
        allowed(msgspec.structs.replace(question, status="New"))


def test_every_parameter_of_orders_is_spelled_as_the_documentation_does() -> None:
    """All twelve at once: names, booleans, instants, numbers."""
    asked = dict(
        query(
            GetPurchaseOrders(
                limit=50,
                created_after=START,
                created_before=START + timedelta(hours=1),
                sort_order=SortOrder.DESC,
                next_token="t",
                include_details=False,
                changed_after=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
                changed_before=START.replace(microsecond=999_999) + timedelta(hours=1),
                po_item_state=PoItemState.CANCELLED,
                is_po_changed=True,
                purchase_order_state=PurchaseOrderState.NEW,
                ordering_vendor_code="KOALA",
            )
        )
    )

    assert asked == {
        "limit": "50",
        "createdAfter": "2026-01-01T00:00:00Z",
        "createdBefore": "2026-01-01T01:00:00Z",
        "sortOrder": "DESC",
        "nextToken": "t",
        "includeDetails": "false",
        "changedAfter": "2026-01-01T00:00:00Z",
        "changedBefore": "2026-01-01T01:00:00Z",
        "poItemState": "Cancelled",
        "isPOChanged": "true",
        "purchaseOrderState": "New",
        "orderingVendorCode": "KOALA",
    }


def test_every_parameter_of_statuses_is_spelled_as_the_documentation_does() -> None:
    """The status operation has other names for the like."""
    asked = dict(
        query(
            GetPurchaseOrdersStatus(
                updated_after=START,
                updated_before=START + timedelta(hours=1),
                purchase_order_number="5ABC1233",
                purchase_order_status="OPEN",
                item_confirmation_status="UNCONFIRMED",
                item_receive_status="NOT_RECEIVED",
                ship_to_party_id="DTM2",
            )
        )
    )

    assert asked == {
        "updatedAfter": "2026-01-01T00:00:00Z",
        "updatedBefore": "2026-01-01T01:00:00Z",
        "purchaseOrderNumber": "5ABC1233",
        "purchaseOrderStatus": "OPEN",
        "itemConfirmationStatus": "UNCONFIRMED",
        "itemReceiveStatus": "NOT_RECEIVED",
        "shipToPartyId": "DTM2",
    }


def test_nothing_asked_is_a_bare_path() -> None:
    """No parameters, no question mark."""
    assert (
        target(GET_PURCHASE_ORDERS, GetPurchaseOrders()) == "/vendor/orders/v1/purchaseOrders"
    )


def test_the_number_of_the_path_is_not_in_the_query() -> None:
    """A path parameter is sent once, and a query parameter of the same name stays one."""
    assert (
        target(GET_PURCHASE_ORDER, GetPurchaseOrder(purchase_order_number="5ABC1233"))
        == "/vendor/orders/v1/purchaseOrders/5ABC1233"
    )
    assert target(
        GET_PURCHASE_ORDERS_STATUS, GetPurchaseOrdersStatus(purchase_order_number="5ABC1233")
    ).endswith("/purchaseOrdersStatus?purchaseOrderNumber=5ABC1233")


@given(
    st.text(min_size=1)
    | st.sampled_from(
        [
            "../x",
            "a/b",
            "..",
            ".",
            "%2e%2e",
            "..;/",
            "\\..\\",
            "\n",
            "a?b=c",
            "a#b",
            "a&b",
            "{transactionId}",
            "ü/é",
            "..%2f",
            " ",
            "://",
            "@evil.com",
        ]
    )
)
def test_a_number_never_leaves_the_path_of_its_operation(number: str) -> None:
    """Whatever is passed for a number is refused, or stays one segment that means itself."""
    question = GetPurchaseOrder(purchase_order_number=number)
    try:
        allowed(question)
    except InvalidArgument:
        return
    spelled = target(GET_PURCHASE_ORDER, question)
    prefix, _, segment = spelled.rpartition("/")

    assert prefix == "/vendor/orders/v1/purchaseOrders"
    assert unquote(segment) == number
    assert spelled.isascii()
    url = URL("https://example.com" + spelled, encoded=True)
    assert url.raw_path == spelled
    assert url.query_string == ""
    assert url.fragment == ""
    assert URL("https://example.com" + spelled).path.startswith(prefix + "/")


@pytest.mark.parametrize(
    "number", ["..", ".", "", " ", "\n", "a\nb", "\x00", "\u2028", "\u202e", "\ud800"]
)
def test_what_cannot_be_a_number_is_refused(number: str) -> None:
    """Dot segments, nothing, and characters that do not print never get into a path."""
    with pytest.raises(InvalidArgument, match="purchase_order_number"):
        allowed(GetPurchaseOrder(purchase_order_number=number))


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_a_next_token_comes_back_as_it_was(token: str) -> None:
    """Its =, + and / are escaped, and nothing of it is lost."""
    spelled = target(GET_PURCHASE_ORDERS, GetPurchaseOrders(next_token=token, limit=1))

    assert parse_qsl(urlsplit(spelled).query, keep_blank_values=True, strict_parsing=True) == [
        ("limit", "1"),
        ("nextToken", token),
    ]
    assert not set("+/ ") & set(spelled.partition("?")[2])


def test_a_next_token_is_escaped() -> None:
    """A bare + would arrive as a blank."""
    spelled = target(GET_PURCHASE_ORDERS, GetPurchaseOrders(next_token="a+b/c=="))

    assert spelled.endswith("?nextToken=a%2Bb%2Fc%3D%3D")


def test_an_acknowledgement_is_a_body() -> None:
    """Camel case outside, nothing that was not set, and no query."""
    line = OrderAcknowledgementItem(
        item_sequence_number="1",
        ordered_quantity=ItemQuantity(amount=10),
        item_acknowledgements=[
            OrderItemAcknowledgement(
                acknowledgement_code="Accepted", acknowledged_quantity=ItemQuantity(amount=10)
            )
        ],
    )
    question = SubmitAcknowledgementRequest(
        acknowledgements=[
            OrderAcknowledgement(
                purchase_order_number="5ABC1233",
                selling_party=PartyIdentification(party_id="KOALA"),
                acknowledgement_date=START,
                items=[line],
            )
        ]
    )
    allowed(question)
    request = http_request(Call(SUBMIT_ACKNOWLEDGEMENT, question))

    assert request.method == "POST"
    assert request.target == "/vendor/orders/v1/acknowledgements"
    assert request.body is not None
    assert msgspec.json.decode(request.body) == {
        "acknowledgements": [
            {
                "purchaseOrderNumber": "5ABC1233",
                "sellingParty": {"partyId": "KOALA"},
                "acknowledgementDate": "2026-01-01T00:00:00Z",
                "items": [
                    {
                        "itemSequenceNumber": "1",
                        "orderedQuantity": {"amount": 10},
                        "itemAcknowledgements": [
                            {
                                "acknowledgementCode": "Accepted",
                                "acknowledgedQuantity": {"amount": 10},
                            }
                        ],
                    }
                ],
            }
        ]
    }


def test_a_question_in_the_path_has_no_body() -> None:
    """A GET with a body is refused by Amazon with an HTML page."""
    assert http_request(CREATED.call(WINDOW)).body is None


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (GetPurchaseOrders(limit=0), "limit must be 1 to 100"),
        (GetPurchaseOrders(limit=101), "limit must be 1 to 100"),
        (GetPurchaseOrders(limit=-1), "limit must be 1 to 100"),
        (GetPurchaseOrdersStatus(limit=101), "limit must be 1 to 100"),
        (
            GetPurchaseOrders(created_after=START.replace(tzinfo=None)),
            "created_after needs a time zone",
        ),
        (
            GetPurchaseOrders(changed_before=START.replace(tzinfo=None)),
            "changed_before needs a time zone",
        ),
        (
            GetPurchaseOrders(created_after=START, created_before=START),
            "created_after must be earlier",
        ),
        (
            GetPurchaseOrders(changed_after=NOW, changed_before=START),
            "changed_after must be earlier",
        ),
        (
            GetPurchaseOrdersStatus(updated_after=NOW, updated_before=START),
            "updated_after must be earlier",
        ),
        (
            GetPurchaseOrders(
                created_after=START, created_before=START + timedelta(days=7, seconds=1)
            ),
            "created_after to created_before spans more than 7 days",
        ),
        (
            GetPurchaseOrdersStatus(
                updated_after=START, updated_before=START + timedelta(days=8)
            ),
            "updated_after to updated_before spans more than 7 days",
        ),
        (GetPurchaseOrders(created_after=NOW - timedelta(days=8)), "spans more than 7 days"),
        (GetPurchaseOrders(sort_order="asc"), "sort_order must be one of ASC, DESC, not 'asc'"),
        (
            GetPurchaseOrders(purchase_order_state="OPEN"),
            "purchase_order_state must be one of New",
        ),
        (
            GetPurchaseOrders(po_item_state="cancelled"),
            "po_item_state must be one of Cancelled",
        ),
        (
            GetPurchaseOrdersStatus(purchase_order_status="New"),
            "purchase_order_status must be one of OPEN",
        ),
        (GetPurchaseOrdersStatus(item_confirmation_status=""), "item_confirmation_status"),
        (
            GetPurchaseOrdersStatus(item_receive_status="received"),
            "item_receive_status must be one of",
        ),
        (GetPurchaseOrders(ordering_vendor_code=""), "ordering_vendor_code must be plain text"),
        (GetPurchaseOrders(next_token=""), "next_token must be plain text"),
        (GetPurchaseOrders(next_token="a\r\nHost: evil"), "next_token must be plain text"),
        (GetTransaction(transaction_id=".."), "transaction_id must be plain text"),
    ],
)
def test_what_could_not_be_meant_is_refused(question: Parameters, words: str) -> None:
    """Amazon would ignore it, or answer with something else than was asked."""
    with pytest.raises(InvalidArgument, match=words):
        allowed(question)


@pytest.mark.parametrize(
    "question",
    [
        GetPurchaseOrders(),
        GetPurchaseOrders(limit=1),
        GetPurchaseOrders(limit=100),
        GetPurchaseOrders(created_after=START, created_before=START + timedelta(days=7)),
        GetPurchaseOrders(created_after=NOW - timedelta(days=7)),
        GetPurchaseOrders(created_before=START),
        GetPurchaseOrders(is_po_changed=True, include_details=False),
        GetPurchaseOrders(purchase_order_state="New", sort_order="DESC"),
        GetPurchaseOrdersStatus(purchase_order_number="a/b ü"),
        GetTransaction(transaction_id="20190827182357-8725bde9-c61c-49f9-86ac-46efd82d4da5"),
    ],
)
def test_what_can_be_meant_is_allowed(question: Parameters) -> None:
    """The limits themselves are inside."""
    allowed(question)


def test_the_sandbox_may_be_asked_for_more_than_seven_days() -> None:
    """One of its own published cases spans a month."""
    check(GetPurchaseOrders(created_after=START, created_before=NOW), now=NOW, longest=None)


MOMENTS = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2026, 2, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.sampled_from(
        [UTC, timezone(timedelta(hours=5.5)), timezone(timedelta(hours=-8))]
    ),
)


@given(MOMENTS, MOMENTS)
def test_a_span_is_allowed_when_it_is_one_and_not_too_long(
    one: datetime, other: datetime
) -> None:
    """Whatever the zones, the length of the span decides."""
    question = GetPurchaseOrders(changed_after=one, changed_before=other)
    meant = timedelta(0) < other - one <= LONGEST_QUERY
    try:
        allowed(question)
    except InvalidArgument:
        assert not meant
    else:
        assert meant


@given(st.integers(-(10**6), 10**6))
def test_a_limit_is_one_to_a_hundred(limit: int) -> None:
    """No other number of orders is ever asked for."""
    try:
        allowed(GetPurchaseOrders(limit=limit))
    except InvalidArgument:
        assert not 1 <= limit <= 100
    else:
        assert 1 <= limit <= 100


@pytest.mark.parametrize("limit", [True, 5.5, "50"])
def test_a_limit_is_a_whole_number(limit: Any) -> None:
    """A caller without a type checker is told, instead of sending ``limit=true``."""
    with pytest.raises(InvalidArgument, match="limit"):
        allowed(GetPurchaseOrders(limit=limit))


@pytest.mark.parametrize("stream", RETAIL.streams.values(), ids=str)
@pytest.mark.parametrize("token", [None, "t=="])
def test_every_stream_asks_for_its_window(stream: Stream, token: str | None) -> None:
    """All parameters are there with and without a next token, and pass the check."""
    call = stream.call(WINDOW, token)
    assert isinstance(call.question, Parameters)
    allowed(call.question)

    assert dict(query(call.question)) == {
        "limit": "100",
        f"{stream.bounds}After": "2026-01-01T00:00:00Z",
        f"{stream.bounds}Before": "2026-01-08T00:00:00Z",
        **({"nextToken": token} if token else {}),
    }
    assert call.operation is stream.operation
    asks = TABLE[stream.operation.name][1]
    assert asks is not None
    assert type(call.question) is asks
    assert msgspec.convert(msgspec.to_builtins(call.question), asks) == call.question


def test_the_streams_are_created_changed_and_statuses() -> None:
    """No single filter sees everything; these three together do."""
    assert list(RETAIL.streams) == ["created", "changed", "statuses"]
    assert [stream.bounds for stream in RETAIL.streams.values()] == [
        "created",
        "changed",
        "updated",
    ]


@pytest.mark.parametrize(
    ("stream", "row", "own_date"),
    [
        (
            CREATED,
            Order(
                purchase_order_number="A", order_details=OrderDetails(purchase_order_date=START)
            ),
            START,
        ),
        (CREATED, Order(purchase_order_number="A"), None),
        (
            CHANGED,
            Order(
                purchase_order_number="A",
                order_details=OrderDetails(purchase_order_changed_date=NOW),
            ),
            NOW,
        ),
        (
            CHANGED,
            Order(
                purchase_order_number="A", order_details=OrderDetails(purchase_order_date=START)
            ),
            None,
        ),
        (CHANGED, OrderStatus(purchase_order_number="A"), None),
        (STATUSES, OrderStatus(purchase_order_number="A", last_updated_date=NOW), NOW),
        (STATUSES, OrderStatus(purchase_order_number="A"), None),
        (STATUSES, Order(purchase_order_number="A"), None),
        (CREATED, OrderStatus(purchase_order_number="A", purchase_order_date=START), START),
    ],
)
def test_a_row_has_the_date_its_stream_goes_by(
    stream: Stream, row: Order | OrderStatus, own_date: datetime | None
) -> None:
    """The bounds go by creation, change or update; a row may lack it."""
    assert stream.own_date(row) == own_date


def test_only_questions_are_repeatable() -> None:
    """Asking twice is harmless, submitting twice may not be."""
    assert {name for name, (operation, _) in TABLE.items() if not operation.repeatable} == {
        "submitAcknowledgement",
        "submitAcknowledgement v1",
        "submitAcknowledgement 2021-12-28",
        "createRestrictedDataToken",
    }


def test_operations_and_streams_print_what_they_are() -> None:
    """The forms that a debugger shows."""
    assert repr(GET_PURCHASE_ORDERS) == (
        "<Operation getPurchaseOrders GET /vendor/orders/v1/purchaseOrders 10/s burst 10>"
    )
    assert repr(STATUSES) == "<Stream statuses>"
