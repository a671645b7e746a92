# A model's constraints written in Python, and what runs before a deletion. args: {"model": name}.
import inspect


def module_of(cls):
    parts = cls.__module__.split(".")
    return parts[2] if parts[:2] == ["odoo", "addons"] and len(parts) > 2 else "core"


if args["model"] not in env:
    answer = None
else:
    kind = type(env[args["model"]])
    answer = []
    for name in sorted({name for cls in kind.__mro__ for name in vars(cls)}):
        definitions = [cls for cls in kind.__mro__ if name in vars(cls) and inspect.isfunction(vars(cls)[name])]
        if not definitions:
            continue
        function = vars(definitions[0])[name]
        fields, deletion = None, False
        for cls in definitions:
            watched = getattr(vars(cls)[name], "_constrains", None)
            if fields is None and watched is not None and name != "_constrains":
                if callable(watched):
                    try:
                        watched = watched(env[args["model"]])
                    except Exception:
                        watched = ()
                fields = [str(field) for field in watched]
            deletion = deletion or getattr(vars(cls)[name], "_ondelete", None) is not None
        if fields is None and not deletion:
            continue
        inner = inspect.unwrap(function)
        try:
            source = inspect.getsource(inner)[:4000]
        except (OSError, TypeError):
            source = None
        answer.append({
            "name": name, "kind": "deletion" if fields is None else "constraint", "fields": fields or [],
            "module": module_of(definitions[0]), "doc": (inspect.getdoc(function) or "")[:2000],
            "file": inner.__code__.co_filename, "line": inner.__code__.co_firstlineno, "source": source,
        })
