-- Units of SKUs that were sold beyond stock.
CREATE OR REPLACE FUNCTION inventory_backordered(p_skus uuid[]) RETURNS TABLE (sku_id uuid, units int)
LANGUAGE sql STABLE AS $$
    SELECT b.sku_id, b.units FROM backorder_level b WHERE b.sku_id = ANY (p_skus) AND b.units > 0
$$;
