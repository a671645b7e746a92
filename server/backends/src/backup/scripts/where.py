# Where Odoo keeps a database's filestore. Arguments: Odoo's program ("-" for an installed package), then the server's flags.
import json
import os
import sys

order = json.loads(os.fdopen(3, encoding="utf-8").read())
if sys.argv[1] != "-":
    sys.path.insert(0, os.path.dirname(os.path.realpath(sys.argv[1])))
import logging

logging.disable(logging.WARNING)
import odoo
from odoo.tools import config

config.parse_config(sys.argv[2:] + ["--log-level=critical"])
import odoo.release

with os.fdopen(4, "w", encoding="utf-8") as out:
    json.dump({"version": odoo.release.version, "filestore": os.path.abspath(config.filestore(order["database"]))}, out)
