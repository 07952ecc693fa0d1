//! Step 5: requests go to the model that suits them, by examples.

use super::{Walk, target_of};
use crate::rig::ask::chat;
use crate::show::{check, heading, table, text};

/// Questions, and the model that each should go to.
const QUESTIONS: [(&str, &str); 4] = [
    ("my python script never stops, please fix the loop", "gpt-4o-mini"),
    ("how do i cook rice with tomatoes", "o1-mini"),
    ("write a unit test for this function", "gpt-4o-mini"),
    ("who was the second president of france", "gpt-4o"),
];

pub(super) async fn show(walk: &mut Walk) -> Result<(), String> {
    heading("5  Requests go by their meaning");
    text(
        "A second API below /by-meaning compares each request with example utterances, by a small model in\n\
         the router's own process. Whoever resembles none goes to the default:",
    );
    let mut rows = Vec::new();
    for (question, model) in QUESTIONS {
        let answer = walk.traffic.one(chat("any").path("/by-meaning/chat/completions").say(question)).await?;
        check(answer.model() == model, format!("`{question}` went to {}", answer.model()))?;
        let result = answer.header("x-model-router-classification").to_owned();
        rows.push([question.to_owned(), result, answer.header("x-model-router-scores").to_owned(), target_of(&answer)]);
    }
    table(["the user says", "result", "scores", "answered by"], rows);
    Ok(())
}
