# Clears caches of a running instance. args: {"targets": [registry, assets, pyc, sessions]}. Answers by target how much went.
import os

from odoo.tools import config

answer = {}
targets = args["targets"]
if "assets" in targets:
    attachments = env["ir.attachment"].sudo()
    # Up to 14 they are served as content, later as assets.
    found = attachments.search([
        ("res_model", "=", "ir.ui.view"), "|", ("url", "=like", "/web/assets/%"), ("url", "=like", "/web/content/%assets%"),
    ])
    answer["assets"] = len(found)
    found.unlink()
if "registry" in targets or "assets" in targets:
    registry = env.registry
    clear = getattr(registry, "clear_all_caches", None) or getattr(registry, "clear_caches", None) or registry._clear_cache
    clear()
    if "registry" in targets:
        registry.registry_invalidated = True
        answer["registry"] = 1
    env.cr.commit()
    # Without this the servers would never learn of it.
    registry.signal_changes()


def sweep(folder, wanted, deep):
    """Removes the files that are wanted; (removed, refused)."""
    gone = kept = 0
    for place, folders, files in os.walk(folder):
        for file in files:
            if wanted(place, file):
                try:
                    os.unlink(os.path.join(place, file))
                    gone += 1
                except OSError:
                    kept += 1
        if not deep:
            folders[:] = []
    return gone, kept


if "pyc" in targets:
    gone = kept = 0
    paths = config["addons_path"]
    paths = paths if isinstance(paths, list) else str(paths).split(",")
    prefix = os.environ.get("PYTHONPYCACHEPREFIX")
    for path in filter(None, [path.strip() for path in paths]):
        # Compiled files of Odoo's own packages are not this user's: they are counted as kept.
        places = [path] + ([prefix + os.path.realpath(path)] if prefix else [])
        for place in places:
            one = sweep(place, lambda folder, file: file.endswith(".pyc"), True)
            gone, kept = gone + one[0], kept + one[1]
    answer["pyc"], answer["pyc_kept"] = gone, kept
if "sessions" in targets:
    gone, kept = sweep(config.session_dir, lambda folder, file: True, True)
    answer["sessions"], answer["sessions_kept"] = gone, kept
env.cr.commit()
