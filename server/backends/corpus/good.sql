SELECT id, name FROM res_partner WHERE active = false LIMIT 10

SELECT state, count(*) FROM sale_order GROUP BY state

select count(*) from res_partner

SELECT * FROM res_country WHERE code IN ('BE', 'FR', 'US') ORDER BY id

SELECT p.id, p.name, c.code FROM res_partner p JOIN res_country c ON c.id = p.country_id ORDER BY p.id

SELECT p.name AS partner, c.name->>'en_US' AS country FROM res_partner AS p LEFT JOIN res_country AS c ON (c.id = p.country_id) ORDER BY 1, 2

SELECT COALESCE(t.name->>'fr_FR', t.name->>'en_US') AS name, t.list_price FROM product_template t WHERE t.sale_ok AND t.active ORDER BY t.list_price DESC NULLS LAST, t.id LIMIT 20

SELECT t.name ->> 'en_US' AS product, sum(l.product_uom_qty) AS qty, sum(l.price_subtotal) AS revenue FROM sale_order_line l JOIN product_product p ON p.id = l.product_id JOIN product_template t ON t.id = p.product_tmpl_id JOIN sale_order o ON o.id = l.order_id WHERE o.state IN ('sale', 'done') GROUP BY t.id, t.name ORDER BY revenue DESC LIMIT 10

SELECT date_trunc('month', date_order) AS month, count(*) AS orders, sum(amount_total) AS total FROM sale_order WHERE state = 'sale' GROUP BY 1 ORDER BY 1

SELECT to_char(date_order, 'YYYY-MM') AS month, round(avg(amount_total), 2) AS average FROM sale_order GROUP BY to_char(date_order, 'YYYY-MM') ORDER BY 1

SELECT u.login, p.name, u.active FROM res_users u JOIN res_partner p ON p.id = u.partner_id ORDER BY u.login

SELECT u.id, u.login, count(o.id) FROM res_users u LEFT JOIN sale_order o ON o.user_id = u.id GROUP BY u.id ORDER BY u.id

SELECT o.name, o.amount_total, count(l.id) AS lines FROM sale_order o JOIN sale_order_line l ON l.order_id = o.id GROUP BY o.id ORDER BY o.id

WITH totals AS (SELECT partner_id, sum(amount_total) AS total FROM sale_order GROUP BY partner_id) SELECT p.name, t.total FROM totals t JOIN res_partner p ON p.id = t.partner_id ORDER BY t.total DESC, p.id

WITH RECURSIVE tree AS (SELECT id, parent_id, name, 0 AS depth FROM product_category WHERE parent_id IS NULL UNION ALL SELECT c.id, c.parent_id, c.name, t.depth + 1 FROM product_category c JOIN tree t ON c.parent_id = t.id) SELECT repeat('  ', least(depth, 10)) || name AS label, depth FROM tree ORDER BY depth, name, id

WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i, i * i AS square FROM n

SELECT name, amount_total, rank() OVER (ORDER BY amount_total DESC) AS place FROM sale_order ORDER BY place, name

