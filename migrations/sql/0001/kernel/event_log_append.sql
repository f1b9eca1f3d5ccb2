-- Adds one event to the log. Its position is given later, by the relay's leader.
CREATE OR REPLACE FUNCTION event_log_append(
    p_aggregate text, p_subject uuid, p_version bigint, p_type text,
    p_topics text[], p_payload jsonb, p_actor text, p_now timestamptz
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO event_log (aggregate, subject, version, type, topics, payload, actor, occurred_at)
    VALUES (p_aggregate, p_subject, p_version, p_type, p_topics, p_payload, p_actor, p_now)
$$;
