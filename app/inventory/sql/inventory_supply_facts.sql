-- What is on its way and what is owed: {supply: [[sku, location, due at, units], …] by date, backordered: {sku: units}}.
CREATE OR REPLACE FUNCTION inventory_supply_facts(p_skus uuid[], p_locations uuid[]) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'supply', (SELECT coalesce(jsonb_agg(jsonb_build_array(sku_id, location_id, due_at, units_open) ORDER BY due_at, id), '[]')
                       FROM supply WHERE sku_id = ANY (p_skus) AND location_id = ANY (p_locations) AND units_open > 0),
            'backordered', (SELECT coalesce(jsonb_object_agg(sku_id, units), '{}')
                            FROM backorder_level WHERE sku_id = ANY (p_skus) AND units > 0))
    );
END $$;
