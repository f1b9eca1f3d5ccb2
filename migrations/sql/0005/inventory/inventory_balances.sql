-- The stock of SKUs by location and owner: units that are promised to nobody and fit for sale, and what is kept back.
CREATE OR REPLACE FUNCTION inventory_balances(p_skus uuid[])
RETURNS TABLE (sku_id uuid, location_id uuid, owner text, available int, safety_stock int) LANGUAGE sql STABLE AS $$
    SELECT b.sku_id, b.location_id, b.owner, b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control,
        b.safety_stock
    FROM stock_level b WHERE b.sku_id = ANY (p_skus)
$$;
