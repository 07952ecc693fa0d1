//! The parts that subcommands share which ask a running router.

use std::time::{Duration, SystemTime};

use comfy_table::{LineStyle, Table, TableStyle};

use super::channel::{Address, Channel};
use crate::admin::proto::admin_client::AdminClient;

/// One line, below the header: names and numbers are to be read, and often copied.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// The time limit of a router's reply.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Returns a client of the router's admin API.
pub(super) async fn connect(address: &Address) -> Result<AdminClient<Channel>, String> {
    address.open(TIMEOUT).await.map(AdminClient::new)
}

/// Returns an empty table.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(header);
    table
}

/// RFC 3339, to the second.
pub(super) fn instant(timestamp: Option<prost_types::Timestamp>) -> String {
    let time = timestamp.and_then(|timestamp| SystemTime::try_from(timestamp).ok());
    time.map(|time| humantime::format_rfc3339_seconds(time).to_string()).unwrap_or_default()
}
