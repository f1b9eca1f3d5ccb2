-- The newest 50 orders with up to 20 lines each, as the whole answer.
SELECT json_build_object('data', json_build_object('orders', json_build_object('nodes', json_agg(page))))::text
FROM (
    SELECT o.id, o.number, o.lifecycle, o.fulfillment_status AS "fulfillmentStatus",
        o.payment_status AS "paymentStatus",
        json_build_object('total', json_build_object('minorUnits', o.total_minor)) AS totals,
        json_build_object('nodes', (
            SELECT json_agg(json_build_object(
                'skuCode', l.sku_code,
                'quantities', json_build_object('ordered', l.ordered, 'allocated', l.allocated, 'shipped', l.shipped),
                'total', json_build_object('minorUnits', l.total_minor)) ORDER BY l.line_no)
            FROM (SELECT * FROM order_line WHERE order_id = o.id ORDER BY line_no LIMIT 20) l)) AS lines
    FROM orders o
    ORDER BY o.placed_at DESC, o.id DESC
    LIMIT 50
) AS page
