-- What placing an order needs to know of SKUs: one object for each known code asked for and for each component of a
-- bundle asked for. `price` is that of the channel in the currency, or null; as text, so that no decimal is lost.
-- PL/pgSQL, so that the plan is kept by the connection.
CREATE OR REPLACE FUNCTION catalog_sku_facts(p_channel uuid, p_currency text, p_codes text[])
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        WITH asked AS MATERIALIZED (
            SELECT s.id FROM sku s WHERE s.code = ANY (p_codes)
        ), wanted AS (
            SELECT id FROM asked
            UNION
            SELECT b.component_id FROM bundle_component b JOIN asked a ON a.id = b.bundle_id
        )
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', s.id,
            'code', s.code,
            'name', s.name,
            'stockTracked', s.stock_tracked,
            'backorderLimit', s.backorder_limit,
            'preorderReleaseAt', s.preorder_release_at,
            'bundle', s.bundle,
            'active', s.active,
            'weightGrams', s.weight_grams,
            'hazardous', s.hazardous,
            'price', trim_scale(p.amount)::text,
            'components', CASE WHEN s.bundle THEN (
                SELECT jsonb_agg(
                    jsonb_build_object('skuId', c.id, 'code', c.code, 'units', b.units) ORDER BY c.code
                )
                FROM bundle_component b JOIN sku c ON c.id = b.component_id
                WHERE b.bundle_id = s.id
            ) ELSE '[]'::jsonb END
        )), '[]'::jsonb)
        FROM wanted w
        JOIN sku s ON s.id = w.id
        LEFT JOIN sku_price p ON p.sku_id = s.id AND p.channel_id = p_channel AND p.currency = p_currency
    );
END $$;
