# Creates an API key of scope rpc for LOGIN, and tells it. Runs in `odoo shell`.
import os
from datetime import datetime, timedelta

user = env["res.users"].search([("login", "=", os.environ["LOGIN"])])
if not user:
    raise SystemExit("no such login")
keys = env["res.users.apikeys"].with_user(user)
if "expiration_date" in keys._fields:  # 18 and later; at most 90 days for an ordinary user
    key = keys._generate("rpc", "ocore test", datetime.now() + timedelta(days=30))
else:
    key = keys._generate("rpc", "ocore test")
env.cr.commit()
print("answer:" + key)
