-- The active locations that serve these channels, each with what the channel keeps back there.
CREATE OR REPLACE FUNCTION network_channel_floors(p_channels uuid[])
RETURNS TABLE (channel_id uuid, location_id uuid, priority int, safety_stock int) LANGUAGE sql STABLE AS $$
    SELECT c.channel_id, c.location_id, c.priority, c.safety_stock
    FROM channel_location c JOIN location l ON l.id = c.location_id
    WHERE c.channel_id = ANY (p_channels) AND l.active
$$;
