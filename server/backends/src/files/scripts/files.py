# Works on files below named roots, by handles of directories only; no symbolic link is followed anywhere.
#
# File descriptor 3: one line of JSON, the order, then the payload. File descriptor 4: the line "commit" once something may
# have been changed, one line of JSON, the answer, then the payload. A scan reads a second line, which candidates are wanted,
# and answers with one line and the content for each. With "more", further orders that have no payload follow, one line each.
# Python 3.6 and later, standard library only. Names are bytes, so the
# locale does not matter.
import errno
import fcntl
import hashlib
import json
import os
import stat
import sys
import time

WHOLE = 10 << 20
NAMES = 20000
DEPTH = 64
TEMPORARY = b".ocore-tmp-"
MANIFESTS = (b"__manifest__.py", b"__openerp__.py")
SKIPPED = (b".git", b"node_modules", b"__pycache__")
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

source = os.fdopen(3, "rb")
sink = os.fdopen(4, "wb")
changed = False


class Fault(Exception):
    def __init__(self, fault, **more):
        Exception.__init__(self, fault)
        self.told = dict(more, fault=fault)


def of(error, at):
    number = error.errno
    if number == errno.ENOENT:
        return Fault("not_found", at=at)
    if number in (errno.EACCES, errno.EPERM):
        return Fault("denied", at=at)
    if number == errno.ENOTDIR:
        return Fault("not_directory", at=at)
    if number == errno.EISDIR:
        return Fault("is_directory", at=at)
    if number == errno.ELOOP:
        return Fault("link", at=at)
    if number == errno.EBUSY:
        return Fault("mount", at=at)
    if number in (errno.ENXIO, errno.ENODEV):
        return Fault("special", at=at, kind="other")
    plain = {
        errno.EEXIST: "exists", errno.ENOTEMPTY: "not_empty", errno.EROFS: "read_only", errno.ENOSPC: "no_space",
        errno.EDQUOT: "no_space", errno.EXDEV: "cross_device",
    }
    if number in plain:
        return Fault(plain[number])
    return Fault("io", why=os.strerror(number) if number else str(error))


def commit():
    global changed
    if not changed:
        changed = True
        sink.write(b"commit\n")
        sink.flush()


def kind_of(found):
    mode = found.st_mode
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISFIFO(mode):
        return "fifo"
    if stat.S_ISSOCK(mode):
        return "socket"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "device"
    return "other"


def meta_of(found):
    return {
        "kind": kind_of(found), "size": found.st_size, "mode": stat.S_IMODE(found.st_mode),
        "mtime": found.st_mtime_ns // 1000000000, "nanoseconds": found.st_mtime_ns % 1000000000,
        "uid": found.st_uid, "gid": found.st_gid, "links": found.st_nlink, "inode": found.st_ino,
    }


def stamp(found):
    if stat.S_ISDIR(found.st_mode):
        return "dir-%d" % found.st_ino
    seconds, nanoseconds = divmod(found.st_mtime_ns, 1000000000)
    return "stat-%d-%d-%d.%09d" % (found.st_ino, found.st_size, seconds, nanoseconds)


def look(directory, name, at=0):
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        raise of(error, at)


def device_of(directory):
    """File system and mount: what may not change on the way to a change."""
    mount = None
    try:
        with open("/proc/self/fdinfo/%d" % directory) as file:
            for line in file:
                if line.startswith("mnt_id:"):
                    mount = line.split()[1]
    except OSError:
        pass
    return os.fstat(directory).st_dev, mount


def step(directory, name, at, device=None):
    try:
        following = os.open(name, DIRECTORY, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            kind = kind_of(look(directory, name, at))
            if kind == "link":
                raise Fault("link", at=at)
            if kind not in ("file", "directory"):
                raise Fault("special", at=at, kind=kind)
            raise Fault("not_directory", at=at)
        raise of(error, at)
    if device is not None and device_of(following) != device:
        os.close(following)
        raise Fault("mount", at=at)
    return following


def descend(directory, path, device=None):
    here = os.dup(directory)
    for index, name in enumerate(path):
        try:
            following = step(here, name, index + 1, device)
        finally:
            os.close(here)
        here = following
    return here


def names(directory):
    found = sorted(os.fsencode(name) for name in os.listdir(directory))
    return found[:NAMES], len(found) > NAMES


def readable(name):
    """As text, and whether something had to be replaced."""
    try:
        return name.decode("utf-8"), False
    except UnicodeDecodeError:
        return name.decode("utf-8", "replace"), True


def addressable(name):
    text, lossy = readable(name)
    controls = any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)
    return not (lossy or controls or "\\" in text or name.startswith(TEMPORARY))


