-- Version 4 of the store. It is laid over an older one after the steps of sqlite_upgrade.py:
-- what is "if not exists" here and was there before is as it was.
--
-- Columns that decide and select come before the document: SQLite reads a row from its
-- start, and a long one goes on in overflow pages that nobody needs to find a digest.

PRAGMA application_id = 0x56504f31;
PRAGMA user_version = 4;

CREATE TABLE IF NOT EXISTS purchase_orders (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    purchase_order_number TEXT NOT NULL,
    digest TEXT NOT NULL,                  -- SHA-256 of the document
    has_details INTEGER NOT NULL,          -- 0 where only number and state were asked for
    own_date_at TEXT,                      -- the latest of the order's own dates
    asked_at TEXT NOT NULL,                -- when the request that brought it was sent
    change_seq INTEGER NOT NULL,
    first_seen_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,              -- moves only when the content does
    purchase_order_state TEXT,
    purchase_order_type TEXT,
    purchase_order_date TEXT,
    purchase_order_changed_date TEXT,
    purchase_order_state_changed_date TEXT,
    selling_party_id TEXT,
    buying_party_id TEXT,
    ship_to_party_id TEXT,
    bill_to_party_id TEXT,
    ship_from_party_id TEXT,               -- direct fulfillment only, as the last three
    payment_method TEXT,
    deal_code TEXT,
    ship_window_start TEXT,
    ship_window_end TEXT,
    delivery_window_start TEXT,
    delivery_window_end TEXT,
    customer_order_number TEXT,
    ship_method TEXT,
    required_ship_date TEXT,
    document TEXT NOT NULL,                -- as Amazon sent it, byte for byte
    PRIMARY KEY (account, api, purchase_order_number)
) STRICT;

CREATE INDEX IF NOT EXISTS purchase_orders_by_change ON purchase_orders (change_seq);

-- What may still move, and no list tells of it, is found by its state.
CREATE INDEX IF NOT EXISTS purchase_orders_by_state
ON purchase_orders (account, api, lower(coalesce(purchase_order_state, '')))
WHERE has_details;

-- What an order said before; the present version is kept once, in purchase_orders.
CREATE TABLE IF NOT EXISTS superseded_orders (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    purchase_order_number TEXT NOT NULL,
    change_seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    document TEXT NOT NULL,
    -- two versions on one page share a change_seq
    PRIMARY KEY (account, api, purchase_order_number, change_seq, digest)
) STRICT;

CREATE TABLE IF NOT EXISTS purchase_order_statuses (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    purchase_order_number TEXT NOT NULL,
    digest TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    change_seq INTEGER NOT NULL,
    first_seen_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    purchase_order_status TEXT,
    purchase_order_date TEXT,
    last_updated_date TEXT,
    selling_party_id TEXT,
    ship_to_party_id TEXT,
    document TEXT NOT NULL,
    PRIMARY KEY (account, api, purchase_order_number)
) STRICT;

CREATE INDEX IF NOT EXISTS purchase_order_statuses_by_change
ON purchase_order_statuses (change_seq);

-- The cursor of whoever loads from here: it moves once in a transaction that changes rows.
CREATE TABLE IF NOT EXISTS change_counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    change_seq INTEGER NOT NULL
) STRICT;

INSERT OR IGNORE INTO change_counter VALUES (1, 0);

-- What became of orders and their statuses: once for each version that has details, recorded
-- with it. Numbers are given in the order of commits, and never twice: a power cut may take
-- the last ones back, but none that was handed out.
CREATE TABLE IF NOT EXISTS changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    purchase_order_number TEXT NOT NULL,
    event TEXT NOT NULL,                   -- order_created, order_changed or status_changed
    recorded_at TEXT NOT NULL,
    digest TEXT NOT NULL,                  -- of the version that it led to
    previous_digest TEXT,                  -- null: it was the first
    -- JSON, [{field, old, new}] and [{item_sequence_number, product_identifier, kind,
    -- fields}]; null where nothing differs, and of a first version
    fields TEXT,
    lines TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS changes_by_account ON changes (account);

