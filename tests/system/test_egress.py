"""Egress by the hosts of a manifest: redirects, names that point elsewhere, and where a secret goes with
them. The public hosts are of this test alone: it runs in a network of its own, with names of its own,
and nothing of it can leave the machine."""
import http.server
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

from parley import BUILD, Host

INSIDE = "PARLEY_TEST_NETWORK"
SECRET = "secret-of-the-fetcher-41"
# Public addresses, here on the loopback device of the network that the test made itself.
HOSTS = {"one.fetch.example": "198.41.0.4", "two.fetch.example": "199.9.14.201",
         "three.fetch.example": "192.33.4.12", "rebound.fetch.example": "127.0.0.1"}


def enter(argv):
    """The same script again, in a user, mount and network namespace of its own."""
    with tempfile.TemporaryDirectory(prefix="parley-names-") as folder:
        names = pathlib.Path(folder) / "hosts"
        names.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in HOSTS.items()))
        switch = pathlib.Path(folder) / "nsswitch.conf"
        switch.write_text("hosts: files\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", f"{folder}/key.pem",
                        "-out", f"{folder}/cert.pem", "-subj", "/CN=fetch.example",
                        "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in HOSTS)],
                       check=True, capture_output=True)
        addresses = "; ".join(f"ip addr add {address}/32 dev lo" for address in HOSTS.values() if address != "127.0.0.1")
        script = (f"set -e; mount --bind {names} /etc/hosts; mount --bind {switch} /etc/nsswitch.conf; "
                  f"mount --bind {folder}/cert.pem /etc/ssl/certs/ca-certificates.crt; "
                  f"ip link set lo up; {addresses}; exec \"$@\"")
        words = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-mn", "--propagation", "private", "sh", "-c", script, "sh",
                 sys.executable, *argv]
        return subprocess.run(words, env={**os.environ, INSIDE: folder}).returncode


class Server(http.server.ThreadingHTTPServer):
    """Every public host at once, over TLS; it keeps what each was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            size = int(self.headers.get("Content-Length", 0))
            self.server.seen.append((self.headers["Host"], self.command, self.path,
                                     self.headers.get("Authorization"), self.rfile.read(size).decode()))
            goes = re.fullmatch(r"/to/(\d+)/(.*)", self.path)
            self.send_response(int(goes[1]) if goes else 200)
            if goes:
                self.send_header("Location", goes[2])
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_POST = do_GET

        def log_message(self, *_):
            pass

    def __init__(self, address, context):
        super().__init__(address, self.Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Egress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(os.environ[INSIDE])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        cls.server = Server(("0.0.0.0", 443), context)
        host = cls.host = Host()
        assert host.cli("secret", "set", "fetch/token", stdin=SECRET + "\n").returncode == 0
        (host.home / "plugins").mkdir(mode=0o700, exist_ok=True)
        shutil.copy(BUILD / "offers" / "fetcher.so", host.home / "plugins" / "fetcher.so")
        host.edit("parley.yaml", "  rehearsal: {enabled: true}",
                  "  org.test.fetcher: {enabled: true, secrets: {token: fetch/token}}\n  rehearsal: {enabled: true}")
        agent = host.file("agents/assistant/agent.yaml").read_text()
        host.write("agents/assistant/agent.yaml", re.sub(r"allow: *\[", 'allow: ["org.test.fetcher:fetch", ', agent))
        locked = host.cli("plugin", "lock", "org.test.fetcher", "--yes")
        assert locked.returncode == 0, locked.stderr
        host.start()

    @classmethod
    def tearDownClass(cls):
        cls.host.close()
        cls.server.shutdown()
        cls.server.server_close()

    def fetch(self, url, slot="", body=""):
        """What the plugin was told, and what the hosts were asked."""
        self.server.seen.clear()
        words = "".join(f', "{key}": "{value}"' for key, value in (("slot", slot), ("body", body)) if value)
        said = self.host.ask(f'/call org.test.fetcher:fetch {{"url": "{url}"{words}}}\n/then\n/results')
        return said, list(self.server.seen)

    def test_a_secret_goes_to_its_own_host_and_is_dropped_when_that_sends_elsewhere(self):
        said, seen = self.fetch("https://one.fetch.example/plain", slot="header:Authorization")
        self.assertIn("status 200: ok", said)
        self.assertEqual(seen, [("one.fetch.example", "GET", "/plain", SECRET, "")])
        said, seen = self.fetch("https://one.fetch.example/to/302/https://two.fetch.example/x", slot="header:Authorization")
        self.assertIn("status 200: ok", said)
        self.assertEqual([(host, secret) for host, _, _, secret, _ in seen],
                         [("one.fetch.example", SECRET), ("two.fetch.example", None)])

    def test_a_redirect_within_a_host_keeps_the_header_and_never_a_secret_of_the_address(self):
        _, seen = self.fetch("https://one.fetch.example/to/307//again", slot="header:Authorization")
        self.assertEqual([(path, secret) for _, _, path, secret, _ in seen], [("/to/307//again", SECRET), ("/again", SECRET)])
        _, seen = self.fetch("https://one.fetch.example/to/302//TOKEN/TOKEN", slot="path:TOKEN")
        self.assertEqual(seen, [], "the segment stands there twice, so nothing leaves")

    def test_a_redirect_leads_to_no_host_that_the_manifest_does_not_name(self):
        for target in ("https://three.fetch.example/", "http://one.fetch.example/", "https://127.0.0.1/",
                       "https://one.fetch.example:8443/", "//three.fetch.example/", "https://one.fetch.example@three.fetch.example/"):
            said, seen = self.fetch(f"https://one.fetch.example/to/302/{target}", slot="header:Authorization")
            self.assertIn("failed:", said, target)
            self.assertEqual([host for host, *_ in seen], ["one.fetch.example"], target)

    def test_a_redirect_that_never_ends_is_left(self):
        said, seen = self.fetch("https://one.fetch.example/to/302/" * 6)
        self.assertIn("failed: too many redirects", said)
        self.assertLessEqual(len(seen), 4)

    def test_a_body_is_sent_once_and_not_to_where_a_redirect_points(self):
        _, seen = self.fetch("https://one.fetch.example/to/302/https://two.fetch.example/x", body="of mine")
        self.assertEqual([(host, method, body) for host, method, _, _, body in seen],
                         [("one.fetch.example", "POST", "of mine"), ("two.fetch.example", "GET", "")])

    def test_a_declared_name_that_points_into_this_machine_is_not_reached(self):
        said, seen = self.fetch("https://rebound.fetch.example/")
        self.assertIn("failed:", said)
        self.assertEqual(seen, [])
        said, seen = self.fetch("https://one.fetch.example/to/302/https://rebound.fetch.example/", slot="header:Authorization")
        self.assertIn("failed:", said)
        self.assertEqual([host for host, *_ in seen], ["one.fetch.example"])

    def test_text_that_looks_like_a_secrets_place_is_only_text(self):
        for text in ("{{secret:token}}", "secret://fetch/token", "${token}"):
            _, seen = self.fetch("https://one.fetch.example/x", slot="header:Authorization", body=text)
            self.assertEqual(seen[0][4], text)
            self.assertEqual(self.host.ask(f"/say {text}"), text)


if __name__ == "__main__":
    if INSIDE not in os.environ:
        sys.exit(enter(sys.argv))
    unittest.main()
