-- The reservation of a token: {id, channelId, status, expiresAt, lines: [[sku, location, owner, units], …]}, or NULL.
CREATE OR REPLACE FUNCTION inventory_reservation_facts(p_token text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('id', r.id, 'channelId', r.channel_id, 'status', r.status, 'expiresAt', r.expires_at,
            'lines', (SELECT jsonb_agg(jsonb_build_array(sku_id, location_id, owner, units))
                      FROM reservation_line WHERE reservation_id = r.id))
        FROM reservation r WHERE r.token = p_token
    );
END $$;
