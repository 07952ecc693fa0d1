//! Prices: what a provider's models cost.

use std::sync::Arc;

use super::endpoints::Declared;
use super::providers::Provider;
use crate::document::decode::{At, Named};
use crate::document::problem::{Place, Report};
use crate::document::words::{instead, shown};
use crate::policy_file::raw;
use crate::routing::usage::{Price, Prices};

/// The currency where none is given.
const CURRENCY: &str = "USD";

/// The longest name of a currency: it becomes a label of metrics.
const MAX_CURRENCY_CHARS: usize = 16;

/// Gives providers the prices of their models.
pub(super) fn prices(
    named: Option<&At<Named<Named<raw::Price>>>>,
    providers: &mut Declared<'_, Provider<'_>>,
    report: &mut Report,
) {
    for (place, name, models) in named.and_then(At::get).into_iter().flat_map(Named::iter) {
        if let Some((_, provider)) = providers.names.get_mut(name) {
            let prices = models.map(|models| of_models(models, provider, report));
            provider.prices = Arc::new(prices.unwrap_or_default());
        } else if providers.complete {
            let message = format!("there are prices of {}, which is no provider", shown(name));
            report.error_with(place, message, providers.instead(name));
        }
    }
}

fn of_models(models: &Named<raw::Price>, provider: &Provider<'_>, report: &mut Report) -> Prices {
    let mut prices = Prices::new();
    for (place, model, price) in models.iter() {
        is_known(place, model, provider, report);
        if let Some(price) = price.and_then(|price| self::price(price, report)) {
            prices.insert(model.into(), price);
        }
    }
    prices
}

/// Reports a model that its provider does not list: its price would never be used.
fn is_known(place: Place, model: &str, provider: &Provider<'_>, report: &mut Report) {
    if let Some(models) = provider.models.as_ref().filter(|models| !models.contains(&model)) {
        let message =
            format!("there is a price of {}, which is no model of provider {}", shown(model), shown(provider.name));
        report.error_with(place, message, instead(model, models.iter().copied()));
    }
}

fn price(raw: &raw::Price, report: &mut Report) -> Option<Price> {
    let amount = |at: &At<raw::Amount>| at.get().map(|raw::Amount(amount)| *amount);
    let input = amount(&raw.input)?;
    let or = |at: &Option<At<raw::Amount>>, default: f64| at.as_ref().map_or(Some(default), amount);
    Some(Price {
        input,
        cached_input: or(&raw.cached_input, input)?,
        cache_write: or(&raw.cache_write, input)?,
        output: or(&raw.output, 0.0)?,
        currency: raw.currency.as_ref().map_or(Some(CURRENCY), |at| currency(at, report))?.into(),
    })
}

fn currency<'a>(at: &'a At<String>, report: &mut Report) -> Option<&'a str> {
    let name = at.get()?;
    let is_name =
        !name.is_empty() && name.len() <= MAX_CURRENCY_CHARS && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_name {
        let message = format!("expected a currency, found {}", shown(name));
        report.error_with(at.place, message, "write its code, such as `USD` or `EUR`".to_owned());
    }
    is_name.then_some(name)
}