SELECT partner_id, name, amount_total, sum(amount_total) OVER (PARTITION BY partner_id ORDER BY date_order, id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM sale_order ORDER BY partner_id, date_order, id

SELECT id, amount_total, lag(amount_total) OVER w AS before, lead(amount_total, 1, 0) OVER w AS after FROM sale_order WINDOW w AS (ORDER BY id) ORDER BY id

SELECT DISTINCT ON (partner_id) partner_id, name, date_order FROM sale_order ORDER BY partner_id, date_order DESC, id DESC

SELECT DISTINCT state FROM sale_order ORDER BY state

SELECT count(*) FILTER (WHERE state = 'sale') AS sold, count(*) FILTER (WHERE state = 'draft') AS drafts, count(DISTINCT partner_id) AS partners FROM sale_order

SELECT state, user_id, count(*) FROM sale_order GROUP BY GROUPING SETS ((state), (user_id), ()) ORDER BY 1 NULLS LAST, 2 NULLS LAST, 3

SELECT state, user_id, sum(amount_total), grouping(state, user_id) FROM sale_order GROUP BY ROLLUP (state, user_id) ORDER BY 1 NULLS LAST, 2 NULLS LAST, 4

SELECT state, company_id, count(*) FROM sale_order GROUP BY CUBE (state, company_id) ORDER BY 1 NULLS LAST, 2 NULLS LAST, 3

SELECT string_agg(name, ', ' ORDER BY name) FROM sale_order

SELECT partner_id, string_agg(DISTINCT state, '|') FROM sale_order GROUP BY partner_id ORDER BY partner_id

SELECT array_agg(id ORDER BY id DESC) FROM sale_order WHERE id < 10

SELECT json_agg(json_build_object('id', id, 'name', name) ORDER BY id) FROM sale_order WHERE id <= 3

SELECT jsonb_agg(jsonb_build_object('code', code, 'n', name->'en_US') ORDER BY code) FROM res_country WHERE code LIKE 'B%'

SELECT jsonb_object_agg(code, name->>'en_US') FROM res_country WHERE code ~ '^F'

SELECT c.code, k.key, k.value FROM res_country c, jsonb_each_text(c.name) AS k WHERE c.id < 20 ORDER BY c.code, k.key

SELECT l.id, d.key AS account, d.value AS percent FROM sale_order_line l CROSS JOIN LATERAL jsonb_each_text(l.analytic_distribution) AS d ORDER BY l.id, d.key

SELECT p.id, x.name FROM res_partner p CROSS JOIN LATERAL (SELECT o.name FROM sale_order o WHERE o.partner_id = p.id ORDER BY o.id DESC LIMIT 2) x ORDER BY p.id, x.name

SELECT p.name, o.n FROM res_partner p LEFT JOIN LATERAL (SELECT count(*) AS n FROM sale_order s WHERE s.partner_id = p.id) o ON true ORDER BY p.id

SELECT g.day::date AS day, count(o.id) FROM generate_series('2024-01-01'::date, '2024-01-10'::date, '1 day'::interval) AS g(day) LEFT JOIN sale_order o ON o.date_order::date = g.day GROUP BY g.day ORDER BY g.day

SELECT n FROM generate_series(1, 5) AS n

SELECT generate_series(1, 3) AS i

SELECT * FROM generate_series(1, 10, 2) AS s(i) WHERE i > 3

SELECT i, ordinality FROM unnest(ARRAY['a', 'b', 'c']) WITH ORDINALITY AS t(i, ordinality)

SELECT unnest(ARRAY[3, 1, 2]) AS x ORDER BY x

SELECT * FROM unnest(ARRAY[1, 2], ARRAY['x', 'y']) AS t(a, b)

SELECT a.attr, a.n FROM (VALUES ('x', 1), ('y', 2)) AS a(attr, n) ORDER BY n DESC

VALUES (1, 'one'), (2, 'two')

SELECT 1 AS one UNION SELECT 2 ORDER BY one

SELECT id FROM sale_order WHERE state = 'draft' UNION ALL SELECT id FROM sale_order WHERE state = 'sale' ORDER BY id

SELECT partner_id FROM sale_order INTERSECT SELECT id FROM res_partner ORDER BY 1

SELECT id FROM res_partner EXCEPT SELECT partner_id FROM sale_order ORDER BY 1

(SELECT id, 'so' AS kind FROM sale_order ORDER BY id LIMIT 2) UNION ALL (SELECT id, 'lead' FROM crm_lead ORDER BY id LIMIT 2) ORDER BY kind, id

SELECT name FROM res_partner WHERE id IN (SELECT partner_id FROM sale_order WHERE amount_total > 1000) ORDER BY name

SELECT name FROM res_partner p WHERE EXISTS (SELECT 1 FROM sale_order o WHERE o.partner_id = p.id) ORDER BY name

SELECT name FROM res_partner p WHERE NOT EXISTS (SELECT 1 FROM sale_order o WHERE o.partner_id = p.id) AND is_company ORDER BY name, id

SELECT name, (SELECT count(*) FROM crm_lead l WHERE l.stage_id = s.id) AS leads FROM crm_stage s ORDER BY sequence, id

SELECT s.name->>'en_US' AS stage, count(l.id) AS leads, sum(l.expected_revenue) AS revenue FROM crm_stage s LEFT JOIN crm_lead l ON l.stage_id = s.id AND l.active GROUP BY s.id, s.sequence, s.name ORDER BY s.sequence, s.id

SELECT CASE WHEN amount_total < 1000 THEN 'small' WHEN amount_total < 5000 THEN 'medium' ELSE 'large' END AS size, count(*) FROM sale_order GROUP BY 1 ORDER BY 1

SELECT CASE state WHEN 'draft' THEN 0 WHEN 'sale' THEN 1 END AS code, count(*) FROM sale_order GROUP BY 1 ORDER BY 1 NULLS LAST

SELECT name, email FROM res_partner WHERE email ILIKE '%example.com' ORDER BY id

SELECT name FROM res_partner WHERE name NOT LIKE 'A%' AND name IS NOT NULL ORDER BY id LIMIT 5

SELECT name FROM res_partner WHERE name SIMILAR TO '(A|B)%' ORDER BY id

SELECT name FROM res_partner WHERE name ~* '^(azure|deco)' ORDER BY id

SELECT name FROM res_partner WHERE name LIKE '%50!%%' ESCAPE '!'

SELECT id FROM sale_order WHERE date_order BETWEEN '2020-01-01' AND now() ORDER BY id

SELECT id FROM sale_order WHERE date_order >= now() - INTERVAL '30 days' ORDER BY id

SELECT id FROM sale_order WHERE date_order > current_date - interval '1 year' ORDER BY id

SELECT extract(year FROM date_order) AS y, extract(quarter from date_order) AS q, count(*) FROM sale_order GROUP BY 1, 2 ORDER BY 1, 2

SELECT date_part('dow', date_order) AS dow, count(*) FROM sale_order GROUP BY 1 ORDER BY 1

SELECT id, age(date_order, create_date) FROM sale_order ORDER BY id

SELECT id, (date_order AT TIME ZONE 'UTC') AT TIME ZONE 'Europe/Brussels' AS local FROM sale_order ORDER BY id

SELECT id, date_order::date, date_order::time FROM sale_order ORDER BY id

SELECT make_date(2024, 2, 29), make_interval(days => 3), make_timestamp(2024, 1, 2, 3, 4, 5.5)

SELECT date '2024-01-31' + interval '1 month', timestamp '2024-01-01 10:00' - timestamp '2023-12-31 09:00'

SELECT justify_days(interval '35 days'), interval '1' day, interval '1-2' year to month

SELECT (DATE '2024-03-01', DATE '2024-03-05') OVERLAPS (DATE '2024-03-04', DATE '2024-03-09')

SELECT round(1234.567, 1), trunc(-1.5), ceil(1.2), floor(-1.2), abs(-3), sign(-2.5), mod(10, 3), 10 % 3, 2 ^ 10, sqrt(16), |/ 25, @ -5

SELECT 7 / 2, 7 / 2.0, 7 % 4, 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 4, 256 >> 2

SELECT 1 + 2 * 3 - 4 / 2, (1 + 2) * 3, -2 ^ 2, - - 3, NOT true OR true, NOT (true OR true)

SELECT 'a' || 'b' || 1::text, 'It''s', E'tab\there', $$dollar's$$, $q$a $$ b$q$

SELECT 'back\slash', E'back\\slash', '\x41', 'percent % and _'

SELECT U&'d\0061t\+000061', 'ünïcödé', '日本', '🙂'

SELECT upper('abc'), lower('ABC'), initcap('the end'), length('abc'), char_length('abcd'), reverse('abc'), left('abc', 2), right('abc', 2)

SELECT trim('  x  '), ltrim('xxa', 'x'), rtrim('axx', 'x'), btrim('xax', 'x'), trim(both 'x' from 'xax'), trim(leading 'x' from 'xa')

SELECT substring('abcdef' from 2 for 3), substring('abcdef', 2, 3), substr('abcdef', 4), substring('foobar' from 'o.b'), position('c' in 'abc'), strpos('abc', 'c'), overlay('Txxxxas' placing 'hom' from 2 for 4)

SELECT replace('aXb', 'X', '-'), translate('12345', '143', 'ax'), split_part('a,b,c', ',', 2), lpad('7', 3, '0'), rpad('x', 3, '.'), repeat('ab', 3), concat('a', NULL, 1), concat_ws('-', 'a', 'b'), format('%s has %I', 'x', 'y z')

SELECT regexp_replace('abc123', '\d+', '#'), regexp_matches('a1b2', '[a-z]\d', 'g'), regexp_split_to_array('a b  c', '\s+'), (regexp_match('x=1', '(\w)=(\d)'))[2]

SELECT md5('x'), encode(sha256('x'), 'hex'), encode('abc'::bytea, 'base64'), ascii('a'), chr(65), to_hex(255)

SELECT NULLIF(1, 1), COALESCE(NULL, 2), GREATEST(1, 5, 3), LEAST(1, 5, 3)

SELECT 1 IS NULL, NULL IS NULL, true IS TRUE, NULL IS UNKNOWN, 1 IS DISTINCT FROM 2, NULL IS NOT DISTINCT FROM NULL, false IS NOT TRUE

SELECT CAST('12' AS integer), '12'::int + 1, '1.5'::numeric(10, 2), 1::bool, 'true'::boolean, 3.7::int, '2024-01-01'::timestamp, 5::bigint, 1.1::double precision, '1'::smallint, 1::real

SELECT '{1,2,3}'::int[], ARRAY[1, 2] || 3, ARRAY[[1, 2], [3, 4]], (ARRAY[1, 2, 3])[2], (ARRAY[1, 2, 3])[1:2], array_length(ARRAY[1, 2], 1), cardinality(ARRAY[1]), 2 = ANY (ARRAY[1, 2]), 3 <> ALL (ARRAY[1, 2])

SELECT ARRAY(SELECT id FROM crm_stage ORDER BY id)

SELECT id FROM sale_order WHERE id = ANY ('{1,2,3}'::int[]) ORDER BY id

SELECT id FROM sale_order WHERE partner_id = ANY (SELECT id FROM res_partner WHERE is_company) ORDER BY id

SELECT ARRAY[1, 2, 3] @> ARRAY[2], ARRAY[1] <@ ARRAY[1, 2], ARRAY[1, 2] && ARRAY[2, 3], array_to_string(ARRAY['a', 'b'], '+'), string_to_array('a,b', ','), array_position(ARRAY['a', 'b'], 'b'), array_remove(ARRAY[1, 2, 1], 1)

SELECT '{"a": {"b": [1, 2]}}'::jsonb -> 'a' -> 'b' ->> 0, '{"a": 1}'::json ->> 'a', '{"a": {"b": 2}}'::jsonb #>> '{a,b}', '{"a": 1, "b": 2}'::jsonb - 'a', '{"a": 1}'::jsonb @> '{"a": 1}', '{"a": 1}'::jsonb ? 'a', '{"a": 1}'::jsonb || '{"c": 3}'

SELECT '{"a": 1}'::jsonb ?| array['a', 'z'], '{"a": 1}'::jsonb ?& array['a'], jsonb_path_query_array('{"a": [1, 2, 3]}', '$.a[*] ? (@ > 1)'), '{"a": [1]}'::jsonb @? '$.a[*]', jsonb_typeof('[]'), jsonb_array_length('[1, 2]'), jsonb_set('{"a": 1}', '{a}', '2'), jsonb_strip_nulls('{"a": null}')

SELECT value FROM jsonb_array_elements('[1, {"a": 2}]') AS value

SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS r(a int, b text)

SELECT row_to_json(s) FROM (SELECT id, sequence FROM crm_stage ORDER BY id) s

SELECT to_jsonb(s) - 'create_date' - 'write_date' FROM crm_stage s ORDER BY s.id

SELECT row_to_json(ROW(1, 'a'))

SELECT key, value FROM json_each_text('{"a": "b"}')

SELECT (jsonb_each('{"a": 1}')).key

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount_total) AS median, mode() WITHIN GROUP (ORDER BY state) FROM sale_order

