#!/usr/bin/env bash
# Makes a Debian root file system as a tar archive: rootfs.sh OUTPUT.tar SUITE PACKAGE-CACHE [PACKAGE…]
#
# Runs as root in a mount namespace of its own (debootstrap mounts /proc below the target), so that a kill at any
# moment leaves nothing mounted. debootstrap fetches from its own default mirror and checks every package against
# Debian's archive keys.
set -euo pipefail
output=$1 suite=$2 cache=$3
shift 3
packages=$(IFS=,; echo "$*")
target=$(mktemp -d "$(dirname "$output")/root-XXXXXX")
trap 'rm -rf --one-file-system "$target"' EXIT
mkdir -p "$cache"

debootstrap --variant=minbase --merged-usr --cache-dir="$cache" --include="$packages" "$suite" "$target"

# What no container reads: it would be a third of the image.
rm -rf "$target"/usr/share/{doc,man,info,locale,lintian,bug} "$target"/var/cache/apt/* "$target"/var/cache/debconf/*-old \
  "$target"/var/lib/apt/lists/* "$target"/var/log/* "$target"/dev/* "$target"/boot/*
# Every image gets a machine and host name of its own when it starts.
: > "$target/etc/machine-id"
rm -f "$target/etc/hostname" "$target/etc/resolv.conf" "$target/var/lib/dbus/machine-id"

tar --create --file="$output" --directory="$target" --numeric-owner --sort=name --mtime=@0 --one-file-system .
