"""A strict stand-in for Slack: the methods of the Web API that the channel uses, and Socket Mode. What
Slack would refuse is refused here, and what it would only frown at is a problem that the test reports.
People are methods of it."""
import http.server
import json
import re
import threading
import time

from websocket import Gone, Server

ME = {"user": "parley", "user_id": "U777", "bot_id": "B777", "team": "Team", "team_id": "T1"}
SUPPORTED = {  # method: (which token, members that it must have, others that it may have)
    "auth.test": ("bot", set(), set()),
    "apps.connections.open": ("app", set(), set()),
    "chat.postMessage": ("bot", {"channel", "text"}, {"blocks", "thread_ts", "unfurl_links", "unfurl_media"}),
    "chat.update": ("bot", {"channel", "ts", "text"}, {"blocks"}),
}
STYLES = {"bold", "italic", "strike", "code"}
INLINE = {"text": {"text"}, "link": {"url", "text"}}


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Refused(Exception):
    def __init__(self, error, status=200, retry_after=None):
        super().__init__(error)
        self.error, self.status, self.retry_after = error, status, retry_after


def check_blocks(blocks):
    """As Slack reads blocks: anything that it does not know is invalid_blocks."""
    def need(truth):
        if not truth:
            raise Refused("invalid_blocks")
    need(isinstance(blocks, list) and len(blocks) <= 50)
    ids = []
    for block in blocks:
        need(block.get("type") in ("rich_text", "actions") and set(block) == {"type", "elements"} and block["elements"])
        if block["type"] == "actions":
            need(len(block["elements"]) <= 25)
            for button in block["elements"]:
                need(set(button) == {"type", "action_id", "value", "text"} and button["type"] == "button")
                label = button["text"]
                need(label["type"] == "plain_text" and 1 <= len(label["text"]) <= 75)
                need(1 <= len(button["value"]) <= 2000 and 1 <= len(button["action_id"]) <= 255)
                ids.append(button["action_id"])
            continue
        for section in block["elements"]:
            need(section["type"] in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"))
            need(set(section) == {"type", "elements"} and section["elements"])
            for piece in section["elements"]:
                need(piece["type"] in INLINE and set(piece) - {"style"} == {"type"} | INLINE[piece["type"]])
                need(isinstance(piece["text"], str) and piece["text"])
                style = piece.get("style", {"bold": True})
                need(style and set(style) <= STYLES and all(value is True for value in style.values()))
                need(piece["type"] != "link" or re.match(r"https?://", piece["url"]))
    need(len(ids) == len(set(ids)))


def shown(blocks):
    """The text that people see."""
    pieces = (piece["text"] for block in blocks if block["type"] == "rich_text"
              for section in block["elements"] for piece in section["elements"])
    return "".join(pieces)


class Double:
    """`refuse` holds (method, Refused) for coming calls, in order; `calls` what was asked for."""

    def __init__(self, app_token, bot_token):
        self.tokens = {"app": app_token, "bot": bot_token}
        self.lock = threading.Condition()
        self.calls, self.refuse, self.own_problems = [], [], []
        self.channels, self.messages = {}, {}
        self.waiting, self.acknowledged = {}, []  # envelopes that are not acknowledged yet, in order; and that were
        self.tickets, self.links, self.next = set(), [], 0
        self.http, self.http_port = None, 0
        self.sockets = Server(self.serve)
        self.open()

    @property
    def problems(self):
        return self.own_problems + self.sockets.problems

    def number(self):
        self.next += 1
        return self.next

    def ts(self):
        return f"{1700000000 + self.number()}.000100"

    # ---- The Web API, which may go and come back.

    def open(self):
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, retry_after, answer = double.answer(self.path, self.headers, body)
                text = json.dumps(answer).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json; charset=utf-8")
                    self.send_header("Content-Length", str(len(text)))
                    if retry_after:
                        self.send_header("Retry-After", str(retry_after))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass  # whoever asked is gone

            def log_message(self, *_):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", self.http_port), Handler)
        self.http.daemon_threads = True
        self.http_port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.go()
        self.sockets.close()

    def go(self):
        """The Web API is away, and every socket ends."""
        self.http.shutdown()
        self.http.server_close()
        self.cut()

    def cut(self):
        with self.lock:
            links, self.links = self.links, []
        for link in links:
            link.cut()

    def answer(self, path, headers, body):
        method = path.removeprefix("/api/")
        try:
            if method not in SUPPORTED:
                raise Refused("unknown_method")
            which, required, allowed = SUPPORTED[method]
            token = headers.get("Authorization", "")
            if token != "Bearer " + self.tokens[which]:
                known = token.removeprefix("Bearer ") in self.tokens.values()
                raise Refused("not_allowed_token_type" if known else "invalid_auth")
            if not headers["Content-Type"].startswith("application/json"):
                raise Refused("invalid_post_type")
            params = json.loads(body)
            with self.lock:
                self.calls.append((method, params))
                if not required <= set(params) <= required | allowed:
                    self.own_problems.append(f"{method}: {params}")
                    raise Refused("invalid_arguments")
                if self.refuse and self.refuse[0][0] == method:
                    raise self.refuse.pop(0)[1]
                return 200, None, {"ok": True} | getattr(self, "on_" + method.replace(".", "_"))(params)
        except Refused as why:
            return why.status, why.retry_after, {"ok": False, "error": why.error}

    # ---- Methods, each under the lock.

    def on_auth_test(self, _):
        return ME | {"url": "https://team.slack.example/"}

    def on_apps_connections_open(self, _):
        ticket = f"ticket-{self.number()}"
        self.tickets.add(ticket)
        return {"url": f"ws://127.0.0.1:{self.sockets.port}/link/?ticket={ticket}&app_id=A1"}

    def content(self, params):
        if not params["text"].strip():
            raise Refused("no_text")
        if len(params["text"]) > 4000:
            self.own_problems.append(f"a text of {len(params['text'])} characters")
        if re.search(r"<(?![@#!]|https?:)|[<>]$", params["text"]) or re.search(r"&(?!(amp|lt|gt);)", params["text"]):
            self.own_problems.append(f"a text that is not escaped: {params['text']!r}")
        blocks = params.get("blocks", [])
        check_blocks(blocks)
        return {"text": params["text"], "blocks": blocks, "shown": shown(blocks)}

    def on_chat_postMessage(self, params):
        channel = params["channel"]
        if channel not in self.channels:
            raise Refused("channel_not_found")
        if self.channels[channel].get("archived"):
            raise Refused("is_archived")
        thread = params.get("thread_ts")
        if thread and (channel, thread) not in self.messages:
            raise Refused("thread_not_found")
        message = self.keep(channel, ME["user_id"], self.content(params) | ({"thread_ts": thread} if thread else {}))
        return {"channel": channel, "ts": message["ts"], "message": message}

    def on_chat_update(self, params):
        message = self.messages.get((params["channel"], params["ts"]))
        if not message:
            raise Refused("message_not_found")
        if message["user"] != ME["user_id"]:
            raise Refused("cant_update_message")
        message.update(self.content(params))
        return {"channel": params["channel"], "ts": params["ts"], "text": params["text"]}

    # ---- Socket Mode.

    def serve(self, connection):
        ticket = re.fullmatch(r"/link/\?ticket=([\w-]+)&app_id=A1", connection.path)
        with self.lock:
            if not ticket or ticket[1] not in self.tickets:
                return connection.refuse(403)
            self.tickets.remove(ticket[1])
        connection.accept()
        connection.send(json.dumps({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"},
                                    "debug_info": {"host": "applink-1", "approximate_connection_time": 18060}}))
        with self.lock:
            self.links.append(connection)
            again = list(self.waiting.items())
            # What nobody acknowledged comes again, in an envelope of another name.
            self.waiting = {}
            for _, envelope in again:
                envelope["retry_attempt"] += 1
                self.put_into_line(envelope)
            due = list(self.waiting.values())
            self.lock.notify_all()
        for envelope in due:
            connection.send(json.dumps(envelope))
        try:
            while True:
                self.heard(json.loads(connection.receive()))
        finally:
            with self.lock:
                if connection in self.links:
                    self.links.remove(connection)

    def heard(self, answer):
        with self.lock:
            envelope = self.waiting.pop(answer.get("envelope_id"), None)
            if envelope is None or not set(answer) <= {"envelope_id", "payload"}:
                self.own_problems.append(f"an acknowledgement of nothing: {answer}")
            elif "payload" in answer and not envelope["accepts_response_payload"]:
                self.own_problems.append(f"an answer that nobody takes: {answer}")
            else:
                self.acknowledged.append(answer)
            self.lock.notify_all()

    def put_into_line(self, envelope):
        envelope["envelope_id"] = f"env-{self.number()}"
        self.waiting[envelope["envelope_id"]] = envelope

    def push(self, kind, payload, answers=False):
        envelope = {"type": kind, "payload": payload, "accepts_response_payload": answers, "retry_attempt": 0,
                    "retry_reason": ""}
        with self.lock:
            self.put_into_line(envelope)
            link = self.links[-1] if self.links else None
        self.deliver(link, envelope)
        return envelope

    @staticmethod
    def deliver(link, envelope):
        try:
            if link:
                link.send(json.dumps(envelope))
        except Gone:
            pass  # it waits for the next connection

    def say_again(self, envelope):
        """As Slack does after three seconds without an acknowledgement."""
        return self.push(envelope["type"], envelope["payload"])

    def disconnect(self, reason):
        """Slack says that it will end the socket; close_old() does."""
        with self.lock:
            link = self.links[-1]
        link.send(json.dumps({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}))
        return link

    # ---- People.

    def keep(self, channel, user, content):
        message = {"type": "message", "user": user, "ts": self.ts()} | content
        self.messages[channel, message["ts"]] = message
        return message

    def person(self, user, channel):
        """Somebody, with a direct message of the app."""
        self.channels[channel] = {"type": "im", "user": user}
        return user

    def channel(self, name, kind="channel"):
        self.channels[name] = {"type": kind}
        return name

    def say(self, user, text, channel=None, thread=None, event="message", **more):
        channel = channel or next(name for name, facts in self.channels.items() if facts.get("user") == user)
        content = {"text": re.sub(r"@parley\b", f"<@{ME['user_id']}>", escaped(text))} | more
        if thread:
            content["thread_ts"] = thread
        with self.lock:
            message = self.keep(channel, user, content)
        return self.tell(message, channel, event)

    def tell(self, message, channel, event="message"):
        told = message | {"type": event, "channel": channel, "event_ts": message["ts"]}
        if event == "message":
            told["channel_type"] = self.channels[channel]["type"]
        with self.lock:
            name = f"Ev{self.number()}"
        return self.push("events_api", {"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": name,
                                        "event_time": int(time.time()), "event": told})

    def press(self, user, channel, message, text):
        """The button with that text, by that person."""
        button = next(one for block in message["blocks"] if block["type"] == "actions" for one in block["elements"]
                      if one["text"]["text"] == text)
        with self.lock:
            action = button | {"action_ts": self.ts(), "block_id": "b1"}
        return self.push("interactive", {
            "type": "block_actions", "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": "T1"},
            "api_app_id": "A1", "container": {"type": "message", "message_ts": message["ts"], "channel_id": channel,
                                              "is_ephemeral": False},
            "channel": {"id": channel, "name": "directmessage"}, "message": message, "trigger_id": f"1.{self.number()}",
            "actions": [action]})

    def command(self, user, channel, text):
        return self.push("slash_commands", {"command": "/parley", "text": text, "user_id": user, "user_name": user.lower(),
                                            "channel_id": channel, "channel_name": "x", "team_id": "T1", "api_app_id": "A1",
                                            "trigger_id": f"1.{self.number()}"}, answers=True)

    # ---- What the app did.

    def asked(self, method):
        with self.lock:
            return [params for name, params in self.calls if name == method]

    def said(self, channel=None):
        with self.lock:
            return [message for (where, _), message in sorted(self.messages.items(), key=lambda item: item[0][1])
                    if message["user"] == ME["user_id"] and channel in (None, where)]
