-- Holds stock for a checkout: reservation, ledger and event first, then the guarded updates, in sorted order.
--
-- One row of the arrays for each balance; the caller has added up SKUs named twice.
-- Refuses STOCK_TAKEN.
CREATE OR REPLACE FUNCTION inventory_reserve(
    p_principal text, p_key text, p_sha256 bytea, p_now timestamptz, p_key_expires timestamptz,
    p_id uuid, p_token text, p_channel uuid, p_expires timestamptz,
    p_sku uuid[], p_location uuid[], p_owner text[], p_units int[], p_floor int[],
    p_topics text[], p_payload jsonb
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    result jsonb := jsonb_build_object('reservationId', p_id, 'token', p_token);
    stored jsonb;
    balance record;
BEGIN
    stored := idempotency_claim(p_principal, p_key, p_sha256, p_now, p_key_expires, result);
    IF stored IS NOT NULL THEN
        RETURN stored;
    END IF;

    INSERT INTO reservation (id, token, channel_id, status, expires_at, created_by, created_at, version)
    VALUES (p_id, p_token, p_channel, 'OPEN', p_expires, p_principal, p_now, 1);

    INSERT INTO reservation_line (reservation_id, sku_id, location_id, owner, units)
    SELECT p_id, sku, location, owner, units
    FROM unnest(p_sku, p_location, p_owner, p_units) AS l (sku, location, owner, units);

    INSERT INTO stock_movement (sku_id, location_id, owner, type, d_reserved, cause_id, actor, occurred_at)
    SELECT sku, location, owner, 'RESERVE', units, p_id, p_principal, p_now
    FROM unnest(p_sku, p_location, p_owner, p_units) AS l (sku, location, owner, units);

    PERFORM event_log_append('reservation', p_id, 1, 'StockReserved', p_topics, p_payload, p_principal, p_now);

    FOR balance IN
        SELECT * FROM unnest(p_sku, p_location, p_owner, p_units, p_floor) AS l (sku, location, owner, units, floor)
        ORDER BY sku, location, owner
    LOOP
        UPDATE stock_level
        SET reserved = reserved + balance.units, version = version + 1, updated_at = p_now
        WHERE sku_id = balance.sku AND location_id = balance.location AND stock_level.owner = balance.owner
          AND on_hand - allocated - reserved - damaged - quality_control
              - greatest(safety_stock, balance.floor) >= balance.units;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'STOCK_TAKEN' USING ERRCODE = 'OW001',
                DETAIL = jsonb_build_object('sku_id', balance.sku, 'location_id', balance.location)::text;
        END IF;
    END LOOP;
    RETURN result;
END $$;
