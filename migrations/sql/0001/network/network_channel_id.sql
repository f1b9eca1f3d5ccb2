-- The id of a channel by its code, or NULL.
CREATE OR REPLACE FUNCTION network_channel_id(p_code text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT id FROM channel WHERE code = p_code
$$;
