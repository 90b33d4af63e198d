# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches stay with the builder; only the binary is copied from this stage.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin realtime-server \
    && install --strip target/release/realtime-server /usr/local/bin/realtime-server

FROM debian:bookworm-slim
# Certificate authorities, for key sets and collectors that are reached over TLS.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/realtime realtime \
    && install --directory --owner realtime --group realtime /var/lib/realtime/data
COPY --from=build /usr/local/bin/realtime-server /usr/local/bin/realtime-server

USER realtime
# The embedded database, if it is used, is in data/ below this folder.
WORKDIR /var/lib/realtime
VOLUME /var/lib/realtime/data
# In production the server refuses to start without a signing key and the allowed origins.
ENV REALTIME_ENV=production
EXPOSE 3001

# Whether the process answers. Whether it can serve clients is /health/ready, for load balancers: a
# server without its database must not be restarted. bash opens the TCP connection itself, so that the
# image needs no HTTP client; where the server serves TLS itself, an open port suffices.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/${REALTIME_SERVER_PORT:-3001} && { [ -n \"$TLS_CERT_FILE\" ] || { printf 'GET /health/live HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '; }; }"]

ENTRYPOINT ["realtime-server"]
