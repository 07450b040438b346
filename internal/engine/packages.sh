#!/usr/bin/env bash
# Makes sure that this machine can run kind clusters. Where a container engine answers, it does nothing. Otherwise, on
# Debian and as root, it installs the packages below (README.md names them too) and nothing else; it changes no
# configuration. Without a registry in reach, debootstrap is what the node image is made with.
set -euo pipefail
packages=(podman runc debootstrap netavark aardvark-dns iptables)

for engine in docker podman nerdctl; do
  if command -v "$engine" >/dev/null && "$engine" version >/dev/null 2>&1; then
    [ "$engine" != podman ] && exit 0
  fi
done

missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "error: no container engine answers, and this is not root on Debian, so ${missing[*]} cannot be installed" >&2
  echo "hint: start Docker, or install Podman, and run this again" >&2
  exit 3
fi
echo "Installing from Debian: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "error: the packages could not be installed" >&2
  exit 3
fi
