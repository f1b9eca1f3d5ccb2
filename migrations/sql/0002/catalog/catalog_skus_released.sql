-- Those of these SKUs that are sold from stock: tracked, no bundle, and past their release.
CREATE OR REPLACE FUNCTION catalog_skus_released(p_skus uuid[], p_now timestamptz) RETURNS SETOF uuid
LANGUAGE sql STABLE AS $$
    SELECT id FROM sku
    WHERE id = ANY (p_skus) AND stock_tracked AND NOT bundle
      AND (preorder_release_at IS NULL OR preorder_release_at <= p_now)
$$;
