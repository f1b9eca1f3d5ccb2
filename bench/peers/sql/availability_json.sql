-- The same as the whole answer.  $1 SKU codes, $2 the channel's code
SELECT json_build_object('data', json_build_object('availability', json_agg(json_build_object(
    'sku', sku, 'status', 'AVAILABLE', 'available', available, 'backorderable', 0, 'byLocation', locations) ORDER BY n)))::text
FROM (
    SELECT asked.n, asked.code AS sku, sum(u.units) AS available,
        json_agg(json_build_object('locationCode', l.code, 'units', u.units) ORDER BY cl.priority) AS locations
    FROM channel c
    JOIN channel_location cl ON cl.channel_id = c.id
    JOIN location l ON l.id = cl.location_id AND l.active
    JOIN stock_level b ON b.location_id = l.id AND b.owner = ''
    JOIN sku s ON s.id = b.sku_id
    JOIN unnest($1::text[]) WITH ORDINALITY AS asked (code, n) ON asked.code = s.code
    CROSS JOIN LATERAL (SELECT b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control
        - greatest(b.safety_stock, cl.safety_stock) AS units) u
    WHERE c.code = $2 AND u.units > 0
    GROUP BY asked.n, asked.code
) AS by_sku
