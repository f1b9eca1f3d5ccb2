-- Places a set of orders in one transaction of one call: keys, orders, lines, taxes, discounts, addresses, events, stock.
--
-- The decisions were made by the callers from orders_place_facts; what can have changed since is guarded here.
-- A set is the columns of its calls joined: of p_id, p_orders, p_topics and p_payloads one entry an order, of the others
-- as many as there are, each with its order's id.
-- p_orders, p_lines, p_taxes, p_discounts, p_addresses  rows as JSON, keys are the column names; NULL for none
-- p_topics      the event's, with spaces between;  p_payloads  a list
-- p_allocation_*  one entry for each (line, balance); p_backorder_*  one for each line with units beyond stock
-- Returns a list with the result of each call.
-- Locks: keys, external references, reservations, balances, backorder levels, claims; each kind in an order of its own, so
-- that no two sets wait for one another.
-- Refuses EXTERNAL_REF_TAKEN, RESERVATION_CLOSED, STOCK_TAKEN, BACKORDER_LIMIT, and what idempotency_claim_all refuses.
CREATE OR REPLACE FUNCTION orders_place_all(
    p_principal text[], p_key text[], p_sha256 bytea[], p_now timestamptz[], p_key_expires timestamptz[],
    p_id uuid[], p_orders jsonb, p_topics text[], p_payloads jsonb,
    p_lines jsonb, p_taxes jsonb, p_discounts jsonb, p_addresses jsonb,
    p_allocation_id uuid[], p_allocation_order uuid[], p_allocation_line uuid[], p_allocation_sku uuid[],
    p_allocation_location uuid[], p_allocation_owner text[], p_allocation_units int[], p_allocation_floor int[],
    p_reservation uuid[], p_reservation_order uuid[],
    p_backorder_channel uuid[], p_backorder_sku uuid[], p_backorder_units int[], p_backorder_limit int[]
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    numbers constant text[] := ARRAY(SELECT 'OW-' || nextval('order_number') FROM generate_series(1, cardinality(p_id)));
    results constant jsonb := (
        SELECT jsonb_agg(jsonb_build_object('orderId', id, 'number', number_) ORDER BY n)
        FROM unnest(p_id, numbers) WITH ORDINALITY AS o (id, number_, n));
    stored jsonb;
    placed int;
    claim record;
BEGIN
    stored := idempotency_claim_all(p_principal, p_key, p_sha256, p_now, p_key_expires, results);
    IF stored IS NOT NULL THEN
        RETURN stored;
    END IF;

    INSERT INTO orders (
        id, number, channel_id, external_ref, customer_id, currency, lifecycle, fulfillment_status, payment_status,
        return_status, priority, destination_country, subtotal_minor, discount_minor, shipping_minor, tax_minor,
        total_minor, note, placed_by, placed_at, updated_at, version, search)
    SELECT o.id, o.number_, o.channel_id, o.external_ref, o.customer_id, o.currency, 'PLACED', o.fulfillment_status,
           o.payment_status, 'NONE', o.priority, o.destination_country, o.subtotal_minor, o.discount_minor,
           o.shipping_minor, o.tax_minor, o.total_minor, o.note, o.principal, o.placed_at, o.now_, 1,
           o.search::tsvector || array_to_tsvector(ARRAY[lower(o.number_), substr(o.number_, 4)])
    FROM ROWS FROM (
        unnest(p_id), unnest(numbers), unnest(p_principal), unnest(p_now),
        jsonb_to_recordset(p_orders) AS (
            channel_id uuid, external_ref text, customer_id uuid, currency char(3), fulfillment_status text,
            payment_status text, priority int, destination_country char(2), subtotal_minor bigint,
            discount_minor bigint, shipping_minor bigint, tax_minor bigint, total_minor bigint, note text,
            placed_at timestamptz, search text)
    ) AS o (id, number_, principal, now_, channel_id, external_ref, customer_id, currency, fulfillment_status,
            payment_status, priority, destination_country, subtotal_minor, discount_minor, shipping_minor, tax_minor,
            total_minor, note, placed_at, search)
    ORDER BY o.channel_id, o.external_ref
    ON CONFLICT (channel_id, external_ref) DO NOTHING;
    GET DIAGNOSTICS placed = ROW_COUNT;
    IF placed < cardinality(p_id) THEN
        -- Whose reference it is matters only to an order that is placed alone.
        RAISE EXCEPTION 'EXTERNAL_REF_TAKEN' USING ERRCODE = 'OW001', DETAIL = coalesce((
            SELECT jsonb_build_object('external_ref', external_ref, 'number', number)::text FROM orders
            WHERE channel_id = (p_orders #>> '{0,channel_id}')::uuid AND external_ref = p_orders #>> '{0,external_ref}'),
            '{}');
    END IF;

    INSERT INTO order_line (
        id, order_id, line_no, kind, parent_id, units_per_parent, sku_id, sku_code, name, takes_stock, unit_price,
        gross_minor, discount_minor, tax_minor, total_minor, ordered, backordered, allocated)
    SELECT l.id, l.order_id, l.line_no, l.kind, l.parent_id, l.units_per_parent, l.sku_id, l.sku_code, l.name, l.takes_stock,
           l.unit_price, l.gross_minor, l.discount_minor, l.tax_minor, l.total_minor, l.ordered, l.backordered, l.allocated
    FROM jsonb_to_recordset(p_lines) AS l (
        id uuid, order_id uuid, line_no int, kind text, parent_id uuid, units_per_parent int, sku_id uuid, sku_code text,
        name text, takes_stock bool, unit_price numeric, gross_minor bigint, discount_minor bigint, tax_minor bigint,
        total_minor bigint, ordered int, backordered int, allocated int);

    IF p_taxes IS NOT NULL THEN
        INSERT INTO tax_line (order_id, position, line_id, name, rate_ppm, amount_minor, included)
        SELECT t.order_id, t.position, t.line_id, t.name, t.rate_ppm, t.amount_minor, t.included
        FROM jsonb_to_recordset(p_taxes) AS t (
            order_id uuid, position int, line_id uuid, name text, rate_ppm int, amount_minor bigint, included bool);
    END IF;
    IF p_discounts IS NOT NULL THEN
        INSERT INTO order_discount (order_id, position, line_id, code, description, amount_minor)
        SELECT d.order_id, d.position, d.line_id, d.code, d.description, d.amount_minor
        FROM jsonb_to_recordset(p_discounts) AS d (
            order_id uuid, position int, line_id uuid, code text, description text, amount_minor bigint);
    END IF;
    IF p_addresses IS NOT NULL THEN
        INSERT INTO order_address (order_id, kind, name, company, lines, city, region, postcode, country, phone, email,
                                   latitude, longitude)
        SELECT a.order_id, a.kind, a.name, a.company, a.lines, a.city, a.region, a.postcode, a.country, a.phone, a.email,
               a.latitude, a.longitude
        FROM jsonb_to_recordset(p_addresses) AS a (
            order_id uuid, kind text, name text, company text, lines text[], city text, region text, postcode text,
            country char(2), phone text, email text, latitude float8, longitude float8);
    END IF;

    PERFORM event_log_append_all(
        'order', 'OrderPlaced', p_id, p_topics,
        (SELECT jsonb_agg(jsonb_set(payload, '{facts,number}', to_jsonb(numbers[n])) ORDER BY n)
         FROM jsonb_array_elements(p_payloads) WITH ORDINALITY AS e (payload, n)),
        p_principal, p_now);

    PERFORM inventory_allocate_all(
        p_id, p_now, p_principal, p_allocation_id, p_allocation_order, p_allocation_line, p_allocation_sku,
        p_allocation_location, p_allocation_owner, p_allocation_units, p_allocation_floor,
        p_reservation, p_reservation_order);
    IF cardinality(p_backorder_sku) > 0 THEN
        PERFORM inventory_backorder(p_backorder_sku, p_backorder_units, p_backorder_limit);
        FOR claim IN
            SELECT channel, array_agg(sku) AS skus, array_agg(units) AS units
            FROM unnest(p_backorder_channel, p_backorder_sku, p_backorder_units) AS b (channel, sku, units)
            GROUP BY channel ORDER BY channel
        LOOP
            PERFORM inventory_claim(claim.channel, claim.skus, claim.units);
        END LOOP;
    END IF;
    RETURN results;
END $$;
