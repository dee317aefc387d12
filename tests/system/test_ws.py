"""WebSockets of plugins, through a real host and worker to a real server: with TLS and without, where
they may go, what becomes of secrets, and what a server that breaks the rules can do."""
import json
import re
import shutil
import subprocess
import unittest

from parley import BUILD, Host
from websocket import BINARY, CONTINUATION, TEXT, Server

SECRET = "secret-of-the-talker-97f1"


class WebSockets(unittest.TestCase):
    def setUp(self):
        self.opened, self.heard = [], []
        self.host = Host()
        self.addCleanup(self.host.close)

    def serve(self, answer, **tls):
        """`answer(connection, first message)` plays the server, after the upgrade."""
        def each(connection):
            self.opened.append((connection.path, connection.headers))
            connection.accept("talk.1")
            message = json.loads(connection.receive())
            self.heard.append(message)
            answer(connection, message)
        self.server = Server(each, **tls)
        self.addCleanup(self.server.close)
        return self.server.port

    def start(self, socket):
        host = self.host
        host.cli("secret", "set", "talk/token", stdin=SECRET + "\n")
        (host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(BUILD / "offers" / "talker.so", host.home / "plugins" / "talker.so")
        host.edit("parley.yaml", "  rehearsal: {enabled: true}",
                  f'  org.test.talker: {{enabled: true, secrets: {{token: talk/token}}, config: {{socket: "{socket}"}}}}\n'
                  "  rehearsal: {enabled: true}")
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", re.sub(r"allow: *\[", 'allow: ["org.test.talker:talk", ', agent))
        locked = host.cli("plugin", "lock", "org.test.talker", "--yes")
        self.assertEqual(locked.returncode, 0, locked.stderr)
        self.locked = locked.stdout
        host.start()

    def talk(self, **arguments):
        said = self.host.ask(f"/call org.test.talker:talk {json.dumps(arguments)}\n/then\n/results")
        self.assertNotIn(SECRET, said)
        return said

    def tearDown(self):
        self.assertEqual(self.server.problems, [])
        self.assertNotIn(SECRET, self.host.log)
        self.host.verify()

    def test_messages_go_both_ways_and_the_secret_stands_where_it_was_placed(self):
        def answer(connection, message):
            connection.send("you said " + message["text"])
            connection.send(b"\x00" * 300_000)
            connection.send("echo")
            self.heard.append(connection.receive())
            connection.close(4000, "so long")
        port = self.serve(answer)
        self.start(f"ws://127.0.0.1:{port}/talk?room=1")
        self.assertIn("websocket the address in config socket", self.locked)
        self.assertIn("open talk.1; text you said Grüße 😀; 300000 bytes; text echo; closed 4000 so long",
                      self.talk(text="Grüße 😀"))
        (path, headers), = self.opened
        self.assertEqual(path, "/talk?room=1")
        self.assertEqual(headers["host"], f"127.0.0.1:{port}")
        self.assertEqual(headers["authorization"], "Bearer " + SECRET)
        self.assertEqual(headers["sec-websocket-protocol"], "talk.2, talk.1")
        self.assertEqual(self.heard, [{"token": SECRET, "text": "Grüße 😀"}, b"\xff" * 200_000])
        used = [record["body"] for record in self.host.ledger() if record["kind"] == "secret.used"]
        self.assertEqual({record["host"] for record in used}, {"127.0.0.1"})

    def test_with_tls_only_a_certificate_that_is_trusted_and_has_the_name_will_do(self):
        folder = self.host.folder
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"], check=True, capture_output=True)
        port = self.serve(lambda connection, message: connection.close(), certificate=f"{folder}/cert.pem",
                          key=f"{folder}/key.pem")
        self.start(f"wss://localhost:{port}/")
        self.assertIn("certificate verify failed", self.talk(text="untrusted"))
        self.host.stop()
        self.host.env["PARLEY_CA_FILE"] = f"{folder}/cert.pem"
        self.host.start()
        self.assertIn("closed 1000", self.talk(text="trusted"))
        self.assertEqual([message["text"] for message in self.heard], ["trusted"])

    def test_it_goes_nowhere_but_where_the_operator_pointed(self):
        port = self.serve(lambda connection, message: connection.close())
        self.start(f"ws://127.0.0.1:{port}/")
        for url in (f"ws://localhost:{port}/", f"ws://127.0.0.1:{self.host.port}/api/v1/events", "wss://evil.example/",
                    f"wss://127.0.0.1:{port}/"):
            self.assertIn("not allowed", self.talk(text="x", url=url))
        self.assertIn("neither ws nor wss", self.talk(text="x", url=f"http://127.0.0.1:{port}/"))
        self.assertEqual(self.opened, [])

    def test_a_server_that_breaks_the_rules_is_left_and_the_host_goes_on(self):
        attacks = {
            "larger than it may be": lambda c: c.put(b"\x82\x7f" + b"\x00\x00\x10" + b"\x00" * 5),
            "failed: reading": lambda c: c.frame(TEXT, b"\xff\xfe"),
            "failed: reading ": lambda c: c.put(b"\x81\x85\x00\x00\x00\x00masked"[:11]),
            "too many frames": lambda c: [c.frame(BINARY, b"", False),
                                          [c.put(b"\x00\x00" * 32768) for _ in range(400)]],
            "without a goodbye": lambda c: c.cut(),
        }
        def answer(connection, message):
            attacks[message["text"]](connection)
            while connection.read_frame():
                pass
        port = self.serve(answer)
        self.start(f"ws://127.0.0.1:{port}/")
        for words in attacks:
            self.assertIn(words.strip(), self.talk(text=words))
        self.assertIn("still here", self.host.ask("/say still here"))

    def test_a_secret_that_comes_back_is_not_handed_on(self):
        port = self.serve(lambda connection, message: connection.send("your token is " + message["token"]))
        self.start(f"ws://127.0.0.1:{port}/")
        self.talk(text="x")
        self.assertIn("secret", " ".join(json.dumps(record["body"]) for record in self.host.ledger()
                                         if record["kind"] == "skill.failed"))
        self.assertNotIn(SECRET, self.host.cli("ledger", "export").stdout)

    def test_an_answer_that_is_no_upgrade_is_told(self):
        self.server = Server(lambda connection: connection.refuse(403))
        self.addCleanup(self.server.close)
        self.start(f"ws://127.0.0.1:{self.server.port}/")
        self.assertIn("answered 403", self.talk(text="x"))


if __name__ == "__main__":
    unittest.main()
