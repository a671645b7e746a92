# Runs one program in the container and answers for it: whatever it starts dies with it.
#
# This process is a subreaper, so processes that detach themselves come back to it as children; no descendant is ever out of
# its reach. It is not dumpable, so the program (the same user) can neither trace it nor write into its pipes. The standard
# input is the lifeline: when it ends, everything dies. Python 3.6 and later, standard library only.
#
# Both directions are frames: one byte of kind, four of length (big-endian), the payload.
#   in:  S start (JSON)  0 standard input  3 channel 3  c close ("0" or "3")  f flush what was kept back  k kill
#   out: S started (JSON)  1 stdout  2 stderr  4 channel 4  G gap (stream, eight bytes of length)  F flushed  E ended (JSON)
#        X could not start (JSON)
import collections
import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import signal
import struct
import sys
import time

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CHUNK = 65536
BACKLOG = 1 << 20  # bytes waiting in one direction before the other end has to wait
PAGE = resource.getpagesize()


def send_now(kind, payload):
    view = memoryview(kind + struct.pack(">I", len(payload)) + payload)
    while view:
        view = view[os.write(1, view):]


def refuse(reason, message):
    send_now(b"X", json.dumps({"reason": reason, "message": message}).encode())
    sys.exit(1)


def read_exactly(count):
    parts = []
    while count:
        part = os.read(0, min(count, CHUNK))
        if not part:
            sys.exit(1)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


if os.getuid() == 0 or os.geteuid() == 0:
    refuse("root", "uid 0")
libc = ctypes.CDLL(None, use_errno=True)


def prctl(option, value):
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, "prctl %d: %s" % (option, os.strerror(code)))


try:
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
except (OSError, AttributeError) as error:
    refuse("kernel", str(error))

kind, size = struct.unpack(">cI", read_exactly(5))
order = json.loads(read_exactly(size).decode())
started = time.monotonic()
me = os.getpid()


def descendants():
    """{pid: resident bytes} of all processes below this one."""
    parents = collections.defaultdict(list)
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (IOError, OSError):
            continue
        if len(fields) > 21 and fields[0] != b"Z":
            parents[int(fields[1])].append((int(name), int(fields[21]) * PAGE))
        elif len(fields) > 1:
            parents[int(fields[1])].append((int(name), 0))
    found, todo = {}, [me]
    while todo:
        for pid, resident in parents.get(todo.pop(), ()):
            if pid not in found:
                found[pid] = resident
                todo.append(pid)
    return found


def limit_processes(more):
    # The limit counts all processes and threads of the user, of which this container shows a part only: find by trying how
    # many there are, to a factor of two, and allow `more` beyond it.
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    ceiling = hard if hard != resource.RLIM_INFINITY else 1 << 22
    limit = min(64, ceiling)
    while True:
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, hard))
        try:
            pid = os.fork()
        except OSError as error:
            if error.errno != errno.EAGAIN or limit >= ceiling:
                raise
            limit = min(limit * 2, ceiling)
            continue
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return min(limit + more, ceiling)


def cap(which, value):
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


try:
    process_limit = limit_processes(order["processes"])
except OSError as error:
    refuse("busy", "no process can be started: %s" % error)

in0, to0 = os.pipe()
out1, from1 = os.pipe()
out2, from2 = os.pipe()
in3, to3 = os.pipe()
out4, from4 = os.pipe()
told, tell = os.pipe()

child = os.fork()
if child == 0:
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != me:
            os._exit(127)
        prctl(PR_SET_DUMPABLE, 1)
        try:  # rather this one than the server, when memory runs out
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("900")
        except (IOError, OSError):
            pass
        # Out of the way of the numbers they are to have.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 40) for end in (in0, from1, from2, in3, from4)]
        tell = fcntl.fcntl(tell, fcntl.F_DUPFD_CLOEXEC, 40)
        for number, end in enumerate(ends):
            os.dup2(end, number)
        os.closerange(5, tell)
        os.closerange(tell + 1, 1024)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        cap(resource.RLIMIT_CORE, 0)
        cap(resource.RLIMIT_AS, order["memory"])
        cap(resource.RLIMIT_FSIZE, order["file"])
        cap(resource.RLIMIT_NPROC, process_limit)
        environment = dict(os.environ)
        environment.update(order["env"])
        if order.get("cwd"):
            os.chdir(order["cwd"])
        os.umask(0o027)
        argv = order["argv"]
        if argv[0] == "{python}":
            argv = [sys.executable or "python3"] + argv[1:]
        os.execvpe(argv[0], argv, environment)
    except BaseException as error:
        os.write(tell, ("%d %s" % (getattr(error, "errno", None) or 0, error)).encode("utf-8", "replace"))
    os._exit(127)

for end in (in0, from1, from2, in3, from4, tell):
    os.close(end)
problem = b""
while True:
    part = os.read(told, 4096)
    if not part:
        break
    problem += part
os.close(told)
if problem:
    os.waitpid(child, 0)
    number, _, text = problem.decode("utf-8", "replace").partition(" ")
    refuse("missing" if number == str(errno.ENOENT) else "start", text)
send_now(b"S", json.dumps({"pid": me, "child": child}).encode())

for end in (0, 1, to0, out1, out2, to3, out4):
    os.set_blocking(end, False)
woken, wake = os.pipe()
os.set_blocking(woken, False)
os.set_blocking(wake, False)
signal.signal(signal.SIGCHLD, lambda number, frame: None)
signal.set_wakeup_fd(wake)

