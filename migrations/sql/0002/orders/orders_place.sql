-- Places an order as one transaction of one call: key, order, lines, taxes, discounts, addresses, event, then stock.
--
-- The decisions were made by the caller from orders_place_facts; what can have changed since is guarded here.
-- p_order, p_lines, p_taxes, p_discounts, p_addresses  rows as JSON, keys are the column names
-- p_allocation_*  one entry for each (line, balance); p_backorder_*  one for each line with units beyond stock
-- Refuses EXTERNAL_REF_TAKEN, RESERVATION_CLOSED, STOCK_TAKEN, BACKORDER_LIMIT, IDEMPOTENCY_KEY_REUSED.
CREATE OR REPLACE FUNCTION orders_place(
    p_principal text, p_key text, p_sha256 bytea, p_now timestamptz, p_key_expires timestamptz,
    p_order jsonb, p_lines jsonb, p_taxes jsonb, p_discounts jsonb, p_addresses jsonb,
    p_topics text[], p_payload jsonb,
    p_allocation_id uuid[], p_allocation_line uuid[], p_allocation_sku uuid[], p_allocation_location uuid[],
    p_allocation_owner text[], p_allocation_units int[], p_allocation_floor int[], p_reservation uuid,
    p_backorder_sku uuid[], p_backorder_units int[], p_backorder_limit int[]
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    id_ constant uuid := (p_order ->> 'id')::uuid;
    number_ constant text := 'OW-' || nextval('order_number');
    result constant jsonb := jsonb_build_object('orderId', id_, 'number', number_);
    stored jsonb;
BEGIN
    stored := idempotency_claim(p_principal, p_key, p_sha256, p_now, p_key_expires, result);
    IF stored IS NOT NULL THEN
        RETURN stored;
    END IF;

    INSERT INTO orders (
        id, number, channel_id, external_ref, customer_id, currency, lifecycle, fulfillment_status, payment_status,
        return_status, priority, destination_country, subtotal_minor, discount_minor, shipping_minor, tax_minor,
        total_minor, note, placed_by, placed_at, updated_at, version, search)
    SELECT id_, number_, o.channel_id, o.external_ref, o.customer_id, o.currency, 'PLACED', o.fulfillment_status,
           o.payment_status, 'NONE', o.priority, o.destination_country, o.subtotal_minor, o.discount_minor,
           o.shipping_minor, o.tax_minor, o.total_minor, o.note, p_principal, o.placed_at, p_now, 1,
           o.search::tsvector || array_to_tsvector(ARRAY[lower(number_), substr(number_, 4)])
    FROM jsonb_to_record(p_order) AS o (
        channel_id uuid, external_ref text, customer_id uuid, currency char(3), fulfillment_status text,
        payment_status text, priority int, destination_country char(2), subtotal_minor bigint, discount_minor bigint,
        shipping_minor bigint, tax_minor bigint, total_minor bigint, note text, placed_at timestamptz, search text)
    ON CONFLICT (channel_id, external_ref) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'EXTERNAL_REF_TAKEN' USING ERRCODE = 'OW001', DETAIL = (
            SELECT jsonb_build_object('external_ref', external_ref, 'number', number)::text FROM orders
            WHERE channel_id = (p_order ->> 'channel_id')::uuid AND external_ref = p_order ->> 'external_ref');
    END IF;

    INSERT INTO order_line (
        id, order_id, line_no, kind, parent_id, units_per_parent, sku_id, sku_code, name, takes_stock, unit_price,
        gross_minor, discount_minor, tax_minor, total_minor, ordered, backordered, allocated)
    SELECT l.id, id_, l.line_no, l.kind, l.parent_id, l.units_per_parent, l.sku_id, l.sku_code, l.name, l.takes_stock, l.unit_price,
           l.gross_minor, l.discount_minor, l.tax_minor, l.total_minor, l.ordered, l.backordered, l.allocated
    FROM jsonb_to_recordset(p_lines) AS l (
        id uuid, line_no int, kind text, parent_id uuid, units_per_parent int, sku_id uuid, sku_code text, name text,
        takes_stock bool, unit_price numeric, gross_minor bigint, discount_minor bigint, tax_minor bigint, total_minor bigint,
        ordered int, backordered int, allocated int);

    IF p_taxes IS NOT NULL THEN
        INSERT INTO tax_line (order_id, position, line_id, name, rate_ppm, amount_minor, included)
        SELECT id_, t.position, t.line_id, t.name, t.rate_ppm, t.amount_minor, t.included
        FROM jsonb_to_recordset(p_taxes) AS t (
            position int, line_id uuid, name text, rate_ppm int, amount_minor bigint, included bool);
    END IF;
    IF p_discounts IS NOT NULL THEN
        INSERT INTO order_discount (order_id, position, line_id, code, description, amount_minor)
        SELECT id_, d.position, d.line_id, d.code, d.description, d.amount_minor
        FROM jsonb_to_recordset(p_discounts) AS d (
            position int, line_id uuid, code text, description text, amount_minor bigint);
    END IF;
    IF p_addresses IS NOT NULL THEN
        INSERT INTO order_address (order_id, kind, name, company, lines, city, region, postcode, country, phone, email,
                                   latitude, longitude)
        SELECT id_, a.kind, a.name, a.company, a.lines, a.city, a.region, a.postcode, a.country, a.phone, a.email,
               a.latitude, a.longitude
        FROM jsonb_to_recordset(p_addresses) AS a (
            kind text, name text, company text, lines text[], city text, region text, postcode text, country char(2),
            phone text, email text, latitude float8, longitude float8);
    END IF;

    PERFORM event_log_append('order', id_, 1, 'OrderPlaced', p_topics,
                             jsonb_set(p_payload, '{facts,number}', to_jsonb(number_)), p_principal, p_now);

    PERFORM inventory_allocate(
        p_now, p_principal, id_, p_allocation_id, p_allocation_line, p_allocation_sku, p_allocation_location,
        p_allocation_owner, p_allocation_units, p_allocation_floor, p_reservation);
    IF cardinality(p_backorder_sku) > 0 THEN
        PERFORM inventory_backorder(p_backorder_sku, p_backorder_units, p_backorder_limit);
        PERFORM inventory_claim((p_order ->> 'channel_id')::uuid, p_backorder_sku, p_backorder_units);
    END IF;
    RETURN result;
END $$;
