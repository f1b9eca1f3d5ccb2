-- Everything that placing, reserving or promising SKUs in a channel decides from, in one read; NULL without the channel.
--
-- p_channel  the channel where p_channel_code is NULL, for callers who are bound to one
-- claims     units of the SKUs that a channel's orders wait for, with the locations that serve that channel and what it
--            keeps back there, by its priority: [[sku, units, [[location, safety stock], …]], …]
-- Areas answer for themselves: their functions are called, their tables left alone.
CREATE OR REPLACE FUNCTION sourcing_facts(
    p_channel_code text, p_currency text, p_codes text[], p_channel uuid DEFAULT NULL
) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    channel jsonb := network_channel_facts(
        CASE WHEN p_channel_code IS NULL THEN p_channel ELSE network_channel_id(p_channel_code) END);
    skus jsonb;
    sku_ids uuid[];
    location_ids uuid[];
    supply jsonb;
BEGIN
    IF channel IS NULL THEN
        RETURN NULL;
    END IF;
    skus := catalog_sku_facts((channel ->> 'id')::uuid, coalesce(p_currency, channel ->> 'currency'), p_codes);
    SELECT array_agg((s ->> 'id')::uuid) INTO sku_ids
    FROM jsonb_array_elements(skus) AS s WHERE (s ->> 'stockTracked')::bool AND NOT (s ->> 'bundle')::bool;
    SELECT array_agg((l ->> 'id')::uuid ORDER BY n) INTO location_ids
    FROM jsonb_array_elements(channel -> 'locations') WITH ORDINALITY AS e (l, n);

    supply := inventory_supply_facts(sku_ids, location_ids);

    RETURN jsonb_build_object(
        'channel', channel,
        'skus', skus,
        'stockSkus', to_jsonb(sku_ids),
        'stock', inventory_stock_facts(sku_ids, location_ids),
        'supply', supply,
        'claims', CASE WHEN supply #> '{claims,0}' IS NULL THEN '[]'::jsonb ELSE (
            SELECT jsonb_agg(jsonb_build_array(c -> 0, c -> 2, (
                SELECT coalesce(jsonb_agg(jsonb_build_array(f.location_id, f.safety_stock)
                                          ORDER BY f.priority, f.location_id), '[]')
                FROM network_channel_floors(ARRAY[(c ->> 1)::uuid]) f)))
            FROM jsonb_array_elements(supply -> 'claims') AS c) END
    );
END $$;
