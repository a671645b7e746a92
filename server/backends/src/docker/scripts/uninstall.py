# Uninstalls modules, as the button does; it commits by itself. args: {"modules": [name]}.
from odoo.modules.registry import Registry

found = env["ir.module.module"].search([("name", "in", args["modules"]), ("state", "in", ("installed", "to upgrade", "to remove"))])
names = found.mapped("name")
if found:
    found.button_immediate_uninstall()
    # The servers load their registry again.
    registry = Registry(env.cr.dbname)
    registry.registry_invalidated = True
    registry.signal_changes()
answer = {"uninstalled": names}
