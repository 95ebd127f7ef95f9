SET 'table.local-time-zone' = 'UTC';
CREATE TABLE t (x STRING, `y z` TIMESTAMP_LTZ(3)) WITH (
  'connector' = 'filesystem', 'path' = 'in/*.csv', 'format' = 'csv', 'csv.field-delimiter' = ';'
);
INSERT INTO out SELECT w, CAST(`y z` AS STRING) AS y FROM t CROSS JOIN UNNEST(SPLIT(x, ' ')) AS s (w)
UNION ALL SELECT UPPER(k), DATE_FORMAT(ts, 'yyyy-MM') FROM bid;
