//! Blocks that clusters have in common: explained and named at their first use, referred to afterwards.

use std::collections::HashSet;
use std::path::Path;

use crate::envoy::config::text::scalar;
use crate::routing::endpoint::AwsSigV4;

/// A part that several clusters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Block {
    ConnectTimeout,
    OneByName,
    Replicas,
    Tls,
    Alpn,
    Http1,
    Keepalive,
    Breakers,
}

/// The blocks that have been written so far.
#[derive(Debug)]
pub(super) struct Blocks {
    said: HashSet<Block>,
    ca_file: String,
}

impl Blocks {
    pub(super) fn new(ca_file: &Path) -> Self {
        Self { said: HashSet::new(), ca_file: scalar(&ca_file.display().to_string()) }
    }

    /// Returns a block: in full the first time; later an alias, or the lines without their comments.
    pub(super) fn say(&mut self, block: Block) -> String {
        let first = self.said.insert(block);
        match (first, block.text()) {
            (true, text) => text.replace("{ca_file}", &self.ca_file),
            (false, text) => {
                match text.split_once(": &").and_then(|(before, after)| Some((before, after.lines().next()?))) {
                    Some((before, anchor)) => {
                        let key = before.lines().next_back().unwrap_or_default();
                        format!("{key}: *{anchor}\n")
                    }
                    None => text.lines().filter(|line| !line.starts_with('#')).map(without_comment).collect(),
                }
            }
        }
    }

    /// TLS with a server that has no name: the certificate must be for its address.
    pub(super) fn tls_of_address(&self, ip: &str) -> String {
        TLS_OF_ADDRESS.replace("{ip}", ip).replace("{ca_file}", &self.ca_file)
    }
}

impl Blocks {
    /// Returns a protocol with the filter that signs what is sent; never shared, because the region is the endpoint's.
    pub(super) fn signed(protocol: Block, signature: &AwsSigV4) -> String {
        let plain = protocol.text();
        let (key, rest) = plain.split_once(": &").expect("protocols have anchors");
        let (_, rest) = rest.split_once('\n').expect("lines below the key");
        let filters =
            SIGNATURE.replace("{region}", &scalar(&signature.region)).replace("{service}", &scalar(&signature.service));
        format!("{SIGNED_BODIES}{key}:\n{rest}{filters}")
    }
}

fn without_comment(line: &str) -> String {
    format!("{}\n", line.split(" # ").next().unwrap_or(line))
}

impl Block {
    fn text(self) -> &'static str {
        match self {
            Self::ConnectTimeout => CONNECT_TIMEOUT,
            Self::OneByName => ONE_BY_NAME,
            Self::Replicas => REPLICAS,
            Self::Tls => TLS,
            Self::Alpn => ALPN,
            Self::Http1 => HTTP1,
            Self::Keepalive => KEEPALIVE,
            Self::Breakers => BREAKERS,
        }
    }
}

const CONNECT_TIMEOUT: &str = "\
connect_timeout: 3s # a provider that does not take connections is to be left quickly: the router has others
";

const ONE_BY_NAME: &str = "\
# A new connection goes to the address that the name has now, and connections there are stay. Without
# `all_addresses_in_single_endpoint`, they would be given up whenever a provider behind a content network answers with
# other addresses.
cluster_type: &provider_dns
  name: envoy.clusters.dns
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
    all_addresses_in_single_endpoint: true
    dns_lookup_family: V4_PREFERRED
    respect_dns_ttl: true
";

const REPLICAS: &str = "\
# Without TLS it is a server nearby, such as vLLM: each address of the name is a replica and gets its share.
cluster_type: &replicas_dns
  name: envoy.clusters.dns
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
    dns_lookup_family: V4_PREFERRED
    respect_dns_ttl: true
";

const TLS: &str = "\
transport_socket: &provider_tls
  name: envoy.transport_sockets.tls
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    # SNI and the name in the certificate must be the endpoint's `hostname`. Without these two lines Envoy would
    # accept any certificate that any authority has signed, for any name.
    auto_host_sni: true
    auto_sni_san_validation: true
    common_tls_context:
      tls_params: { tls_minimum_protocol_version: TLSv1_2 }
      validation_context:
        # Where Debian keeps it; /etc/pki/tls/certs/ca-bundle.crt on Red Hat.
        trusted_ca: { filename: {ca_file} }
";

const TLS_OF_ADDRESS: &str = "\
transport_socket:
  name: envoy.transport_sockets.tls
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
    common_tls_context:
      tls_params: { tls_minimum_protocol_version: TLSv1_2 }
      validation_context:
        trusted_ca: { filename: {ca_file} }
        # There is no name to ask for: the certificate must be for the address.
        match_typed_subject_alt_names: [{ san_type: IP_ADDRESS, matcher: { exact: \"{ip}\" } }]
";

const ALPN: &str = "\
typed_extension_protocol_options: &provider_http
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    auto_config: # HTTP/2 where the provider offers it in the TLS handshake, else HTTP/1.1
      http2_protocol_options:
        connection_keepalive: { interval: 30s, timeout: 10s } # a connection that died silently is noticed in 40 s
        initial_stream_window_size: 1048576
        initial_connection_window_size: 33554432
    common_http_protocol_options:
      # Above what providers send: the router adds headers, and an answer at its limit would become an error.
      max_headers_count: 500
      # In every cluster, with failover.yaml: a header above 64 KiB would close the connection that all clients share there.
      # Without this line it is 80 for HTTP/1.1.
      max_response_headers_kb: 60
      idle_timeout: 60s # below what providers' balancers allow, so that it is we who close, not they under a request
      max_connection_duration: 3600s # follows DNS at last; streams in flight are finished first
";

const HTTP1: &str = "\
typed_extension_protocol_options: &provider_http1
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http_protocol_options: {} } # without TLS there is no telling whether a server takes HTTP/2
    common_http_protocol_options: # as with TLS: limits that keep an answer, or the shared connection, from harm
      max_headers_count: 500
      max_response_headers_kb: 60
      idle_timeout: 60s
      max_connection_duration: 3600s
";

const SIGNED_BODIES: &str = "\
per_connection_buffer_limit_bytes: 33554432 # 32 MiB: a signature is of the whole body, which waits here
";

const SIGNATURE: &str = "\
\x20   http_filters:
    # Signs each attempt as it is sent, with the path, host and body that the router wrote. The key is Envoy's: from
    # AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, a web identity, or the role of the container or the instance.
    - name: envoy.filters.http.aws_request_signing
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.filters.http.aws_request_signing.v3.AwsRequestSigning
        service_name: {service}
        region: {region}
        match_excluded_headers: [{ prefix: x- }] # such as x-request-id; AWS wants its own signed, which the filter adds
    - name: envoy.filters.http.upstream_codec # always last
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec
";

const KEEPALIVE: &str = "\
upstream_connection_options: &provider_keepalive
  tcp_keepalive: { keepalive_probes: 3, keepalive_time: 30, keepalive_interval: 10 }
";

const BREAKERS: &str = "\
# The default (1024 of each, 3 retries) is reached early by requests that last a minute. A request above the limit
# gets 503 at once, which the router sees as a failure of this target.
circuit_breakers: &provider_breakers
  thresholds:
  - max_connections: 10000
    max_pending_requests: 10000
    max_requests: 10000
    max_retries: 10000
    track_remaining: true # how much is left, in the statistics
";
