//! Mistral.

use super::Fault::{Endpoint, Length, Quota, Target};
use super::openai::{OPENINGS, OWN as OPENAI, WITHOUT_STATUS};
use super::{Known, Responses, code, says};

const REFERENCE: &str = "https://docs.mistral.ai/api/";
const SEEN: &str = "responses of the API, as users report them";

pub(super) const OWN: &[Known] = &[
    code("invalid_model", Target, SEEN),
    code("1500", Target, SEEN),
    code("3051", Length, SEEN),
    says("too large for model with", Length, SEEN),
    says("exceeds the model's maximum context length", Length, SEEN),
    code("3505", Quota, SEEN),
    code("rate_limited", Quota, SEEN),
    code("service_tier_capacity_exceeded", Quota, SEEN),
    says("no active subscription", Endpoint, SEEN),
    says("inactive subscription", Endpoint, SEEN),
    says("invalid model", Target, REFERENCE),
];

pub(in super::super) const MISTRAL: Responses =
    Responses { known: &[OWN, OPENAI], without_status: WITHOUT_STATUS, openings: OPENINGS };
