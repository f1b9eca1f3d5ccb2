-- Balances with something available of SKUs that orders wait for, one row for each channel that does.
CREATE OR REPLACE FUNCTION inventory_claimed_stock()
RETURNS TABLE (sku_id uuid, channel_id uuid, location_id uuid, available int, safety_stock int) LANGUAGE sql STABLE AS $$
    SELECT c.sku_id, c.channel_id, b.location_id,
           b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control, b.safety_stock
    FROM backorder_claim c JOIN stock_level b ON b.sku_id = c.sku_id
    WHERE c.units > 0 AND b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control > 0
$$;