def is_git(name):
    hidden = [range(0x200b, 0x2010), range(0x202a, 0x202f), range(0x2060, 0x2070), (0xfeff,)]
    text = "".join(c for c in readable(name)[0] if not any(ord(c) in some for some in hidden)).lower()
    base = text.split(":")[0].strip().rstrip(". ")
    return base == ".git" or (base[:4] == "git~" and base[4:].isdigit())


def open_file(directory, name, at):
    def check(found):
        kind = kind_of(found)
        if kind == "directory":
            raise Fault("is_directory", at=at)
        if kind == "link":
            raise Fault("link", at=at)
        if kind != "file":
            raise Fault("special", at=at, kind=kind)

    check(look(directory, name, at))
    try:
        handle = os.open(name, FILE, dir_fd=directory)
    except OSError as error:
        raise of(error, at)
    found = os.fstat(handle)
    try:
        check(found)
    except Fault:
        os.close(handle)
        raise
    return handle, found


def read(handle, limit):
    """At most one byte more than the limit."""
    parts, left = [], limit + 1
    while left > 0:
        part = os.read(handle, min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def version(directory, name, at):
    handle, found = open_file(directory, name, at)
    try:
        if found.st_size > WHOLE:
            return stamp(found), found
        return hashlib.sha256(read(handle, WHOLE)).hexdigest(), found
    finally:
        os.close(handle)


def own(handle, like):
    found = os.fstat(handle)
    if (found.st_uid, found.st_gid) == (like.st_uid, like.st_gid):
        return True
    try:
        os.fchown(handle, -1, like.st_gid)
    except OSError:
        return False
    return found.st_uid == like.st_uid


def sync(directory):
    try:
        os.fsync(directory)
    except OSError:
        pass


def lock(directory):
    own_handle = os.open(b".", DIRECTORY, dir_fd=directory)
    for _ in range(200):
        try:
            fcntl.flock(own_handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                time.sleep(0.01)
                continue
        return own_handle
    raise Fault("busy")


def make(directory, name, at):
    try:
        os.mkdir(name, 0o755, dir_fd=directory)
    except OSError as error:
        raise of(error, at)
    following = step(directory, name, at)
    os.fchmod(following, 0o755)
    own(following, os.fstat(directory))
    sync(directory)
    return following


def unmake(directory, path, made):
    for count in range(len(path), len(path) - made, -1):
        try:
            os.rmdir(path[count - 1], dir_fd=descend(directory, path[:count - 1]))
        except (OSError, Fault):
            pass


def parents(directory, path, make_them, made):
    device, here = device_of(directory), os.dup(directory)
    for index, name in enumerate(path):
        try:
            here = step(here, name, index + 1, device)
        except Fault as fault:
            if fault.told["fault"] != "not_found" or not make_them:
                raise
            commit()
            here = make(here, name, index + 1)
            made.append(name)
    return here


def rename_new(old_directory, old, new_directory, new):
    """Never replaces: OSError with EEXIST then, with ENOSYS where there is no such call."""
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        raise OSError(errno.ENOSYS, "renameat2")
    if call(old_directory, ctypes.c_char_p(old), new_directory, ctypes.c_char_p(new), ctypes.c_uint(1)) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def addons(roots):
    found, truncated = [], False

    def manifest(directory):
        for name in MANIFESTS:
            try:
                if kind_of(look(directory, name)) == "file":
                    return name.decode()
            except Fault:
                pass

    for index, root in enumerate(roots):
        own_manifest = manifest(root)
        if own_manifest:
            found.append({"root": index, "name": None, "manifest": own_manifest})
        listed, more = names(root)
        truncated = truncated or more
        for name in listed:
            if not addressable(name):
                continue
            try:
                directory = step(root, name, 1)
            except Fault:
                continue
            its = manifest(directory)
            os.close(directory)
            if its:
                found.append({"root": index, "name": name.decode(), "manifest": its})
    return {"reply": "addons", "addons": found, "truncated": truncated}


def walk(root, path, depth, cap):
    base = descend(root, path)
    entries, truncated, todo = [], False, [([], None)]
    while todo:
        below, seen_at = todo.pop(0)
        try:
            directory = descend(base, below)
        except Fault:
            if seen_at is None:
                raise
            entries[seen_at]["cut"] = True
            continue
        try:
            listed, cut = names(directory)
        except OSError as error:
            os.close(directory)
            if seen_at is None:
                raise of(error, len(path))
            entries[seen_at]["cut"] = True
            continue
        for name in listed:
            if name == b"__pycache__" or name.startswith(TEMPORARY):
                continue
            if len(entries) >= cap:
                cut = True
                break
            try:
                found = look(directory, name)
            except Fault:
                continue
            text, lossy = readable(name)
            here = below + [name]
            if stat.S_ISDIR(found.st_mode) and addressable(name) and not is_git(name) and len(here) < depth:
                todo.append((here, len(entries)))
            shown = [part.decode() for part in below] + [text]
            entries.append({"path": shown, "lossy": lossy, "meta": meta_of(found), "cut": False})
        os.close(directory)
        if cut:
            truncated = True
            if seen_at is not None:
                entries[seen_at]["cut"] = True
    return {"reply": "walked", "entries": entries, "truncated": truncated}


def get(root, path, whole, head, offset=0):
    if not path:
        return {"reply": "got", "meta": meta_of(os.fstat(root))}, b""
    at = len(path)
    directory = descend(root, path[:-1])
    found = look(directory, path[-1], at)
    kind = kind_of(found)
    if kind == "directory":
        return {"reply": "got", "meta": meta_of(found)}, b""
    handle, found = open_file(directory, path[-1], at)
    if found.st_size > whole:
        os.lseek(handle, offset, os.SEEK_SET)
    content = read(handle, whole if found.st_size <= whole else head)
    if found.st_size <= whole < len(content):
        raise Fault("too_large", size=len(content))
    return {"reply": "got", "meta": meta_of(os.fstat(handle))}, content


def replace(directory, name, at, expect, mode, content):
    before = None
    if expect == "absent":
        try:
            look(directory, name, at)
        except Fault as fault:
            if fault.told["fault"] != "not_found":
                raise
        else:
            raise Fault("exists")
    else:
        found, before = version(directory, name, at)
        if found != expect["version"]:
            raise Fault("conflict", found=found)
    temporary = TEMPORARY + hashlib.sha256(name).hexdigest()[:16].encode()
    try:  # left by a writer that was killed: the lock says that there is none now
        os.unlink(temporary, dir_fd=directory)
    except OSError:
        pass
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(temporary, flags, 0o600, dir_fd=directory)
    except OSError as error:
        raise of(error, at)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view):]
        kept = own(handle, before or os.fstat(directory))
        os.fchmod(handle, (stat.S_IMODE(before.st_mode) if before else mode) & 0o777)
        os.fsync(handle)
        if before:  # once more, as late as can be: others than ocore do not know of its lock
            now = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if (now.st_ino, now.st_size, now.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
                os.unlink(temporary, dir_fd=directory)
                raise Fault("conflict", found=stamp(now))
        commit()
        if before:
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            try:
                rename_new(directory, temporary, directory, name)
            except OSError as error:
                if error.errno not in (errno.ENOSYS, errno.EINVAL):
                    raise
                os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
                os.unlink(temporary, dir_fd=directory)
    except OSError as error:
        try:
            os.unlink(temporary, dir_fd=directory)
        except OSError:
            pass
        raise of(error, at)
    sync(directory)
    return {"meta": meta_of(os.fstat(handle)), "files": 1, "bytes": len(content), "owner": bool(before) and not kept}


def put(root, path, expect, make_them, mode, content):
    made = []
    try:
        directory = parents(root, path[:-1], make_them, made)
        held = lock(directory)
        done = replace(directory, path[-1], len(path), expect, mode, content)
        os.close(held)
    except Fault:
        unmake(root, path[:-1], len(made))
        raise
    return dict(done, reply="done", made=len(made))


def mkdir(root, path, make_them):
    if not path:
        raise Fault("exists")
    made = []
    try:
        directory = parents(root, path[:-1], make_them, made)
        commit()
        following = make(directory, path[-1], len(path))
    except Fault:
        unmake(root, path[:-1], len(made))
        raise
    return {"reply": "done", "meta": meta_of(os.fstat(following)), "directories": 1, "made": len(made)}


def count(directory, device, below, at, limit, done):
    if len(below) > DEPTH:
        raise Fault("too_many")
    for name in os.listdir(directory):
        name = os.fsencode(name)
        text = readable(name)[0]
        if is_git(name):
            raise Fault("git", below=below + [text])
        found = look(directory, name, at)
        if stat.S_ISDIR(found.st_mode):
            done["directories"] += 1
            following = step(directory, name, at, device)
            count(following, device, below + [text], at, limit, done)
            os.close(following)
        else:
            done["files"] += 1
            done["bytes"] += found.st_size
        if done["files"] + done["directories"] > limit + 1:
            raise Fault("too_many")


def empty(directory, device, depth, gone):
    if depth > DEPTH:
        raise Fault("too_many")
    for name in os.listdir(directory):
        name = os.fsencode(name)
        if is_git(name):
            raise Fault("git", below=[readable(name)[0]])
        try:
            if stat.S_ISDIR(look(directory, name).st_mode):
                following = step(directory, name, 0, device)
                empty(following, device, depth + 1, gone)
                os.close(following)
                os.rmdir(name, dir_fd=directory)
                gone["directories"] += 1
            else:
                os.unlink(name, dir_fd=directory)
                gone["files"] += 1
        except OSError as error:
            raise of(error, 0)


def remove(root, path, expect, recursive, limit, dry):
    at, device = len(path), device_of(root)
    if not path:
        raise Fault("is_directory", at=0)
    name = path[-1]
    directory = descend(root, path[:-1], device)
    lock(directory)
    found = look(directory, name, at)
    kind = kind_of(found)
    if kind == "file":
        if expect is not None:
            its = version(directory, name, at)[0]
            if its != expect:
                raise Fault("conflict", found=its)
        if not dry:
            commit()
            try:
                os.unlink(name, dir_fd=directory)
            except OSError as error:
                raise of(error, at)
            sync(directory)
        return {"reply": "done", "meta": meta_of(found), "files": 1, "bytes": found.st_size}
    if kind == "link":
        raise Fault("link", at=at)
    if kind != "directory":
        raise Fault("special", at=at, kind=kind)
    inner = step(directory, name, at, device)
    done = {"files": 0, "directories": 1, "bytes": 0}
    try:
        count(inner, device, [], at, limit, done)
    except OSError as error:
        raise of(error, at)
    if not recursive and done["files"] + done["directories"] > 1:
        raise Fault("not_empty")
    if not dry:
        commit()
        gone = {"files": 0, "directories": 0}
        try:
            empty(inner, device, 0, gone)
            try:
                os.rmdir(name, dir_fd=directory)
            except OSError as error:
                raise of(error, at)
        except Fault as fault:
            if gone["files"] + gone["directories"] == 0:
                raise
            raise Fault("partial", why=json.dumps(fault.told), **gone)
        sync(directory)
    return dict(done, reply="done", meta=meta_of(found))


def rename(root, path, to, expect):
    if not path or (to[: len(path)] == path and len(to) > len(path)):
        raise Fault("into_itself")
    if not to:
        raise Fault("exists")
    device = device_of(root)
    directory = descend(root, path[:-1], device)
    try:
        new_directory = descend(root, to[:-1], device)
    except Fault as fault:
        raise Fault("new", about=fault.told)
    lock(directory)
    if path[:-1] != to[:-1]:
        lock(new_directory)
    found = look(directory, path[-1], len(path))
    kind = kind_of(found)
    if kind == "directory":
        os.close(step(directory, path[-1], len(path), device))
    elif kind == "link":
        raise Fault("link", at=len(path))
    elif kind != "file":
        raise Fault("special", at=len(path), kind=kind)
    if expect is not None:
        its = version(directory, path[-1], len(path))[0] if kind == "file" else stamp(found)
        if its != expect:
            raise Fault("conflict", found=its)
    commit()
    try:
        try:
            rename_new(directory, path[-1], new_directory, to[-1])
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EINVAL):
                raise
            if kind == "file":
                os.link(path[-1], to[-1], src_dir_fd=directory, dst_dir_fd=new_directory, follow_symlinks=False)
                os.unlink(path[-1], dir_fd=directory)
            else:  # a directory replaces an empty one only, and this one is ours
                os.mkdir(to[-1], 0o700, dir_fd=new_directory)
                try:
                    os.rename(path[-1], to[-1], src_dir_fd=directory, dst_dir_fd=new_directory)
                except OSError:
                    os.rmdir(to[-1], dir_fd=new_directory)
                    raise
    except OSError as error:
        raise of(error, len(path))
    sync(directory)
    sync(new_directory)
    is_file = int(kind == "file")
    return {
        "reply": "done", "meta": meta_of(look(new_directory, to[-1])), "files": is_file, "directories": 1 - is_file,
    }


