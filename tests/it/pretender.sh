#!/bin/sh
# Keeps the contract of `model-router serve` as far as the rig relies on it, and routes nothing: no router is at port 1.
# A file of its own, for a program that a test has just written may still be busy.
trap 'exit 7' TERM
echo 'not JSON' >&2
echo '{"fields":{"message":"serving","listen":"127.0.0.1:1","admin_listen":"127.0.0.1:2"}}' >&2
echo "{\"fields\":{\"message\":\"arguments\",\"all\":\"$*\"}}" >&2
while :; do sleep 0.05; done
