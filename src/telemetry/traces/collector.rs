//! The collector that spans are sent to: what the flags say, else what OpenTelemetry's own variables say.
//!
//! Source of the variables: OpenTelemetry's specification, "OTLP exporter" and "General SDK configuration".

use std::path::{Path, PathBuf};

use opentelemetry::Key;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;

/// The name of the service where nothing else is said.
const SERVICE: &str = "model-router";
/// The collector's URL; the first is the more specific one.
const URLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The authorities that sign the collector's certificate (PEM); the first is the more specific one.
const CA_FILES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];

/// Where spans go, and as what.
#[derive(Clone, Debug, Default)]
pub struct Collector {
    /// Its URL, `http://` or `https://`. `OTEL_EXPORTER_OTLP_ENDPOINT` when absent.
    pub url: Option<String>,
    /// The file with the authorities that sign its certificate. `OTEL_EXPORTER_OTLP_CERTIFICATE` when absent, else the
    /// system's.
    pub ca_file: Option<PathBuf>,
    /// The name of this service. `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` or `model-router` when absent.
    pub service: Option<String>,
}

impl Collector {
    /// Returns whether spans are wanted: a URL is set, and OpenTelemetry's variables do not turn traces off.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
        self.url.is_some() || (!is_off && URLS.into_iter().any(|name| variable(name).is_some()))
    }

    /// Returns a client. It connects when it has something to send. Headers, timeout and compression come from
    /// `OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT` and `_COMPRESSION`.
    ///
    /// # Errors
    ///
    /// If the URL, the file or a variable is wrong.
    pub fn client(&self) -> Result<SpanExporter, String> {
        let mut builder = SpanExporter::builder().with_tonic();
        if let Some(url) = &self.url {
            builder = builder.with_endpoint(url);
        }
        let url = self.url.clone().or_else(|| URLS.into_iter().find_map(variable)).unwrap_or_default();
        if url.starts_with("https://") {
            builder = builder.with_tls_config(self.tls()?);
        }
        let mut client = builder.build().map_err(|error| error.to_string())?;
        client.set_resource(&self.resource());
        Ok(client)
    }

    fn tls(&self) -> Result<ClientTlsConfig, String> {
        let file = self.ca_file.clone().or_else(|| CA_FILES.into_iter().find_map(variable).map(PathBuf::from));
        file.map_or_else(|| Ok(ClientTlsConfig::new().with_enabled_roots()), |file| authorities(&file))
    }

    fn resource(&self) -> Resource {
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let found = Resource::builder().build();
        let unnamed =
            found.get(&Key::new("service.name")).is_none_or(|name| name.as_str().starts_with("unknown_service"));
        let name = self.service.clone().or_else(|| unnamed.then(|| SERVICE.to_owned()));
        let builder = Resource::builder().with_attribute(version);
        match name {
            Some(name) => builder.with_service_name(name).build(),
            None => builder.build(),
        }
    }
}

fn authorities(file: &Path) -> Result<ClientTlsConfig, String> {
    let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// Returns a variable that is set and not empty: the specification treats an empty one as unset.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
