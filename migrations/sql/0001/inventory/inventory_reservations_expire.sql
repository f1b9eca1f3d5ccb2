-- Closes at most p_limit reservations whose time is over, oldest first; passes over those that others hold locked.
-- Returns how many were closed. Safe to run from several workers at once.
CREATE OR REPLACE FUNCTION inventory_reservations_expire(p_now timestamptz, p_limit int, p_actor text)
RETURNS int LANGUAGE sql AS $$
    SELECT inventory_reservations_close(
        ARRAY(SELECT id FROM reservation WHERE status = 'OPEN' AND expires_at <= p_now
              ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED),
        'EXPIRED', p_now, p_actor)
$$;
