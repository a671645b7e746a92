# Kills what is left of a run whose supervisor does not answer: the supervisor itself (the run's name is its last argument),
# every process with the name in its environment, orphans of this user from since the run began that are in a session of their
# own (who hides the name is found by that: nobody can enter the session of the container's first process), and whatever
# descends from any of these. Arguments: the run's name, the seconds since it began. Prints {"killed": n, "remain": n}.
import json
import os
import signal
import sys
import time

name = sys.argv[1].encode()
me = os.getpid()
with open("/proc/uptime") as file:
    began = (float(file.read().split()[0]) - float(sys.argv[2])) * os.sysconf("SC_CLK_TCK")


def read(pid, what):
    try:
        with open("/proc/%d/%s" % (pid, what), "rb") as file:
            return file.read()
    except (IOError, OSError):
        return b""


def mine(pid):
    # Who made itself undumpable has a folder of root's, but its status still tells.
    for line in read(pid, "status").splitlines():
        if line.startswith(b"Uid:"):
            return line.split()[1] == str(os.getuid()).encode()
    return False


def living():
    """The run's processes below the supervisor, and the supervisor."""
    parents, marked, supervisors = {}, set(), set()
    first = read(1, "stat").rpartition(b")")[2].split()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == me:
            continue
        pid = int(entry)
        fields = read(pid, "stat").rpartition(b")")[2].split()
        if len(fields) < 20 or fields[0] == b"Z":
            continue
        parents[pid] = int(fields[1])
        if read(pid, "cmdline").rstrip(b"\0").endswith(b"\0" + name):
            supervisors.add(pid)
        elif b"OCORE_RUN=" + name in read(pid, "environ").split(b"\0"):
            marked.add(pid)
        elif fields[1] == b"1" and first and fields[3] != first[3] and float(fields[19]) >= began and mine(pid):
            marked.add(pid)
    roots = marked | supervisors
    for pid in parents:
        up, seen = pid, set()
        while up in parents and up not in seen:
            seen.add(up)
            up = parents[up]
            if up in roots:
                marked.add(pid)
                break
    return marked - supervisors, supervisors


killed = set()
until = time.monotonic() + 10
while True:
    programs, supervisors = living()
    # As long as the supervisor lives, what detaches itself stays below it: it goes last.
    victims = programs or supervisors
    if not victims or time.monotonic() > until:
        break
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        except OSError:
            pass
    time.sleep(0.01)
print(json.dumps({"killed": len(killed), "remain": len(programs) + len(supervisors)}))