def scan(roots, starts, limits):
    """Two passes: what there is; and, of that, the content of what is wanted."""
    candidates, complete = [], True
    for index, start in starts:
        path, todo = [part.encode() for part in start], []
        try:
            os.close(descend(roots[index], path))
            todo.append(path)
        except Fault as fault:
            if fault.told != {"fault": "not_directory", "at": len(path)}:
                raise
            candidates.append((index, path))
        while todo:
            here = todo.pop()
            try:
                directory = descend(roots[index], here)
            except Fault:
                continue
            try:
                listed, more = names(directory)
            except OSError:
                listed, more = [], False
            complete = complete and not more
            directories = []
            for name in listed:
                if not addressable(name) or is_git(name) or name in SKIPPED:
                    continue
                try:
                    found = look(directory, name)
                except Fault:
                    continue
                if stat.S_ISDIR(found.st_mode) and len(here) < DEPTH:
                    directories.append(here + [name])
                elif stat.S_ISREG(found.st_mode) and found.st_size <= limits["file"]:
                    candidates.append((index, here + [name]))
            os.close(directory)
            todo.extend(reversed(directories))
            if len(candidates) > 4 * limits["files"]:
                complete, todo = False, []
    tell({"ok": {"candidates": [(index, [part.decode() for part in path]) for index, path in candidates],
                 "complete": complete}})
    wanted = json.loads(source.readline().decode())
    left = limits["bytes"]
    for number in wanted:
        index, path = candidates[number]
        try:
            directory = descend(roots[index], path[:-1])
            try:
                handle, found = open_file(directory, path[-1], len(path))
            finally:
                os.close(directory)
            content = read(handle, limits["file"])
            os.close(handle)
        except (Fault, OSError):
            continue
        if len(content) > limits["file"]:
            continue
        left -= len(content)
        if left < 0:
            complete = False
            break
        tell({"number": number, "size": len(content)}, content)
    tell({"number": None, "size": 0, "complete": complete})


