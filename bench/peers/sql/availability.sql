-- Units that a channel can promise of SKUs, a row for each location that has any.  $1 SKU codes, $2 the channel's code
-- It knows our own stock alone: no consignors, bundles, preorders, supply, or orders that wait.
SELECT asked.code AS sku, l.code AS "locationCode",
    b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control - greatest(b.safety_stock, cl.safety_stock) AS units
FROM channel c
JOIN channel_location cl ON cl.channel_id = c.id
JOIN location l ON l.id = cl.location_id AND l.active
JOIN stock_level b ON b.location_id = l.id AND b.owner = ''
JOIN sku s ON s.id = b.sku_id
JOIN unnest($1::text[]) WITH ORDINALITY AS asked (code, n) ON asked.code = s.code
WHERE c.code = $2
  AND b.on_hand - b.allocated - b.reserved - b.damaged - b.quality_control > greatest(b.safety_stock, cl.safety_stock)
ORDER BY asked.n, cl.priority