SELECT stddev(amount_total), variance(amount_total), corr(amount_total::float8, amount_tax::float8), bool_and(locked), bool_or(locked), every(active) FROM sale_order, res_lang WHERE res_lang.code = 'en_US'

SELECT ntile(4) OVER (ORDER BY amount_total, id) AS quartile, id FROM sale_order ORDER BY id

SELECT id, row_number() OVER (PARTITION BY state ORDER BY id), dense_rank() OVER (ORDER BY state), percent_rank() OVER (ORDER BY id), cume_dist() OVER (ORDER BY id), first_value(id) OVER (PARTITION BY state ORDER BY id), nth_value(id, 2) OVER (PARTITION BY state ORDER BY id) FROM sale_order ORDER BY id

SELECT date_order::date AS d, avg(sum(amount_total)) OVER (ORDER BY date_order::date ROWS 6 PRECEDING) AS weekly FROM sale_order GROUP BY date_order::date ORDER BY d

SELECT id, sum(amount_total) OVER (ORDER BY date_order RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW) FROM sale_order ORDER BY id

SELECT state, count(*) AS n FROM sale_order GROUP BY state HAVING count(*) > 1 ORDER BY n DESC, state

SELECT p.country_id, c.code, count(*) FROM res_partner p INNER JOIN res_country c ON p.country_id = c.id GROUP BY p.country_id, c.code HAVING count(*) >= 2 ORDER BY 3 DESC, 1

