-- Pins the units of a set of orders to balances: allocations and ledger rows first, then the guarded updates.
--
-- p_order, p_now, p_actor                the orders of the set
-- p_id, p_id_order, p_line, p_sku, …     one row for each (line, balance)
-- p_floor                                safety stock of the channel, per allocation
-- p_reservation, p_reservation_order     open reservations whose units are used up; what one holds beyond its order is
--                                        released
-- Locks: the reservations by id, then balances by (sku, location, owner).
-- Refuses RESERVATION_CLOSED, STOCK_TAKEN.
CREATE OR REPLACE FUNCTION inventory_allocate_all(
    p_order uuid[], p_now timestamptz[], p_actor text[],
    p_id uuid[], p_id_order uuid[], p_line uuid[], p_sku uuid[], p_location uuid[], p_owner text[], p_units int[],
    p_floor int[], p_reservation uuid[], p_reservation_order uuid[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    used record;
    k_order uuid[];
    k_sku uuid[];
    k_location uuid[];
    k_owner text[];
    k_units int[];
    k_held int[];
    k_floor int[];
BEGIN
    IF cardinality(p_reservation) > 0 THEN
        FOR used IN
            SELECT r.id, o.id AS order_id, o.now_, o.actor
            FROM unnest(p_reservation, p_reservation_order) AS r (id, order_id)
            JOIN unnest(p_order, p_now, p_actor) AS o (id, now_, actor) ON o.id = r.order_id
            ORDER BY r.id
        LOOP
            PERFORM inventory_reservation_consume(used.id, used.order_id, used.now_, used.actor);
        END LOOP;
    END IF;

    SELECT array_agg(order_id), array_agg(sku), array_agg(location), array_agg(owner), array_agg(units),
           array_agg(-held), array_agg(floor)
    INTO k_order, k_sku, k_location, k_owner, k_units, k_held, k_floor
    FROM (
        SELECT order_id, sku, location, owner, sum(units)::int AS units, sum(held)::int AS held, max(floor) AS floor
        FROM (
            SELECT order_id, sku, location, owner, units, 0 AS held, floor
            FROM unnest(p_id_order, p_sku, p_location, p_owner, p_units, p_floor)
                 AS a (order_id, sku, location, owner, units, floor)
            UNION ALL
            SELECT r.order_id, l.sku_id, l.location_id, l.owner, 0, l.units, 0
            FROM unnest(p_reservation, p_reservation_order) AS r (id, order_id)
            JOIN reservation_line l ON l.reservation_id = r.id
        ) AS wanted
        GROUP BY order_id, sku, location, owner
    ) AS keys;
    IF k_sku IS NULL THEN
        RETURN;
    END IF;

    INSERT INTO allocation (id, order_id, order_line_id, sku_id, location_id, owner, units, created_at)
    SELECT a.id, a.order_id, a.line, a.sku, a.location, a.owner, a.units, o.now_
    FROM unnest(p_id, p_id_order, p_line, p_sku, p_location, p_owner, p_units)
         AS a (id, order_id, line, sku, location, owner, units)
    JOIN unnest(p_order, p_now) AS o (id, now_) ON o.id = a.order_id;

    INSERT INTO stock_movement (sku_id, location_id, owner, type, d_allocated, d_reserved, cause_id, actor, occurred_at)
    SELECT k.sku, k.location, k.owner, 'ALLOCATE', k.units, k.held, o.id, o.actor, o.now_
    FROM unnest(k_order, k_sku, k_location, k_owner, k_units, k_held) AS k (order_id, sku, location, owner, units, held)
    JOIN unnest(p_order, p_now, p_actor) AS o (id, now_, actor) ON o.id = k.order_id;

    PERFORM inventory_take(k_sku, k_location, k_owner, k_units, k_held, k_floor, p_now[1]);
END $$;