outgoing = bytearray()
incoming = bytearray()
pending = {to0: bytearray(), to3: bytearray()}
closing = set()
channel = {b"0": to0, b"3": to3}
sources = {out1: b"1", out2: b"2", out4: b"4"}
passed = {b"1": 0, b"2": 0}
kept = {b"1": bytearray(), b"2": bytearray()}
dropped = {b"1": 0, b"2": 0}
head, tail = order["head"], order["tail"]


def frame(kind, payload):
    outgoing.extend(kind + struct.pack(">I", len(payload)))
    outgoing.extend(payload)


def take(kind, data):
    if kind == b"4":
        frame(kind, data)
        return
    direct = data[: max(0, head - passed[kind])]
    if direct:
        passed[kind] += len(direct)
        frame(kind, direct)
    rest = data[len(direct):]
    if rest:
        keeper = kept[kind]
        keeper.extend(rest)
        if len(keeper) > 2 * tail + CHUNK:
            dropped[kind] += len(keeper) - tail
            del keeper[: len(keeper) - tail]


def flush():
    for kind in (b"1", b"2"):
        keeper = kept[kind]
        if len(keeper) > tail:
            dropped[kind] += len(keeper) - tail
            del keeper[: len(keeper) - tail]
        if dropped[kind]:
            frame(b"G", kind + struct.pack(">Q", dropped[kind]))
        if keeper:
            frame(kind, bytes(keeper))
        del keeper[:]
        dropped[kind] = passed[kind] = 0


def drain(source):
    """Reads what is there now; True while the other end may write more."""
    for _ in range(16):
        try:
            data = os.read(source, CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            os.close(source)
            del sources[source]
            return False
        take(sources[source], data)
    return True


def close(end):
    closing.discard(end)
    if end in pending:
        del pending[end]
        os.close(end)


status = None  # of the program, when it has ended
cut = None  # why it was killed


def reap():
    """False when there is no child left."""
    global status
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if pid == child:
            status = code


def kill_all():
    """Kills every descendant, whatever it forks meanwhile; gives the number of those killed and of those that remain."""
    gone, until = set(), time.monotonic() + 10
    while True:
        living = descendants()
        for pid in living:
            try:
                resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
            except (OSError, ValueError, AttributeError):
                pass
            try:
                os.kill(pid, signal.SIGKILL)
                if pid != child:
                    gone.add(pid)
            except OSError:
                pass
        if not reap() and not descendants():
            return len(gone), 0
        if time.monotonic() > until:
            return len(gone), len(descendants())
        time.sleep(0.005)


deadline = started + order["deadline"]
looked = started
peak = 0
while status is None and cut is None:
    now = time.monotonic()
    if now >= deadline:
        cut = "deadline"
        break
    if now - looked >= 0.25:
        looked = now
        living = descendants()
        peak = max(peak, sum(living.values()))
        if sum(living.values()) > order["memory"]:
            cut = "memory"
            break
        if len(living) > order["processes"]:
            cut = "processes"
            break
    poll = select.poll()
    poll.register(0, select.POLLIN if sum(map(len, pending.values())) < BACKLOG else 0)
    poll.register(woken, select.POLLIN)
    if outgoing:
        poll.register(1, select.POLLOUT)
    if len(outgoing) < BACKLOG:
        for source in sources:
            poll.register(source, select.POLLIN)
    for end, data in pending.items():
        poll.register(end, select.POLLOUT if data else 0)
    for end, event in poll.poll(max(1, int(min(0.25, deadline - now) * 1000))):
        if end == woken:
            try:
                os.read(woken, 4096)
            except OSError:
                pass
        elif end == 0:
            if event & (select.POLLHUP | select.POLLERR):
                cut = "cancelled"
                break
            data = os.read(0, CHUNK)
            if not data:
                cut = "cancelled"
                break
            incoming.extend(data)
        elif end == 1:
            try:
                del outgoing[: os.write(1, outgoing[:CHUNK])]
            except BlockingIOError:
                pass
            except OSError:
                cut = "cancelled"
                break
        elif end in sources:
            drain(end)
        elif end in pending:
            if event & select.POLLERR:  # the program does not read any more
                close(end)
                continue
            try:
                del pending[end][: os.write(end, pending[end][:CHUNK])]
            except BlockingIOError:
                pass
            except OSError:
                close(end)
                continue
            if not pending[end] and end in closing:
                close(end)
    while len(incoming) >= 5:
        kind, size = struct.unpack(">cI", bytes(incoming[:5]))
        if len(incoming) < 5 + size:
            break
        payload = bytes(incoming[5: 5 + size])
        del incoming[: 5 + size]
        if kind in channel:
            if channel[kind] in pending:
                pending[channel[kind]].extend(payload)
        elif kind == b"c":
            end = channel.get(payload)
            if end in pending:
                closing.add(end)
                if not pending[end]:
                    close(end)
        elif kind == b"f":
            for source in list(sources):
                drain(source)
            flush()
            frame(b"F", b"")
        elif kind == b"k":
            cut = "cancelled"
    reap()

left_behind, remain = kill_all()
# Everybody who could write is dead: what the pipes hold is the rest.
for source in list(sources):
    while source in sources:
        before = len(outgoing)
        if not drain(source):
            break
        if len(outgoing) == before and not select.select([source], [], [], 0)[0]:
            break
flush()
code, number = None, None
if status is not None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
    else:
        code = os.WEXITSTATUS(status)
frame(b"E", json.dumps({
    "code": code, "signal": number, "cut": cut, "left_behind": left_behind, "remain": remain, "resident": peak,
    "seconds": time.monotonic() - started,
}).encode())
# Blocking again would wait for ever on a reader that is gone but not closed: give it ten seconds.
until = time.monotonic() + 10
while outgoing and time.monotonic() < until:
    if select.select([], [1], [], 0.25)[1]:
        try:
            del outgoing[: os.write(1, outgoing[:CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            break
