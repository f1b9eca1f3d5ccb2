-- Claims a key for the caller's transaction. NULL: the key is yours, go ahead. Otherwise the result that the first
-- request with this key committed. Waits for a first request still under way, so that of two at once one takes effect.
-- Refuses IDEMPOTENCY_KEY_REUSED where the first request had other input.
CREATE OR REPLACE FUNCTION idempotency_claim(
    p_principal text, p_key text, p_sha256 bytea, p_now timestamptz, p_expires timestamptz, p_result jsonb
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    stored record;
BEGIN
    IF p_key IS NULL THEN
        RETURN NULL;
    END IF;
    LOOP
        INSERT INTO idempotency_key (principal, key, request_sha256, result, created_at, expires_at)
        VALUES (p_principal, p_key, p_sha256, p_result, p_now, p_expires)
        ON CONFLICT (principal, key) DO NOTHING;
        IF FOUND THEN
            RETURN NULL;
        END IF;

        SELECT request_sha256, result, expires_at INTO stored
        FROM idempotency_key WHERE principal = p_principal AND key = p_key;
        CONTINUE WHEN NOT FOUND;  -- pruned between the two statements

        IF stored.expires_at <= p_now THEN
            DELETE FROM idempotency_key WHERE principal = p_principal AND key = p_key AND expires_at <= p_now;
            CONTINUE;
        END IF;
        IF stored.request_sha256 <> p_sha256 THEN
            RAISE EXCEPTION 'IDEMPOTENCY_KEY_REUSED' USING ERRCODE = 'OW001', DETAIL = jsonb_build_object('key', p_key)::text;
        END IF;
        RETURN stored.result;
    END LOOP;
END $$;
