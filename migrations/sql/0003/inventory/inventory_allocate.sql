-- Pins an order's units to balances: allocations and ledger rows first, then the guarded updates, in sorted order.
--
-- p_floor        safety stock of the channel, per allocation; the greater of it and the balance's own stays untouched
-- p_reservation  NULL, or an open reservation whose units are used up; what it holds beyond the order is released
-- Locks: the reservation, then balances by (sku, location, owner).
-- Refuses RESERVATION_CLOSED, STOCK_TAKEN.
CREATE OR REPLACE FUNCTION inventory_allocate(
    p_now timestamptz, p_actor text, p_order uuid,
    p_id uuid[], p_line uuid[], p_sku uuid[], p_location uuid[], p_owner text[], p_units int[], p_floor int[],
    p_reservation uuid
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    balance record;
    k_sku uuid[];
    k_location uuid[];
    k_owner text[];
    k_units int[];
    k_held int[];
    k_floor int[];
BEGIN
    IF p_reservation IS NOT NULL THEN
        PERFORM inventory_reservation_consume(p_reservation, p_order, p_now, p_actor);
    END IF;

    SELECT array_agg(sku ORDER BY sku, location, owner), array_agg(location ORDER BY sku, location, owner),
           array_agg(owner ORDER BY sku, location, owner), array_agg(units ORDER BY sku, location, owner),
           array_agg(held ORDER BY sku, location, owner), array_agg(floor ORDER BY sku, location, owner)
    INTO k_sku, k_location, k_owner, k_units, k_held, k_floor
    FROM (
        SELECT sku, location, owner, sum(units)::int AS units, sum(held)::int AS held, max(floor) AS floor
        FROM (
            SELECT sku, location, owner, units, 0 AS held, floor
            FROM unnest(p_sku, p_location, p_owner, p_units, p_floor) AS a (sku, location, owner, units, floor)
            UNION ALL
            SELECT sku_id, location_id, owner, 0, units, 0
            FROM reservation_line WHERE reservation_id = p_reservation
        ) AS wanted
        GROUP BY sku, location, owner
    ) AS keys;
    IF k_sku IS NULL THEN
        RETURN;
    END IF;

    INSERT INTO allocation (id, order_id, order_line_id, sku_id, location_id, owner, units, created_at)
    SELECT id, p_order, line, sku, location, owner, units, p_now
    FROM unnest(p_id, p_line, p_sku, p_location, p_owner, p_units) AS a (id, line, sku, location, owner, units);

    INSERT INTO stock_movement (sku_id, location_id, owner, type, d_allocated, d_reserved, cause_id, actor, occurred_at)
    SELECT sku, location, owner, 'ALLOCATE', units, -held, p_order, p_actor, p_now
    FROM unnest(k_sku, k_location, k_owner, k_units, k_held) AS k (sku, location, owner, units, held);

    FOR i IN 1 .. cardinality(k_sku) LOOP
        UPDATE stock_level
        SET allocated = allocated + k_units[i], reserved = reserved - k_held[i],
            version = version + 1, updated_at = p_now
        WHERE sku_id = k_sku[i] AND location_id = k_location[i] AND owner = k_owner[i]
          AND (k_units[i] <= k_held[i]
               OR on_hand - allocated - reserved - damaged - quality_control
                  - greatest(safety_stock, k_floor[i]) >= k_units[i] - k_held[i]);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'STOCK_TAKEN' USING ERRCODE = 'OW001',
                DETAIL = jsonb_build_object('sku_id', k_sku[i], 'location_id', k_location[i])::text;
        END IF;
    END LOOP;
END $$;