SELECT a.id, b.id FROM crm_stage a FULL OUTER JOIN crm_team b ON a.id = b.id ORDER BY 1 NULLS LAST, 2 NULLS LAST

SELECT a.id, b.id FROM crm_stage a RIGHT JOIN crm_team b USING (id) ORDER BY 2

SELECT count(*) FROM crm_stage CROSS JOIN crm_team

SELECT q.product_id, l.complete_name, q.quantity - q.reserved_quantity AS available FROM stock_quant q JOIN stock_location l ON l.id = q.location_id AND l.usage = 'internal' WHERE q.quantity > 0 ORDER BY q.id

SELECT t.name->>'en_US' AS product, COALESCE(sum(q.quantity), 0) AS on_hand FROM product_template t JOIN product_product p ON p.product_tmpl_id = t.id LEFT JOIN stock_quant q ON q.product_id = p.id LEFT JOIN stock_location l ON l.id = q.location_id AND l.usage = 'internal' WHERE t.is_storable GROUP BY t.id HAVING COALESCE(sum(q.quantity), 0) < 100 ORDER BY on_hand, t.id

SELECT pk.name, pk.state, count(m.id) AS moves, sum(m.product_uom_qty) FROM stock_picking pk LEFT JOIN stock_move m ON m.picking_id = pk.id GROUP BY pk.id ORDER BY pk.id

