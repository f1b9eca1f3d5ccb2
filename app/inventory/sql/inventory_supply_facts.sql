-- What is on its way and what is owed:
-- {supply: [[sku, location, due at, units, owner, available, safety stock], …] by date, backordered: {sku: units},
--  claims: [[sku, channel, units], …]}; of what is backordered, claims are what is allocated as soon as stock comes.
--
-- available and safety stock are those of the balance that the supply goes to, so that a safety stock that is not
-- filled can be kept back from it.
CREATE OR REPLACE FUNCTION inventory_supply_facts(p_skus uuid[], p_locations uuid[]) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'supply', (SELECT coalesce(jsonb_agg(jsonb_build_array(
                           s.sku_id, s.location_id, s.due_at, s.units_open, s.owner,
                           coalesce(b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control, 0),
                           coalesce(b.safety_stock, 0)) ORDER BY s.due_at, s.id), '[]')
                       FROM supply s
                       LEFT JOIN stock_level b
                         ON b.sku_id = s.sku_id AND b.location_id = s.location_id AND b.owner = s.owner
                       WHERE s.sku_id = ANY (p_skus) AND s.location_id = ANY (p_locations) AND s.units_open > 0),
            'backordered', (SELECT coalesce(jsonb_object_agg(sku_id, units), '{}')
                            FROM backorder_level WHERE sku_id = ANY (p_skus) AND units > 0),
            'claims', (SELECT coalesce(jsonb_agg(jsonb_build_array(sku_id, channel_id, units)), '[]')
                       FROM backorder_claim WHERE sku_id = ANY (p_skus) AND units > 0))
    );
END $$;
