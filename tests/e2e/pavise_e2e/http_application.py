"""An HTTP/1.1 application that remembers what it was asked, and misbehaves when told to."""

import base64
import hashlib
import http.server
import json
import threading

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while (size := int(self.rfile.readline().split(b";")[0], 16)) > 0:
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _socket(self):
        """Echoes the frames of a WebSocket until the client closes it."""
        key = self.headers["Sec-WebSocket-Key"] + _GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        head = ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
        self.wfile.write(head.encode())
        self.close_connection = True
        while len(head := self.rfile.read(2)) == 2:
            length = head[1] & 0x7f
            mask = self.rfile.read(4)
            data = self.rfile.read(length)
            self.wfile.write(bytes([head[0], length]) +
                             bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))
            if head[0] & 0xf == 8:
                return

    def _answer(self):
        body = self._body()
        self.server.seen.append((self.command, self.path, self.headers.items(), body))
        if self.path == "/silent":
            self.server.released.wait(30)
            self.close_connection = True
            return
        if self.path == "/garbage":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
            self.close_connection = True
            return
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._socket()
            return
        said = body if self.path == "/echo" else json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def log_message(self, *args):
        pass


class HttpApplication:
    def __init__(self, port=0):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        self._server.seen = self.seen = []  # (method, path, headers, body)
        self._server.released = threading.Event()
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.released.set()
        self._server.shutdown()
        self._server.server_close()
