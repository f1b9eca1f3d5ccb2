-- What placing an order needs to know of its customer, or NULL where nobody has this code:
-- {id, active, name, companyName, addresses: {kind: the default of that kind, keys as an order's address has them}}.
-- An address that names nobody is for the customer.
-- PL/pgSQL, so that the plan is kept by the connection.
CREATE OR REPLACE FUNCTION customers_facts(p_code text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object(
            'id', c.id, 'active', c.active, 'name', c.name, 'companyName', c.company_name,
            'addresses', coalesce((
                SELECT jsonb_object_agg(a.kind, jsonb_build_object(
                    'name', coalesce(a.name, c.name),
                    'company', CASE WHEN a.name IS NULL THEN coalesce(a.company, c.company_name) ELSE a.company END,
                    'lines', a.lines, 'city', a.city, 'region', a.region, 'postcode', a.postcode, 'country', a.country,
                    'phone', a.phone, 'latitude', a.latitude, 'longitude', a.longitude))
                FROM customer_address a WHERE a.customer_id = c.id AND a.is_default), '{}'))
        FROM customer c WHERE c.code = p_code);
END $$;
