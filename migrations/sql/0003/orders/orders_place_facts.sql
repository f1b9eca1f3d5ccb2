-- What placing one order decides from, in one read; NULL where there is no such channel.
--
-- p_customer  external code, p_token of a reservation, p_external_ref: NULL where the order names none
CREATE OR REPLACE FUNCTION orders_place_facts(
    p_channel_code text, p_currency text, p_codes text[], p_customer text, p_token text, p_external_ref text
) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    facts jsonb := sourcing_facts(p_channel_code, p_currency, p_codes);
BEGIN
    IF facts IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object(
        'sourcing', facts,
        'reservation', CASE WHEN p_token IS NOT NULL THEN inventory_reservation_facts(p_token) END,
        'customer', CASE WHEN p_customer IS NOT NULL THEN customers_facts(p_customer) END,
        'existing', CASE WHEN p_external_ref IS NOT NULL THEN (
            SELECT number FROM orders
            WHERE channel_id = (facts #>> '{channel,id}')::uuid AND external_ref = p_external_ref) END
    );
END $$;
