-- Versions of an aggregate are dense and start at one, as far back as the log is kept; positions are dense.
CREATE OR REPLACE VIEW integrity_event_versions AS
SELECT aggregate, subject, count(*) AS events, min(version) AS first_version, max(version) AS last_version
FROM event_log
GROUP BY aggregate, subject
HAVING max(version) - min(version) + 1 <> count(*)
    OR (min(version) <> 1 AND (SELECT pruned_pos FROM relay_shard WHERE shard = 0) = 0);

CREATE OR REPLACE VIEW integrity_event_positions AS
SELECT s.shard, s.pos AS head, s.pruned_pos, e.positioned, e.last_pos
FROM relay_shard s
LEFT JOIN (SELECT shard, count(pos) AS positioned, max(pos) AS last_pos FROM event_log GROUP BY shard) e USING (shard)
WHERE coalesce(e.positioned, 0) <> s.pos - s.pruned_pos OR coalesce(e.last_pos, s.pruned_pos) <> s.pos;
