#!/bin/sh
# Removes vpce-probe from this host, and keeps its config and what waits for CloudWatch: the agent also runs this in the midst
# of "Uninstall and reinstall", and of a rollback. SSM_VPCE_PROBE_PURGE=1 removes these as well. Exit codes: common.sh.
set -eu

SCRIPT=uninstall.sh
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=packaging/ssm-distributor/common.sh
. "$HERE/common.sh"

need_root
find_package
case ${SSM_VPCE_PROBE_PURGE:-0} in
    0) purge= ;;
    1) purge=yes ;;
    *) fail "$EX_USAGE" "error: SSM_VPCE_PROBE_PURGE is '$SSM_VPCE_PROBE_PURGE'; nothing was changed" \
        'say 1 to remove config and state as well, or leave it out' ;;
esac

WORK=$(mktemp -d /var/tmp/vpce-probe.XXXXXX)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM

failed() {
    [ "$1" != "$EX_LOCKED" ] || held_up
    indent <"$WORK/manager.log" >&2
    fail "$EX_PACKAGE" "error: $KIND: vpce-probe could not be removed" 'what it says is above; mend that, and run this again'
}

# rpm -e moves a config that was changed out of the way, and nobody moves it back. A config.toml.rpmsave of another day is
# not ours to move: it must be what stood there a moment ago.
remove_rpm() {
    [ ! -f "$CONFIG" ] || cp -p "$CONFIG" "$WORK/config.toml"
    manage -e vpce-probe || failed $?
    if [ -f "$WORK/config.toml" ] && [ ! -e "$CONFIG" ] && cmp -s "$WORK/config.toml" "$CONFIG.rpmsave"; then
        mv "$CONFIG.rpmsave" "$CONFIG"
    fi
}

earlier=$(installed_version)
if [ -z "$earlier" ]; then
    say 'vpce-probe is not installed here'
else
    case $KIND in
        deb) manage --remove vpce-probe || failed $? ;;
        rpm) remove_rpm ;;
    esac
    say "vpce-probe $earlier is removed"
fi

if [ -n "$purge" ]; then
    # dpkg still knows a removed package by its config.
    if [ "$KIND" = deb ] && dpkg-query --show vpce-probe >/dev/null 2>&1; then
        manage --purge vpce-probe || failed $?
    fi
    rm -rf "${CONFIG%/*}" "$STATE"
    say "purged: ${CONFIG%/*} and $STATE are gone"
elif [ -e "$CONFIG" ] || [ -d "$STATE" ]; then
    say "kept: ${CONFIG%/*} and $STATE (SSM_VPCE_PROBE_PURGE=1 removes them)"
fi
