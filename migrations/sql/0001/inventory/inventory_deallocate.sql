-- Gives units of an order's lines back to stock, the newest allocations first.
--
-- Returns one row for each balance touched. The caller holds the order's lock, so its allocations stand still.
-- Locks: balances by (sku, location, owner).
CREATE OR REPLACE FUNCTION inventory_deallocate(
    p_now timestamptz, p_actor text, p_order uuid, p_line uuid[], p_units int[]
) RETURNS TABLE (sku_id uuid, location_id uuid, owner text, units int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    ids uuid[];
    gives int[];
    balance record;
BEGIN
    SELECT array_agg(id), array_agg(least(held, wanted - before)) INTO ids, gives
    FROM (
        SELECT a.id, a.units AS held, w.units AS wanted,
               sum(a.units) OVER (PARTITION BY a.order_line_id ORDER BY a.id DESC) - a.units AS before
        FROM allocation a JOIN unnest(p_line, p_units) AS w (line, units) ON w.line = a.order_line_id
        WHERE a.order_id = p_order AND a.status = 'OPEN'
    ) AS ranked
    WHERE before < wanted;

    FOR balance IN
        SELECT a.sku_id, a.location_id, a.owner, sum(g.units)::int AS units
        FROM unnest(ids, gives) AS g (id, units) JOIN allocation a ON a.id = g.id
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        INSERT INTO stock_movement (sku_id, location_id, owner, type, d_allocated, cause_id, actor, occurred_at)
        VALUES (balance.sku_id, balance.location_id, balance.owner, 'DEALLOCATE', -balance.units, p_order, p_actor, p_now);
        UPDATE stock_level
        SET allocated = allocated - balance.units, version = version + 1, updated_at = p_now
        WHERE sku_id = balance.sku_id AND location_id = balance.location_id AND owner = balance.owner;
        sku_id := balance.sku_id;
        location_id := balance.location_id;
        owner := balance.owner;
        units := balance.units;
        RETURN NEXT;
    END LOOP;

    UPDATE allocation a
    SET units = CASE WHEN g.units < a.units THEN a.units - g.units ELSE a.units END,
        status = CASE WHEN g.units < a.units THEN 'OPEN' ELSE 'RELEASED' END,
        closed_at = CASE WHEN g.units < a.units THEN NULL ELSE p_now END
    FROM unnest(ids, gives) AS g (id, units) WHERE a.id = g.id;
END $$;
