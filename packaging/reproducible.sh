#!/bin/sh
# Builds the package twice from the last commit, in two folders of different names, and compares: each program, and the package.
# `make reproducible`; CHEAP=1 builds without optimization, which is quicker and finds the same paths and dates.
#
# reproducible.sh FOLDER: room for two builds (some 3 GiB); emptied at the start.
set -eu
work=$1
cd "$(dirname "$0")/.."
commit=$(git rev-parse HEAD) # by its name: somebody may commit meanwhile
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
unset CARGO_TARGET_DIR
if [ -n "${CHEAP:-}" ]; then
    export CARGO_PROFILE_DIST_LTO=off CARGO_PROFILE_DIST_OPT_LEVEL=0 CARGO_PROFILE_DIST_CODEGEN_UNITS=16
    export CARGO_PROFILE_DIST_DEBUG=0
fi

rm -rf "$work"
# Other names, lengths and depths: whatever of a path gets into a program shows. Another time and umask, too.
first=$work/a second=$work/another/place/to-build-in
for folder in "$first" "$second"; do
    mkdir -p "$folder"
    git archive "$commit" | tar -x -m -C "$folder"
    make -C "$folder" deb
    umask 077
done

status=0
for file in bulkhead sni-router passthrough-relay tls-terminator http-filter forward-proxy; do
    cmp "$first/target/dist/$file" "$second/target/dist/$file" || status=1
done
for package in "$first"/target/debian/*.deb; do
    cmp "$package" "$second/target/debian/${package##*/}" || status=1
    sha256sum "$package"
done
[ $status = 0 ] && echo "the same bytes, twice"
exit $status
