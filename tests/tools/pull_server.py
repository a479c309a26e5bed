"""A file server that misbehaves as told, for the tests of `dunlin pull`.

    pull_server.py FOLDER LOG [CERTIFICATE KEY]

Serves FOLDER on a free port of 127.0.0.1, which it prints. Every request becomes a line of JSON in LOG. What is wrong is
said in the query of the address:

    times=N      only the first N requests to this address are cut, stalled, redirected ...; what is said of ranges and
                 ETags stays
    cut=B        the connection is closed after B bytes of the body
    stall=B      nothing more comes after B bytes
    pause=MS     so long between pieces of 16 KiB
    status=S     another status
    redirect=A   a redirect to A; `self` is this address
    claim=N      the length that is claimed; `none`: none is, the body comes in chunks; `close`: none is,
                 the body lasts until the connection is closed
    encoding=E   the Content-Encoding that is claimed
    ranges=0     Range is ignored
    ifrange=0    If-Range is ignored
    etag=E       none: neither ETag nor Last-Modified; weak: a weak one; turns: another one each time; else the ETag

As a proxy it passes on what is asked of http:// and refuses CONNECT.
"""
import hashlib
import http.client
import http.server
import json
import pathlib
import ssl
import sys
import threading
import time
import urllib.parse

folder, log_path = pathlib.Path(sys.argv[1]), sys.argv[2]
counts = {}
lock = threading.Lock()
PIECE = 16384


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def record(self, kind):
        entry = {"kind": kind, "method": self.command, "path": self.path, "range": self.headers.get("Range"),
                 "if_range": self.headers.get("If-Range")}
        with lock, open(log_path, "a") as log:
            log.write(json.dumps(entry) + "\n")

    def do_CONNECT(self):
        self.record("connect")
        self.send_error(403, "no tunnels here")
        self.close_connection = True

    def do_GET(self):
        if self.path.startswith("http://"):
            self.pass_on()
            return
        self.record("file")
        address = urllib.parse.urlsplit(self.path)
        told = dict(urllib.parse.parse_qsl(address.query))
        with lock:
            counts[self.path] = counts.get(self.path, 0) + 1
            if counts[self.path] > int(told.get("times", 1 << 30)):
                told = {key: value for key, value in told.items() if key in ("ranges", "ifrange", "etag")}
            if told.get("etag") == "turns":
                told["etag"] = f'"{counts[self.path] % 2}"'
        self.answer(folder / address.path.lstrip("/"), told)

    def pass_on(self):
        self.record("proxy")
        address = urllib.parse.urlsplit(self.path)
        there = http.client.HTTPConnection(address.hostname, address.port)
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy")}
        there.request("GET", address.path + ("?" + address.query if address.query else ""), headers=headers)
        answer = there.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, path, told):
        if "redirect" in told:
            target = self.path if told["redirect"] == "self" else told["redirect"]
            self.reply(302, b"", {"Location": target})
            return
        if "status" in told or not path.is_file():
            self.reply(int(told.get("status", 404)), b"not what was asked for", {})
            return
        content = path.read_bytes()
        headers = {}
        etag = told.get("etag", '"' + hashlib.sha1(content).hexdigest() + '"')
        if etag == "weak":
            headers["ETag"] = 'W/"weak"'
        elif etag != "none":
            headers["ETag"] = etag
        status, first = 200, 0
        wanted = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if told.get("ifrange") == "0":
            condition = None
        if wanted and told.get("ranges") != "0" and condition in (None, etag):
            first = int(wanted[len("bytes="):].split("-")[0])
            if first >= len(content):
                self.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if "encoding" in told:
            headers["Content-Encoding"] = told["encoding"]
        self.send_body(status, headers, content[first:], told)

    def reply(self, status, body, headers):
        self.send_body(status, headers, body, {})

    def send_body(self, status, headers, body, told):
        claim = told.get("claim", str(len(body)))
        chunked = claim == "none"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif claim == "close":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", claim)
        self.end_headers()
        end = min(int(told.get("cut", len(body))), int(told.get("stall", len(body))))
        for first in range(0, end, PIECE):
            piece = body[first:min(first + PIECE, end)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            time.sleep(int(told.get("pause", 0)) / 1000)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        if "stall" in told:
            time.sleep(600)
        if "cut" in told or claim != str(len(body)):
            self.close_connection = not chunked


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