def tell(answer, payload=b""):
    sink.write(json.dumps(answer).encode() + b"\n")
    sink.write(payload)
    sink.flush()


def open_roots(given, forbidden):
    opened = []
    for index, path in enumerate(given):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Fault("root_gone", root=index, why="%s: %s" % (path, os.strerror(error.errno)))
        real = os.path.realpath(path)
        if not os.path.samestat(os.stat(real), os.fstat(handle)):
            raise Fault("root_gone", root=index, why="its directory changes while it is opened")
        for system in ("/etc", "/proc", "/sys", "/dev", "/boot"):
            if (real + "/").startswith(system + "/"):
                raise Fault("root_gone", root=index, why="%s belongs to the system" % real)
        if real in ("/", "/root", "/home", "/usr", "/var", "/opt", "/run", "/bin", "/sbin", "/lib", "/var/lib"):
            raise Fault("root_gone", root=index, why="%s belongs to the system" % real)
        for other in forbidden:
            other = os.path.realpath(other)
            if (real + "/").startswith(other + "/") or (other + "/").startswith(real + "/"):
                raise Fault("root_gone", root=index, why="it overlaps with %s, which is not to be reached" % other)
        opened.append(handle)
    return opened


def carry_out(order, roots):
    op, payload = order["op"], b""
    path = [part.encode() for part in order.get("path", ())]
    root = roots[order["root"]] if "root" in order else None
    if op == "scan":
        scan(roots, order["starts"], order["limits"])
        return
    if op == "addons":
        reply = addons(roots)
    elif op == "walk":
        reply = walk(root, path, order["depth"], order["cap"])
    elif op == "get":
        reply, payload = get(root, path, order["whole"], order["head"], order["offset"])
    elif op == "put":
        reply = put(root, path, order["expect"], order["parents"], order["mode"], source.read())
    elif op == "mkdir":
        reply = mkdir(root, path, order["parents"])
    elif op == "remove":
        reply = remove(root, path, order["expect"], order["recursive"], order["limit"], order["dry"])
    else:
        reply = rename(root, path, [part.encode() for part in order["to"]], order["expect"])
    tell({"ok": reply, "size": len(payload)}, payload)


def main():
    order, roots = json.loads(source.readline().decode()), None
    more = order.get("more")
    while True:
        try:
            if roots is None:
                roots = open_roots(order["roots"], order["forbidden"])
            carry_out(order, roots)
        except Fault as fault:
            tell({"fault": fault.told})
        except OSError as error:
            tell({"fault": of(error, 0).told})
        line = source.readline() if more and roots else b""
        if not line:
            return
        os.closerange(max(roots) + 1, max(roots) + 256)  # what the order before left open
        order = json.loads(line.decode())


try:
    main()
finally:
    sys.stdout.flush()
