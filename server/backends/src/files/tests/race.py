# Runs below the script's own functions: reads and writes through a directory and a file that another process keeps swapping
# for links to what is outside, first both, then the file alone. Prints how many went through, how many were refused, and
# what got outside.
import ctypes
import signal

folder, rounds = sys.argv[1].encode(), int(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
both = ((b"dir", b"dir_link"), (b"dir/g", b"dir/g_link"))
through, refused, bad = 0, 0, []
commit = lambda: None
for swapped in (both, both[1:]):
    # A write between two swaps may have replaced the link itself.
    os.unlink(b"dir/g_link", dir_fd=root)
    os.unlink(b"dir/g", dir_fd=root)
    os.symlink(b"../../outside/g", b"dir/g_link", dir_fd=root)
    os.close(os.open(b"dir/g", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=root))
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        while os.getppid() == parent:
            for one, other in swapped:
                libc.renameat2(root, one, root, other, ctypes.c_uint(2))
        os._exit(0)
    for number in range(rounds // 2):
        path = [b"dir", b"g" if number % 2 or swapped != both else b"f"]
        try:
            what = number % 5 if swapped == both else 0
            if what < 2:
                content = get(root, path, WHOLE, 0)[1]
                if b"OUTSIDE" in content:
                    bad.append("read")
            elif what == 2:
                content = get(root, path, WHOLE, 0)[1]
                put(root, path, {"version": hashlib.sha256(content).hexdigest()}, False, 0o644, b"new %d" % number)
            elif what == 3:
                put(root, [b"dir", b"sub", b"n%d" % number], "absent", True, 0o644, b"made")
                remove(root, [b"dir", b"sub"], None, True, 100, False)
            else:
                walk(root, [b"dir"], 3, 100)
            through += 1
        except Fault:
            refused += 1
        finally:
            os.closerange(root + 1, root + 64)  # a run of the script is one order, and leaves closing to its end
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if os.path.islink(os.path.join(folder, b"dir")):
        libc.renameat2(root, b"dir", root, b"dir_link", ctypes.c_uint(2))
print(json.dumps({"through": through, "refused": refused, "bad": bad[:3]}))
sys.exit(0)
