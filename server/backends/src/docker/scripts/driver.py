# Runs in `odoo shell`, which executes its standard input: takes orders from file descriptor 3, one JSON object a line, and
# answers each with one on 4. What the code prints stands between the order's marks on 1 and 2.
def _ocore(scope):
    import ast
    import builtins
    import json
    import linecache
    import os
    import sys
    import time
    import traceback

    import odoo
    from odoo import sql_db

    env = scope["env"]
    began = os.times()[4]
    counts = {"commits": 0}
    commit = sql_db.Cursor.commit

    def counted(self, *args, **kwargs):
        counts["commits"] += 1
        return commit(self, *args, **kwargs)

    sql_db.Cursor.commit = counted
    answers = os.fdopen(4, "w", encoding="utf-8", errors="backslashreplace")
    orders = os.fdopen(3, "r", encoding="utf-8")
    os.set_inheritable(3, False)
    os.set_inheritable(4, False)
    # Who shares the process shares these; who is started by it does not.

    def answer(value):
        answers.write(json.dumps(value, default=str) + "\n")
        answers.flush()

    def mark(text):
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            try:
                stream.flush()
            except Exception:
                pass
            try:
                os.write(number, text.encode())
            except OSError:
                pass

    def one(query):
        env.cr.execute(query)
        return env.cr.fetchone()[0]

    def transaction():
        """The number of the open transaction, or None where there is no telling (a read-only standby)."""
        try:
            return one("SELECT txid_current()")
        except Exception:
            env.cr.rollback()
            return None

    def healthy():
        try:
            env.cr.execute("SELECT 1")
            return True
        except Exception:
            return False

    def cap(text, most):
        text = text.encode("utf-8", "backslashreplace").decode()
        return text if len(text) <= most else text[:most] + "[… %d more]" % (len(text) - most)

    def told(error, name, hidden):
        """The error, with the frames of the code that was given; those within Odoo are counted, the last is named."""
        kind = type(error)
        module = kind.__module__
        title = kind.__qualname__ if module in ("builtins", "__main__") else "%s.%s" % (module, kind.__qualname__)
        message = cap(str(error), 4000)
        lines, line, inner, last = [], None, 0, None

        def rest():
            if inner:
                lines.append("  [%d frames outside the code; the last: %s]" % (inner, last))

        if isinstance(error, SyntaxError) and error.filename == name:
            line = error.lineno
            lines = ['  File "%s", line %s' % (name, error.lineno)]
            if error.text:
                text = error.text.rstrip("\n")
                bare = text.lstrip()
                lines.append("    " + bare)
                if error.offset:
                    lines.append("    " + " " * max(0, error.offset - 1 - (len(text) - len(bare))) + "^")
            message = error.msg
        else:
            for frame in traceback.extract_tb(error.__traceback__):
                if frame.filename == name:
                    rest()
                    inner = 0
                    line = frame.lineno
                    lines.append('  File "%s", line %d, in %s' % (name, frame.lineno, frame.name))
                    if frame.line:
                        lines.append("    " + frame.line)
                elif frame.filename != hidden:
                    inner += 1
                    last = "%s:%d in %s" % ("/".join(frame.filename.split("/")[-4:]), frame.lineno, frame.name)
            rest()
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        because = "%s: %s" % (type(cause).__qualname__, cap(str(cause), 1000)) if cause is not None else None
        text = "Traceback (most recent call last):\n%s\n%s: %s\n" % ("\n".join(lines), title, message)
        if because:
            text += "  caused by %s\n" % because
        return {"kind": title, "message": message, "line": line, "cause": because, "trace": cap(text, 20000)}

    def show(value):
        if value is not None:
            print(cap(repr(value), 20000))
            user["_"] = value

    user = {key: value for key, value in scope.items() if key in ("env", "self", "odoo", "openerp")}
    user.update({"__name__": "__main__", "__builtins__": builtins})
    sys.displayhook = show
    here = _ocore.__code__.co_filename

    def perform(order):
        """{exit_code, error, value, answer}"""
        if order.get("own"):
            own = {"__name__": "ocore", "env": env, "odoo": odoo, "args": order["args"], "answer": None}
            exec(compile(order["code"], "<ocore>", "exec"), own)
            return {"exit_code": 0, "answer": own["answer"]}
        name = order.get("name") or "<code>"
        code = order["code"]
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        try:
            tree = ast.parse(code, name)
            value = None
            if order.get("display"):
                exec(compile(ast.Interactive(tree.body), name, "single"), user)
            else:
                last = None
                if tree.body and isinstance(tree.body[-1], ast.Expr):
                    last = compile(ast.Expression(tree.body.pop().value), name, "eval")
                exec(compile(tree, name, "exec"), user)
                if last is not None:
                    value = eval(last, user)
            return {"exit_code": 0, "value": None if value is None else cap(repr(value), 20000)}
        except SystemExit as error:
            if error.code is None or isinstance(error.code, int):
                return {"exit_code": int(error.code or 0) & 255}
            sys.stderr.write("%s\n" % error.code)
            return {"exit_code": 1}
        except BaseException as error:
            problem = told(error, name, here)
            sys.stderr.write(problem["trace"])
            return {"exit_code": 1, "error": problem}

    config = odoo.tools.config
    answer({
        "version": odoo.release.version, "database": env.cr.dbname, "pid": os.getpid(),
        "data_dir": str(config["data_dir"]),
        "addons_path": config["addons_path"] if isinstance(config["addons_path"], list) else str(config["addons_path"]).split(","),
        "configuration": str(config.rcfile), "started_in": os.times()[4] - began,
        "postgres": env.cr.connection.server_version,
    })
    for line in orders:
        order = json.loads(line)
        until = order.get("statement_timeout")
        if until:
            # Of this transaction only: a pooler may hand the connection on.
            env.cr.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(until * 1000))])
            if env.cr.connection.server_version >= 140000:
                env.cr.execute("SELECT set_config('client_connection_check_interval', '1000', true)")
        counts["commits"] = 0
        at = transaction()
        start = time.monotonic()
        if order["mark"]:
            mark(order["mark"] + "<")
        try:
            result = perform(order)
        except BaseException as error:  # of a script of ours
            result = {"exit_code": 1, "error": told(error, "<ocore>", here)}
            sys.stderr.write(result["error"]["trace"])
        if order["mark"]:
            mark(order["mark"] + ">")
        result["seconds"] = time.monotonic() - start
        result["commits"] = counts["commits"]
        result["lost"] = False
        committed = None
        try:
            if not healthy():
                # PostgreSQL takes nothing more in this transaction.
                env.cr.rollback()
                env.clear()
                result["lost"] = True
            if at is not None:
                # Still the same transaction: nothing of it can have been committed.
                now = one("SELECT txid_current()")
                committed = now != at and one("SELECT txid_status(%d)" % at) == "committed"
                committed = committed or counts["commits"] > 0
            elif counts["commits"]:
                committed = True
            if counts["commits"] or committed:
                env.registry.signal_changes()
        except Exception as error:
            result["afterwards"] = "%s: %s" % (type(error).__name__, cap(str(error), 500))
        result["committed"] = committed
        answer(result)
        if not order.get("keep", True):
            break
    env.cr.rollback()


_ocore(globals())
