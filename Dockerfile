# model-router in an image without a shell, for a user that is not root and a root file system that is read-only.
#
# Either base can be another one. The first has Rust and a C compiler; the second has the C library of the first and
# libgcc, and the certificate authorities, for policies whose classifiers are asked over TLS.
ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /build
# How the release is optimised, if not by Cargo.toml: `--build-arg CARGO_PROFILE_RELEASE_LTO=off` builds faster.
ARG CARGO_PROFILE_RELEASE_LTO
ARG CARGO_PROFILE_RELEASE_CODEGEN_UNITS
ARG CARGO_PROFILE_RELEASE_OPT_LEVEL
# The dependencies in a layer of their own, with nothing of ours: a change of the source does not build them again.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it tests/demo tests/man benches/gateway benches/leaves benches/instructions \
    && echo '//! Stands in.' | tee src/lib.rs build.rs src/main.rs tests/it/main.rs tests/demo/main.rs \
        tests/man/main.rs benches/gateway/main.rs benches/leaves/main.rs benches/instructions/main.rs \
    && for file in build.rs src/main.rs; do echo 'fn main() {}' >> "$file"; done \
    && cargo build --release --locked --bins
COPY build.rs ./
COPY proto proto
COPY envoy/attach.yaml envoy/failover.yaml envoy/
COPY src src
ARG REVISION=unknown
ENV MODEL_ROUTER_REVISION=${REVISION}
# Newer than what was built of the stand-ins, which Cargo would take for them otherwise.
RUN touch build.rs src/main.rs src/lib.rs \
    && cargo build --release --locked --bins \
    && mkdir -p image/run \
    && cp target/release/model-router image/

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="model-router" \
      org.opencontainers.image.description="An Envoy external processor that turns any Envoy into a multi-model LLM gateway" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /build/image/model-router /usr/local/bin/model-router
# A volume that is mounted here first belongs to this user. Envoy runs as the same one, and so reaches the socket (0600).
COPY --from=build --chown=65532:65532 /build/image/run /run/model-router
USER 65532:65532
ENV MODEL_ROUTER_POLICY=/etc/model-router
ENV MODEL_ROUTER_LISTEN=unix:/run/model-router/router.sock
ENV MODEL_ROUTER_ADMIN_LISTEN=unix:/run/model-router/admin.sock
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=2 CMD ["/usr/local/bin/model-router", "health"]
ENTRYPOINT ["/usr/local/bin/model-router"]
CMD ["serve"]
