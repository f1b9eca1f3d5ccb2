-- Gives back what reservations hold, as RELEASED or EXPIRED. Ids that are not open any more are passed over.
-- Returns how many were closed.
-- Locks: the reservations by id, then balances by (sku, location, owner).
CREATE OR REPLACE FUNCTION inventory_reservations_close(
    p_ids uuid[], p_status text, p_now timestamptz, p_actor text
) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
    closing record;
    balance record;
BEGIN
    SELECT array_agg(id) INTO ids FROM (
        SELECT id FROM reservation WHERE id = ANY (p_ids) AND status = 'OPEN' ORDER BY id FOR UPDATE
    ) AS locked;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;

    INSERT INTO stock_movement (sku_id, location_id, owner, type, d_reserved, cause_id, actor, occurred_at)
    SELECT sku_id, location_id, owner, CASE p_status WHEN 'EXPIRED' THEN 'EXPIRE' ELSE 'RELEASE' END,
           -units, reservation_id, p_actor, p_now
    FROM reservation_line WHERE reservation_id = ANY (ids);

    FOR closing IN
        UPDATE reservation SET status = p_status, version = version + 1 WHERE id = ANY (ids)
        RETURNING id, version, channel_id
    LOOP
        PERFORM event_log_append(
            'reservation', closing.id, closing.version,
            CASE p_status WHEN 'EXPIRED' THEN 'ReservationExpired' ELSE 'ReservationReleased' END,
            ARRAY['reservation:' || closing.id, 'stock'] || ARRAY(
                SELECT DISTINCT 'sku:' || sku_id FROM reservation_line WHERE reservation_id = closing.id),
            jsonb_build_object('stock', (
                SELECT jsonb_agg(jsonb_build_array(sku_id, location_id, owner))
                FROM reservation_line WHERE reservation_id = closing.id)),
            p_actor, p_now);
    END LOOP;

    FOR balance IN
        SELECT sku_id, location_id, owner, sum(units)::int AS units
        FROM reservation_line WHERE reservation_id = ANY (ids)
        GROUP BY sku_id, location_id, owner ORDER BY sku_id, location_id, owner
    LOOP
        UPDATE stock_level
        SET reserved = reserved - balance.units, version = version + 1, updated_at = p_now
        WHERE sku_id = balance.sku_id AND location_id = balance.location_id AND stock_level.owner = balance.owner;
    END LOOP;
    RETURN cardinality(ids);
END $$;
