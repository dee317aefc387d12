//! A provider in Rust: a model that says the words of the last message in the other order.
use parley::{Call, Emit, Failure, Host, Json, Outcome, Plugin, Provider};
use std::collections::{HashMap, VecDeque};

/// What the host did not take yet, by call.
#[derive(Default)]
struct Backwards {
    waiting: HashMap<u64, (Call, VecDeque<Json>)>,
}

impl Backwards {
    fn tell_on(&mut self, call: Call, mut items: VecDeque<Json>) -> Outcome {
        while let Some(item) = items.pop_front() {
            if call.emit(item) == Emit::Pause && !items.is_empty() {
                self.waiting.insert(call.id(), (call, items));
                return Ok(());
            }
        }
        call.complete(Json::object())
    }
}

impl Plugin for Backwards {
    fn new(_host: Host<Self>, _config: &Json) -> Result<Self, String> {
        Ok(Backwards::default())
    }

    fn resumed(&mut self, call: &Call) -> Outcome {
        match self.waiting.remove(&call.id()) {
            Some((call, items)) => self.tell_on(call, items),
            None => Ok(()),
        }
    }

    fn cancelled(&mut self, call: &Call) -> Outcome {
        self.waiting.remove(&call.id());
        Err(Failure::new("cancelled", "stopped"))
    }
}

impl Provider for Backwards {
    fn generate(&mut self, call: Call, request: Json) -> Outcome {
        let said = request["messages"]
            .items()
            .iter()
            .rev()
            .find(|message| message["role"].text() == Some("user"))
            .and_then(|message| message["text"].text())
            .unwrap_or("");
        let words: Vec<&str> = said.split_whitespace().rev().collect();
        let answer = words.join(" ");
        let (input, output) = (request.to_string().len() / 4, answer.len() / 4);

        // A model that streams tells many texts; the host puts them together.
        let items = [
            Json::object().with("type", "text").with("text", answer),
            Json::object().with("type", "usage").with("input", input).with("output", output),
            Json::object().with("type", "stop").with("reason", "end"),
        ];
        self.tell_on(call, items.into())
    }
}

parley::plugin!(Backwards, "plugin.json", provider);
