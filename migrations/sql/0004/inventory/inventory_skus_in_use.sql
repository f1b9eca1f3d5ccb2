-- Those of these SKUs that have units in a balance, or for whose units orders wait.
--
-- Until the end of the transaction nobody changes a balance or begins to wait. Whoever was about to is seen here, and
-- whoever comes later sees what the caller has written: catalog_expect_stocked.
-- Locks: all stock balances and backorder levels, in that order, as those do who write them.
CREATE OR REPLACE FUNCTION inventory_skus_in_use(p_skus uuid[])
RETURNS TABLE (sku uuid, has_stock bool, is_awaited bool) LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE stock_level IN SHARE MODE;
    LOCK TABLE backorder_level IN SHARE MODE;
    RETURN QUERY
    SELECT * FROM (
        SELECT s.id,
               EXISTS (SELECT FROM stock_level l WHERE l.sku_id = s.id
                       AND (l.on_hand, l.allocated, l.reserved, l.damaged, l.quality_control) <> (0, 0, 0, 0, 0)) AS has_stock,
               EXISTS (SELECT FROM backorder_level b WHERE b.sku_id = s.id AND b.units > 0) AS is_awaited
        FROM unnest(p_skus) AS s (id)
    ) AS used WHERE used.has_stock OR used.is_awaited;
END $$;
