-- What can be sold of the SKUs with these codes.
CREATE OR REPLACE FUNCTION catalog_skus_named(p_codes text[])
RETURNS TABLE (id uuid, code text, active bool, stock_tracked bool, bundle bool, backorder_limit int,
               preorder_release_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT s.id, s.code, s.active, s.stock_tracked, s.bundle, s.backorder_limit, s.preorder_release_at
    FROM sku s WHERE s.code = ANY (p_codes)
$$;
