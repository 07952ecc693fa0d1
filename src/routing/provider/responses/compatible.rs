//! Servers and services that speak OpenAI's API. Which of them an endpoint is, is not known: all rows apply.

use super::hosted::HOSTED;
use super::openai::{OPENINGS, OWN as OPENAI, WITHOUT_STATUS};
use super::servers::SERVERS;
use super::{Responses, anthropic, bedrock, gemini, mistral};

pub(in super::super) const COMPATIBLE: Responses = Responses {
    known: &[HOSTED, OPENAI, SERVERS, mistral::OWN, anthropic::OWN, gemini::OWN, bedrock::OWN],
    without_status: WITHOUT_STATUS,
    openings: OPENINGS,
};