SELECT m.name, m.move_type, m.state, m.amount_residual, m.invoice_date_due, current_date - m.invoice_date_due AS overdue FROM account_move m WHERE m.move_type = 'out_invoice' AND m.payment_state NOT IN ('paid', 'reversed') ORDER BY m.id

SELECT aa.name->>'en_US' AS account, sum(l.debit) AS debit, sum(l.credit) AS credit, sum(l.balance) AS balance FROM account_move_line l JOIN account_account aa ON aa.id = l.account_id WHERE l.parent_state = 'posted' GROUP BY aa.id ORDER BY aa.id

SELECT width_bucket(amount_total, 0, 10000, 5) AS bucket, count(*) FROM sale_order GROUP BY bucket ORDER BY bucket

SELECT pt.id, t.name, pt.name->>'en_US' AS project FROM project_task t JOIN project_project pt ON pt.id = t.project_id WHERE t.active IS TRUE ORDER BY t.id LIMIT 25

SELECT s.name->>'en_US', count(*) FROM project_task t LEFT JOIN project_task_type s ON s.id = t.stage_id GROUP BY s.name->>'en_US' ORDER BY 2 DESC, 1

SELECT model, count(*) FROM mail_message WHERE message_type = 'comment' GROUP BY model ORDER BY 2 DESC, 1

SELECT res_model, pg_size_pretty(sum(file_size)) AS size, count(*) FROM ir_attachment GROUP BY res_model ORDER BY sum(file_size) DESC NULLS LAST, 1

SELECT m.model, count(f.id) FROM ir_model m JOIN ir_model_fields f ON f.model_id = m.id WHERE m.model LIKE 'sale.%' GROUP BY m.model ORDER BY m.model

SELECT name, latest_version FROM ir_module_module WHERE state = 'installed' ORDER BY name

SELECT "id", "name" FROM "res_partner" WHERE "active" ORDER BY "id" LIMIT 3

SELECT id, "order" FROM ir_model WHERE "order" IS NOT NULL ORDER BY id LIMIT 3

SELECT P.ID, P.Name FROM Res_Partner P ORDER BY P.ID LIMIT 3

