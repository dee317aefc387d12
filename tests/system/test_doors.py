"""Tokens, scopes, Host and Origin: every route against every kind of caller."""
import socket
import unittest

from parley import Host, sha256

OPEN_ROUTES = {"/", "/health", "/api/v1/openapi.json"}


class Doors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = Host().start()
        cls.paths = cls.host.api("GET", "/api/v1/openapi.json", token=None).json["paths"]

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    def routes(self):
        for path, methods in self.paths.items():
            for method, facts in methods.items():
                concrete = path
                for name in ("{name}", "{id}", "{call}", "{scope}", "{key}", "{seq}"):
                    concrete = concrete.replace(name, "nobody")
                yield method.upper(), concrete, facts["x-scope"]

    def status(self, method, path, **more):
        # An empty object: whatever passes the door fails or changes nothing behind it.
        body = {} if method in ("POST", "PUT") else None
        return self.host.api(method, path, body, **more).status

    def test_every_route_names_its_scope(self):
        scopes = {scope for _, _, scope in self.routes()}
        self.assertEqual(scopes, {"none", "read", "admin"})
        for method, path, scope in self.routes():
            if scope == "none":
                self.assertIn(path, OPEN_ROUTES)
            if method != "GET":
                self.assertEqual(scope, "admin", (method, path))

    def test_without_a_good_token_there_is_no_answer(self):
        bad = [None, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}, {"Authorization": "Basic " + self.host.admin},
               {"Authorization": "bearer " + self.host.admin}, {"Authorization": self.host.admin},
               {"Cookie": "token=" + self.host.admin}, {"X-Token": self.host.admin},
               {"Authorization": "Bearer apa_" + "A" * 43}]
        for method, path, scope in self.routes():
            if scope == "none":
                continue
            for headers in bad[:3] if path != "/api/v1/status" else bad:
                self.assertIn(self.status(method, path, token=None, headers=headers), (401, 429), (method, path, headers))
            self.assertIn(self.status(method, path + "?token=" + self.host.admin, token=None), (401, 429))

    def test_the_read_token_reads_and_nothing_else(self):
        for method, path, scope in self.routes():
            if path.endswith("/events") and "sessions" not in path or path.endswith("/export"):
                continue  # Streams: they have a test of their own.
            status = self.status(method, path, token=self.host.read)
            if scope == "admin":
                self.assertEqual(status, 403, (method, path))
            else:
                self.assertNotIn(status, (401, 403), (method, path))

    def test_another_name_or_origin_is_refused_on_every_route(self):
        port = self.host.port
        for method, path, _ in self.routes():
            for headers, expected in (({"Host": "evil.example"}, 421), ({"Host": f"127.evil.example:{port}"}, 421),
                                      ({"Host": f"127.0.0.1:{port + 1}"}, 421), ({"Origin": "https://evil.example"}, 403),
                                      ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
                                      ({"Sec-Fetch-Site": "same-site"}, 403)):
                self.assertEqual(self.status(method, path, headers=headers), expected, (method, path, headers))

    def test_own_origin_is_served_without_cors(self):
        answer = self.host.api("GET", "/api/v1/status", headers={"Origin": f"http://127.0.0.1:{self.host.port}"})
        self.assertEqual(answer.status, 200)
        self.assertFalse([name for name in answer.headers if name.lower().startswith("access-control")])
        self.assertEqual(self.host.api("OPTIONS", "/api/v1/status").status, 405)

    def test_bodies_are_json_objects_within_limits(self):
        path = "/api/v1/agents/assistant/messages"
        self.assertEqual(self.host.api("POST", path, raw="text=hello", headers={"Content-Type": "application/x-www-form-urlencoded"}).status, 415)
        for raw in ("{", "[]", '{"text":"a","text":"b"}', '"x"', "[" * 200):
            self.assertEqual(self.host.api("POST", path, raw=raw).status, 400, raw)
        self.assertEqual(self.host.api("POST", path, {"text": "x" * 70_000}).status, 400)
        try:
            self.assertEqual(self.host.api("POST", path, {"text": "x" * 3_000_000}).status, 413)
        except (BrokenPipeError, ConnectionResetError):
            pass  # Refused before it was sent whole.

    def test_no_answer_ever_holds_a_token_or_a_secret(self):
        value = "a-very-secret-value-1234"
        done = self.host.api("PUT", "/api/v1/secrets/test/one", {"value": value})
        self.assertEqual(done.status, 200, done.text)
        for method, path, scope in self.routes():
            if method == "GET" and not path.endswith("/events"):
                text = self.host.api(method, path).text
                for secret in (self.host.admin, self.host.read, value):
                    self.assertNotIn(secret, text, path)
        self.assertIn("test/one", self.host.api("GET", "/api/v1/secrets").text)

    def test_a_rotated_token_ends_at_once_and_so_do_its_streams(self):
        token = "apr_" + "b" * 43
        self.assertEqual(self.host.api("PUT", "/api/v1/tokens/read", {"hash": sha256(token)}).status, 200)
        self.assertEqual(self.status("GET", "/api/v1/status", token=self.host.read), 401)
        self.assertEqual(self.status("GET", "/api/v1/status", token=token), 200)
        stream = socket.create_connection(("127.0.0.1", self.host.port))
        stream.sendall((f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{self.host.port}\r\n"
                        f"Authorization: Bearer {token}\r\n\r\n").encode())
        stream.settimeout(10)
        self.assertIn(b"200", stream.recv(4096))
        done = self.host.cli("token", "rotate", "read")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.host.read = done.stdout.strip()
        while stream.recv(4096):
            pass
        stream.close()
        self.assertEqual(self.status("GET", "/api/v1/status", token=token), 401)
        self.assertEqual(self.status("GET", "/api/v1/status", token=self.host.read), 200)

    def test_a_hash_that_is_no_sha256_rotates_nothing(self):
        for bad in ("", "x" * 64, "A" * 64, "0" * 63):
            self.assertEqual(self.host.api("PUT", "/api/v1/tokens/admin", {"hash": bad}).status, 400)
        self.assertEqual(self.status("GET", "/api/v1/status"), 200)


if __name__ == "__main__":
    unittest.main()
