# The certificate a server presents, and when it ends.
import os
import socket
import ssl
import sys
import time

host, port, days = os.environ["PARAM_HOST"], int(os.environ["PARAM_PORT"]), int(os.environ["PARAM_DAYS"])
try:
    with socket.create_connection((host, port), timeout=10) as plain:
        with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as s:
            c = s.getpeercert()
except ssl.SSLError as e:
    sys.exit(f"This device does not trust {host}: {e}")
except OSError as e:
    sys.exit(f"{host} port {port} could not be reached: {e}")
name = lambda parts: ", ".join(f"{k}={v}" for part in parts for k, v in part)
print("For:   ", ", ".join(v for _, v in c.get("subjectAltName", ())) or name(c["subject"]))
print("By:    ", name(c["issuer"]))
print("From:  ", c["notBefore"])
print("Until: ", c["notAfter"])
left = (ssl.cert_time_to_seconds(c["notAfter"]) - time.time()) / 86400
print(f"It ends in {left:.0f} days.")
sys.exit(1 if left <= days else 0)
