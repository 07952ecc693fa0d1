//! The file of clusters that Envoy reads, for scripted providers; real ones have what `envoy-config` writes.

use std::net::SocketAddr;

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

    fn yaml(&self) -> String {
        let name = &self.name;
        let (addr, protocol) = match &self.upstream {
            Upstream::Plain(addr) => (addr, HTTP1),
            Upstream::Http2(addr) => (addr, HTTP2),
        };
        let endpoint = endpoint(&addr.ip().to_string(), addr.port());
        format!(
            "- \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: {name}
  connect_timeout: 3s
  type: STATIC
  load_assignment:
    cluster_name: {name}
    endpoints: [{{ lb_endpoints: [{{ endpoint: {{ {endpoint} }} }}] }}]
  circuit_breakers:
    thresholds: [{{ max_connections: 10000, max_pending_requests: 10000, max_requests: 10000, max_retries: 10000 }}]
{protocol}"
        )
    }
}

fn endpoint(host: &str, port: u16) -> String {
    format!("address: {{ socket_address: {{ address: \"{host}\", port_value: {port} }} }}")
}

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
