-- Holds stock for a set of checkouts in one transaction: reservations, ledger and events first, then the guarded updates.
--
-- A set is the columns of its calls joined: of p_id, p_token, p_channel, p_expires, p_topics and p_payloads one entry a
-- call, of the others one for each balance; the caller has added up SKUs named twice.
-- p_topics  the event's, with spaces between;  p_payloads  a list
-- Returns a list with the result of each call.  Refuses STOCK_TAKEN, and what idempotency_claim_all refuses.
CREATE OR REPLACE FUNCTION inventory_reserve_all(
    p_principal text[], p_key text[], p_sha256 bytea[], p_now timestamptz[], p_key_expires timestamptz[],
    p_id uuid[], p_token text[], p_channel uuid[], p_expires timestamptz[], p_topics text[], p_payloads jsonb,
    p_reservation uuid[], p_sku uuid[], p_location uuid[], p_owner text[], p_units int[], p_floor int[]
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    results constant jsonb := (
        SELECT jsonb_agg(jsonb_build_object('reservationId', id, 'token', token) ORDER BY n)
        FROM unnest(p_id, p_token) WITH ORDINALITY AS r (id, token, n));
    stored jsonb;
BEGIN
    stored := idempotency_claim_all(p_principal, p_key, p_sha256, p_now, p_key_expires, results);
    IF stored IS NOT NULL THEN
        RETURN stored;
    END IF;

    INSERT INTO reservation (id, token, channel_id, status, expires_at, created_by, created_at, version)
    SELECT id, token, channel, 'OPEN', expires, principal, now_, 1
    FROM unnest(p_id, p_token, p_channel, p_expires, p_principal, p_now)
         AS r (id, token, channel, expires, principal, now_);

    INSERT INTO reservation_line (reservation_id, sku_id, location_id, owner, units)
    SELECT reservation, sku, location, owner, units
    FROM unnest(p_reservation, p_sku, p_location, p_owner, p_units) AS l (reservation, sku, location, owner, units);

    INSERT INTO stock_movement (sku_id, location_id, owner, type, d_reserved, cause_id, actor, occurred_at)
    SELECT l.sku, l.location, l.owner, 'RESERVE', l.units, r.id, r.principal, r.now_
    FROM unnest(p_reservation, p_sku, p_location, p_owner, p_units) AS l (reservation, sku, location, owner, units)
    JOIN unnest(p_id, p_principal, p_now) AS r (id, principal, now_) ON r.id = l.reservation;

    PERFORM event_log_append_all('reservation', 'StockReserved', p_id, p_topics, p_payloads, p_principal, p_now);

    PERFORM inventory_take(
        p_sku, p_location, p_owner, array_fill(0, ARRAY[cardinality(p_units)]), p_units, p_floor, p_now[1]);
    RETURN results;
END $$;
