-- One view for each invariant of stock; every row is a violation, an empty view is health.

CREATE OR REPLACE VIEW integrity_stock_ledger AS
SELECT coalesce(s.sku_id, m.sku_id) AS sku_id, coalesce(s.location_id, m.location_id) AS location_id,
       coalesce(s.owner, m.owner) AS owner,
       s.on_hand, m.on_hand AS ledger_on_hand, s.allocated, m.allocated AS ledger_allocated,
       s.reserved, m.reserved AS ledger_reserved, s.damaged, m.damaged AS ledger_damaged,
       s.quality_control, m.quality_control AS ledger_quality_control
FROM stock_level s
FULL JOIN (
    SELECT sku_id, location_id, owner, sum(d_on_hand) AS on_hand, sum(d_allocated) AS allocated,
           sum(d_reserved) AS reserved, sum(d_damaged) AS damaged, sum(d_quality_control) AS quality_control
    FROM stock_movement GROUP BY sku_id, location_id, owner
) m ON m.sku_id = s.sku_id AND m.location_id = s.location_id AND m.owner = s.owner
WHERE (coalesce(s.on_hand, 0), coalesce(s.allocated, 0), coalesce(s.reserved, 0), coalesce(s.damaged, 0), coalesce(s.quality_control, 0))
   <> (coalesce(m.on_hand, 0), coalesce(m.allocated, 0), coalesce(m.reserved, 0), coalesce(m.damaged, 0), coalesce(m.quality_control, 0));

CREATE OR REPLACE VIEW integrity_stock_oversold AS
SELECT sku_id, location_id, owner, on_hand, allocated, reserved, damaged, quality_control
FROM stock_level
WHERE least(on_hand, allocated, reserved, damaged, quality_control, safety_stock) < 0
   OR allocated + reserved + damaged + quality_control > on_hand;

CREATE OR REPLACE VIEW integrity_stock_allocated AS
SELECT coalesce(s.sku_id, a.sku_id) AS sku_id, coalesce(s.location_id, a.location_id) AS location_id,
       coalesce(s.owner, a.owner) AS owner, coalesce(s.allocated, 0) AS allocated, coalesce(a.units, 0) AS open_allocations
FROM (SELECT * FROM stock_level WHERE allocated <> 0) s
FULL JOIN (
    SELECT sku_id, location_id, owner, sum(units) AS units FROM allocation WHERE status = 'OPEN'
    GROUP BY sku_id, location_id, owner
) a ON a.sku_id = s.sku_id AND a.location_id = s.location_id AND a.owner = s.owner
WHERE coalesce(s.allocated, 0) <> coalesce(a.units, 0);

CREATE OR REPLACE VIEW integrity_stock_reserved AS
SELECT coalesce(s.sku_id, r.sku_id) AS sku_id, coalesce(s.location_id, r.location_id) AS location_id,
       coalesce(s.owner, r.owner) AS owner, coalesce(s.reserved, 0) AS reserved, coalesce(r.units, 0) AS open_reservations
FROM (SELECT * FROM stock_level WHERE reserved <> 0) s
FULL JOIN (
    SELECT l.sku_id, l.location_id, l.owner, sum(l.units) AS units
    FROM reservation_line l JOIN reservation o ON o.id = l.reservation_id WHERE o.status = 'OPEN'
    GROUP BY l.sku_id, l.location_id, l.owner
) r ON r.sku_id = s.sku_id AND r.location_id = s.location_id AND r.owner = s.owner
WHERE coalesce(s.reserved, 0) <> coalesce(r.units, 0);

-- What other areas' views compare with.
CREATE OR REPLACE VIEW inventory_open_allocations AS
SELECT order_line_id, sum(units) AS units FROM allocation WHERE status = 'OPEN' GROUP BY order_line_id;

CREATE OR REPLACE VIEW inventory_backordered AS
SELECT sku_id, units FROM backorder_level WHERE units <> 0;

CREATE OR REPLACE VIEW inventory_claims AS
SELECT sku_id, channel_id, units FROM backorder_claim WHERE units <> 0;
