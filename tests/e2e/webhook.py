#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# webhook.py - an HTTP server that takes what a webhook tells it: each body is a line on standard output, if
# its signature is right. Paths decide what is answered.
# usage: webhook.py PORT SECRET_FILE
#   /          200
#   /once      503 with Retry-After: 1 the first time, 200 then
#   /never     422 to an event of rule "lasting", else 200
#   /away      302
import hashlib
import hmac
import http.server
import json
import sys
import time

secret = open(sys.argv[2], "rb").read().strip()
refused = []


def signed(header, body):
    parts = dict(p.split("=", 1) for p in header.split(","))
    mac = hmac.new(secret, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return abs(time.time() - int(parts["t"])) < 120 and hmac.compare_digest(mac, parts["sha256"])


class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text="", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not signed(self.headers.get("Weir-Signature", "t=0,sha256="), body):
            return self.answer(401, "who are you?")
        rules = [e.get("rule") for e in json.loads(body)["events"]]
        if self.path == "/away":
            return self.answer(302, Location="http://192.0.2.1/elsewhere")
        if self.path == "/once" and not refused:
            refused.append(1)
            return self.answer(503, "later", Retry_After="1")
        if self.path == "/never" and "lasting" in rules:
            return self.answer(422, "not that one")
        print(self.path, body.decode(), flush=True)
        return self.answer(200, "thanks")

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hook)
server.serve_forever()
