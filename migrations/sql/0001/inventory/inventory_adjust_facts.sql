-- The ids behind the codes of an adjustment, in one read: {skus: {code: …}, locations: {code: id}}.
CREATE OR REPLACE FUNCTION inventory_adjust_facts(p_skus text[], p_locations text[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('skus', catalog_sku_ids(p_skus), 'locations', network_location_ids(p_locations))
$$;