SELECT public.res_partner.name FROM public.res_partner ORDER BY public.res_partner.id LIMIT 3

SELECT pg_catalog.lower(name) FROM res_currency ORDER BY id LIMIT 3

SELECT id FROM res_partner ORDER BY name COLLATE "C", id LIMIT 5

SELECT name FROM res_partner ORDER BY lower(name) ASC NULLS FIRST, id DESC LIMIT 5 OFFSET 2

SELECT name FROM res_partner ORDER BY id FETCH FIRST 3 ROWS ONLY

SELECT name FROM res_partner ORDER BY id OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY

SELECT /* comment */ id -- another
FROM sale_order /* nested /* deeper */ */ ORDER BY id

SELECT id FROM sale_order ORDER BY id;

TABLE crm_stage ORDER BY id

SELECT stage.*, 1 AS extra FROM crm_stage AS stage ORDER BY stage.id

SELECT * FROM crm_stage s JOIN crm_lead l ON l.stage_id = s.id ORDER BY l.id

SELECT count(s.*) FROM crm_stage s

SELECT sub.n, sub.total FROM (SELECT count(*) AS n, sum(amount_total) AS total FROM sale_order) AS sub

SELECT count, sum FROM (SELECT count(*), sum(amount_total) FROM sale_order) x

SELECT x.y FROM (SELECT 1 AS y) x, (SELECT 2 AS z) w WHERE x.y < w.z

WITH a AS (SELECT id FROM sale_order), b AS (SELECT id FROM a WHERE id > 3) SELECT (SELECT count(*) FROM a) - (SELECT count(*) FROM b) AS difference

WITH sale_order AS (SELECT 1 AS id) SELECT id FROM sale_order

WITH x AS MATERIALIZED (SELECT id, state FROM sale_order), y AS NOT MATERIALIZED (SELECT state, count(*) AS n FROM x GROUP BY state) SELECT * FROM y ORDER BY state

WITH monthly(month, total) AS (SELECT date_trunc('month', date_order), sum(amount_total) FROM sale_order GROUP BY 1) SELECT month, total, total - lag(total) OVER (ORDER BY month) AS change FROM monthly ORDER BY month

SELECT o.id, o.name, r.n FROM sale_order o JOIN (SELECT order_id, count(*) n FROM sale_order_line GROUP BY order_id) r ON r.order_id = o.id ORDER BY o.id

SELECT id, id = 1 OR id = 2 AND state = 'sale' AS odd, NOT id > 3 AS small FROM sale_order ORDER BY id

SELECT id FROM res_partner WHERE (country_id, is_company) IN (SELECT id, true FROM res_country) ORDER BY id

SELECT id FROM res_partner WHERE (id, active) IN ((1, true), (2, true)) ORDER BY id

SELECT id FROM res_partner WHERE ROW(id, 1) > ROW(3, 0) ORDER BY id LIMIT 3

SELECT num_nulls(email, phone, website) AS missing, count(*) FROM res_partner GROUP BY 1 ORDER BY 1

SELECT lower(email), count(*), array_agg(id ORDER BY id) FROM res_partner WHERE email IS NOT NULL GROUP BY lower(email) HAVING count(*) > 1 ORDER BY 1

SELECT similarity('odoo', 'odo'), word_similarity('od', 'odoo')

SELECT name FROM res_partner WHERE name % 'Azure Interior' ORDER BY id

SELECT numrange(1, 5) && numrange(4, 8), '[2024-01-01,2024-02-01)'::daterange @> '2024-01-15'::date, lower(int4range(2, 5)), upper_inc(int4range(2, 5))

SELECT to_number('1,234.5', '9,999.9'), to_date('31-12-2023', 'DD-MM-YYYY'), to_timestamp(0) AT TIME ZONE 'UTC', to_char(1234.5, 'FM9,999.00')

SELECT date_bin('15 minutes', TIMESTAMP '2024-01-01 10:07', TIMESTAMP '2024-01-01'), isfinite(date '2024-01-01')

SELECT cr.name, r.name AS day, r.rate FROM res_currency cr JOIN res_currency_rate r ON r.currency_id = cr.id ORDER BY r.id LIMIT 5

SELECT l.name, count(*) FILTER (WHERE a.id IS NOT NULL) OVER () FROM crm_lead l LEFT JOIN crm_team a ON a.id = l.team_id ORDER BY l.id LIMIT 4

