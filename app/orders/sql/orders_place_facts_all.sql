-- What placing orders in one channel decides from, in one read for all of them; NULL where there is no such channel:
-- {sourcing, reservations: {token: …}, customers: {code: …}, existing: {external reference: number}}.
--
-- p_codes         the SKUs of all orders; whoever has an order takes those of it
-- p_customers     external codes, p_tokens of reservations, p_external_refs: of the orders that name one
CREATE OR REPLACE FUNCTION orders_place_facts_all(
    p_channel_code text, p_currency text, p_codes text[], p_customers text[], p_tokens text[], p_external_refs text[]
) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    facts jsonb := sourcing_facts(p_channel_code, p_currency, p_codes);
BEGIN
    IF facts IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN jsonb_build_object(
        'sourcing', facts,
        'reservations', CASE WHEN cardinality(p_tokens) > 0 THEN (
            SELECT jsonb_object_agg(token, inventory_reservation_facts(token)) FROM unnest(p_tokens) AS t (token)) END,
        'customers', CASE WHEN cardinality(p_customers) > 0 THEN (
            SELECT jsonb_object_agg(code, customers_facts(code)) FROM unnest(p_customers) AS c (code)) END,
        'existing', CASE WHEN cardinality(p_external_refs) > 0 THEN (
            SELECT jsonb_object_agg(external_ref, number) FROM orders
            WHERE channel_id = (facts #>> '{channel,id}')::uuid AND external_ref = ANY (p_external_refs)) END
    );
END $$;
