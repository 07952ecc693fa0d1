#!/usr/bin/env bash
# The images that `docker-compose.yml` is built upon, made of what this machine has: for where no registry can be pulled
# from. Each is made once and kept; prints the build arguments and variables that name them, one NAME=IMAGE a line.
#
#   bases.sh ENVOY-BINARY
set -euo pipefail

envoy=$1
rust=$(rustc --version | cut -d ' ' -f 2)
RUST_IMAGE=model-router-test/rust:$rust
RUNTIME_IMAGE=model-router-test/runtime:bookworm
ENVOY_IMAGE=model-router-test/envoy:$(sha256sum "$envoy" | cut -c 1-12)
lib=lib/$(gcc -print-multiarch)

say() { echo "bases: $*" >&2; }
there() { docker image inspect "$1" >/dev/null 2>&1; }
# Ownership as it is in the tree; what the rest of the arguments say is set in the image.
import() { tar -C "$2" --numeric-owner -c . | docker import "${@:3}" - "$1" >/dev/null; }

# Debian's own script, which needs no installation.
debootstrap() {
	if type -P debootstrap >/dev/null; then command debootstrap "$@"; return; fi # the program, not this function
	(cd "$work" && apt-get download -qq debootstrap && dpkg-deb -x debootstrap_*.deb script) >&2
	DEBOOTSTRAP_DIR=$work/script/usr/share/debootstrap "$work/script/usr/sbin/debootstrap" "$@"
}

# A Debian without anything that can be left out.
make_tree() {
	if [ -d "$tree" ]; then return; fi
	say "installing a small Debian"
	debootstrap --variant=minbase bookworm "$tree" >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
	rm -rf "$tree"/var/cache/apt/archives/*.deb
}

# No shell, no package manager: the C library, the compiler's, and the authorities.
make_runtime() {
	make_tree
	local root=$work/runtime
	install -d -m 755 "$root/$lib" "$root/etc/ssl/certs" "$root/dev" "$root/proc" "$root/sys"
	install -d -m 1777 "$root/tmp"
	cp -L "$tree/$lib"/{libc.so.6,libm.so.6,libgcc_s.so.1} "$root/$lib/"
	for loader in lib64/ld-linux-x86-64.so.2 lib/ld-linux-aarch64.so.1; do
		if [ -e "$tree/$loader" ]; then install -D -m 755 "$tree/$loader" "$root/$loader"; fi
	done
	cp -L "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
	import "$RUNTIME_IMAGE" "$root"
	say "made $RUNTIME_IMAGE"
}

make_envoy() {
	make_tree
	install -D -m 755 "$envoy" "$tree/usr/local/bin/envoy"
	import "$ENVOY_IMAGE" "$tree" --change 'ENTRYPOINT ["/usr/local/bin/envoy"]'
	rm "$tree/usr/local/bin/envoy"
	say "made $ENVOY_IMAGE"
}

# The toolchain without its documentation, and whatever this machine needs to fetch crates.
make_rust() {
	make_tree
	chroot "$tree" apt-get install -qq --no-install-recommends gcc libc6-dev >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
	rm -rf "$tree"/var/cache/apt/archives/*.deb
	tar -C "$(rustc --print sysroot)" --exclude ./share --exclude ./lib/rustlib/src -c ./bin ./lib | tar -C "$tree/usr/local" --no-same-owner -x
	install -D -m 644 "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$tree/etc/ssl/certs/ca-certificates.crt"
	install -d "$tree/usr/local/cargo"
	local settings=${CARGO_HOME:-$HOME/.cargo}/config.toml
	if [ -e "$settings" ]; then cp "$settings" "$tree/usr/local/cargo/"; fi
	import "$RUST_IMAGE" "$tree" --change 'ENV CARGO_HOME=/usr/local/cargo' \
		--change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt'
	say "made $RUST_IMAGE"
}

work=$(mktemp -d)
tree=$work/tree
trap 'rm -rf "$work"' EXIT
there "$RUNTIME_IMAGE" || make_runtime
there "$ENVOY_IMAGE" || make_envoy
there "$RUST_IMAGE" || make_rust # last: it adds to the tree
printf '%s\n' "RUST_IMAGE=$RUST_IMAGE" "RUNTIME_IMAGE=$RUNTIME_IMAGE" "ENVOY_IMAGE=$ENVOY_IMAGE"
