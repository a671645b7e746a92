# Makes a session for a user, as a sign-in would. args: {"user": id, "protected": bool}. Answers {"session", "login", "landing",
# "administrator"}, or {"refused": why}. The token depends on the version and on what modules add to it: Odoo computes it.
import re

from odoo import release
from odoo.http import root

PROTECTED = ["base.user_root", "base.user_admin", "base.public_user", "base.default_user", "base.template_portal_user_id"]

user = env["res.users"].with_context(active_test=False).browse(args["user"])


def why_not():
    if not user.exists():
        return "missing"
    if not user.active:
        return "archived"
    if args["protected"]:
        # Also on databases where the ids are others.
        own = [env.ref(name, raise_if_not_found=False) for name in PROTECTED]
        if user.id <= 3 or any(one and one.id == user.id for one in own):
            return "protected"
    if user.has_group("base.group_public"):
        return "public"
    return None


refused = why_not()
if refused:
    answer = {"refused": refused}
else:
    store = root.session_store
    session = store.new()
    session.update({
        "db": env.cr.dbname,
        "login": user.login,
        "uid": user.id,
        "context": dict(user.with_user(user).context_get()),
        "session_token": user._compute_session_token(session.sid),
    })
    store.save(session)
    internal = user.has_group("base.group_user")
    major = int(re.sub(r"\D", "", str(release.version_info[0])) or 0)
    answer = {
        "session": session.sid,
        "login": user.login,
        "landing": "/my" if not internal else "/odoo" if major >= 18 else "/web",
        "administrator": user.has_group("base.group_system") or user.has_group("base.group_erp_manager"),
    }
