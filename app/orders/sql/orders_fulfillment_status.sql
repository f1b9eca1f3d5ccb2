-- How far units have come, taken together: the rule of app/orders/rules.py, for the view that compares with it.
CREATE OR REPLACE FUNCTION orders_fulfillment_status(
    p_wanted bigint, p_unallocated bigint, p_backordered bigint, p_shipped bigint, p_delivered bigint
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_wanted = 0 THEN 'CANCELLED'
        WHEN p_delivered > 0 THEN CASE WHEN p_delivered = p_wanted THEN 'DELIVERED' ELSE 'PARTIALLY_DELIVERED' END
        WHEN p_shipped > 0 THEN CASE WHEN p_shipped = p_wanted THEN 'SHIPPED' ELSE 'PARTIALLY_SHIPPED' END
        WHEN p_unallocated > 0 THEN 'UNALLOCATED'
        WHEN p_backordered > 0 THEN 'BACKORDERED'
        ELSE 'SCHEDULED'
    END
$$;
