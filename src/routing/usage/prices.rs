//! Prices: what tokens cost by the policy.

use std::collections::HashMap;
use std::sync::Arc;

use super::Tokens;

/// The prices of a model's tokens, each in units of the currency for a million.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// Of the request.
    pub input: f64,
    /// Of the request, read from a cache.
    pub cached_input: f64,
    /// Of the request, written to a cache.
    pub cache_write: f64,
    /// Of the response.
    pub output: f64,
    /// The currency's name.
    pub currency: Arc<str>,
}

/// The prices of a provider's models.
pub type Prices = HashMap<Box<str>, Price>;

/// What a response cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// In units of the currency.
    pub amount: f64,
    /// The currency's name.
    pub currency: Arc<str>,
}

impl Price {
    /// Returns what tokens cost.
    #[must_use]
    pub fn of(&self, tokens: &Tokens) -> Cost {
        #[allow(clippy::cast_precision_loss)] // Of more than 2^52 tokens.
        let cost = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        let cached = tokens.cached_input.min(tokens.input);
        let written = tokens.cache_write.min(tokens.input - cached);
        let amount = cost(tokens.input - cached - written, self.input)
            + cost(cached, self.cached_input)
            + cost(written, self.cache_write)
            + cost(tokens.output, self.output);
        Cost { amount, currency: Arc::clone(&self.currency) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_input_has_its_price() {
        let price = Price { input: 2.0, cached_input: 0.5, cache_write: 2.5, output: 8.0, currency: "EUR".into() };
        let tokens = Tokens {
            input: 1_000_000,
            cached_input: 400_000,
            cache_write: 100_000,
            output: 250_000,
            ..Tokens::default()
        };
        let cost = price.of(&tokens);
        assert!((cost.amount - (1.0 + 0.2 + 0.25 + 2.0)).abs() < 1e-9, "{}", cost.amount);
        assert_eq!(&*cost.currency, "EUR");
    }

    #[test]
    fn parts_that_are_larger_than_the_whole_cost_no_more_than_it() {
        let price = Price { input: 1.0, cached_input: 1.0, cache_write: 1.0, output: 0.0, currency: "USD".into() };
        let tokens = Tokens { input: 10, cached_input: 400, cache_write: 100, ..Tokens::default() };
        assert!((price.of(&tokens).amount - 1e-5).abs() < 1e-12);
    }
}
