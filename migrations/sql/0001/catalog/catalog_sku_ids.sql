-- {code: {id, stockTracked, bundle}} of the SKUs that exist among these codes.
CREATE OR REPLACE FUNCTION catalog_sku_ids(p_codes text[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(code, jsonb_build_object('id', id, 'stockTracked', stock_tracked, 'bundle', bundle)), '{}')
    FROM sku WHERE code = ANY (p_codes)
$$;
