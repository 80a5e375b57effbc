#!/bin/sh
# The one list of what belongs where, for `make install` and `make uninstall`. The package of Debian has the same files
# ([package.metadata.deb] in Cargo.toml); a test compares (tests/units/packages.rs).
#
# install.sh install|uninstall|list FOLDER-OF-PROGRAMS PREFIX [DESTDIR]
#   list prints "MODE DESTINATION SOURCE" and changes nothing.
set -eu
action=$1 built=$2 prefix=$3 destdir=${4:-}
cd "$(dirname "$0")/.."
programs=$prefix/lib/bulkhead
documents=$prefix/share/doc/bulkhead

# put MODE FOLDER FILE...: files keep their names.
put() {
    mode=$1 folder=$2
    shift 2
    for file; do one "$mode" "$file" "$folder/${file##*/}"; done
}

# one MODE FILE DESTINATION
one() {
    case $action in
    install)
        install -D -m "$1" "$2" "$destdir$3"
        # Units, manual and hook name the folders of the prefix.
        case $3 in
        "$programs"/after-* | *.service | *.socket | *.target | *.slice | *.path | *.[158])
            [ "$prefix" = /usr ] || sed -i "s|/usr/lib/bulkhead|$programs|g; s|/usr/share/doc/bulkhead|$documents|g" "$destdir$3"
            ;;
        esac
        ;;
    uninstall) rm -f "$destdir$3" ;;
    list) echo "$1 $3 $2" ;;
    esac
}

for program in bulkhead sni-router passthrough-relay tls-terminator http-filter forward-proxy; do
    put 755 "$programs" "$built/$program"
done
put 755 "$programs" packaging/after-install packaging/after-upgrade
# Beside the others it finds them: a link is all that lies on the PATH.
case $action in
install)
    install -d "$destdir$prefix/bin"
    ln -sf ../lib/bulkhead/bulkhead "$destdir$prefix/bin/bulkhead"
    ;;
uninstall) rm -f "$destdir$prefix/bin/bulkhead" ;;
list) echo "link $prefix/bin/bulkhead ../lib/bulkhead/bulkhead" ;;
esac

put 644 "$prefix/lib/systemd/system" systemd/*.service systemd/*.socket systemd/*.target systemd/*.slice systemd/*.path
put 644 "$prefix/lib/systemd/system-preset" packaging/80-bulkhead.preset
put 644 "$prefix/lib/sysusers.d" systemd/sysusers.d/bulkhead.conf
put 644 "$prefix/lib/tmpfiles.d" systemd/tmpfiles.d/bulkhead.conf

for section in 1 5 8; do put 644 "$prefix/share/man/man$section" packaging/man/*."$section"; done
one 644 packaging/completions/bulkhead.bash "$prefix/share/bash-completion/completions/bulkhead"
put 644 "$prefix/share/zsh/vendor-completions" packaging/completions/_bulkhead
put 644 "$prefix/share/fish/vendor_completions.d" packaging/completions/bulkhead.fish

one 644 CHANGELOG.md "$documents/changelog"
put 644 "$documents" README.md SECURITY.md packaging/third-party.txt ARCHITECTURE.md LICENSE-MIT LICENSE-APACHE docs/*.md
one 644 systemd/README.md "$documents/systemd.md"
put 644 "$documents/examples" docs/examples/*.toml
put 644 "$documents/examples/systemd" systemd/examples/*

# The configuration is the administrator's: never written over, never taken away.
config=/etc/bulkhead/bulkhead.toml
case $action in
install) [ -e "$destdir$config" ] || one 644 packaging/bulkhead.toml "$config" ;;
list) one 644 packaging/bulkhead.toml "$config" ;;
uninstall)
    for folder in "$documents/examples/systemd" "$documents/examples" "$documents" "$programs"; do
        [ ! -d "$destdir$folder" ] || rmdir --ignore-fail-on-non-empty "$destdir$folder"
    done
    ;;
esac
