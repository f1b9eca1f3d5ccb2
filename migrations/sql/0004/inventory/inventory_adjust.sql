-- Changes balances by hand: ledger and event first, then the guarded updates, in sorted order.
--
-- p_compare  per balance: NULL, or the units on hand that the caller believes are there
-- One row of the arrays for each balance; a balance that does not exist yet starts at nothing.
-- Refuses STOCK_COMPARE_FAILED, STOCK_BELOW_COMMITTED.
CREATE OR REPLACE FUNCTION inventory_adjust(
    p_principal text, p_key text, p_sha256 bytea, p_now timestamptz, p_key_expires timestamptz,
    p_id uuid, p_type text, p_reason text, p_reference text, p_event text,
    p_sku uuid[], p_location uuid[], p_owner text[],
    p_d_on_hand int[], p_d_damaged int[], p_d_quality_control int[], p_compare int[],
    p_topics text[], p_payload jsonb, p_result jsonb
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    stored jsonb;
    change record;
    level stock_level;
BEGIN
    stored := idempotency_claim(p_principal, p_key, p_sha256, p_now, p_key_expires, p_result);
    IF stored IS NOT NULL THEN
        RETURN stored;
    END IF;

    INSERT INTO stock_movement (sku_id, location_id, owner, type, d_on_hand, d_damaged, d_quality_control,
                                reason, reference, cause_id, actor, occurred_at)
    SELECT sku, location, owner, p_type, on_hand, damaged, quality_control, p_reason, p_reference, p_id, p_principal, p_now
    FROM unnest(p_sku, p_location, p_owner, p_d_on_hand, p_d_damaged, p_d_quality_control)
         AS c (sku, location, owner, on_hand, damaged, quality_control);

    PERFORM event_log_append('stock_adjustment', p_id, 1, p_event, p_topics, p_payload, p_principal, p_now);

    FOR change IN
        SELECT * FROM unnest(p_sku, p_location, p_owner, p_d_on_hand, p_d_damaged, p_d_quality_control, p_compare)
             AS c (sku, location, owner, d_on_hand, d_damaged, d_quality_control, compare)
        ORDER BY sku, location, owner
    LOOP
        LOOP
            UPDATE stock_level
            SET on_hand = on_hand + change.d_on_hand, damaged = damaged + change.d_damaged,
                quality_control = quality_control + change.d_quality_control,
                version = version + 1, updated_at = p_now
            WHERE sku_id = change.sku AND location_id = change.location AND stock_level.owner = change.owner
              AND (change.compare IS NULL OR on_hand = change.compare)
              AND damaged + change.d_damaged >= 0 AND quality_control + change.d_quality_control >= 0
              AND on_hand + change.d_on_hand >= allocated + reserved
                  + damaged + change.d_damaged + quality_control + change.d_quality_control;
            EXIT WHEN FOUND;

            INSERT INTO stock_level (sku_id, location_id, owner, updated_at)
            VALUES (change.sku, change.location, change.owner, p_now)
            ON CONFLICT DO NOTHING;

            SELECT * INTO level FROM stock_level
            WHERE sku_id = change.sku AND location_id = change.location AND stock_level.owner = change.owner
            FOR UPDATE;
            IF level.on_hand <> change.compare THEN
                RAISE EXCEPTION 'STOCK_COMPARE_FAILED' USING ERRCODE = 'OW001', DETAIL = jsonb_build_object(
                    'sku_id', change.sku, 'location_id', change.location,
                    'expected', change.compare, 'actual', level.on_hand)::text;
            END IF;
            IF level.damaged + change.d_damaged < 0 OR level.quality_control + change.d_quality_control < 0
               OR level.on_hand + change.d_on_hand < level.allocated + level.reserved
                  + level.damaged + change.d_damaged + level.quality_control + change.d_quality_control THEN
                RAISE EXCEPTION 'STOCK_BELOW_COMMITTED' USING ERRCODE = 'OW001', DETAIL = jsonb_build_object(
                    'sku_id', change.sku, 'location_id', change.location, 'on_hand', level.on_hand,
                    'allocated', level.allocated, 'reserved', level.reserved,
                    'damaged', level.damaged, 'quality_control', level.quality_control)::text;
            END IF;
            -- A new balance, or one that has changed to allow it meanwhile: locked now, so the next round settles it.
        END LOOP;
    END LOOP;
    PERFORM catalog_expect_stocked(ARRAY(SELECT sku FROM unnest(p_sku, p_d_on_hand) AS c (sku, units) WHERE units > 0));
    RETURN p_result;
END $$;
