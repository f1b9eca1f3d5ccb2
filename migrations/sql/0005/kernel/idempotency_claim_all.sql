-- Claims the keys of all calls of a set for the caller's transaction. NULL: all are yours, go ahead. Otherwise what the
-- first request with the key committed, of a set of one; of several calls each is to be made alone.
--
-- p_results  a list with the result of each call
-- Locks: keys by (principal, key), before anything else of the same transaction.
-- Refuses IDEMPOTENCY_KEY_REUSED, and OW002 where one of several keys is taken or comes twice.
CREATE OR REPLACE FUNCTION idempotency_claim_all(
    p_principal text[], p_key text[], p_sha256 bytea[], p_now timestamptz[], p_expires timestamptz[], p_results jsonb
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    stored jsonb;
    claimed int;
BEGIN
    IF cardinality(p_key) = 1 THEN
        stored := idempotency_claim(
            p_principal[1], p_key[1], p_sha256[1], p_now[1], p_expires[1], p_results -> 0);
        RETURN CASE WHEN stored IS NOT NULL THEN jsonb_build_array(stored) END;
    END IF;

    INSERT INTO idempotency_key (principal, key, request_sha256, result, created_at, expires_at)
    SELECT principal, key, sha256, p_results -> (n - 1)::int, now_, expires
    FROM unnest(p_principal, p_key, p_sha256, p_now, p_expires) WITH ORDINALITY
         AS k (principal, key, sha256, now_, expires, n)
    WHERE key IS NOT NULL
    ORDER BY principal, key
    ON CONFLICT (principal, key) DO NOTHING;
    GET DIAGNOSTICS claimed = ROW_COUNT;
    IF claimed < cardinality(array_remove(p_key, NULL)) THEN
        RAISE EXCEPTION 'a key of the set is taken: make each call alone' USING ERRCODE = 'OW002';
    END IF;
    RETURN NULL;
END $$;
