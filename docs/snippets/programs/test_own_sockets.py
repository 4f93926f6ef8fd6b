import http.client
import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        pass


def get(path):
    connection = http.client.HTTPConnection("127.0.0.1", timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_call_and_enter(netns):
    with netns.enter():
        server = http.server.HTTPServer(("127.0.0.1", 80), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert netns.call(get, "/") == b"hello"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
