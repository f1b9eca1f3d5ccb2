-- What placing an order needs to know of its customer: {id, active}, or NULL where nobody has this code.
CREATE OR REPLACE FUNCTION customers_facts(p_code text) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', id, 'active', active) FROM customer WHERE code = p_code
$$;
