# Works on an instance's database with Odoo's own settings, without loading a registry: quick, and possible when loading fails.
# Arguments: Odoo's program ("-" for an installed package), then its flags. The order is JSON on file descriptor 3, the answer on 4.
import json
import os
import sys

order = json.loads(os.fdopen(3, encoding="utf-8").read())
program = sys.argv[1]
if program != "-":
    sys.path.insert(0, os.path.dirname(os.path.realpath(program)))
import odoo
from odoo.tools import config

try:
    import odoo.netsvc
except ImportError:
    pass
import logging

logging.disable(logging.WARNING)
config.parse_config(sys.argv[2:] + ["--log-level=critical"])
from odoo import sql_db
import odoo.release

try:
    import odoo.modules.module as loading
except ImportError:
    loading = None

cursor = sql_db.db_connect(order["database"]).cursor()
try:
    answer = {"version": odoo.release.version, "http_port": config["http_port"], "http_interface": config["http_interface"]}
    if "modules" in order:
        cursor.execute(
            "SELECT name, state, latest_version FROM ir_module_module WHERE name = ANY(%s) OR state LIKE 'to %%' ORDER BY name",
            [list(order["modules"])],
        )
        rows = [{"name": name, "state": state, "version": version} for name, state, version in cursor.fetchall()]
        answer["modules"] = rows
        cursor.execute("SELECT count(*) FROM ir_module_module WHERE state = 'installed'")
        answer["installed"] = cursor.fetchone()[0]
        newest = 0
        try:
            loading.initialize_sys_path()
        except Exception:
            pass
        for name in order["modules"]:
            try:
                path = loading.get_module_path(name, display_warning=False)
            except Exception:
                path = None
            for row in rows:
                if row["name"] == name:
                    row["on_disk"] = bool(path)
            for folder, folders, files in os.walk(path or ""):
                folders[:] = [each for each in folders if each != "__pycache__"]
                for file in files:
                    if file.endswith(".py"):
                        try:
                            newest = max(newest, os.stat(os.path.join(folder, file)).st_mtime)
                        except OSError:
                            pass
        answer["newest_code"] = int(newest)
    if order.get("signal"):
        # Tells the running servers to load the registry again: what 14 to 18 count, 19 writes rows for.
        cursor.execute("SELECT to_regclass('orm_signaling_registry'), to_regclass('base_registry_signaling')")
        rows, sequence = cursor.fetchone()
        if rows:
            cursor.execute("INSERT INTO orm_signaling_registry DEFAULT VALUES")
        elif sequence:
            cursor.execute("SELECT nextval('base_registry_signaling')")
        cursor.commit()
finally:
    cursor.close()
with os.fdopen(4, "w", encoding="utf-8") as out:
    json.dump(answer, out)
