-- What placing an order needs to know of its channel, its active locations in order of priority included.
-- NULL where there is no such channel. PL/pgSQL, so that the plan is kept by the connection.
CREATE OR REPLACE FUNCTION network_channel_facts(p_channel uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'id', c.id,
            'code', c.code,
            'currency', c.currency,
            'active', c.active,
            'taxRatePpm', c.tax_rate_ppm,
            'pricesIncludeTax', c.prices_include_tax,
            'paymentPolicy', c.payment_policy,
            'timeZone', c.time_zone,
            'locations', coalesce((
                SELECT jsonb_agg(jsonb_build_object(
                    'id', l.id,
                    'code', l.code,
                    'name', l.name,
                    'priority', cl.priority,
                    'safetyStock', cl.safety_stock,
                    'lat', l.latitude,
                    'lon', l.longitude,
                    'type', l.type,
                    'country', l.country
                ) ORDER BY cl.priority, l.code)
                FROM channel_location cl
                JOIN location l ON l.id = cl.location_id
                WHERE cl.channel_id = c.id AND l.active
            ), '[]'::jsonb)
        )
        FROM channel c
        WHERE c.id = p_channel
    );
END $$;
