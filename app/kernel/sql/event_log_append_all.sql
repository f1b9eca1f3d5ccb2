-- Adds the first event of each of several new aggregates to the log, in the order of the arrays.
--
-- p_topics  those of each event, with spaces between;  p_payloads  a list
CREATE OR REPLACE FUNCTION event_log_append_all(
    p_aggregate text, p_type text, p_subject uuid[], p_topics text[], p_payloads jsonb, p_actor text[], p_now timestamptz[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_log (aggregate, subject, version, type, topics, payload, actor, occurred_at)
    SELECT p_aggregate, subject, 1, p_type, string_to_array(topics, ' '), payload, actor, now_
    FROM ROWS FROM (
        unnest(p_subject), unnest(p_topics), jsonb_array_elements(p_payloads), unnest(p_actor), unnest(p_now)
    ) WITH ORDINALITY AS e (subject, topics, payload, actor, now_, n)
    ORDER BY n;
END $$;
