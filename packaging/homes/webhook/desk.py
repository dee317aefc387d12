#!/usr/bin/env python3
"""A program that talks to an agent by signed webhooks: each line typed is a message, each answer is printed.
Both are signed as Standard Webhooks has it, with the secret of $WEBHOOK_SECRET, which is asked for when it is
not there."""
import argparse
import base64
import getpass
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

parser = argparse.ArgumentParser(description="Talks to an agent by signed webhooks.")
parser.add_argument("--hook", default="http://127.0.0.1:7420/hooks/desk", help="where the host hears")
parser.add_argument("--listen", type=int, default=7421, help="the port of reply_url")
parser.add_argument("--sender", default="ann", help="who speaks")
options = parser.parse_args()
SECRET = os.environ.get("WEBHOOK_SECRET") or getpass.getpass("the secret, whsec_...: ")
KEY = base64.b64decode(SECRET.strip().removeprefix("whsec_"))
WINDOW_S = 300  # between a timestamp and now
BODY_MOST = 1 << 20


def signature(number, at, body):
    digest = hmac.new(KEY, f"{number}.{at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Answers(http.server.BaseHTTPRequestHandler):
    known = set()  # by their ids: what was not answered in time comes again

    def do_POST(self):
        number, at = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        size = self.headers.get("Content-Length", "")
        if not size.isascii() or not size.isdigit() or int(size) > BODY_MOST:
            return self.send_error(413)
        body = self.rfile.read(int(size))
        given = self.headers.get("webhook-signature", "").encode()
        if not hmac.compare_digest(given, signature(number, at, body).encode()) or abs(time.time() - int(at)) > WINDOW_S:
            return self.send_error(401)
        if number not in self.known:
            self.known.add(number)
            print("<", json.loads(body)["text"].replace("\n", "\n  "), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def say(text):
    number, at = "msg_" + uuid.uuid4().hex, str(int(time.time()))
    body = json.dumps({"conversation": "console", "sender": options.sender, "text": text, "private": True}).encode()
    request = urllib.request.Request(options.hook, body, {
        "Content-Type": "application/json", "webhook-id": number, "webhook-timestamp": at,
        "webhook-signature": signature(number, at, body)})
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        print("! not taken:", error.code, error.read().decode(errors="replace"), flush=True)
    except urllib.error.URLError as error:
        print("! not sent:", error.reason, flush=True)


server = http.server.ThreadingHTTPServer(("127.0.0.1", options.listen), Answers)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("say something; Ctrl-D ends it", flush=True)
for line in sys.stdin:
    if line.strip():
        say(line.rstrip("\n"))
server.shutdown()
