-- One view for each invariant of orders; every row is a violation, an empty view is health.

CREATE OR REPLACE VIEW integrity_order_line_buckets AS
SELECT id AS line_id, order_id, ordered, cancelled, backordered, unallocated, allocated, shipped
FROM order_line
WHERE ordered <> cancelled + backordered + unallocated + allocated + shipped
   OR least(cancelled, backordered, unallocated, allocated, shipped, delivered, return_requested, returned) < 0
   OR delivered > shipped OR return_requested + returned > shipped;

-- What a line says is allocated, and what stock has pinned to it.
CREATE OR REPLACE VIEW integrity_order_line_allocated AS
SELECT coalesce(l.id, a.order_line_id) AS line_id, coalesce(l.allocated, 0) AS allocated, coalesce(a.units, 0) AS open_allocations
FROM (SELECT id, allocated FROM order_line WHERE takes_stock AND allocated > 0) l
FULL JOIN inventory_open_allocations a ON a.order_line_id = l.id
WHERE coalesce(l.allocated, 0) <> coalesce(a.units, 0);

CREATE OR REPLACE VIEW integrity_order_backordered AS
SELECT coalesce(l.sku_id, b.sku_id) AS sku_id, coalesce(l.units, 0) AS backordered_lines, coalesce(b.units, 0) AS backorder_level
FROM (SELECT sku_id, sum(backordered) AS units FROM order_line
      WHERE takes_stock AND backordered > 0 GROUP BY sku_id) l
FULL JOIN (SELECT sku_id, units FROM inventory_backordered) b ON b.sku_id = l.sku_id
WHERE coalesce(l.units, 0) <> coalesce(b.units, 0);

-- What orders wait for, those on hold left out, and what stock keeps for them.
CREATE OR REPLACE VIEW integrity_order_claims AS
SELECT coalesce(l.sku_id, c.sku_id) AS sku_id, coalesce(l.channel_id, c.channel_id) AS channel_id,
       coalesce(l.units, 0) AS waiting_lines, coalesce(c.units, 0) AS claim
FROM (SELECT ol.sku_id, o.channel_id, sum(ol.backordered) AS units
      FROM order_line ol JOIN orders o ON o.id = ol.order_id
      WHERE ol.takes_stock AND ol.backordered > 0 AND NOT o.is_on_hold GROUP BY ol.sku_id, o.channel_id) l
FULL JOIN (SELECT sku_id, channel_id, units FROM inventory_claims) c
       ON c.sku_id = l.sku_id AND c.channel_id = l.channel_id
WHERE coalesce(l.units, 0) <> coalesce(c.units, 0);

CREATE OR REPLACE VIEW integrity_order_totals AS
SELECT o.id AS order_id, o.number, o.total_minor, l.total_minor AS lines_minor, o.shipping_minor,
       coalesce(s.on_top, 0) AS shipping_tax_on_top_minor
FROM orders o
LEFT JOIN (
    SELECT order_id, sum(gross_minor) AS gross, sum(discount_minor) AS discount, sum(tax_minor) AS tax,
           sum(total_minor) AS total_minor
    FROM order_line GROUP BY order_id
) l ON l.order_id = o.id
LEFT JOIN (
    SELECT order_id, sum(amount_minor) AS tax, sum(amount_minor) FILTER (WHERE NOT included) AS on_top
    FROM tax_line WHERE line_id IS NULL GROUP BY order_id
) s ON s.order_id = o.id
WHERE l.order_id IS NULL
   OR o.subtotal_minor <> l.gross OR o.discount_minor <> l.discount
   OR o.tax_minor <> l.tax + coalesce(s.tax, 0)
   OR o.total_minor <> l.total_minor + o.shipping_minor + coalesce(s.on_top, 0);

CREATE OR REPLACE VIEW integrity_order_line_totals AS
SELECT l.id AS line_id, l.order_id, l.gross_minor, l.discount_minor, l.tax_minor, l.total_minor
FROM order_line l
LEFT JOIN (
    SELECT line_id, sum(amount_minor) AS tax, sum(amount_minor) FILTER (WHERE NOT included) AS on_top
    FROM tax_line WHERE line_id IS NOT NULL GROUP BY line_id
) t ON t.line_id = l.id
WHERE l.tax_minor <> coalesce(t.tax, 0)
   OR l.total_minor <> l.gross_minor - l.discount_minor + coalesce(t.on_top, 0);

