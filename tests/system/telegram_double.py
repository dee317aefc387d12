"""A strict stand-in for the Bot API's server: what the declarations do not know is refused, and what
they do not say (lengths, buttons, offsets, conflicts) is checked here. People are methods of it."""
import html.parser
import http.client
import http.server
import json
import re
import threading
import time
import urllib.parse

from bot_api import Declarations

BOT = {"id": 777, "is_bot": True, "first_name": "Parley", "username": "parley_test_bot"}
ME = BOT | {name: False for name in (
    "can_join_groups", "can_read_all_group_messages", "supports_inline_queries", "can_connect_to_business",
    "has_main_web_app", "has_topics_enabled", "allows_users_to_create_topics", "can_manage_bots",
    "supports_join_request_queries")}
TOO_OLD = "Bad Request: query is too old and response timeout expired or query ID is invalid"


def units(text):
    return len(text.encode("utf-16-le")) // 2


class Refused(Exception):
    def __init__(self, code, description, **parameters):
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


class Styles(html.parser.HTMLParser):
    """Telegram's HTML: its few tags, closed in order, and its four names for characters."""
    KINDS = {"b": "bold", "i": "italic", "u": "underline", "s": "strikethrough", "code": "code", "pre": "pre",
             "a": "text_link", "blockquote": "blockquote"}

    def __init__(self, source):
        super().__init__(convert_charrefs=False)
        self.text, self.entities, self.open = "", [], []
        if "<" in re.sub(r"</?[a-z]+(?: [a-z]+=\"[^\"<>]*\")?>", "", source):
            self.wrong("unexpected character")
        self.feed(source)
        self.close()
        if self.open:
            self.wrong(f"can't find end tag corresponding to start tag \"{self.open[-1][0]}\"")
        # Inside of code nothing else is shown.
        for entity in self.entities:
            if entity["type"] in ("code", "pre") and any(
                    other is not entity and other["type"] not in ("blockquote", "pre") and
                    entity["offset"] < other["offset"] + other["length"] and other["offset"] < entity["offset"] + entity["length"]
                    for other in self.entities):
                self.wrong("a style overlaps code")

    def wrong(self, what):
        raise Refused(400, "Bad Request: can't parse entities: " + what)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        fits = {"a": set(given) == {"href"}, "code": set(given) <= {"class"}}.get(tag, not given)
        if tag not in self.KINDS or not fits:
            self.wrong(f"unsupported start tag \"{tag}\"")
        entity = {"type": self.KINDS[tag], "offset": units(self.text)}
        if tag == "a":
            entity["url"] = given["href"]
        if tag == "code" and self.open and self.open[-1][0] == "pre":
            self.open[-1][1]["language"] = given.get("class", "").removeprefix("language-")
            entity = None
        self.open.append((tag, entity))

    def handle_endtag(self, tag):
        if not self.open or self.open[-1][0] != tag:
            self.wrong(f"unmatched end tag \"{tag}\"")
        entity = self.open.pop()[1]
        if entity:
            self.entities.append(entity | {"length": units(self.text) - entity["offset"]})

    def handle_data(self, data):
        self.text += data

    def handle_entityref(self, name):
        self.text += {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}.get(name) or self.wrong(f"unsupported name {name}")

    def handle_charref(self, name):
        self.text += chr(int(name))


def form_of(kind, body):
    """The fields of a form, each once: a text, what the API reads as JSON, or a file."""
    boundary = re.fullmatch("multipart/form-data; boundary=([A-Za-z0-9-]{1,70})", kind)
    line = b"--" + boundary[1].encode() if boundary else b""
    if not boundary or not body.startswith(line + b"\r\n") or not body.endswith(b"\r\n" + line + b"--\r\n"):
        raise Refused(400, "Bad Request: can't parse the form")
    fields = {}
    for part in body[len(line) + 2:-len(line) - 6].split(b"\r\n" + line + b"\r\n"):
        head, gap, content = part.partition(b"\r\n\r\n")
        named = re.fullmatch(r'Content-Disposition: form-data; name="(\w+)"'
                             r'(?:; filename="([^"\r\n]+)"\r\nContent-Type: ([\w.+-]+/[\w.+-]+))?', head.decode())
        if not named or not gap or named[1] in fields:
            raise Refused(400, f"Bad Request: can't parse a part of the form: {head!r}")
        if named[2]:
            fields[named[1]] = {"name": named[2], "type": named[3], "content": content}
        else:
            text = content.decode()
            fields[named[1]] = json.loads(text) if named[1] in ("chat_id", "message_thread_id", "reply_markup") else text
    return fields


