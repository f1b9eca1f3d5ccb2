-- What can be allocated now: [[sku ordinal, location ordinal, owner, available, safety stock], …], ordinals from 1.
-- Only balances with something available; several owners of one SKU at one location give several entries.
-- PL/pgSQL, so that the plan is kept by the connection.
CREATE OR REPLACE FUNCTION inventory_stock_facts(p_skus uuid[], p_locations uuid[]) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(jsonb_agg(jsonb_build_array(
            s.n, l.n, b.owner, b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control, b.safety_stock)), '[]')
        FROM unnest(p_skus) WITH ORDINALITY AS s (id, n)
        JOIN stock_level b ON b.sku_id = s.id
        JOIN unnest(p_locations) WITH ORDINALITY AS l (id, n) ON l.id = b.location_id
        WHERE b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control > 0
    );
END $$;
