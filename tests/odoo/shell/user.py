# Creates an internal user, and tells its id. Runs in `odoo shell`.
import os

groups = ["base.group_user"] + os.environ["GROUPS_WANTED"].split()
field = "group_ids" if "group_ids" in env["res.users"]._fields else "groups_id"  # renamed in 19
user = env["res.users"].with_context(no_reset_password=True).create({
    "name": os.environ["LOGIN"],
    "login": os.environ["LOGIN"],
    "email": os.environ["LOGIN"] + "@example.com",
    "password": os.environ["SECRET"],
    field: [(6, 0, [env.ref(group).id for group in groups])],
})
env.cr.commit()
print("answer:%d" % user.id)