SELECT property_account_income_categ_id->>'1' AS account, name FROM product_category ORDER BY id

SELECT standard_price->>'1' AS cost, id FROM product_product WHERE (standard_price->>'1')::numeric > 100 ORDER BY id

SELECT count(*) FROM crm_activity_report

SELECT trim(t.x), length(t.x) FROM (SELECT ' a ' AS x) AS t

SELECT id FROM sale_order WHERE state IN ('sale') AND (amount_total > 100 OR amount_tax > 10) AND partner_id IS NOT NULL ORDER BY amount_total DESC, id

SELECT 1 WHERE 1 = 1 AND 2 <> 3 AND 2 != 3 AND 1 <= 2 AND 2 >= 1

SELECT true, false, NULL, 1.5e3, .5, 1e-2, 12345678901234567890

SELECT gen_random_uuid() IS NOT NULL, random() < 2, pi() > 3

SELECT localtimestamp IS NOT NULL, current_timestamp(3) IS NOT NULL, current_time IS NOT NULL

SELECT pg_typeof(1.5), pg_typeof('x'::text)

SELECT a.id FROM sale_order a WHERE a.amount_total = (SELECT max(b.amount_total) FROM sale_order b WHERE b.state = a.state) ORDER BY a.id

SELECT parent.name AS parent, child.name AS child FROM res_partner child JOIN res_partner parent ON parent.id = child.parent_id ORDER BY child.id

SELECT id FROM (SELECT id FROM (SELECT id FROM (SELECT id FROM sale_order) a) b) c ORDER BY id

SELECT ((((((1 + 2)) * 3)))) AS nested

SELECT id FROM crm_lead l NATURAL JOIN (SELECT 1 AS id) AS o

SELECT x.id FROM (crm_lead x JOIN crm_stage s ON s.id = x.stage_id) JOIN crm_team t ON t.id = x.team_id ORDER BY x.id

SELECT state || ':' || count(*) AS label FROM sale_order GROUP BY state ORDER BY label

EXPLAIN SELECT id FROM sale_order WHERE id = 1

EXPLAIN (FORMAT JSON, COSTS OFF) SELECT count(*) FROM res_partner WHERE active

SELECT id FROM sale_order WHERE date_order::date = current_date - 1 OR id < 3 ORDER BY id

SELECT string_agg(name->>'en_US', E'\n' ORDER BY id) FROM crm_team

SELECT a.value, a.ordinality FROM jsonb_array_elements('[3, 1]') WITH ORDINALITY AS a ORDER BY a.ordinality

SELECT d::date FROM generate_series('2024-01-01'::timestamp, '2024-01-03', interval '1 day') AS x(d)

SELECT '2024-01-05'::timestamp::date::text, interval '1 month' * 3, '2024-03-31'::date - interval '1' month

SELECT EXTRACT(DOW FROM date_order)::int AS dow, COUNT(*) OVER () AS total FROM sale_order ORDER BY id LIMIT 3

SELECT id, avg(amount_total) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS smooth FROM sale_order ORDER BY id

SELECT array_agg(DISTINCT state ORDER BY state) FROM sale_order

SELECT date_trunc('week', date_order)::date + 6 AS sunday, count(*) FROM sale_order GROUP BY 1 ORDER BY 1

SELECT unnest(string_to_array('a,b', ',')) AS part

SELECT to_char(date_order, 'TMMonth YYYY'), name -> 0 FROM (SELECT date_order, '["x"]'::jsonb AS name, id FROM sale_order) x ORDER BY id LIMIT 2

SELECT id FROM res_partner WHERE id NOT IN (SELECT partner_id FROM sale_order) AND active IS NOT FALSE ORDER BY id

SELECT state FROM sale_order EXCEPT ALL SELECT 'sale' ORDER BY 1

SELECT id FROM crm_stage ORDER BY id FETCH FIRST ROW ONLY

SELECT id FROM crm_stage ORDER BY id LIMIT ALL OFFSET 0

SELECT substring('order 66', '\d+'), substring('x' || id::varchar from 1) FROM crm_stage ORDER BY id

