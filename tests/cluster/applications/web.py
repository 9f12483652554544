"""A web server that asks redis for each answer. Told to end, it finishes, and asks once more."""

import http.server
import os
import signal
import socket
import threading
import time

REDIS = os.environ.get("REDIS", "redis")


def redis(command):
    with socket.create_connection((REDIS, 6379), 10) as connection:
        connection.sendall(command + b"\r\n")
        return connection.recv(1000)


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        text = b"ok\n" if self.path == "/healthz" else redis(b"INCR hits")
        self.send_response(200 if text else 502)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


server = http.server.ThreadingHTTPServer(("", 8080), Web)
server.daemon_threads = False  # what is being answered is answered
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
for _ in range(50):  # it may start before redis does
    try:
        said = redis(b"PING")
    except OSError:
        said = b""
    if said:
        break
    time.sleep(0.2)
print("redis says", said.decode().strip(), flush=True)
server.serve_forever()
server.server_close()
print("at the end redis says", redis(b"INCR goodbyes").decode().strip(), flush=True)
