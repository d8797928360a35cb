"""Orders and statuses as no Amazon would write them, and as one might; made by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from vendororders_async.models.retail_procurement import Order, OrderStatus

ODD = st.sampled_from(
    [
        *(
            "null",
            "true",
            "0",
            "-0",
            "1.10",
            "1E400",
            "1e99999999999999999999",
            "9" * 20,
            "1" * 5000,
        ),
        *("01", "1.", ".5", "-", "NaN", "tru", "[1,]", '{"a":1,}', "{a:1}", "/**/1", " 1 ", ""),
        *('""', '"x"', '"10"', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\ud83d\\ude00"'),
        *('"\\q"', '"\\u12G4"', '"\t"', '"\x00"', '"\x7f"', '"\u2028"', '"\U0001f600"'),
        *(
            "[]",
            "{}",
            "[[]]",
            "[null]",
            '["x"]',
            '{"amount":"x"}',
            '{"":""}',
            "[" * 95 + "]" * 95,
        ),
    ]
)


def mostly(usual: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make JSON text as it should be, and now and then something else."""
    return st.integers(0, 30).flatmap(lambda die: ODD if die == 30 else usual)


def one_of(*texts: str) -> st.SearchStrategy[str]:
    """Make one of these texts."""
    return mostly(st.sampled_from(texts))


def thing(**fields: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make an object with some of the fields, one of them perhaps twice, and unknown ones."""
    pairs = [st.tuples(st.just(name), value) for name, value in fields.items()]
    unknown = st.tuples(st.just("unknown"), ODD)
    return mostly(
        st.lists(st.one_of(*pairs * 4, unknown), max_size=len(fields)).map(
            lambda chosen: "{" + ",".join(f'"{name}":{value}' for name, value in chosen) + "}"
        )
    )


def many(element: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make a list."""
    return mostly(st.lists(element, max_size=2).map(lambda texts: "[" + ",".join(texts) + "]"))


WORD = one_of('"1"', "1", '"\\u00e9"', "null")
DATE = one_of('"2026-11-20T01:00:00Z"', '"2026-11-20"', "null")
QUANTITY = thing(
    amount=one_of("1", '"2"', "3.0", '"1e1"', "-3"),
    unitOfMeasure=one_of('"Cases"', '"EACH"', "null"),
    unitSize=one_of("12", '"12"'),
)
MONEY = thing(amount=one_of("1", '"2.10"', "3.10", '""'), unitOfMeasure=one_of('"POUNDS"'))
ITEMS = many(
    thing(
        itemSequenceNumber=WORD,
        orderedQuantity=QUANTITY,
        isBackOrderAllowed=one_of("true", '"false"'),
        netCost=MONEY,
        listPrice=MONEY,
    )
)
DETAILS = many(thing(orderedQuantity=QUANTITY, cancelledQuantity=QUANTITY))
ITEM_STATUSES = many(
    thing(
        itemSequenceNumber=WORD,
        orderedQuantity=thing(orderedQuantity=QUANTITY, orderedQuantityDetails=DETAILS),
        acknowledgementStatus=thing(confirmationStatus=WORD, acceptedQuantity=QUANTITY),
        receivingStatus=thing(receivedQuantity=QUANTITY, lastReceiveDate=DATE),
    )
)
ORDERS = thing(items=ITEMS, purchaseOrderDate=DATE).map(
    lambda details: f'{{"purchaseOrderNumber": "A", "orderDetails": {details}}}'
)
STATUSES = ITEM_STATUSES.map(
    lambda items: f'{{"purchaseOrderNumber": "A", "itemStatus": {items}}}'
)
DOCUMENTS = st.tuples(st.just(Order), ORDERS) | st.tuples(st.just(OrderStatus), STATUSES)
