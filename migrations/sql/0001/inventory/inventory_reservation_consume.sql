-- Marks a reservation as used up by an order; its units move in the caller's stock updates.
-- Refuses RESERVATION_CLOSED where it is not open any more or its time is over, whether or not the timer has run.
CREATE OR REPLACE FUNCTION inventory_reservation_consume(
    p_reservation uuid, p_order uuid, p_now timestamptz, p_actor text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    closed reservation;
BEGIN
    UPDATE reservation SET status = 'CONSUMED', version = version + 1
    WHERE id = p_reservation AND status = 'OPEN' AND expires_at > p_now
    RETURNING * INTO closed;
    IF NOT FOUND THEN
        SELECT * INTO closed FROM reservation WHERE id = p_reservation;
        RAISE EXCEPTION 'RESERVATION_CLOSED' USING ERRCODE = 'OW001', DETAIL = jsonb_build_object(
            'status', CASE WHEN closed.status = 'OPEN' THEN 'EXPIRED' ELSE closed.status END,
            'expires_at', closed.expires_at)::text;
    END IF;
    PERFORM event_log_append(
        'reservation', closed.id, closed.version, 'ReservationConsumed', ARRAY['reservation:' || closed.id],
        jsonb_build_object('orderId', p_order), p_actor, p_now);
END $$;
