-- The functions and views of the store, laid over its tables; they may be laid over again.
--
-- Documents are whatever JSON Amazon sent, and one odd order must not break a view for all
-- the others: nothing here raises. The json operators do, for a document with \u0000 or half
-- a surrogate pair anywhere in it, so a document is read as jsonb, once for each row.
-- https://www.postgresql.org/docs/current/datatype-json.html
--
-- What calls the functions finds them by their identity, not by a search path; what they
-- call themselves is PostgreSQL's.

-- What jsonb cannot hold has something else in its place: U+FFFD for a character, text for a
-- number that is too large for numeric. Where nothing can be done there is null.
CREATE OR REPLACE FUNCTION vendororders_read(document json) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT COST 1000 AS $$
DECLARE
    mended text;
BEGIN
    BEGIN
        RETURN document::jsonb;
    EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
        -- an escaped backslash is written so that each one left begins another escape
        mended := replace(document::text, '\\', '\u005c');
    END;
    mended := replace(mended, '\u0000', '\ufffd');
    mended := regexp_replace(
        mended,
        '\\u[dD][89aAbB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})', '\\ufffd', 'g'
    );
    mended := regexp_replace(
        mended,
        '(?<!\\u[dD][89aAbB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}', '\\ufffd', 'g'
    );
    BEGIN
        RETURN mended::jsonb;
    EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
        RETURN (
            SELECT
                string_agg(
                    CASE
                        WHEN token[1] ~ '^-?[0-9].*[eE]' THEN '"' || token[1] || '"'
                        WHEN token[1] ~ '^-?[0-9]' AND length(token[1]) > 1000
                        THEN '"' || token[1] || '"'
                        ELSE token[1]
                    END,
                    '' ORDER BY place
                )
            FROM
                regexp_matches(
                    mended, '("(?:[^"\\]|\\.)*"|-?[0-9][-+.0-9eE]*|[^"0-9-]+|-)', 'g'
                ) WITH ORDINALITY AS found (token, place)
        )::jsonb;
    END;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR feature_not_supported THEN
    RETURN NULL;
END
$$;

-- The objects in a list; nothing where it is no list.
CREATE OR REPLACE FUNCTION vendororders_objects(list jsonb) RETURNS SETOF jsonb
LANGUAGE sql IMMUTABLE ROWS 10 AS $$
    SELECT element
    FROM
        jsonb_array_elements(
            CASE jsonb_typeof(list) WHEN 'array' THEN list ELSE '[]' END
        ) AS element
    WHERE jsonb_typeof(element) = 'object'
$$;

-- A number with every digit, whether it came as text or as a number; null for what is none.
-- Of such length it fits into numeric, and so does a product of three of them:
-- https://www.postgresql.org/docs/current/datatype-numeric.html
CREATE OR REPLACE FUNCTION vendororders_number(written text) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT
        CASE
            WHEN length(written) <= 5000
                AND written ~ '^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?\s*$'
            THEN written::numeric
        END
$$;

