{
    "name": "ocore test addon",
    "summary": "Seeds the extra addons path: Odoo 14 refuses a path without any module.",
    "version": "1.0",
    "license": "LGPL-3",
    "depends": ["base"],
    "data": [],
    "installable": True,
}
