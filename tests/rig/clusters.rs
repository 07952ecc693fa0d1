//! The file of clusters that Envoy reads, for scripted providers and for real ones.

use std::net::SocketAddr;

use url::Url;

/// A cluster and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    name: String,
    upstream: Upstream,
}

#[derive(Clone, Debug)]
enum Upstream {
    /// A scripted provider: HTTP/1.1, no TLS.
    Plain(SocketAddr),
    /// A scripted provider: HTTP/2, no TLS.
    Http2(SocketAddr),
    /// A real one, by name: TLS as in the shipped `envoy/clusters.yaml`, or none for a model server nearby.
    Named { host: String, port: u16, tls: bool },
}

impl Cluster {
    /// A scripted provider.
    pub(crate) fn plain(name: &str, addr: SocketAddr) -> Self {
        Self { name: name.to_owned(), upstream: Upstream::Plain(addr) }
    }

    /// A scripted provider that is spoken to in HTTP/2.
    pub(crate) fn http2(name: &str, addr: SocketAddr) -> Self {
        Self { name: name.to_owned(), upstream: Upstream::Http2(addr) }
    }

    /// A provider on the network.
    pub(crate) fn tls(name: &str, host: &str, port: u16) -> Self {
        Self { name: name.to_owned(), upstream: Upstream::Named { host: host.to_owned(), port, tls: true } }
    }

    /// By the URL of an endpoint: `https://host/…`, or `http://host:port/…`.
    pub(crate) fn from_url(name: &str, url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("endpoint `{name}`: `{url}` {why}");
        let parsed = Url::parse(url).map_err(|e| wrong(&e.to_string()))?;
        let host = parsed.host_str().ok_or_else(|| wrong("has no host"))?;
        let port = parsed.port_or_known_default().ok_or_else(|| wrong("has no port"))?;
        if parsed.scheme() == "https" {
            return Ok(Self::tls(name, host, port));
        }
        let upstream = match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => Upstream::Plain(SocketAddr::new(ip, port)),
            Err(_) => Upstream::Named { host: host.to_owned(), port, tls: false },
        };
        Ok(Self { name: name.to_owned(), upstream })
    }

    fn yaml(&self) -> String {
        let name = &self.name;
        let (discovery, endpoint, more) = match &self.upstream {
            Upstream::Plain(addr) => ("type: STATIC".to_owned(), endpoint(&addr.ip().to_string(), addr.port()), HTTP1),
            Upstream::Http2(addr) => ("type: STATIC".to_owned(), endpoint(&addr.ip().to_string(), addr.port()), HTTP2),
            Upstream::Named { host, port, tls } => {
                let discovery = "type: LOGICAL_DNS\n  dns_lookup_family: V4_PREFERRED".to_owned();
                (discovery, format!("hostname: {host}, {}", endpoint(host, *port)), if *tls { TLS } else { "" })
            }
        };
        format!(
            "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: {name}
  connect_timeout: 3s
  {discovery}
  load_assignment:
    cluster_name: {name}
    endpoints: [{{ lb_endpoints: [{{ endpoint: {{ {endpoint} }} }}] }}]
  circuit_breakers:
    thresholds: [{{ max_connections: 10000, max_pending_requests: 10000, max_requests: 10000, max_retries: 10000 }}]
{more}"
        )
    }
}

fn endpoint(host: &str, port: u16) -> String {
    format!("address: {{ socket_address: {{ address: \"{host}\", port_value: {port} }} }}")
}

const TLS: &str = "  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      auto_host_sni: true
      auto_sni_san_validation: true
      common_tls_context:
        validation_context: { trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt } }
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      auto_config: {}
      common_http_protocol_options: { max_headers_count: 500, max_response_headers_kb: 60 }
";

const HTTP1: &str = "  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { http_protocol_options: {} }
      common_http_protocol_options: { max_headers_count: 500, max_response_headers_kb: 60 }
";

const HTTP2: &str = "  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { http2_protocol_options: {} }
      common_http_protocol_options: { max_headers_count: 500, max_response_headers_kb: 60 }
";

/// The whole file.
pub(crate) fn file(clusters: &[Cluster]) -> String {
    let head = if clusters.is_empty() { "resources: []\n" } else { "resources:\n" };
    clusters.iter().fold(head.to_owned(), |text, cluster| text + &cluster.yaml())
}
