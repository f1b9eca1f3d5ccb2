-- The id of the channel of this code, or of the one that the caller is bound to where no code is given, as far as the
-- caller may sell or ask in it; NULL otherwise.
--
-- p_bound   the channel that the caller is bound to; NULL for none
-- p_public  whether the caller is a shop's visitor, to whom a closed channel does not exist
CREATE OR REPLACE FUNCTION network_channel_for(p_code text, p_bound uuid, p_public bool) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found record;
BEGIN
    IF p_code IS NULL THEN
        SELECT c.id, c.active INTO found FROM channel c WHERE c.id = p_bound;
    ELSE
        SELECT c.id, c.active INTO found FROM channel c WHERE c.code = p_code;
    END IF;
    IF found.id <> coalesce(p_bound, found.id) OR (p_public AND NOT found.active) THEN
        RETURN NULL;
    END IF;
    RETURN found.id;
END $$;