-- For digests that change when people are taken out; to keep all by number costs 0.4 ms a page.
CREATE INDEX IF NOT EXISTS changes_of_people ON changes (account, purchase_order_number)
WHERE api = 'direct_fulfillment';

-- Up to where changes were handed out; all of those are on the disk.
CREATE TABLE IF NOT EXISTS handed_out (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL
) STRICT;

INSERT OR IGNORE INTO handed_out VALUES (1, 0);

-- How far those who are told of changes have seen those of an account: two syncs of different
-- accounts or APIs may have consumers of the same name.
CREATE TABLE IF NOT EXISTS consumers (
    consumer TEXT NOT NULL,
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (consumer, account, api)
) STRICT, WITHOUT ROWID;

-- Orders to be read again: their status moved less than a minute before they were asked for,
-- or later, or they are not here.
CREATE TABLE IF NOT EXISTS outdated_orders (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    purchase_order_number TEXT NOT NULL,
    outdated_at TEXT NOT NULL,             -- a minute after the move: asked for then, it shows
    PRIMARY KEY (account, api, purchase_order_number)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS outdated_orders_by_age
ON outdated_orders (account, api, outdated_at);

-- What it costs to follow an account, as it was last measured.
CREATE TABLE IF NOT EXISTS request_rates (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    operation TEXT NOT NULL,
    requests_an_hour REAL NOT NULL,
    measured_at TEXT NOT NULL,
    PRIMARY KEY (account, api, operation)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS quarantine (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    digest TEXT NOT NULL,
    stream TEXT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    document ANY NOT NULL,                 -- a blob where it is not even UTF-8
    PRIMARY KEY (account, api, digest)
) STRICT;

CREATE TABLE IF NOT EXISTS windows (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    stream TEXT NOT NULL,
    source TEXT NOT NULL,
    "after" TEXT NOT NULL,
    "before" TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    PRIMARY KEY (account, api, stream, source, "after", "before")
) STRICT, WITHOUT ROWID;

-- Windows whose orders are asked for one by one, and that are not finished: disjoint within
-- a stream. A run that goes on within a day does not ask again for what it finds stored.
CREATE TABLE IF NOT EXISTS begun_windows (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    stream TEXT NOT NULL,
    source TEXT NOT NULL,
    "after" TEXT NOT NULL,
    "before" TEXT NOT NULL,
    begun_at TEXT NOT NULL,
    PRIMARY KEY (account, api, stream, source, "after", "before")
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS account_streams (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    stream TEXT NOT NULL,
    source TEXT NOT NULL,
    covered_until TEXT,                    -- where the first unbroken block of windows ends
    last_success_at TEXT,
    last_error TEXT,
    PRIMARY KEY (account, api, stream, source)
) STRICT, WITHOUT ROWID;

-- Acknowledgements that were sent, or were going to be: written before and after.
CREATE TABLE IF NOT EXISTS submissions (
    account TEXT NOT NULL,
    api TEXT NOT NULL,
    purchase_order_number TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT NOT NULL,                  -- of what it says, its date left out
    state TEXT NOT NULL,
    transaction_id TEXT,
    reason TEXT,
    updated_at TEXT NOT NULL,
    document TEXT NOT NULL,                -- as it was sent
    PRIMARY KEY (account, api, purchase_order_number, submitted_at)
) STRICT;

CREATE TABLE IF NOT EXISTS account_settings (
    account TEXT NOT NULL PRIMARY KEY,
    acknowledge_within INTEGER NOT NULL    -- seconds
) STRICT, WITHOUT ROWID;

-- Accounts that were removed, while something of them may still lie in the file's free pages.
CREATE TABLE IF NOT EXISTS purged_accounts (
    account TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE VIEW IF NOT EXISTS purchase_order_versions AS
SELECT account, api, purchase_order_number, digest, document, seen_at, change_seq
FROM superseded_orders
UNION ALL
SELECT account, api, purchase_order_number, digest, document, updated_at, change_seq
FROM purchase_orders;

-- The views read whatever JSON is in the documents. An element that is not an object
-- becomes null by CASE, not by WHERE: the planner may try a reader's own condition first,
-- and "->" on a bare word is an error. Amounts are taken as text ("->" gives a number's own
-- digits, json_extract would make 1.10 a 1.1); quantities, which may come as text, as numbers;
-- identifiers, which may come as numbers (direct fulfillment's were seen so), as text.

CREATE VIEW IF NOT EXISTS purchase_order_items AS
SELECT
    account,
    api,
    purchase_order_number,
    CAST(item ->> '$.itemSequenceNumber' AS TEXT) AS item_sequence_number,
    CAST(
        coalesce(item ->> '$.amazonProductIdentifier', item ->> '$.buyerProductIdentifier')
        AS TEXT
    ) AS product_identifier,
    CAST(item ->> '$.vendorProductIdentifier' AS TEXT) AS vendor_product_identifier,
    CAST(CAST(item ->> '$.orderedQuantity.amount' AS TEXT) AS NUMERIC) AS ordered_quantity,
    item ->> '$.orderedQuantity.unitOfMeasure' AS unit_of_measure,
    CAST(CAST(item ->> '$.orderedQuantity.unitSize' AS TEXT) AS NUMERIC) AS unit_size,
    CASE lower(item ->> '$.isBackOrderAllowed')
        WHEN '1' THEN 1 WHEN 'true' THEN 1 WHEN '0' THEN 0 WHEN 'false' THEN 0
    END AS is_back_order_allowed,
    CASE json_type(net_cost, '$.amount')
        WHEN 'text' THEN nullif(net_cost ->> '$.amount', '')
        WHEN 'null' THEN NULL
        ELSE net_cost -> '$.amount'
    END AS net_cost_amount,
    net_cost ->> '$.currencyCode' AS net_cost_currency,
    net_cost ->> '$.unitOfMeasure' AS net_cost_unit_of_measure,  -- null: per each
    CASE json_type(list_price, '$.amount')
        WHEN 'text' THEN nullif(list_price ->> '$.amount', '')
        WHEN 'null' THEN NULL
        ELSE list_price -> '$.amount'
    END AS list_price_amount,
    list_price ->> '$.currencyCode' AS list_price_currency
FROM (
    SELECT
        account,
        api,
        purchase_order_number,
        item,
        coalesce(item -> '$.netCost', item -> '$.netPrice') AS net_cost,
        item -> '$.listPrice' AS list_price
    FROM (
        SELECT
            purchase_orders.account,
            purchase_orders.api,
            purchase_orders.purchase_order_number,
            CASE element.type WHEN 'object' THEN element.value END AS item
        FROM purchase_orders, json_each(document, '$.orderDetails.items') AS element
    )
)
WHERE item IS NOT NULL;

-- The same for arithmetic, in floating point: exact amounts are in purchase_order_items.
-- net_cost and line_total are null where the price is by weight, ordered_eaches where the
-- unit is not known. Amazon spells Cases and CASES, Eaches and EACH.
CREATE VIEW IF NOT EXISTS purchase_order_lines AS
SELECT *, net_cost * ordered_eaches AS line_total
FROM (
    SELECT
        account,
        api,
        purchase_order_number,
        item_sequence_number,
        product_identifier,
        vendor_product_identifier,
        CASE
            WHEN lower(unit_of_measure) IN ('cases', 'case') THEN ordered_quantity * unit_size
            WHEN lower(unit_of_measure) IN ('eaches', 'each') THEN ordered_quantity
        END AS ordered_eaches,
        CASE
            WHEN coalesce(lower(net_cost_unit_of_measure), '') IN ('', 'eaches', 'each')
            THEN CAST(net_cost_amount AS REAL)
        END AS net_cost,
        net_cost_currency
    FROM purchase_order_items
);

-- Quantities of a status do not add up: accepted, rejected and received are as Amazon says
-- them, each in its own unit. Its ordered quantity was seen net of cancellations, so the
-- details are offered too: they are increments (15 + 5 = 20), and what is summed from them
-- is null where they mix units. A large one is added as a float: of integers that do not fit
-- into 64 bits SQLite makes no sum but an error, which would hide all other orders.
-- https://www.sqlite.org/lang_aggfunc.html#sumunc
CREATE VIEW IF NOT EXISTS purchase_order_item_statuses AS
SELECT
    account,
    api,
    purchase_order_number,
    item ->> '$.itemSequenceNumber' AS item_sequence_number,
    item ->> '$.buyerProductIdentifier' AS product_identifier,
    item ->> '$.vendorProductIdentifier' AS vendor_product_identifier,
    item ->> '$.acknowledgementStatus.confirmationStatus' AS confirmation_status,
    item ->> '$.receivingStatus.receiveStatus' AS receive_status,
    CAST(CAST(item ->> '$.orderedQuantity.orderedQuantity.amount' AS TEXT) AS NUMERIC)
        AS ordered_quantity,
    item ->> '$.orderedQuantity.orderedQuantity.unitOfMeasure' AS ordered_unit_of_measure,
    (
        SELECT
            CASE WHEN count(DISTINCT lower(unit)) < 2 AND count(DISTINCT size) < 2
            THEN sum(iif(amount BETWEEN -2147483648 AND 2147483647, amount, amount * 1.0)) END
        FROM (
            SELECT
                CAST(CAST(detail ->> '$.orderedQuantity.amount' AS TEXT) AS NUMERIC) AS amount,
                detail ->> '$.orderedQuantity.unitOfMeasure' AS unit,
                detail ->> '$.orderedQuantity.unitSize' AS size
            FROM (
                SELECT CASE type WHEN 'object' THEN value END AS detail
                FROM json_each(item, '$.orderedQuantity.orderedQuantityDetails')
            )
        )
    ) AS summed_ordered_quantity,
    (
        SELECT
            CASE WHEN count(DISTINCT lower(unit)) < 2 AND count(DISTINCT size) < 2
            THEN sum(iif(amount BETWEEN -2147483648 AND 2147483647, amount, amount * 1.0)) END
        FROM (
            SELECT
                CAST(CAST(detail ->> '$.cancelledQuantity.amount' AS TEXT) AS NUMERIC) AS amount,
                detail ->> '$.cancelledQuantity.unitOfMeasure' AS unit,
                detail ->> '$.cancelledQuantity.unitSize' AS size
            FROM (
                SELECT CASE type WHEN 'object' THEN value END AS detail
                FROM json_each(item, '$.orderedQuantity.orderedQuantityDetails')
            )
        )
    ) AS cancelled_quantity,  -- summed: Amazon gives it in the details only
    (
        SELECT max(CASE type WHEN 'object' THEN value END ->> '$.cancelledQuantity.unitOfMeasure')
        FROM json_each(item, '$.orderedQuantity.orderedQuantityDetails')
    ) AS cancelled_unit_of_measure,
    CAST(CAST(item ->> '$.acknowledgementStatus.acceptedQuantity.amount' AS TEXT) AS NUMERIC)
        AS accepted_quantity,
    item ->> '$.acknowledgementStatus.acceptedQuantity.unitOfMeasure'
        AS accepted_unit_of_measure,
    CAST(CAST(item ->> '$.acknowledgementStatus.rejectedQuantity.amount' AS TEXT) AS NUMERIC)
        AS rejected_quantity,
    item ->> '$.acknowledgementStatus.rejectedQuantity.unitOfMeasure'
        AS rejected_unit_of_measure,
    CAST(CAST(item ->> '$.receivingStatus.receivedQuantity.amount' AS TEXT) AS NUMERIC)
        AS received_quantity,
    item ->> '$.receivingStatus.receivedQuantity.unitOfMeasure' AS received_unit_of_measure,
    -- SQLite reads to the millisecond; the width is that of every other time here
    strftime('%Y-%m-%dT%H:%M:%f', item ->> '$.receivingStatus.lastReceiveDate') || '000Z'
        AS last_receive_date
FROM (
    SELECT
        purchase_order_statuses.account,
        purchase_order_statuses.api,
        purchase_order_statuses.purchase_order_number,
        CASE element.type WHEN 'object' THEN element.value END AS item
    FROM purchase_order_statuses, json_each(document, '$.itemStatus') AS element
)
WHERE item IS NOT NULL;

-- Orders that wait for an acknowledgement. Of a retail order two documents tell, and the later
-- word counts, by their own dates: its state, since its state was changed, or the lines of its
-- status, since that was updated. A status without lines tells nothing. Lines that are
-- cancelled (of quantity 0) wait for nothing, nor does an order of such lines only.
CREATE VIEW IF NOT EXISTS to_acknowledge AS
WITH
-- Materialized, or SQLite would read the lines again wherever their sums are named.
open_orders AS MATERIALIZED (
    SELECT
        o.account,
        o.api,
        o.purchase_order_number,
        lower(coalesce(o.purchase_order_state, '')) AS state,
        coalesce(o.purchase_order_date, s.purchase_order_date, o.first_seen_at) AS placed_at,
        o.purchase_order_changed_date AS changed_at,
        o.purchase_order_state_changed_date AS state_changed_at,
        o.asked_at AS order_asked_at,
        s.last_updated_date AS status_updated_at,
        s.asked_at AS status_asked_at,
        (
            SELECT
                json_array(
                    count(*),
                    count(*) FILTER (WHERE word = 'unconfirmed' AND quantity <> 0),
                    count(*) FILTER (WHERE word <> 'unconfirmed'),
                    max(acknowledged_at)
                )
            FROM (
                SELECT
                    coalesce(
                        nullif(lower(line ->> '$.acknowledgementStatus.confirmationStatus'), ''),
                        'unconfirmed'
                    ) AS word,
                    coalesce(
                        CAST(
                            CAST(line ->> '$.orderedQuantity.orderedQuantity.amount' AS TEXT)
                            AS NUMERIC
                        ),
                        1
                    ) AS quantity,
                    (
                        SELECT
                            max(
                                strftime(
                                    '%Y-%m-%dT%H:%M:%f',
                                    CASE type WHEN 'object' THEN value END
                                    ->> '$.acknowledgementDate'
                                )
                                || '000Z'
                            )
                        FROM
                            json_each(
                                line, '$.acknowledgementStatus.acknowledgementStatusDetails'
                            )
                    ) AS acknowledged_at
                FROM (
                    SELECT CASE type WHEN 'object' THEN value END AS line
                    FROM json_each(s.document, '$.itemStatus')
                )
                WHERE line IS NOT NULL
            )
        ) AS told
    FROM purchase_orders AS o
    LEFT JOIN purchase_order_statuses AS s
        ON s.account = o.account
        AND s.api = o.api
        AND s.purchase_order_number = o.purchase_order_number
    WHERE
        o.api = 'retail'
        AND o.has_details
        AND lower(coalesce(o.purchase_order_state, '')) <> 'closed'
        AND lower(coalesce(s.purchase_order_status, '')) <> 'closed'
),
answers AS (
    SELECT
        *,
        told ->> 1 AS unconfirmed_count,
        told ->> 2 AS confirmed_count,
        -- where there is no status, being acknowledged is as good as having said so
        coalesce(
            told ->> 3, CASE state WHEN 'acknowledged' THEN state_changed_at END
        ) AS acknowledged_at,
        told ->> 0 = 0
        OR CASE
            WHEN state_changed_at IS NOT NULL AND status_updated_at IS NOT NULL
            THEN state_changed_at > status_updated_at
            ELSE order_asked_at > status_asked_at
        END AS state_is_later
    FROM open_orders
),
waiting AS (
    SELECT
        account,
        api,
        purchase_order_number,
        CASE
            WHEN changed_at > acknowledged_at THEN 'changed'
            WHEN acknowledged_at IS NULL AND confirmed_count = 0 AND state <> 'acknowledged'
            THEN 'new'
            ELSE 'unconfirmed'
        END AS why,
        CASE WHEN changed_at > acknowledged_at THEN changed_at ELSE placed_at END AS since,
        -- null: all lines of the order
        CASE
            WHEN NOT state_is_later THEN unconfirmed_count
            WHEN state NOT IN ('new', '') THEN 0
        END AS unconfirmed_count,
        acknowledged_at
    FROM answers
    WHERE
        changed_at > acknowledged_at
        OR CASE WHEN state_is_later THEN state IN ('new', '') ELSE unconfirmed_count > 0 END
    UNION ALL
    SELECT
        account,
        api,
        purchase_order_number,
        'new',
        coalesce(purchase_order_date, first_seen_at),
        NULL,
        NULL
    FROM purchase_orders
    WHERE api = 'direct_fulfillment' AND has_details AND lower(purchase_order_state) = 'new'
)
SELECT
    account,
    api,
    purchase_order_number,
    why,
    since,
    -- whole seconds are added; past the calendar's end there is no date to say
    coalesce(
        strftime(
            '%Y-%m-%dT%H:%M:%S',
            substr(since, 1, 19),
            coalesce(
                (
                    SELECT acknowledge_within
                    FROM account_settings
                    WHERE account_settings.account = waiting.account
                ),
                86400
            )
            || ' seconds'
        )
        || substr(since, 20),
        since
    ) AS answer_by,
    coalesce(
        unconfirmed_count,
        (
            SELECT count(*) FROM purchase_order_items AS item
            WHERE item.account = waiting.account
                AND item.api = waiting.api
                AND item.purchase_order_number = waiting.purchase_order_number
                AND coalesce(item.ordered_quantity, 1) <> 0
        )
    ) AS unconfirmed_line_count,
    acknowledged_at
FROM waiting
WHERE
    NOT EXISTS (
        SELECT 1 FROM submissions AS sent
        WHERE sent.account = waiting.account
            AND sent.api = waiting.api
            AND sent.purchase_order_number = waiting.purchase_order_number
            AND sent.submitted_at > waiting.since
            AND sent.state
            IN ('sending', 'unresolved', 'processing', 'accepted', 'presumed_accepted')
            -- What was read half an hour later and does not show the answer has none:
            -- https://developer-docs.amazon.com/sp-api/docs/get-transaction-status
            AND NOT EXISTS (
                SELECT 1 FROM windows AS seen
                WHERE seen.account = sent.account
                    AND seen.api = sent.api
                    AND seen.source = sent.source
                    AND (
                        strftime(
                            '%Y-%m-%dT%H:%M:%S', substr(sent.submitted_at, 1, 19), '1800 seconds'
                        )
                        || substr(sent.submitted_at, 20)
                    ) <= min(seen."before", seen.begun_at)
                    AND seen.stream = 'statuses'
            )
            AND NOT EXISTS (
                SELECT 1 FROM windows AS seen
                WHERE seen.account = sent.account
                    AND seen.api = sent.api
                    AND seen.source = sent.source
                    AND (
                        strftime(
                            '%Y-%m-%dT%H:%M:%S', substr(sent.submitted_at, 1, 19), '1800 seconds'
                        )
                        || substr(sent.submitted_at, 20)
                    ) <= seen.begun_at
                    AND seen.api = 'direct_fulfillment'
                    AND seen.stream = 'created'
                    AND seen."after" <= waiting.since
                    AND seen."before" > waiting.since
            )
    )
    AND coalesce(
        (
            SELECT max(coalesce(item.ordered_quantity, 1) <> 0)
            FROM purchase_order_items AS item
            WHERE item.account = waiting.account
                AND item.api = waiting.api
                AND item.purchase_order_number = waiting.purchase_order_number
        ),
        1
    );
