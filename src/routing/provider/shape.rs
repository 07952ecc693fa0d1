//! The shape of a vendor's API: what a client must speak.

/// The shape of the API that a client speaks. Requests and responses are not translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// OpenAI's API, and all that follow it.
    #[default]
    OpenAi,
    /// Anthropic's own: `/messages`.
    Anthropic,
    /// Google's own: `:generateContent`.
    Gemini,
    /// Amazon's own: `/model/…/converse`.
    Bedrock,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Bedrock];

    /// Returns the name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI's API",
            Self::Anthropic => "Anthropic's own API",
            Self::Gemini => "Gemini's own API",
            Self::Bedrock => "Bedrock's own API",
        }
    }

    /// Returns whether the API has a list of models beside its operations. Bedrock's is at another host.
    #[must_use]
    pub fn lists_models(self) -> bool {
        self != Self::Bedrock
    }
}
