-- The id of a customer by its external code, or NULL.
CREATE OR REPLACE FUNCTION customers_id(p_code text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT id FROM customer WHERE code = p_code
$$;