-- A time in any zone, UTC where it names none; null for what is none. It is immutable as
-- long as a zone is named and the words "now" and "today" are not let in.
CREATE OR REPLACE FUNCTION vendororders_time(written text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT COST 100 AS $$
BEGIN
    IF written ~ '^\s*\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?\s*$' THEN
        RETURN (written || 'Z')::timestamptz;
    ELSIF written ~ '^\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s*([zZ]|[-+]\d\d:?\d\d)\s*$'
    THEN
        RETURN written::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;

CREATE OR REPLACE VIEW purchase_order_versions AS
SELECT account, api, purchase_order_number, digest, document, seen_at, change_seq
FROM superseded_orders
UNION ALL
SELECT account, api, purchase_order_number, digest, document, updated_at, change_seq
FROM purchase_orders;

CREATE OR REPLACE VIEW purchase_order_items AS
SELECT
    account,
    api,
    purchase_order_number,
    item ->> 'itemSequenceNumber' AS item_sequence_number,
    coalesce(item ->> 'amazonProductIdentifier', item ->> 'buyerProductIdentifier')
        AS product_identifier,
    item ->> 'vendorProductIdentifier' AS vendor_product_identifier,
    vendororders_number(item #>> '{orderedQuantity,amount}') AS ordered_quantity,
    item #>> '{orderedQuantity,unitOfMeasure}' AS unit_of_measure,
    vendororders_number(item #>> '{orderedQuantity,unitSize}') AS unit_size,
    CASE lower(item ->> 'isBackOrderAllowed')
        WHEN '1' THEN TRUE WHEN 'true' THEN TRUE WHEN '0' THEN FALSE WHEN 'false' THEN FALSE
    END AS is_back_order_allowed,
    vendororders_number(net_cost ->> 'amount') AS net_cost_amount,
    net_cost ->> 'currencyCode' AS net_cost_currency,
    net_cost ->> 'unitOfMeasure' AS net_cost_unit_of_measure,  -- null: per each
    vendororders_number(item #>> '{listPrice,amount}') AS list_price_amount,
    item #>> '{listPrice,currencyCode}' AS list_price_currency
FROM (
    SELECT
        purchase_orders.account,
        purchase_orders.api,
        purchase_orders.purchase_order_number,
        item,
        coalesce(item -> 'netCost', item -> 'netPrice') AS net_cost
    FROM
        purchase_orders,
        vendororders_objects(vendororders_read(document) #> '{orderDetails,items}') AS item
) AS found;

-- The same for arithmetic, exact as well. net_cost and line_total are null where the price
-- is by weight, ordered_eaches where the unit is not known. Amazon spells Cases and CASES,
-- Eaches and EACH.
CREATE OR REPLACE VIEW purchase_order_lines AS
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
            THEN net_cost_amount
        END AS net_cost,
        net_cost_currency
    FROM purchase_order_items
) AS lines;

-- Quantities of a status do not add up: accepted, rejected and received are as Amazon says
-- them, each in its own unit. Its ordered quantity was seen net of cancellations, so the
-- details are offered too: they are increments (15 + 5 = 20), and what is summed from them
-- is null where they mix units.
CREATE OR REPLACE VIEW purchase_order_item_statuses AS
SELECT
    account,
    api,
    purchase_order_number,
    item ->> 'itemSequenceNumber' AS item_sequence_number,
    item ->> 'buyerProductIdentifier' AS product_identifier,
    item ->> 'vendorProductIdentifier' AS vendor_product_identifier,
    item #>> '{acknowledgementStatus,confirmationStatus}' AS confirmation_status,
    item #>> '{receivingStatus,receiveStatus}' AS receive_status,
    vendororders_number(item #>> '{orderedQuantity,orderedQuantity,amount}')
        AS ordered_quantity,
    item #>> '{orderedQuantity,orderedQuantity,unitOfMeasure}' AS ordered_unit_of_measure,
    increments.summed_ordered_quantity,
    increments.cancelled_quantity,  -- summed: Amazon gives it in the details only
    increments.cancelled_unit_of_measure,
    vendororders_number(item #>> '{acknowledgementStatus,acceptedQuantity,amount}')
        AS accepted_quantity,
    item #>> '{acknowledgementStatus,acceptedQuantity,unitOfMeasure}'
        AS accepted_unit_of_measure,
    vendororders_number(item #>> '{acknowledgementStatus,rejectedQuantity,amount}')
        AS rejected_quantity,
    item #>> '{acknowledgementStatus,rejectedQuantity,unitOfMeasure}'
        AS rejected_unit_of_measure,
    vendororders_number(item #>> '{receivingStatus,receivedQuantity,amount}')
        AS received_quantity,
    item #>> '{receivingStatus,receivedQuantity,unitOfMeasure}' AS received_unit_of_measure,
    vendororders_time(item #>> '{receivingStatus,lastReceiveDate}') AS last_receive_date
FROM
    purchase_order_statuses
    CROSS JOIN LATERAL vendororders_objects(vendororders_read(document) -> 'itemStatus') AS item
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN count(DISTINCT lower(ordered ->> 'unitOfMeasure')) < 2
                    AND count(DISTINCT nullif(ordered -> 'unitSize', 'null')) < 2
                THEN sum(vendororders_number(ordered ->> 'amount'))
            END AS summed_ordered_quantity,
            CASE
                WHEN count(DISTINCT lower(cancelled ->> 'unitOfMeasure')) < 2
                    AND count(DISTINCT nullif(cancelled -> 'unitSize', 'null')) < 2
                THEN sum(vendororders_number(cancelled ->> 'amount'))
            END AS cancelled_quantity,
            max(cancelled ->> 'unitOfMeasure' COLLATE "C") AS cancelled_unit_of_measure
        FROM (
            SELECT
                detail -> 'orderedQuantity' AS ordered, detail -> 'cancelledQuantity' AS cancelled
            FROM
                vendororders_objects(item #> '{orderedQuantity,orderedQuantityDetails}') AS detail
        ) AS details
    ) AS increments;

-- Orders that wait for an acknowledgement. Of a retail order two documents tell, and the later
-- word counts, by their own dates: its state, since its state was changed, or the lines of its
-- status, since that was updated. A status without lines tells nothing. Lines that are
-- cancelled (of quantity 0) wait for nothing, nor does an order of such lines only.
CREATE OR REPLACE VIEW to_acknowledge AS
WITH
-- Materialized, or PostgreSQL might read the lines again wherever their sums are named.
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
        told.line_count,
        told.unconfirmed_count,
        told.confirmed_count,
        told.acknowledged_at
    FROM purchase_orders AS o
    LEFT JOIN purchase_order_statuses AS s
        ON s.account = o.account
        AND s.api = o.api
        AND s.purchase_order_number = o.purchase_order_number
    CROSS JOIN LATERAL (
        SELECT
            count(*) AS line_count,
            count(*) FILTER (WHERE word = 'unconfirmed' AND quantity <> 0) AS unconfirmed_count,
            count(*) FILTER (WHERE word <> 'unconfirmed') AS confirmed_count,
            max(acknowledged_at) AS acknowledged_at
        FROM (
            SELECT
                coalesce(
                    nullif(lower(line #>> '{acknowledgementStatus,confirmationStatus}'), ''),
                    'unconfirmed'
                ) AS word,
                coalesce(
                    vendororders_number(line #>> '{orderedQuantity,orderedQuantity,amount}'), 1
                ) AS quantity,
                (
                    SELECT max(vendororders_time(detail ->> 'acknowledgementDate'))
                    FROM
                        vendororders_objects(
                            line #> '{acknowledgementStatus,acknowledgementStatusDetails}'
                        ) AS detail
                ) AS acknowledged_at
            FROM vendororders_objects(vendororders_read(s.document) -> 'itemStatus') AS line
        ) AS lines
    ) AS told
    WHERE
        o.api = 'retail'
        AND o.has_details
        AND lower(coalesce(o.purchase_order_state, '')) <> 'closed'
        AND lower(coalesce(s.purchase_order_status, '')) <> 'closed'
),
answers AS (
    SELECT
        account,
        api,
        purchase_order_number,
        state,
        placed_at,
        changed_at,
        unconfirmed_count,
        confirmed_count,
        -- where there is no status, being acknowledged is as good as having said so
        coalesce(
            acknowledged_at, CASE state WHEN 'acknowledged' THEN state_changed_at END
        ) AS acknowledged_at,
        line_count = 0
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
),
timed AS (
    SELECT
        waiting.*,
        coalesce(account_settings.acknowledge_within, 86400) AS seconds,
        lines.line_count,
        lines.wanted_count
    FROM waiting
    LEFT JOIN account_settings ON account_settings.account = waiting.account
    CROSS JOIN LATERAL (
        SELECT
            count(*) AS line_count,
            count(*) FILTER (WHERE coalesce(item.ordered_quantity, 1) <> 0) AS wanted_count
        FROM purchase_order_items AS item
        WHERE item.account = waiting.account
            AND item.api = waiting.api
            AND item.purchase_order_number = waiting.purchase_order_number
    ) AS lines
)
SELECT
    account,
    api,
    purchase_order_number,
    why,
    since,
    -- past the year 9999 there is no date to say to most who read it
    CASE
        WHEN extract(EPOCH FROM since) + seconds < 253402300800
        THEN since + make_interval(secs => seconds)
        ELSE since
    END AS answer_by,
    coalesce(unconfirmed_count, wanted_count) AS unconfirmed_line_count,
    acknowledged_at
FROM timed
WHERE
    (line_count = 0 OR wanted_count > 0)
    AND NOT EXISTS (
        SELECT 1 FROM submissions AS sent
        WHERE sent.account = timed.account
            AND sent.api = timed.api
            AND sent.purchase_order_number = timed.purchase_order_number
            AND sent.submitted_at > timed.since
            AND sent.state
            IN ('sending', 'unresolved', 'processing', 'accepted', 'presumed_accepted')
            -- What was read half an hour later and does not show the answer has none:
            -- https://developer-docs.amazon.com/sp-api/docs/get-transaction-status
            AND NOT EXISTS (
                SELECT 1 FROM windows AS seen
                WHERE seen.account = sent.account
                    AND seen.api = sent.api
                    AND seen.source = sent.source
                    AND sent.submitted_at + interval '30 minutes' <= seen.begun_at
                    AND (
                        (
                            seen.stream = 'statuses'
                            AND sent.submitted_at + interval '30 minutes' <= seen."before"
                        )
                        OR (
                            seen.api = 'direct_fulfillment'
                            AND seen.stream = 'created'
                            AND seen."after" <= timed.since
                            AND seen."before" > timed.since
                        )
                    )
            )
    );
