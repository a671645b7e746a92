UPDATE res_partner SET comment = 'checked' WHERE id = 1

UPDATE res_partner SET phone = NULL, function = DEFAULT WHERE id = 1

UPDATE res_partner AS p SET comment = c.code FROM res_country c WHERE c.id = p.country_id AND p.active

UPDATE res_partner SET (street, city) = ('Rue 1', 'Namur') WHERE id IN (1, 2) RETURNING id, street

UPDATE sale_order SET note = upper(note) WHERE state = 'draft' RETURNING *

UPDATE sale_order o SET client_order_ref = 'x' FROM res_users u WHERE u.id = o.user_id AND u.login = 'admin' RETURNING o.id, u.login

UPDATE product_template SET name = jsonb_set(name, '{fr_FR}', '"Bureau"') WHERE name ->> 'en_US' = 'Desk'

UPDATE crm_lead SET expected_revenue = expected_revenue * 1.1 WHERE stage_id IN (SELECT id FROM crm_stage WHERE is_won) RETURNING id

UPDATE crm_lead SET priority = CASE WHEN expected_revenue > 1000 THEN '2' ELSE '0' END

UPDATE crm_stage SET sequence = s.n FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM crm_stage) s WHERE s.id = crm_stage.id

WITH old AS (SELECT id FROM crm_lead WHERE create_date < now() - interval '5 years') UPDATE crm_lead SET active = false FROM old WHERE old.id = crm_lead.id

WITH dup AS (SELECT min(id) AS keep, code FROM res_country_state GROUP BY code, country_id) DELETE FROM res_country_state s USING dup WHERE s.code = dup.code AND s.id <> dup.keep AND false

DELETE FROM crm_lead WHERE id = 0

DELETE FROM crm_lead AS l USING crm_stage s WHERE s.id = l.stage_id AND s.fold RETURNING l.id, l.name

DELETE FROM crm_lead WHERE id = 0 RETURNING *

DELETE FROM public.crm_lead

INSERT INTO crm_stage (name, sequence) VALUES ('{"en_US": "New"}', 5)

INSERT INTO crm_stage (name, sequence) VALUES ('{"en_US": "A"}', 5), ('{"en_US": "B"}', DEFAULT) RETURNING id

INSERT INTO crm_stage (name, sequence) SELECT name, sequence + 1 FROM crm_stage WHERE fold

INSERT INTO res_country_state (country_id, name, code) VALUES (1, 'X', 'XX') ON CONFLICT (country_id, code) DO UPDATE SET name = excluded.name RETURNING id, name

INSERT INTO res_country_state AS s (country_id, name, code) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

INSERT INTO res_country_state (country_id, name, code) VALUES (1, 'X', 'XX') ON CONFLICT ON CONSTRAINT res_country_state_name_code_uniq DO UPDATE SET name = excluded.name WHERE res_country_state.name <> excluded.name

INSERT INTO res_partner_category DEFAULT VALUES

WITH x AS (SELECT id FROM res_country WHERE code = 'BE') INSERT INTO res_country_state (country_id, name, code) SELECT id, 'Y', 'YY' FROM x

EXPLAIN DELETE FROM crm_lead WHERE stage_id = 1
