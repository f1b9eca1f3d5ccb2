-- Moves units of balances into allocated and reserved, or between the two, as far as they are free: last of a set's writes.
--
-- One row of the arrays for each ledger row, several of which may concern one balance; what one of them gives back is
-- free for others only afterwards, so that the outcome is that of any order.
-- p_floor  safety stock of the channel; the greater of it and the balance's own stays untouched
-- Locks: balances by (sku, location, owner).
-- Refuses STOCK_TAKEN.
CREATE OR REPLACE FUNCTION inventory_take(
    p_sku uuid[], p_location uuid[], p_owner text[], p_d_allocated int[], p_d_reserved int[], p_floor int[],
    p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    balance record;
BEGIN
    FOR balance IN
        SELECT sku, location, owner, sum(d_allocated)::int AS d_allocated, sum(d_reserved)::int AS d_reserved,
               sum(greatest(d_allocated + d_reserved, 0)) AS needed, max(floor) AS floor
        FROM unnest(p_sku, p_location, p_owner, p_d_allocated, p_d_reserved, p_floor)
             AS r (sku, location, owner, d_allocated, d_reserved, floor)
        GROUP BY sku, location, owner ORDER BY sku, location, owner
    LOOP
        UPDATE stock_level
        SET allocated = allocated + balance.d_allocated, reserved = reserved + balance.d_reserved,
            version = version + 1, updated_at = p_now
        WHERE sku_id = balance.sku AND location_id = balance.location AND stock_level.owner = balance.owner
          AND (balance.needed = 0
               OR on_hand - allocated - reserved - damaged - quality_control
                  - greatest(safety_stock, balance.floor) >= balance.needed);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'STOCK_TAKEN' USING ERRCODE = 'OW001',
                DETAIL = jsonb_build_object('sku_id', balance.sku, 'location_id', balance.location)::text;
        END IF;
    END LOOP;
END $$;
