# A model's methods. args: {"model": name, "private": bool, "search": text or None}.
import inspect

from odoo import models


def module_of(cls):
    parts = cls.__module__.split(".")
    if parts[:2] == ["odoo", "addons"] and len(parts) > 2:
        return parts[2]
    return "core" if parts[0] == "odoo" else cls.__module__


def place(function):
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else (None, None)


def decorators(function):
    found = []
    api = getattr(function, "_api", None)
    if api:
        found.append(api)
    if getattr(function, "_api_model", False) and not api:
        # From 19 on `create` is told from other methods of the model by its name only.
        found.append("model_create" if function.__name__ == "create" else "model")
    if getattr(function, "_api_private", False):
        found.append("private")
    if getattr(function, "_readonly", False):
        found.append("readonly")
    for mark in ("depends", "depends_context", "constrains", "onchange"):
        values = getattr(function, "_" + mark, None)
        if values:
            if callable(values):
                found.append(mark)
            else:
                found.append("%s(%s)" % (mark, ", ".join(map(str, values))))
    for mark in ("_ondelete", "_autovacuum"):
        if getattr(function, mark, None) is not None and getattr(function, mark, False) is not False:
            found.append(mark.strip("_"))
    return found


def signature(function):
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(...)"


if args["model"] not in env:
    answer = None
else:
    kind = type(env[args["model"]])
    # Where Odoo's own base methods are, whatever the version names them.
    base = {name for cls in models.BaseModel.__mro__ for name in vars(cls)}
    search = (args.get("search") or "").lower()
    answer = []
    for name in sorted({name for cls in kind.__mro__ for name in vars(cls)}):
        if name.startswith("__") or (name.startswith("_") and not args["private"]) or search not in name.lower():
            continue
        definitions = [cls for cls in kind.__mro__ if name in vars(cls)]
        raw = vars(definitions[0])[name]
        if isinstance(raw, (staticmethod, classmethod)):
            raw = raw.__func__
        if not inspect.isfunction(raw):
            continue
        documented = next((text for text in (inspect.getdoc(vars(cls)[name]) for cls in definitions) if text), "")
        marks = []
        for cls in definitions:
            for mark in decorators(vars(cls)[name]):
                if mark not in marks:
                    marks.append(mark)
        file, line = place(raw)
        # The registry's own class has no code: those in the addons do.
        answer.append({
            "name": name, "signature": signature(raw), "decorators": marks, "doc": documented[:2000],
            "file": file, "line": line, "module": module_of(definitions[0]),
            "overridden_in": list(dict.fromkeys(module_of(cls) for cls in definitions[1:])),
            "inherited": name in base and all(module_of(cls) == "core" for cls in definitions),
            "private": name.startswith("_") or "private" in marks,
        })
