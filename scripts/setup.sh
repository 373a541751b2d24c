#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks, or says in one line what to install.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need cc gcc
need make make
need python3 python3
need strace strace
command -v python3 >/dev/null 2>&1 && { python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip); }

if [ "${#missing[@]}" -gt 0 ]; then
  say() { echo "please install: ${missing[*]}" >&2; exit 1; }
  command -v apt-get >/dev/null 2>&1 || say
  if [ "$(id -u)" = 0 ]; then sudo=(); elif sudo -n true 2>/dev/null; then sudo=(sudo -n); else say; fi
  echo "installing ${missing[*]}" >&2
  "${sudo[@]}" apt-get update -qq >/dev/null || say
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null || say
fi

if ! command -v cargo >/dev/null 2>&1; then
  echo "please install Rust 1.95 or newer: https://rustup.rs" >&2
  exit 1
fi
