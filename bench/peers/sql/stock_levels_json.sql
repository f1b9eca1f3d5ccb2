-- The same as the whole answer.  $1 SKU codes, $2 how many rows
SELECT json_build_object('data', json_build_object('stockLevels', json_build_object('nodes', json_agg(level))))::text
FROM (
    SELECT b.on_hand AS "onHand", b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control AS available,
        b.reserved, b.updated_at AS "updatedAt", json_build_object('code', s.code) AS sku,
        json_build_object('code', l.code) AS location
    FROM stock_level b
    JOIN sku s ON s.id = b.sku_id
    JOIN location l ON l.id = b.location_id
    WHERE s.code = ANY ($1::text[])
    ORDER BY b.sku_id, b.location_id
    LIMIT $2
) AS level
