-- {code: id} of the locations that exist among these codes.
CREATE OR REPLACE FUNCTION network_location_ids(p_codes text[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(code, id), '{}') FROM location WHERE code = ANY (p_codes)
$$;
