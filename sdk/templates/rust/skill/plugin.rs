//! A skill in Rust: it counts the words of a text.
use parley::{Call, Host, Json, Outcome, Plugin, Skill};

struct CountWords;

impl Plugin for CountWords {
    fn new(_host: Host<Self>, _config: &Json) -> Result<Self, String> {
        Ok(CountWords)
    }
}

impl Skill for CountWords {
    fn invoke(&mut self, call: Call, request: Json) -> Outcome {
        let text = request["arguments"]["text"].text().unwrap_or("");
        let answer = format!("{} words", text.split_whitespace().count());
        call.complete(Json::object().with("content", answer).with("error", false))
    }
}

parley::plugin!(CountWords, "plugin.json", skill);