CREATE OR REPLACE VIEW integrity_order_holds AS
SELECT o.id AS order_id, o.number, o.is_on_hold, coalesce(h.open, 0) AS open_holds
FROM orders o
LEFT JOIN (SELECT order_id, count(*) AS open FROM order_hold WHERE released_at IS NULL GROUP BY order_id) h
       ON h.order_id = o.id
WHERE o.is_on_hold <> (coalesce(h.open, 0) > 0);

-- What an order says of its units, and what its lines say; a bundle's own line counts its components' units twice.
CREATE OR REPLACE VIEW integrity_order_fulfillment AS
SELECT *
FROM (
    SELECT o.id AS order_id, o.number, o.fulfillment_status,
           orders_fulfillment_status(
               coalesce(sum(l.ordered - l.cancelled), 0), coalesce(sum(l.unallocated), 0), coalesce(sum(l.backordered), 0),
               coalesce(sum(l.shipped), 0), coalesce(sum(l.delivered), 0)) AS of_its_lines
    FROM orders o LEFT JOIN order_line l ON l.order_id = o.id AND l.kind <> 'BUNDLE'
    GROUP BY o.id
) s
WHERE fulfillment_status <> of_its_lines;

-- An order is cancelled when nothing of it is wanted any more, and at no other time.
CREATE OR REPLACE VIEW integrity_order_lifecycle AS
SELECT o.id AS order_id, o.number, o.lifecycle, coalesce(sum(l.ordered - l.cancelled), 0) AS wanted
FROM orders o LEFT JOIN order_line l ON l.order_id = o.id AND l.kind <> 'BUNDLE'
GROUP BY o.id
HAVING (o.lifecycle = 'CANCELLED') <> (coalesce(sum(l.ordered - l.cancelled), 0) = 0);

-- A bundle is allocated as often as all its parts are; it is ordered and cancelled together with them.
CREATE OR REPLACE VIEW integrity_order_bundles AS
SELECT coalesce(b.id, c.parent_id) AS line_id, coalesce(b.order_id, min(c.order_id::text)::uuid) AS order_id,
       b.ordered, b.cancelled, b.backordered, b.allocated, b.shipped, count(c.id) AS components,
       min(c.allocated / nullif(c.units_per_parent, 0)) AS components_allocated
FROM (SELECT * FROM order_line WHERE kind = 'BUNDLE') b
FULL JOIN (SELECT * FROM order_line WHERE parent_id IS NOT NULL OR kind = 'COMPONENT') c ON c.parent_id = b.id
GROUP BY b.id, b.order_id, b.ordered, b.cancelled, b.backordered, b.allocated, b.shipped, c.parent_id
HAVING b.id IS NULL OR count(c.id) = 0
    OR bool_or(c.order_id <> b.order_id
               OR c.ordered IS DISTINCT FROM b.ordered * c.units_per_parent
               OR c.cancelled IS DISTINCT FROM b.cancelled * c.units_per_parent)
    OR b.allocated IS DISTINCT FROM min(c.allocated / nullif(c.units_per_parent, 0))
    OR b.backordered <> b.ordered - b.cancelled - b.shipped - b.allocated;

-- The discounts as they were given, and what the order says they come to.
CREATE OR REPLACE VIEW integrity_order_discounts AS
SELECT o.id AS order_id, o.number, o.discount_minor, coalesce(d.given, 0) AS given_minor
FROM orders o
LEFT JOIN (SELECT order_id, sum(amount_minor) AS given FROM order_discount GROUP BY order_id) d ON d.order_id = o.id
WHERE o.discount_minor <> coalesce(d.given, 0);

-- A line bears its own discounts and a share of the order's; which share is not kept, so it bears no less than its own.
CREATE OR REPLACE VIEW integrity_order_line_discounts AS
SELECT d.line_id, d.order_id, l.discount_minor, d.given AS given_minor
FROM (
    SELECT order_id, line_id, sum(amount_minor) AS given FROM order_discount WHERE line_id IS NOT NULL
    GROUP BY order_id, line_id
) d
LEFT JOIN order_line l ON l.id = d.line_id AND l.order_id = d.order_id
WHERE l.id IS NULL OR l.discount_minor < d.given;
