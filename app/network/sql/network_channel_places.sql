-- The active locations that serve a channel, in its order: each with its place in it, and what the channel keeps back.
CREATE OR REPLACE FUNCTION network_channel_places(p_channel uuid)
RETURNS TABLE (location_id uuid, code text, name text, place bigint, safety_stock int) LANGUAGE sql STABLE AS $$
    SELECT l.id, l.code, l.name, row_number() OVER (ORDER BY c.priority, l.code), c.safety_stock
    FROM channel_location c JOIN location l ON l.id = c.location_id
    WHERE c.channel_id = p_channel AND l.active
$$;
