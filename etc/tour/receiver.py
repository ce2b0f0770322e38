#!/usr/bin/env python3
"""A web server that prints the webhooks it gets: receiver.py [port, else 8080]."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print(json.dumps(json.loads(body), indent=2, ensure_ascii=False), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
print(f"Waiting for webhooks on http://127.0.0.1:{port}/", flush=True)
try:
    HTTPServer(("127.0.0.1", port), Receiver).serve_forever()
except KeyboardInterrupt:
    pass
