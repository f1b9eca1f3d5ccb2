-- Adds units to what is sold beyond stock, within each SKU's limit; negative units give some back.
--
-- Locks: backorder levels by sku, after all stock balances of the same transaction.
-- Refuses BACKORDER_LIMIT.
CREATE OR REPLACE FUNCTION inventory_backorder(p_sku uuid[], p_units int[], p_limit int[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT sku, sum(units)::int AS units, min(units_max) AS units_max
        FROM unnest(p_sku, p_units, p_limit) AS w (sku, units, units_max) GROUP BY sku ORDER BY sku
    LOOP
        INSERT INTO backorder_level (sku_id, units) VALUES (wanted.sku, 0) ON CONFLICT DO NOTHING;
        UPDATE backorder_level SET units = units + wanted.units
        WHERE sku_id = wanted.sku AND (wanted.units <= 0 OR units + wanted.units <= wanted.units_max);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'BACKORDER_LIMIT' USING ERRCODE = 'OW001',
                DETAIL = jsonb_build_object('sku_id', wanted.sku)::text;
        END IF;
    END LOOP;
    PERFORM catalog_expect_stocked(ARRAY(SELECT sku FROM unnest(p_sku, p_units) AS w (sku, units) WHERE units > 0));
END $$;
