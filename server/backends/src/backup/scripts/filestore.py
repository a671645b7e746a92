# Works on a filestore in Odoo's container. The first line on file descriptor 3 is the order as JSON; names follow, one a line,
# where the verb takes names. Answers go to 4, one JSON a line, the last with "done". No symbolic link is ever followed below the
# filestore's folder, and nothing but regular files is read.
#
# Verbs: measure, pack (tar to stdout), unpack (tar from stdin), copy, look, move, remove.
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tarfile

NAME = re.compile(r"[0-9a-f]{2,3}/[0-9a-f]{40}\Z")
CHUNK = 1 << 18
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

orders = os.fdopen(3, encoding="utf-8")
order = json.loads(orders.readline())
answers = os.fdopen(4, "w", encoding="utf-8")


def tell(**answer):
    answers.write(json.dumps(answer) + "\n")


def names():
    for line in orders:
        name = line.rstrip("\n")
        if not NAME.match(name):
            sys.exit("not a name of the filestore: %r" % name)
        yield name


class Root:
    """A filestore's folder and its sub-folders, opened once."""

    def __init__(self, path, make=False):
        path = path.rstrip("/")
        parent, name = os.path.split(path)
        if make:
            os.makedirs(parent, exist_ok=True)
        above = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if make:
                os.mkdir(name, 0o755, dir_fd=above)
            self.fd = os.open(name, FOLDER, dir_fd=above)
        finally:
            os.close(above)
        self.folders = {}

    def folder(self, name, make=False):
        if name not in self.folders:
            if make:
                try:
                    os.mkdir(name, 0o755, dir_fd=self.fd)
                except FileExistsError:
                    pass
            self.folders[name] = os.open(name, FOLDER, dir_fd=self.fd)
        return self.folders[name]

    def read(self, name):
        """A regular file's descriptor and state; None when it is not there."""
        folder, _, file = name.partition("/")
        try:
            fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.folder(folder))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            return None
        return fd, found

    def state(self, name):
        folder, _, file = name.partition("/")
        try:
            found = os.stat(file, dir_fd=self.folder(folder), follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise
        return found if stat.S_ISREG(found.st_mode) else None

    def write(self, name):
        folder, _, file = name.partition("/")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(file, flags, 0o644, dir_fd=self.folder(folder, make=True))


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def room(path, needed):
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    if free < needed:
        sys.exit("%d MB are needed in %s and %d MB are free" % ((needed >> 20) + 1, path, free >> 20))


def opened(path):
    """The filestore, or None where there is none: Odoo makes it with the first attachment."""
    try:
        return Root(path)
    except FileNotFoundError:
        return None


def measure():
    root, count, size = opened(order["root"]), 0, 0
    for name in names():
        found = root.state(name) if root else None
        if found:
            count += 1
            size += found.st_size
        else:
            tell(missing=name)
    tell(done=True, count=count, size=size)


def pack():
    root, count, size = opened(order["root"]), 0, 0
    for name in names():
        found = root.read(name) if root else None
        if not found:
            tell(missing=name)
            answers.flush()
            continue
        fd, state = found
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = state.st_size, int(state.st_mtime), 0o600
        write_all(1, info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict"))
        left = state.st_size
        while left:
            data = os.read(fd, min(CHUNK, left))
            if not data:
                sys.exit("%s got shorter while it was read" % name)
            write_all(1, data)
            left -= len(data)
        os.close(fd)
        write_all(1, b"\0" * (-state.st_size % 512))
        count += 1
        size += state.st_size
    write_all(1, b"\0" * 1024)
    tell(done=True, count=count, size=size)


def unpack():
    room(os.path.dirname(order["root"]), order["size"])
    damaged, count, size = set(order["damaged"]), 0, 0
    root = Root(order["root"], make=True)
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for info in archive:
            if not info.isreg() or not NAME.match(info.name):
                sys.exit("the archive holds what is no file of a filestore: %r" % info.name)
            source, fd, digest = archive.extractfile(info), root.write(info.name), hashlib.sha1()
            left = info.size
            while left:
                data = source.read(min(CHUNK, left))
                if not data:
                    sys.exit("the archive ends in the middle of %s" % info.name)
                digest.update(data)
                write_all(fd, data)
                left -= len(data)
            os.close(fd)
            if digest.hexdigest() != info.name.partition("/")[2] and info.name not in damaged:
                sys.exit("the content of %s is not what its name says" % info.name)
            count += 1
            size += info.size
    os.sync()
    tell(done=True, count=count, size=size)


def copy():
    source, count, size = opened(order["root"]), 0, 0
    room(os.path.dirname(order["to"]), order["size"])
    target = Root(order["to"], make=True)
    for name in names():
        found = source.read(name) if source else None
        if not found:
            tell(missing=name)
            continue
        fd, to = found[0], target.write(name)
        while True:
            data = os.read(fd, CHUNK)
            if not data:
                break
            write_all(to, data)
            size += len(data)
        os.close(fd)
        os.close(to)
        count += 1
    os.sync()
    tell(done=True, count=count, size=size)


def look():
    tell(done=True, there=[os.path.lexists(path) for path in order["paths"]])


def move():
    # Each is done once, however often it is asked for.
    for old, new in order["moves"]:
        if os.path.lexists(new):
            if os.path.lexists(old):
                sys.exit("%s and %s are both there" % (old, new))
            continue
        if os.path.lexists(old):
            os.rename(old, new)
    for parent in {os.path.dirname(path) for pair in order["moves"] for path in pair}:
        if os.path.isdir(parent):
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)
    tell(done=True)


def remove():
    for path in order["paths"]:
        if os.path.islink(path):
            sys.exit("%s is a symbolic link" % path)
        if os.path.lexists(path):
            shutil.rmtree(path)
    tell(done=True)


try:
    {"measure": measure, "pack": pack, "unpack": unpack, "copy": copy, "look": look, "move": move, "remove": remove}[order["do"]]()
except (OSError, tarfile.TarError) as error:
    sys.exit("%s: %s" % (order["do"], error))
answers.close()
