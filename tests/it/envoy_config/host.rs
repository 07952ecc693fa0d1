//! An Envoy that served other things before the router came: its configuration, and how a person adds a fragment.

/// Its listener has the name that the rig looks for; `{port}`, `{other}` and `{socket}` are the listener's and its
/// upstreams' ports.
const HOST: &str = r#"
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
# top level
static_resources:
  listeners:
  - name: clients
    address: { socket_address: { address: 127.0.0.1, port_value: {port} } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: shop
            delayed_close_timeout: 0.01s
            # Clients that may send x-envoy-* headers.
            use_remote_address: true
            internal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }
            # into your http_connection_manager
            local_reply_config:
              body_format: { text_format_source: { inline_string: "shop: %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%\n" } }
            route_config:
              virtual_hosts:
              - name: llm
                domains: [llm.test]
                response_headers_to_add: [{ header: { key: x-shop, value: "yes" } }]
                routes:
                # into the virtual host of your listener
                - match: { path: /about }
                  direct_response: { status: 200, body: { inline_string: "models\n" } }
              - name: shop
                domains: ["*"]
                response_headers_to_add: [{ header: { key: x-shop, value: "yes" } }]
                routes:
                # into the virtual host with `domains: ["*"]`
                - match: { path: /hello }
                  direct_response: { status: 200, body: { inline_string: "hello\n" } }
                - match: { prefix: /moved }
                  redirect: { path_redirect: /hello }
                - match: { prefix: /socket }
                  route: { cluster: socket, timeout: 5s, upgrade_configs: [{ upgrade_type: websocket }] }
                - match: { prefix: /other }
                  route: { cluster: other, timeout: 5s }
            access_log:
            - name: envoy.access_loggers.file
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
                path: /dev/null
            # into access_log of your http_connection_manager
            http_filters:
            - name: envoy.filters.http.header_mutation
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
                mutations:
                  request_mutations: [{ append: { header: { key: x-added, value: "1" } } }]
            # into http_filters
            - name: envoy.filters.http.router
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                suppress_envoy_headers: true
  # into static_resources.listeners
  clusters:
  - name: other
    type: STATIC
    load_assignment:
      cluster_name: other
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {other} } } } }] }]
  - name: socket
    type: STATIC
    load_assignment:
      cluster_name: socket
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: {socket} } } } }] }]
  # into static_resources.clusters
"#;

/// The ports of its upstreams: of one that answers requests, and of one that speaks over websockets.
#[derive(Clone, Copy)]
pub(super) struct Upstreams {
    pub(super) other: u16,
    pub(super) socket: u16,
}

/// Nobody is there: for a configuration that is only looked at.
pub(super) const NOBODY: Upstreams = Upstreams { other: 10_000, socket: 10_000 };

/// The host as it was.
pub(super) fn without(upstreams: Upstreams) -> String {
    let text = HOST.replace("{port}", "0").replace("{other}", &upstreams.other.to_string());
    text.replace("{socket}", &upstreams.socket.to_string())
}

/// The host with a fragment's blocks copied to the places that their first lines name.
pub(super) fn with(fragment: &str, upstreams: Upstreams) -> String {
    let mut text = without(upstreams);
    let blocks: Vec<_> = fragment.split("# -- COPY").skip(1).collect();
    assert!(blocks.len() >= 4, "{fragment}");
    for block in blocks {
        let (block, _) = block.split_once("# -- end of COPY --").expect("a block ends");
        let (place, block) = block.split_once('\n').expect("a block has lines");
        let place = place.trim_start_matches([',', ' ']);
        let line =
            text.lines().find(|line| line.trim_start().strip_prefix("# ").is_some_and(|name| place.starts_with(name)));
        let line = line.unwrap_or_else(|| panic!("no place for `{place}`")).to_owned();
        let block = moved(block, line.len() - line.trim_start().len());
        text = text.replacen(&format!("{line}\n"), &format!("{block}{line}\n"), 1);
    }
    text
}

/// A block with its first key in this column.
fn moved(block: &str, column: usize) -> String {
    let lines: Vec<&str> = block.lines().filter(|line| !line.trim().is_empty()).collect();
    let old = lines.iter().map(|line| line.len() - line.trim_start().len()).min().expect("a block has lines");
    lines.iter().map(|line| format!("{}{}\n", " ".repeat(column), &line[old..])).collect()
}
