-- Stock levels of SKUs.  $1 SKU codes, $2 how many rows
SELECT b.on_hand AS "onHand", b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control AS available, b.reserved,
    to_json(b.updated_at) #>> '{}' AS "updatedAt", s.code AS sku, l.code AS location
FROM stock_level b
JOIN sku s ON s.id = b.sku_id
JOIN location l ON l.id = b.location_id
WHERE s.code = ANY ($1::text[])
ORDER BY b.sku_id, b.location_id
LIMIT $2
