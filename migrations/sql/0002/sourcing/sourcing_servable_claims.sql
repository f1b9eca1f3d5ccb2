-- SKUs that a channel's orders wait for and that the channel has stock of, above what is kept back from sale.
CREATE OR REPLACE FUNCTION sourcing_servable_claims(p_now timestamptz) RETURNS TABLE (sku_id uuid, channel_id uuid)
LANGUAGE sql STABLE AS $$
    WITH claimed AS MATERIALIZED (
        SELECT * FROM inventory_claimed_stock()
    ), released AS MATERIALIZED (
        SELECT catalog_skus_released(ARRAY(SELECT DISTINCT c.sku_id FROM claimed c), p_now) AS sku_id
    )
    SELECT DISTINCT c.sku_id, c.channel_id
    FROM claimed c
    JOIN released r ON r.sku_id = c.sku_id
    JOIN network_channel_floors(ARRAY(SELECT DISTINCT c.channel_id FROM claimed c)) f
      ON f.channel_id = c.channel_id AND f.location_id = c.location_id
    WHERE c.available > greatest(c.safety_stock, f.safety_stock)
$$;
