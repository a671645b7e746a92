# Waits until Odoo answers HTTP in this container: the port and the seconds are the arguments. Any answer but a server error counts.
import http.client
import sys
import time

port, until = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
said = "nothing listens on port %d" % port
while time.monotonic() < until:
    for path in ("/web/health", "/web/database/selector"):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=max(1, until - time.monotonic()))
            connection.request("GET", path)
            status = connection.getresponse().status
            connection.close()
            if status < 500 and status != 404:
                sys.exit(0)
            said = "it answers %d" % status
        except (OSError, http.client.HTTPException) as error:
            said = "port %d: %s" % (port, error)
    time.sleep(0.25)
sys.exit(said)