SELECT CAST('2024-01-01' AS timestamp with time zone) AT TIME ZONE 'UTC', '2024-01-01'::timestamp without time zone, CAST(5 AS character varying), 'x'::character varying(3), 1::int4, 2::int8, 3::float4, 4::float8, '1'::decimal(5, 2)

SELECT p.name "Partner name", p.id AS "Total (€)" FROM res_partner p ORDER BY 2 LIMIT 2

SELECT 'x' AS value, 'y' AS name, 1 AS user, 2 AS date

SELECT s.*, t.id AS team FROM crm_stage s, crm_team t WHERE t.id = 1 ORDER BY s.id

SELECT v.a, v.b FROM (VALUES (1, 'x'), (2, NULL)) v(a, b) ORDER BY v.a

SELECT p.id, tag FROM res_partner p JOIN LATERAL unnest(ARRAY['a', 'b']) AS tag ON TRUE WHERE p.id < 4 ORDER BY p.id, tag

SELECT percentile_cont(ARRAY[0.25, 0.5]) WITHIN GROUP (ORDER BY amount_total::float8) FROM sale_order

SELECT (regexp_match(name, '([A-Z]+)(\d+)'))[2]::int AS number FROM sale_order ORDER BY id LIMIT 3

SELECT (lead_properties -> 'a')::text, COALESCE(expected_revenue, 0) / NULLIF(probability, 0)::numeric FROM crm_lead ORDER BY id LIMIT 3

SELECT count(*) FILTER (WHERE amount_total > 100) OVER (PARTITION BY state) FROM sale_order ORDER BY id

SELECT id, sum(price_subtotal) / sum(sum(price_subtotal)) OVER () * 100 AS share FROM sale_order_line GROUP BY id ORDER BY id

SELECT l.order_id, max(l.price_total) FROM sale_order_line AS l JOIN sale_order AS o ON o.id = l.order_id AND o.state NOT IN ('cancel') WHERE l.display_type IS NULL GROUP BY l.order_id HAVING sum(l.product_uom_qty) > 1 ORDER BY max(l.price_total) DESC, l.order_id LIMIT 10 OFFSET 2

SELECT r.code, c.n FROM res_country r INNER JOIN (SELECT country_id, COUNT(*) AS n FROM res_partner WHERE country_id IS NOT NULL GROUP BY country_id) c ON c.country_id = r.id ORDER BY c.n DESC, r.code

WITH days AS (SELECT generate_series(date '2024-01-01', date '2024-01-07', interval '1 day')::date AS d) SELECT d, to_char(d, 'Dy') AS name, extract(isodow from d) > 5 AS weekend FROM days ORDER BY d

WITH RECURSIVE sub(id, name, path) AS (SELECT id, complete_name, ARRAY[id] FROM stock_location WHERE location_id IS NULL UNION ALL SELECT l.id, l.complete_name, s.path || l.id FROM stock_location l JOIN sub s ON l.location_id = s.id WHERE NOT l.id = ANY (s.path)) SELECT id, name, array_length(path, 1) AS level FROM sub ORDER BY path

SELECT u.login, count(*) AS n, round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent FROM crm_lead l LEFT JOIN res_users u ON u.id = l.user_id GROUP BY u.login ORDER BY n DESC, 1

SELECT m.date::date, count(*) FROM mail_message m WHERE m.model = 'sale.order' AND m.date > '2000-01-01' GROUP BY m.date::date ORDER BY 1

SELECT g.name->>'en_US' AS "group", count(r.uid) AS users FROM res_groups g LEFT JOIN res_groups_users_rel r ON r.gid = g.id GROUP BY g.id ORDER BY users DESC, g.id

SELECT id, name FROM sale_order WHERE name ILIKE ANY (ARRAY['S0000%', 'X%']) ORDER BY id

SELECT a.id FROM sale_order a WHERE (a.amount_total, a.id) >= ALL (SELECT b.amount_total, b.id FROM sale_order b)

SELECT id FROM crm_lead WHERE name LIKE ANY ('{%office%,%Design%}'::text[]) AND name NOT ILIKE '%zzz%' ORDER BY id

SELECT e.value FROM jsonb_array_elements('[1, 2]') AS e ORDER BY 1

SELECT g.g, g.ordinality FROM generate_series(5, 7) WITH ORDINALITY AS g ORDER BY 2

SELECT c.k FROM res_country AS c(k) ORDER BY 1 LIMIT 3
