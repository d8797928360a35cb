-- Version 1 of the store, laid into the first schema of the search path.
--
-- Keys compare byte by byte, as they do everywhere else, and not by the database's language.

CREATE TABLE vendororders_store (
    id integer PRIMARY KEY CHECK (id = 1),
    version integer NOT NULL
);

INSERT INTO vendororders_store VALUES (1, 1);

CREATE TABLE purchase_orders (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    purchase_order_number text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,  -- SHA-256 of the document
    has_details boolean NOT NULL,  -- false where only number and state were asked for
    own_date_at timestamptz,  -- the latest of the order's own dates
    asked_at timestamptz NOT NULL,  -- when the request that brought it was sent
    change_seq bigint NOT NULL,
    first_seen_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,  -- moves only when the content does
    purchase_order_state text,
    purchase_order_type text,
    purchase_order_date timestamptz,
    purchase_order_changed_date timestamptz,
    purchase_order_state_changed_date timestamptz,
    selling_party_id text,
    buying_party_id text,
    ship_to_party_id text,
    bill_to_party_id text,
    ship_from_party_id text,  -- direct fulfillment only, as the last three
    payment_method text,
    deal_code text,
    ship_window_start timestamptz,
    ship_window_end timestamptz,
    delivery_window_start timestamptz,
    delivery_window_end timestamptz,
    customer_order_number text,
    ship_method text,
    required_ship_date timestamptz,
    document json NOT NULL,  -- as Amazon sent it, byte for byte
    PRIMARY KEY (account, api, purchase_order_number)
);

CREATE INDEX purchase_orders_by_change ON purchase_orders (change_seq);

-- What may still move, and no list tells of it, is found by its state.
CREATE INDEX purchase_orders_by_state
ON purchase_orders (account, api, left(lower(coalesce(purchase_order_state, '')), 64))
WHERE has_details;

-- What an order said before; the present version is kept once, in purchase_orders.
CREATE TABLE superseded_orders (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    purchase_order_number text COLLATE "C" NOT NULL,
    change_seq bigint NOT NULL,
    digest text COLLATE "C" NOT NULL,
    seen_at timestamptz NOT NULL,
    document json NOT NULL,
    -- two versions on one page share a change_seq
    PRIMARY KEY (account, api, purchase_order_number, change_seq, digest)
);

CREATE TABLE purchase_order_statuses (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    purchase_order_number text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    asked_at timestamptz NOT NULL,
    change_seq bigint NOT NULL,
    first_seen_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    purchase_order_status text,
    purchase_order_date timestamptz,
    last_updated_date timestamptz,
    selling_party_id text,
    ship_to_party_id text,
    document json NOT NULL,
    PRIMARY KEY (account, api, purchase_order_number)
);

CREATE INDEX purchase_order_statuses_by_change
ON purchase_order_statuses (change_seq);

-- The numbers that were given last: of rows that change, for whoever loads from here, and of
-- changes. A sequence gives its numbers in the order in which they are asked for, and another
-- transaction may commit first; whoever reads up to the larger number would miss the smaller
-- one. So whoever writes locks this row before it takes a number, and until its commit.
CREATE TABLE change_counter (
    id integer PRIMARY KEY CHECK (id = 1),
    change_seq bigint NOT NULL,
    sequence bigint NOT NULL
);

INSERT INTO change_counter VALUES (1, 0, 0);

-- What became of orders and their statuses: once for each version that has details, recorded
-- with it. Numbers are given in the order of commits, and never twice.
CREATE TABLE changes (
    sequence bigint PRIMARY KEY,
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    purchase_order_number text COLLATE "C" NOT NULL,
    event text NOT NULL,  -- order_created, order_changed or status_changed
    recorded_at timestamptz NOT NULL,
    digest text COLLATE "C" NOT NULL,  -- of the version that it led to
    previous_digest text,  -- null: it was the first
    -- [{field, old, new}] and [{item_sequence_number, product_identifier, kind, fields}]; null
    -- where nothing differs, and of a first version
    fields json,
    lines json
);

