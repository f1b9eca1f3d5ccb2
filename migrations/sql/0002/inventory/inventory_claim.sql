-- Adds to the units that a channel's orders wait for; negative units take some off.
--
-- One row of the arrays for each SKU or several. An order on hold waits for nothing: it joins again when it is released.
-- Locks: claims by sku, after the backorder levels of the same transaction.
CREATE OR REPLACE FUNCTION inventory_claim(p_channel uuid, p_sku uuid[], p_units int[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    claim record;
BEGIN
    FOR claim IN
        SELECT sku, sum(units)::int AS units FROM unnest(p_sku, p_units) AS c (sku, units) GROUP BY sku ORDER BY sku
    LOOP
        INSERT INTO backorder_claim (sku_id, channel_id, units) VALUES (claim.sku, p_channel, 0) ON CONFLICT DO NOTHING;
        UPDATE backorder_claim SET units = units + claim.units WHERE sku_id = claim.sku AND channel_id = p_channel;
    END LOOP;
END $$;