class Double:
    """`refuse` holds (method, Refused) for coming calls, in order; `calls` what was asked for."""

    def __init__(self, token):
        self.token, self.declarations = token, Declarations()
        self.lock = threading.Condition()
        self.calls, self.refuse, self.problems = [], [], []
        self.chats, self.messages, self.updates, self.queries = {}, {}, [], {}
        self.confirmed, self.next_update, self.next_message = 0, 1000, 1
        self.menu, self.webhook, self.other_pollers, self.poll = [], "", 0, 0
        self.files, self.downloads = {}, []  # by Telegram's id; the ids that were fetched
        self.webhook_secret, self.hook_port, self.delivered = "", 0, []
        self.server, self.port = None, 0
        self.open()

    # ---- The server, which may go and come back with all that it knows.

    def open(self):
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = double.answer(self.path, self.headers, body)
                self.give(status, "application/json", json.dumps(answer).encode())

            def do_GET(self):
                content = double.download(self.path)
                if content is None:
                    return self.give(404, "application/json", b'{"ok":false,"error_code":404,"description":"Not Found"}')
                self.give(200, "application/octet-stream", content)

            def give(self, status, kind, text):
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass  # whoever asked is gone

            def log_message(self, *_):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.closing = False
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        threading.Thread(target=self.deliver, daemon=True).start()

    def close(self):
        with self.lock:
            self.closing = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, headers, body):
        try:
            token, _, method = path.removeprefix("/bot").partition("/")
            if token != self.token:
                raise Refused(401, "Unauthorized")
            is_form = headers["Content-Type"].startswith("multipart/form-data")
            if not is_form and headers["Content-Type"] != "application/json":
                raise Refused(400, "Bad Request: no JSON")
            params = form_of(headers["Content-Type"], body) if is_form else json.loads(body)
            known = method in self.declarations.methods and hasattr(self, "on_" + method)
            found = self.declarations.call_complaints(method, params) if known else [f"the method {method} is unknown"]
            with self.lock:
                self.calls.append((method, params))
                self.problems += found
                if found:
                    raise Refused(404 if not known else 400, "; ".join(found))
                if self.refuse and self.refuse[0][0] == method:
                    raise self.refuse.pop(0)[1]
                return 200, {"ok": True, "result": getattr(self, "on_" + method)(params)}
        except Refused as why:
            told = {"ok": False, "error_code": why.code, "description": why.description}
            return why.code, told | ({"parameters": why.parameters} if why.parameters else {})

    # ---- Methods, each under the lock.

    def on_getMe(self, _):
        return ME

    def on_setMyCommands(self, params):
        for command in params["commands"]:
            if not re.fullmatch("[a-z0-9_]{1,32}", command["command"]) or not 1 <= units(command["description"]) <= 256:
                raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
        self.menu = params["commands"]
        return True

    def on_setWebhook(self, params):
        address = urllib.parse.urlsplit(params["url"])
        if params["url"] and (address.scheme != "https" or (address.port or 443) not in (443, 80, 88, 8443)):
            raise Refused(400, "Bad Request: bad webhook: HTTPS URL must be provided for webhook")
        if not re.fullmatch("[A-Za-z0-9_-]{1,256}", params.get("secret_token", "x")):
            raise Refused(400, "Bad Request: secret token contains unallowed characters")
        self.webhook, self.webhook_secret = params["url"], params.get("secret_token", "")
        self.poll += 1  # who holds a poll is sent away
        self.lock.notify_all()
        return True

    def on_deleteWebhook(self, _):
        self.webhook = ""
        return True

    def on_getWebhookInfo(self, _):
        return {"url": self.webhook, "has_custom_certificate": False, "pending_update_count": len(self.updates)}

    def deliver(self):
        """Sends what waits to the webhook, in order, each until it is taken."""
        mine = self.server
        while True:
            with self.lock:
                while not (self.closing or self.server is not mine or (self.webhook and self.updates)):
                    self.lock.wait()
                if self.closing or self.server is not mine:
                    return
                update, url, secret = self.updates[0], urllib.parse.urlsplit(self.webhook), self.webhook_secret
            status = self.post(url, secret, update)
            with self.lock:
                self.delivered.append((update["update_id"], status))
                if 200 <= status < 300:
                    self.updates = [one for one in self.updates if one is not update]
                    continue
                self.lock.wait(0.2)  # the real one waits longer each time

    def post(self, url, secret, update):
        headers = {"Content-Type": "application/json", "Host": url.netloc, "X-Telegram-Bot-Api-Secret-Token": secret}
        connection = http.client.HTTPConnection("127.0.0.1", self.hook_port, timeout=30)
        try:
            connection.request("POST", url.path, json.dumps(update), headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def on_getUpdates(self, params):
        if not 0 <= params.get("timeout", 0) <= 50 or not params.get("allowed_updates"):
            self.problems.append(f"getUpdates: {params}")
        if self.webhook:
            raise Refused(409, "Conflict: can't use getUpdates method while webhook is active; "
                               "use deleteWebhook to delete the webhook first")
        taken_over = Refused(409, "Conflict: terminated by other getUpdates request; "
                                  "make sure that only one bot instance is running")
        if self.other_pollers > 0:
            self.other_pollers -= 1
            raise taken_over
        self.poll = mine = self.poll + 1
        self.lock.notify_all()
        offset = params.get("offset", 0)
        if offset > 0:
            self.confirmed = max(self.confirmed, offset - 1)
            self.updates = [update for update in self.updates if update["update_id"] >= offset]
        end = time.monotonic() + params.get("timeout", 0)
        while not self.updates and not self.closing and self.poll == mine and time.monotonic() < end:
            self.lock.wait(end - time.monotonic())
        if self.poll != mine:
            raise taken_over
        return self.updates[:params.get("limit", 100)]

    def styled(self, text, params, most, what):
        entities = []
        if params.get("parse_mode") == "HTML":
            styled = Styles(text)
            text, entities = styled.text, styled.entities
        elif "parse_mode" in params:
            raise Refused(400, "Bad Request: unsupported parse_mode")
        if units(text) > most:
            raise Refused(400, f"Bad Request: {what} is too long")
        return text, entities

    def content(self, params):
        text, entities = self.styled(params["text"], params, 4096, "message")
        if not text.strip():
            raise Refused(400, "Bad Request: message text is empty")
        return {"text": text, "entities": entities} | self.buttons(params)

    @staticmethod
    def buttons(params):
        if "reply_markup" not in params:
            return {}
        rows = params["reply_markup"]["inline_keyboard"]
        for button in (button for row in rows for button in row):
            if not 1 <= len(button["callback_data"].encode()) <= 64:
                raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
            if not button["text"]:
                raise Refused(400, "Bad Request: text buttons are unallowed in the inline keyboard")
        return {"reply_markup": params["reply_markup"]}

    def place(self, params):
        chat = self.chats.get(params["chat_id"])
        if not chat:
            raise Refused(400, "Bad Request: chat not found")
        if chat.get("moved"):
            raise Refused(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=chat["moved"])
        if chat.get("blocked"):
            raise Refused(403, "Forbidden: bot was blocked by the user")
        topic = params.get("message_thread_id")
        if topic and topic not in chat.get("topics", ()):
            raise Refused(400, "Bad Request: message thread not found")
        return chat["chat"], {"message_thread_id": topic, "is_topic_message": True} if topic else {}

    def on_sendMessage(self, params):
        chat, topic = self.place(params)
        return self.keep(chat, BOT, topic | self.content(params))

    # ---- Files. A path is no id, and holds for the bot alone that asked.

    def keep_file(self, content):
        number = len(self.files) + 1
        self.files[f"file-id-{number}"] = content
        return {"file_id": f"file-id-{number}", "file_unique_id": f"u{number}", "file_size": len(content)}

    def on_getFile(self, params):
        content = self.files.get(params["file_id"])
        if content is None:
            raise Refused(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        if len(content) > 20 << 20:
            raise Refused(400, "Bad Request: file is too big")
        number = params["file_id"].removeprefix("file-id-")
        return {"file_id": params["file_id"], "file_unique_id": f"u{number}", "file_size": len(content),
                "file_path": f"documents/file {number}.bin"}

    def download(self, path):
        match = re.fullmatch(rf"/file/bot{re.escape(self.token)}/documents/file%20(\d+)\.bin", path)
        with self.lock:
            content = self.files.get(f"file-id-{match[1]}") if match else None
            if content is None:
                self.problems.append(f"no file {path}")
            else:
                self.downloads.append(f"file-id-{match[1]}")
            return content

    def on_sendDocument(self, params):
        chat, topic = self.place(params)
        file = params["document"]
        if not isinstance(file, dict) or not file["content"]:
            raise Refused(400, "Bad Request: file must be non-empty")
        if len(file["content"]) > 50 << 20:
            raise Refused(413, "Request Entity Too Large")
        caption, entities = self.styled(params.get("caption", ""), params, 1024, "message caption")
        document = self.keep_file(file["content"]) | {"file_name": file["name"], "mime_type": file["type"]}
        said = {"caption": caption} | ({"caption_entities": entities} if entities else {}) if caption else {}
        return self.keep(chat, BOT, topic | {"document": document} | said | self.buttons(params))

    def on_editMessageText(self, params):
        chat, _ = self.place(params)
        message = self.messages.get((chat["id"], params["message_id"]))
        if not message or message["from"] != BOT:
            raise Refused(400, "Bad Request: message to edit not found")
        fresh = self.content(params)
        if all(message.get(name) == fresh.get(name) for name in ("text", "entities", "reply_markup")):
            raise Refused(400, "Bad Request: message is not modified: specified new message content and reply markup are "
                               "exactly the same as a current content and reply markup of the message")
        message.pop("reply_markup", None)
        message.update(fresh)
        return message

    def on_sendChatAction(self, params):
        self.place(params)
        return True

    def on_sendMessageDraft(self, params):
        chat, _ = self.place(params)
        if chat["type"] != "private":
            raise Refused(400, "Bad Request: PEER_ID_INVALID")
        if params["draft_id"] == 0:
            raise Refused(400, "Bad Request: DRAFT_ID_INVALID")
        if params.get("text"):
            self.content(params)
        return True

    def on_answerCallbackQuery(self, params):
        if self.queries.pop(params["callback_query_id"], None) is None:
            raise Refused(400, TOO_OLD)
        return True

    # ---- People.

    def keep(self, chat, sender, content):
        message = {"message_id": self.next_message, "date": int(time.time()), "chat": chat, "from": sender} | content
        if not message.get("entities"):
            message.pop("entities", None)
        self.next_message += 1
        self.messages[chat["id"], message["message_id"]] = message
        return message

    def push(self, kind, content):
        """An update of any kind, checked as the declarations have it."""
        with self.lock:
            update = {"update_id": self.next_update, kind: content}
            self.problems += self.declarations.complaints("Update", update, "update")
            self.next_update += 1
            self.updates.append(update)
            self.lock.notify_all()
            return update

    def person(self, number, name):
        user = {"id": number, "is_bot": False, "first_name": name}
        self.chats.setdefault(number, {"chat": {"id": number, "type": "private", "first_name": name}})
        return user

    def group(self, number, title, topics=()):
        chat = {"id": number, "type": "supergroup", "title": title} | ({"is_forum": True} if topics else {})
        self.chats[number] = {"chat": chat, "topics": set(topics)}
        return chat

    def say(self, sender, text, chat=None, topic=None, **more):
        """Commands and names of bots are marked as Telegram marks them."""
        entities = [{"type": kind, "offset": units(text[:match.start()]), "length": units(match[0])}
                    for kind, pattern in (("bot_command", r"(?<!\S)/[a-z0-9_]+(?:@\w+)?"), ("mention", r"(?<!\S)@\w+"))
                    for match in re.finditer(pattern, text)]
        content = {"text": text, "entities": entities} | more
        if topic:
            content |= {"message_thread_id": topic, "is_topic_message": True}
        with self.lock:
            message = self.keep(chat or self.chats[sender["id"]]["chat"], sender, content)
        self.push("message", message)
        return message

    def attach(self, sender, content, chat=None, caption="", kind="document", **more):
        """A file; a photo comes in a small size too."""
        with self.lock:
            file = self.keep_file(content) | more
            if kind == "photo":
                file = [self.keep_file(content[:1]) | {"width": 90, "height": 60}, file | {"width": 900, "height": 600}]
            said = {kind: file} | ({"caption": caption} if caption else {})
            message = self.keep(chat or self.chats[sender["id"]]["chat"], sender, said)
        self.push("message", message)
        return message

    def press(self, sender, message, text):
        """The button with that text, by that person."""
        data = next(button["callback_data"] for row in message["reply_markup"]["inline_keyboard"]
                    for button in row if button["text"] == text)
        with self.lock:
            query = f"query-{self.next_update}"
            self.queries[query] = data
        self.push("callback_query", {"id": query, "from": sender, "message": message, "chat_instance": "1", "data": data})
        return query

    # ---- What the bot did.

    def asked(self, method):
        with self.lock:
            return [params for name, params in self.calls if name == method]

    def said(self, chat=None):
        with self.lock:
            return [message for (where, _), message in sorted(self.messages.items(), key=lambda item: item[0][1])
                    if message["from"] == BOT and chat in (None, where)]
