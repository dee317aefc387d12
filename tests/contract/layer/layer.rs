//! layer.cpp in Rust: the same habits, so that the same tests hold for both layers.
use parley::{
    Call, Channel, Emit, Failure, Host, HttpEvent, HttpRequest, Inject, Json, Operation, Outcome,
    Plugin, Skill, StreamEvent, WebSocketEvent, WebSocketRequest, WebhookEvent,
};

struct Layer {
    host: Host<Layer>,
    held: Vec<Call>,
    stream: Option<Operation<Layer>>,
    socket: Option<Operation<Layer>>,
    body: String,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Layer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Plugin for Layer {
    fn new(host: Host<Self>, config: &Json) -> Result<Self, String> {
        if config["refuse"].boolean() == Some(true) {
            return Err("the config says refuse".to_string());
        }
        let (held, body) = (Vec::new(), String::new());
        Ok(Layer { host, held, stream: None, socket: None, body, thread: None })
    }
    fn cancelled(&mut self, call: &Call) -> Outcome {
        if self.held.iter().any(|held| held.id() == call.id()) {
            return call.complete(Json::object().with("cancelled", call.is_cancelled()));
        }
        Err(Failure::new("cancelled", "cancelled"))
    }
    fn resumed(&mut self, call: &Call) -> Outcome {
        call.complete(Json::object().with("resumed", true))
    }
    fn acknowledged(&mut self, call: &Call, cursor: &str) -> Outcome {
        call.emit(Json::object().with("type", "acked").with("cursor", cursor));
        Ok(())
    }
}

impl Skill for Layer {
    fn invoke(&mut self, call: Call, request: Json) -> Outcome {
        match request["skill"].text().unwrap_or("") {
            "throw" => panic!("boom"),
            "throw oddly" => std::panic::panic_any(42),
            "drop" => Ok(()),
            "twice" => {
                call.complete(Json::object())?;
                Err(Failure::new("peer", "too late"))
            }
            "too large" => call.complete(Json::object().with("content", "x".repeat(33 << 20))),
            "fail" => Err(Failure {
                retry_after_ms: 1500,
                ..Failure::new("rate", "slow").retryable(true)
            }),
            "echo" => call.complete(request["arguments"].clone()),
            "read" => {
                let text = request["text"].text().unwrap_or("");
                call.complete(match Json::parse(text.as_bytes()) {
                    Ok(value) => Json::object().with("value", value),
                    Err(why) => Json::object().with("why", why),
                })
            }
            "emit" => self.emit_all(call),
            "thread" => {
                self.thread = Some(std::thread::spawn(move || {
                    let _ = call.complete(Json::object().with("from", "thread"));
                }));
                Ok(())
            }
            "http" => self.fetch(call),
            "http throw" => {
                let request =
                    HttpRequest { url: "https://example.org".into(), ..Default::default() };
                self.host.http(&call, request, b"", |_, _, _| panic!("in a callback"))?;
                self.held.push(call);
                Ok(())
            }
            "timer" => {
                self.host.timer(&call, 100, |_, call| call.complete(Json::object()))?;
                Ok(())
            }
            "timer and end" => {
                self.host.timer(&call, 100, |_, _| Ok(()))?;
                call.complete(Json::object())
            }
            "stop" => {
                let timer = self.host.timer(&call, 100, |_, _| panic!("stopped"))?;
                timer.stop();
                call.complete(Json::object())
            }
            "ws" => self.talk(call),
            "webhooks" => self.hear(call),
            "kv" => self.count(call),
            "wait for cancel" => {
                self.held.push(call);
                Ok(())
            }
            _ => Err(Failure::new("invalid", "no such habit")),
        }
    }
}

impl Channel for Layer {
    const TYPING: bool = true;
    fn run(&mut self, call: Call, _request: Json) -> Outcome {
        let stream =
            self.host.stream(&call, "irc.example", 6697, true, |plugin, call, event| {
                match event {
                    StreamEvent::Opened { .. } => {
                        let password = Inject {
                            slot: "stream:pw".into(),
                            secret: "password".into(),
                            ..Default::default()
                        };
                        plugin.stream.as_ref().unwrap().write(b"PASS pw\r\n", &[password]);
                    }
                    StreamEvent::Data(bytes) => {
                        let text = String::from_utf8_lossy(bytes).to_string();
                        call.emit(Json::object().with("type", "message").with("text", text));
                    }
                    StreamEvent::Closed(Some(why)) => return Err(why.retryable(true)),
                    StreamEvent::Closed(None) => {
                        return Err(Failure::new("peer", "closed").retryable(true))
                    }
                }
                Ok(())
            })?;
        self.stream = Some(stream);
        Ok(())
    }
    fn send(&mut self, call: Call, _request: Json) -> Outcome {
        call.complete(Json::object().with("parts", 1))
    }
    fn typing(&mut self, call: Call, _request: Json) -> Outcome {
        call.complete(Json::object())
    }
}

impl Layer {
    fn emit_all(&mut self, call: Call) -> Outcome {
        for n in 0..3 {
            if call.emit(Json::object().with("type", "n").with("n", n)) != Emit::Taken {
                self.held.push(call);
                return Ok(());
            }
        }
        call.complete(Json::object())
    }

