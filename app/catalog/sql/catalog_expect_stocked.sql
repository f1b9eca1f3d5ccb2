-- Ends a transaction that puts SKUs in stock, or lets orders wait for them, which meanwhile became services or bundles.
--
-- Called after the write that inventory_skus_in_use locks out. It ends as others' writes end that came too close, so
-- that the caller tries again, reads what the SKU is now, and decides on that.
CREATE OR REPLACE FUNCTION catalog_expect_stocked(p_skus uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM sku WHERE id = ANY (p_skus) AND (bundle OR NOT stock_tracked)) THEN
        RAISE EXCEPTION 'a SKU has just become a service or a bundle' USING ERRCODE = 'serialization_failure';
    END IF;
END $$;
