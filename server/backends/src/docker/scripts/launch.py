# Starts Odoo's command line as the server of this container was started: its interpreter, program, configuration, addons,
# data folder and database settings. Arguments: `tell` (prints them as JSON, without secrets), `run` and Odoo's arguments, or
# `python` and a script that gets Odoo's program ("-" for an installed package) and flags as its arguments.
#
# A password of the database goes by the environment (PGPASSWORD), never by an argument; one in the configuration file stays there.
import json
import os
import re
import shutil
import sys

PROGRAMS = ("odoo", "odoo-bin", "odoo.py", "odoo-server", "openerp-server")
# Flags of the server that say where things are, each with a value.
KEPT = {
    "-c": "--config", "--config": "--config", "--addons-path": "--addons-path", "-D": "--data-dir", "--data-dir": "--data-dir",
    "-r": "--db_user", "--db_user": "--db_user", "--db_host": "--db_host", "--db_port": "--db_port",
    "--db_sslmode": "--db_sslmode", "--db_replica_host": "--db_replica_host", "--db_replica_port": "--db_replica_port",
    "--pg_path": "--pg_path", "--load": "--load", "--upgrade-path": "--upgrade-path",
    "--pre-upgrade-scripts": "--pre-upgrade-scripts", "--db-template": "--db-template",
}
SECRET = ("-w", "--db_password")


def read(pid, what):
    try:
        with open("/proc/%s/%s" % (pid, what), "rb") as file:
            return file.read()
    except (IOError, OSError):
        return b""


def words_of(pid):
    text = read(pid, "cmdline")
    return [os.fsdecode(word) for word in text.split(b"\0")[:-1]] if text else []


def program_in(words):
    """Where in a command line Odoo's program stands: [from, to)."""
    if not words or not re.match(r"(python|pypy)[0-9.]*$", os.path.basename(words[0])):
        return None
    at = 1
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "-m":
            return (at, at + 2) if words[at + 1: at + 2] == ["odoo"] else None
        at += 2 if words[at] in ("-W", "-X") else 1
    if at < len(words) and os.path.basename(words[at]) in PROGRAMS:
        return (at, at + 1)
    return None


def server():
    """The running server: the oldest process of this user that is one."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        words = words_of(pid)
        where = program_in(words)
        if not where:
            continue
        command = next((word for word in words[where[1]: where[1] + 1] if not word.startswith("-")), "server")
        if command not in ("server", "start") or "--stop-after-init" in words:
            continue
        fields = read(pid, "stat").rpartition(b")")[2].split()
        if len(fields) < 20 or fields[0] == b"Z":
            continue
        try:
            ours = os.stat("/proc/%s" % pid).st_uid == os.getuid()
        except OSError:
            continue
        environment = read(pid, "environ")
        if not ours or b"OCORE_RUN=" in environment:
            continue
        found.append((int(fields[19]), int(pid), words, where, environment))
    return min(found, default=None)


def kept_flags(words):
    """The flags that say where things are, and the database's password."""
    kept, password, at = [], None, 0
    while at < len(words):
        name, equal, value = words[at].partition("=")
        short = None
        if not equal and re.match(r"-[cDrw].+", words[at]):
            short, value = words[at][:2], words[at][2:]
        flag = short or name
        if flag in KEPT or flag in SECRET:
            if not equal and not short:
                at += 1
                value = words[at] if at < len(words) else ""
            if flag in SECRET:
                password = value
            else:
                kept.append("%s=%s" % (KEPT[flag], value))
        at += 1
    return kept, password


def flag_value(words, names):
    """The value of the last of these flags."""
    value = None
    for at, word in enumerate(words):
        name, equal, text = word.partition("=")
        if name in names:
            value = text if equal else "".join(words[at + 1: at + 2])
    return value


def configuration(kept, environment):
    for flag in kept:
        if flag.startswith("--config="):
            return flag.partition("=")[2]
    for name in ("ODOO_RC", "OPENERP_SERVER"):
        if environment.get(name):
            return environment[name]
    home = environment.get("HOME") or os.path.expanduser("~")
    for path in (os.path.join(home, ".odoorc"), os.path.join(home, ".openerp_serverrc"), "/etc/odoo/odoo.conf", "/etc/odoo.conf"):
        if os.path.exists(path):
            return path
    return None


