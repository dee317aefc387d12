//! A provider in Rust: a model that says the words of the last message in the other order.
use parley::{Call, Host, Json, Outcome, Plugin, Provider};

struct Backwards;

impl Plugin for Backwards {
    fn new(_host: Host<Self>, _config: &Json) -> Result<Self, String> {
        Ok(Backwards)
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

        // A model that streams emits many of these; the host puts them together.
        call.emit(Json::object().with("type", "text").with("text", answer));
        let usage = Json::object().with("type", "usage").with("input", input);
        call.emit(usage.with("output", output));
        call.emit(Json::object().with("type", "stop").with("reason", "end"));
        call.complete(Json::object())
    }
}

parley::plugin!(Backwards, "plugin.json", provider);
