# Looks a name up and opens TCP connections to it, as this device sees it.
import os
import socket
import sys
import time

host, port, tries = os.environ["PARAM_HOST"], int(os.environ["PARAM_PORT"]), int(os.environ["PARAM_TRIES"])
start = time.monotonic()
try:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
except OSError as e:
    sys.exit(f"{host} was not found: {e}")
print(f"{host} was found in {(time.monotonic() - start) * 1000:.0f} ms")
reached = False
for family, kind, proto, _, address in found:
    for _ in range(tries):
        start = time.monotonic()
        try:
            with socket.socket(family, kind, proto) as s:
                s.settimeout(5)
                s.connect(address)
        except OSError as e:
            print(f"{address[0]} port {port}: {e}")
        else:
            reached = True
            print(f"{address[0]} port {port}: connected in {(time.monotonic() - start) * 1000:.0f} ms")
sys.exit(0 if reached else 1)