CREATE INDEX changes_by_account ON changes (account);

-- For digests that change when people are taken out; the others are not looked for.
CREATE INDEX changes_of_people ON changes (account, purchase_order_number)
WHERE api = 'direct_fulfillment';

-- How far those who are told of changes have seen those of an account: two syncs of different
-- accounts or APIs may have consumers of the same name.
CREATE TABLE consumers (
    consumer text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, account, api)
);

-- Orders to be read again: their status moved less than a minute before they were asked for,
-- or later, or they are not here.
CREATE TABLE outdated_orders (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    purchase_order_number text COLLATE "C" NOT NULL,
    outdated_at timestamptz NOT NULL,  -- a minute after the move: asked for then, it shows
    PRIMARY KEY (account, api, purchase_order_number)
);

CREATE INDEX outdated_orders_by_age
ON outdated_orders (account, api, outdated_at);

-- What it costs to follow an account, as it was last measured.
CREATE TABLE request_rates (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    requests_an_hour double precision NOT NULL,
    measured_at timestamptz NOT NULL,
    PRIMARY KEY (account, api, operation)
);

CREATE TABLE quarantine (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    document bytea NOT NULL,
    PRIMARY KEY (account, api, digest)
);

CREATE TABLE windows (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    "after" timestamptz NOT NULL,
    "before" timestamptz NOT NULL,
    begun_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    PRIMARY KEY (account, api, stream, source, "after", "before")
);

-- Windows whose orders are asked for one by one, and that are not finished: disjoint within
-- a stream. A run that goes on within a day does not ask again for what it finds stored.
CREATE TABLE begun_windows (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    "after" timestamptz NOT NULL,
    "before" timestamptz NOT NULL,
    begun_at timestamptz NOT NULL,
    PRIMARY KEY (account, api, stream, source, "after", "before")
);

CREATE TABLE account_streams (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    covered_until timestamptz,  -- where the first unbroken block of windows ends
    last_success_at timestamptz,
    last_error text,
    PRIMARY KEY (account, api, stream, source)
);

-- Acknowledgements that were sent, or were going to be: written before and after.
CREATE TABLE submissions (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    purchase_order_number text COLLATE "C" NOT NULL,
    submitted_at timestamptz NOT NULL,
    source text COLLATE "C" NOT NULL,
    digest text COLLATE "C" NOT NULL,  -- of what it says, its date left out
    state text NOT NULL,
    transaction_id text,
    reason text,
    updated_at timestamptz NOT NULL,
    document json NOT NULL,  -- as it was sent
    PRIMARY KEY (account, api, purchase_order_number, submitted_at)
);

CREATE TABLE account_settings (
    account text COLLATE "C" NOT NULL PRIMARY KEY,
    acknowledge_within bigint NOT NULL  -- seconds
);

-- Accounts that were removed, while something of them may still lie in free pages.
CREATE TABLE purged_accounts (
    account text COLLATE "C" NOT NULL PRIMARY KEY
);

-- Who may write for an account in one API, and until when unless that is renewed; by the
-- clock of the server.
CREATE TABLE leases (
    account text COLLATE "C" NOT NULL,
    api text COLLATE "C" NOT NULL,
    holder text NOT NULL,
    renewal bigint NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (account, api)
);

-- With lz4 a page of new orders is inserted in 6 ms, with pglz in 10, while others wait; it takes
-- 7 % more room. It came with PostgreSQL 14, and not every server was built with it:
-- https://www.postgresql.org/docs/current/sql-createtable.html
DO $$
BEGIN
    EXECUTE 'ALTER TABLE purchase_orders ALTER document SET COMPRESSION lz4';
    EXECUTE 'ALTER TABLE superseded_orders ALTER document SET COMPRESSION lz4';
    EXECUTE 'ALTER TABLE purchase_order_statuses ALTER document SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    NULL;
END
$$;
