"""Python's own http.server with the routes of app_wsgi: a thread per connection.

Usage: http_server.py ADDRESS PORT [1.0|1.1]; of HTTP/1.0, which is its default, each reply ends its connection.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import app_wsgi


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = app_wsgi.answer(self.path)
        self.send_response(int(status.split()[0]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


if __name__ == "__main__":
    if len(sys.argv) > 3:
        Handler.protocol_version = f"HTTP/{sys.argv[3]}"
    Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
