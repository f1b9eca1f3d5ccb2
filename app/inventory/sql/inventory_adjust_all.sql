-- Changes balances by hand, for a set of calls in one transaction: ledger and events first, then the guarded updates.
--
-- A set is the columns of its calls joined: of p_id to p_results one entry a call, of the others one for each balance
-- of each call; a balance that does not exist yet starts at nothing.
-- p_topics    the event's, with spaces between;  p_payloads, p_results  lists
-- p_compare   per balance: NULL, or the units on hand that the caller believes are there
-- Locks: balances by (sku, location, owner); of those that several calls change, in the order of the calls.
-- Refuses STOCK_COMPARE_FAILED, STOCK_BELOW_COMMITTED, and what idempotency_claim_all refuses.
CREATE OR REPLACE FUNCTION inventory_adjust_all(
    p_principal text[], p_key text[], p_sha256 bytea[], p_now timestamptz[], p_key_expires timestamptz[],
    p_id uuid[], p_type text[], p_event text[], p_reason text[], p_reference text[], p_topics text[], p_payloads jsonb,
    p_results jsonb,
    p_adjustment uuid[], p_sku uuid[], p_location uuid[], p_owner text[],
    p_d_on_hand int[], p_d_damaged int[], p_d_quality_control int[], p_compare int[]
) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    stored jsonb;
    change record;
    level stock_level;
BEGIN
    stored := idempotency_claim_all(p_principal, p_key, p_sha256, p_now, p_key_expires, p_results);
    IF stored IS NOT NULL THEN
        RETURN stored;
    END IF;

    INSERT INTO stock_movement (sku_id, location_id, owner, type, d_on_hand, d_damaged, d_quality_control,
                                reason, reference, cause_id, actor, occurred_at)
    SELECT c.sku, c.location, c.owner, a.type, c.on_hand, c.damaged, c.quality_control,
           a.reason, a.reference, a.id, a.principal, a.now_
    FROM unnest(p_adjustment, p_sku, p_location, p_owner, p_d_on_hand, p_d_damaged, p_d_quality_control)
         AS c (adjustment, sku, location, owner, on_hand, damaged, quality_control)
    JOIN unnest(p_id, p_type, p_reason, p_reference, p_principal, p_now)
         AS a (id, type, reason, reference, principal, now_) ON a.id = c.adjustment;

    INSERT INTO event_log (aggregate, subject, version, type, topics, payload, actor, occurred_at)
    SELECT 'stock_adjustment', id, 1, event, string_to_array(topics, ' '), payload, actor, now_
    FROM ROWS FROM (
        unnest(p_id), unnest(p_event), unnest(p_topics), jsonb_array_elements(p_payloads), unnest(p_principal), unnest(p_now)
    ) WITH ORDINALITY AS e (id, event, topics, payload, actor, now_, n)
    ORDER BY n;

    FOR change IN
        SELECT * FROM unnest(p_sku, p_location, p_owner, p_d_on_hand, p_d_damaged, p_d_quality_control, p_compare)
             WITH ORDINALITY AS c (sku, location, owner, d_on_hand, d_damaged, d_quality_control, compare, n)
        ORDER BY sku, location, owner, n
    LOOP
        LOOP
            UPDATE stock_level
            SET on_hand = on_hand + change.d_on_hand, damaged = damaged + change.d_damaged,
                quality_control = quality_control + change.d_quality_control,
                version = version + 1, updated_at = p_now[1]
            WHERE sku_id = change.sku AND location_id = change.location AND stock_level.owner = change.owner
              AND (change.compare IS NULL OR on_hand = change.compare)
              AND damaged + change.d_damaged >= 0 AND quality_control + change.d_quality_control >= 0
              AND on_hand + change.d_on_hand >= allocated + reserved
                  + damaged + change.d_damaged + quality_control + change.d_quality_control;
            EXIT WHEN FOUND;

            INSERT INTO stock_level (sku_id, location_id, owner, updated_at)
            VALUES (change.sku, change.location, change.owner, p_now[1])
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
    RETURN p_results;
END $$;
