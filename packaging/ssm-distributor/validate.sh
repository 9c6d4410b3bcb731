#!/bin/sh
# Whether what this folder holds is installed and at work. The agent runs this after install.sh and update.sh, and by itself at
# each run of an association whose version is installed already: a failure makes it install again. A round that finds broken
# endpoints is a good round: the probe works. Changes nothing. Exit codes: common.sh.
set -eu

SCRIPT=validate.sh
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=packaging/ssm-distributor/common.sh
. "$HERE/common.sh"

# The first round ends within round_deadline (10 s by default, an hour at most) of the start.
ROUND_SECONDS=120

find_package
again='run install.sh (the agent does), and look at its output'

wanted=$(package_version)
found=$(installed_version)
[ "$found" = "$wanted" ] || fail "$EX_VERSION" "error: ${found:-nothing} is installed, and this folder holds $wanted" "$again"
# vpce-probe 0.1.0, of the package 0.1.0-1
said=$("$PROGRAM" --version 2>&1) || fail "$EX_VERSION" "error: $PROGRAM does not run: $said" "$again"
[ "$said" = "vpce-probe ${wanted%-*}" ] || fail "$EX_VERSION" "error: $PROGRAM says '$said', and the package is $wanted" \
    "its files are not the package's; $again"

if ! booted; then
    say "vpce-probe $wanted is installed; systemd does not run here, so the service was not looked at"
    exit 0
fi
if masked; then
    say "vpce-probe $wanted is installed, and $UNIT is masked: somebody wants it quiet"
    exit 0
fi
[ "$(property ActiveState)" = active ] || fail "$EX_INACTIVE" "error: $UNIT is $(property ActiveState) ($(property SubState))" \
    "see why: journalctl -u $UNIT; then $again"

# status: 0, 1, 2 are the round's verdict; 3 is that there is none, or an old one. Another version's round is not this one's.
fresh() {
    code=0
    report=$("$PROGRAM" status --format json 2>&1) || code=$?
    [ "$code" -le 2 ] && printf '%s' "$report" | grep -q "\"version\": *\"${wanted%-*}\""
}

deadline=$(($(date +%s) + ROUND_SECONDS))
until fresh; do
    [ "$(date +%s)" -lt "$deadline" ] || fail "$EX_NO_ROUND" "error: no round of vpce-probe $wanted within $ROUND_SECONDS s" \
        "the unit says: $(property StatusText)" "more: vpce-probe status; journalctl -u $UNIT; is the region known? (region = in $CONFIG)"
    sleep 1
done
say "vpce-probe $wanted runs, and its last round is fresh: $("$PROGRAM" status --format short 2>&1 | head -n 1)"
