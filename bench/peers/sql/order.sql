-- An order with its lines, in the shape that is shown.  $1 its number
SELECT o.id, o.number, o.lifecycle, o.fulfillment_status AS "fulfillmentStatus", o.payment_status AS "paymentStatus",
    json_build_object(
        'subtotal', json_build_object('minorUnits', o.subtotal_minor),
        'tax', json_build_object('minorUnits', o.tax_minor),
        'total', json_build_object('minorUnits', o.total_minor)) AS totals,
    json_build_object('nodes', (
        SELECT json_agg(json_build_object(
            'skuCode', l.sku_code,
            'quantities', json_build_object('ordered', l.ordered, 'allocated', l.allocated, 'shipped', l.shipped),
            'total', json_build_object('minorUnits', l.total_minor)) ORDER BY l.line_no)
        FROM order_line l WHERE l.order_id = o.id)) AS lines
FROM orders o
WHERE o.number = $1
