-- Moves units of balances into allocated and reserved, or between the two, as far as they are free: last of a set's writes.
--
-- One row of the arrays for each ledger row, several of which may concern one balance; what one of them gives back is
-- free for others only afterwards, so that the outcome is that of any order.
-- p_floor  safety stock of the channel; the greater of it and the balance's own stays untouched
-- Locks: balances by (sku, location, owner), one after the other and all of them before the first changes: a statement
-- that updated many would lock them as its plan has it. Locked rows stay where they are, so the update goes by ctid.
-- Refuses STOCK_TAKEN.
CREATE OR REPLACE FUNCTION inventory_take(
    p_sku uuid[], p_location uuid[], p_owner text[], p_d_allocated int[], p_d_reserved int[], p_floor int[],
    p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    places tid[];
    allocates int[];
    reserves int[];
    short jsonb[];
BEGIN
    SELECT array_agg(b.place), array_agg(w.d_allocated), array_agg(w.d_reserved),
           array_agg(jsonb_build_object('sku_id', w.sku, 'location_id', w.location)) FILTER (
               WHERE b.place IS NULL OR (w.needed > 0 AND b.free - greatest(b.safety_stock, w.floor) < w.needed))
    INTO places, allocates, reserves, short
    FROM (
        SELECT sku, location, owner, sum(d_allocated)::int AS d_allocated, sum(d_reserved)::int AS d_reserved,
               sum(greatest(d_allocated + d_reserved, 0)) AS needed, max(floor) AS floor
        FROM unnest(p_sku, p_location, p_owner, p_d_allocated, p_d_reserved, p_floor)
             AS r (sku, location, owner, d_allocated, d_reserved, floor)
        GROUP BY sku, location, owner ORDER BY sku, location, owner
    ) AS w
    LEFT JOIN LATERAL (
        SELECT s.ctid AS place, s.on_hand - s.allocated - s.reserved - s.damaged - s.quality_control AS free, s.safety_stock
        FROM stock_level s
        WHERE s.sku_id = w.sku AND s.location_id = w.location AND s.owner = w.owner
        FOR NO KEY UPDATE
    ) AS b ON true;
    IF short IS NOT NULL THEN
        RAISE EXCEPTION 'STOCK_TAKEN' USING ERRCODE = 'OW001', DETAIL = short[1]::text;
    END IF;

    UPDATE stock_level b
    SET allocated = b.allocated + t.d_allocated, reserved = b.reserved + t.d_reserved,
        version = b.version + 1, updated_at = p_now
    FROM unnest(places, allocates, reserves) AS t (place, d_allocated, d_reserved)
    WHERE b.ctid = t.place;
END $$;