    fn talk(&mut self, call: Call) -> Outcome {
        let key = |slot: &str| Inject {
            slot: slot.into(),
            secret: "key".into(),
            ..Default::default()
        };
        let request = WebSocketRequest {
            url: "wss://socket.example/x".into(),
            headers: vec![("A".into(), "b".into())],
            subprotocols: vec!["talk.1".into()],
            max_bytes: 1000,
            inject: vec![key("query:key")],
            ..Default::default()
        };
        let socket = self.host.ws(&call, request, move |plugin, call, event| {
            let socket = plugin.socket.as_ref().unwrap();
            match event {
                WebSocketEvent::Opened { subprotocol } => {
                    let hello = Json::object().with("spoken", subprotocol).with("token", "");
                    socket.write_text(&hello.to_string(), &[key("body:/token")]);
                }
                WebSocketEvent::Text(text) => {
                    socket.write_text(text, &[]);
                    if text == "bye" {
                        socket.close(4001, "so long");
                        let open = socket.write_text("late", &[]) != Emit::Refused;
                        return call.complete(Json::object().with("open", open));
                    }
                }
                WebSocketEvent::Binary(bytes) => {
                    socket.write_binary(bytes, &[]);
                }
                WebSocketEvent::Closed { code, reason } => {
                    let said = Json::object().with("code", i64::from(code));
                    return call.complete(said.with("reason", reason));
                }
                WebSocketEvent::Failed(why) => return Err(why),
            }
            Ok(())
        })?;
        self.socket = Some(socket);
        Ok(())
    }

    fn fetch(&mut self, call: Call) -> Outcome {
        let request = HttpRequest {
            method: "POST".into(),
            url: "https://example.org/x".into(),
            headers: vec![("A".into(), "b".into())],
            events: true,
            inject: vec![Inject {
                slot: "header:Authorization".into(),
                secret: "key".into(),
                prefix: "Bearer ".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.body.clear();
        self.host.http(&call, request, b"body", |plugin, call, event| {
            match event {
                HttpEvent::Head { status, headers } => {
                    let kind = parley::header(headers, "content-type").unwrap_or("");
                    plugin.body += &format!("{}{}", status, kind);
                }
                HttpEvent::Data(bytes) => plugin.body += &String::from_utf8_lossy(bytes),
                HttpEvent::Event { data, .. } => plugin.body += data,
                HttpEvent::Done => {
                    return call.complete(Json::object().with("body", plugin.body.as_str()))
                }
                HttpEvent::Failed(why) => return Err(why),
            }
            Ok(())
        })?;
        Ok(())
    }

    fn hear(&mut self, call: Call) -> Outcome {
        self.host.webhooks(&call, |_, call, event| {
            match event {
                WebhookEvent::Request(one) => match one.body() {
                    "drop" => {}
                    "later" => one.refuse_for_now(9),
                    "large" => one.answer(201, &"x".repeat(20_000)),
                    body => {
                        let told = format!("{}{}", body, one.header("x-event").unwrap_or(""));
                        one.answer(201, &told)
                    }
                },
                WebhookEvent::Gone(number) => {
                    call.emit(Json::object().with("type", "gone").with("n", number));
                }
                WebhookEvent::Closed(why) => return Err(why),
            }
            Ok(())
        })?;
        Ok(())
    }

    fn count(&mut self, call: Call) -> Outcome {
        self.host.kv_get(&call, b"count", |plugin, call, answer| {
            let mut next = answer?.unwrap_or_default();
            next.push(b'I');
            let text = String::from_utf8_lossy(&next).to_string();
            plugin.host.kv_put(call, b"count", &next, |_, call, answer| {
                answer?;
                call.complete(Json::object().with("count", text))
            })
        })
    }
}

parley::plugin!(Layer, "plugin.json", skill, channel);
