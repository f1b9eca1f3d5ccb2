-- Those of the SKUs whose stock does not say all of what can be promised until an instant: orders wait for units of
-- them, or supply of them is due by then.
CREATE OR REPLACE FUNCTION inventory_unsettled(p_skus uuid[], p_until timestamptz) RETURNS TABLE (sku_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT c.sku_id FROM backorder_claim c WHERE c.sku_id = ANY (p_skus) AND c.units > 0
    UNION ALL
    SELECT s.sku_id FROM supply s WHERE s.sku_id = ANY (p_skus) AND s.units_open > 0 AND s.due_at <= p_until
$$;