def option(path, name):
    """A setting of the configuration file, if it is there and says something."""
    try:
        with open(path or "", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (IOError, OSError):
        return None
    found = re.search(r"(?m)^[ \t]*%s[ \t]*[=:][ \t]*(.*?)[ \t]*$" % re.escape(name), text)
    return found.group(1) if found and found.group(1) not in ("", "False", "None") else None


def start():
    running = server()
    environment, source = dict(os.environ), []
    if running:
        _, pid, words, (first, last), block = running
        for pair in block.split(b"\0"):
            name, equal, value = os.fsdecode(pair).partition("=")
            if equal:
                environment[name] = value
        try:
            cwd = os.readlink("/proc/%d/cwd" % pid)
        except OSError:
            cwd = None
        kept, password = kept_flags(words[last:])
        program = words[:last]
        if not os.path.isabs(program[0]):
            program[0] = shutil.which(program[0], path=environment.get("PATH")) or program[0]
        # A link to the interpreter: a virtual environment is found by the link's name, so it stays.
    else:
        pid, cwd, kept, password, program = None, None, [], None, None
        places = [shutil.which(name) for name in PROGRAMS]
        places += ["/opt/odoo/odoo-bin", "/opt/odoo/odoo/odoo-bin", "/odoo/odoo-bin", "/usr/src/odoo/odoo-bin", "/mnt/odoo/odoo-bin"]
        for place in places:
            if place and os.path.exists(place):
                program = [sys.executable or "python3", place]
                with open(place, "rb") as file:
                    line = file.readline(200)
                if line.startswith(b"#!"):
                    program = [part for part in os.fsdecode(line[2:]).split() if os.path.basename(part) != "env"] + [place]
                    if not os.path.isabs(program[0]):
                        program[0] = shutil.which(program[0]) or program[0]
                break
        if not program:
            sys.exit("no Odoo server runs here as this user, and no program named odoo or odoo-bin is in the usual places")
    rc = configuration(kept, environment)
    if password:
        environment["PGPASSWORD"] = password
        source.append("the server's arguments")
    # What the official image's entry point makes of its environment: the file first, then the environment, then its defaults.
    official = os.path.exists("/entrypoint.sh") and "ODOO_RC" in environment
    for name, variable, fallback in (
        ("db_host", "HOST", "db"), ("db_port", "PORT", "5432"), ("db_user", "USER", "odoo"), ("db_password", "PASSWORD", "odoo"),
    ):
        target = "PG" + variable
        if any(flag.startswith("--%s=" % name) for flag in kept) or (name == "db_password" and password):
            continue
        if option(rc, name) is not None:
            source.append("%s in %s" % (name, rc))
        elif environment.get(target):
            source.append("%s in the environment" % target)
        elif official:
            value = environment.get(variable) or fallback
            if name == "db_password" and environment.get("PASSWORD_FILE"):
                try:
                    with open(environment["PASSWORD_FILE"], encoding="utf-8") as file:
                        value = file.read().rstrip("\n")
                except (IOError, OSError):
                    pass
            environment[target] = value
            source.append("%s in the environment" % variable)
    environment["OCORE_RUN"] = os.environ.get("OCORE_RUN", "")
    environment.setdefault("PYTHONIOENCODING", "utf-8:backslashreplace")
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    http_port = flag_value(words[last:], ("-p", "--http-port", "--xmlrpc-port")) if running else None
    http_port = http_port or option(rc, "http_port") or option(rc, "xmlrpc_port") or "8069"
    logfile = (flag_value(words[last:], ("--logfile",)) if running else None) or option(rc, "logfile")
    served = [
        (flag_value(words[last:], flags) if running else None) or option(rc, name)
        for flags, name in ((("-d", "--database"), "db_name"), (("--db-filter", "--dbfilter"), "dbfilter"))
    ]
    return pid, program, kept, cwd, rc, environment, source, int(http_port), logfile, served


pid, program, kept, cwd, rc, environment, source, http_port, logfile, served = start()
if sys.argv[1] == "tell":
    print(json.dumps({
        "pid": pid, "program": program, "flags": kept, "folder": cwd, "configuration": rc, "database_settings": source,
        "http_port": http_port, "logfile": logfile, "databases": served[0],
        "database_filter": served[1], "data_dir": option(rc, "data_dir"), "addons_path": option(rc, "addons_path"),
    }))
else:
    if cwd:
        try:
            os.chdir(cwd)
        except OSError:
            pass
    if sys.argv[1] == "python":
        interpreter = program[:-2] if program[-2] == "-m" else program[:-1]
        place = "-" if program[-2] == "-m" else os.path.join(os.getcwd(), program[-1])
        os.execve(program[0], interpreter + ["-c", sys.argv[2], place] + kept, environment)
    command = sys.argv[2]
    # A subcommand is known by not being a flag; the server has none.
    first = [] if command.startswith("-") else [command]
    os.execve(program[0], program + first + kept + sys.argv[2 + len(first):], environment)
