#!/bin/sh
# Installs the package of this folder over nothing, an earlier, a later or the same version, and starts the service. First the
# new program is tried beside the old one: if it does not run here, or refuses the config, nothing is changed. If the service
# then does not become ready, the files of the earlier version are put back and it is started again.
#
# SSM_VPCE_PROBE_CONFIG_B64 (additionalArguments): base64 of a config.toml, which takes the place of the host's own. What it
# replaces stays beside it as config.toml.earlier. It is seen in the command's history: a config has no secrets in it.
# Exit codes: common.sh.
set -eu

SCRIPT=install.sh
HERE=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=packaging/ssm-distributor/common.sh
. "$HERE/common.sh"

need_root
find_package
# "Uninstall and reinstall" hands the same arguments to the earlier version's uninstall.sh: an association with this word in
# it would remove the config at every upgrade. It is refused at the first installation, before it can.
case ${SSM_VPCE_PROBE_PURGE:-0} in
    0) ;;
    *) fail "$EX_USAGE" 'error: SSM_VPCE_PROBE_PURGE belongs to the action Uninstall; nothing was changed' \
        'leave it out of additionalArguments here: at an upgrade it would remove the config' ;;
esac

# Below /usr, because /tmp and /var are often mounted noexec, and the new program is run from here.
WORK=$(mktemp -d /usr/lib/vpce-probe.XXXXXX)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM

version=$(package_version 2>"$WORK/said") || {
    indent <"$WORK/said" >&2
    fail "$EX_DAMAGED" "error: ${PACKAGE##*/} cannot be read; nothing was changed" \
        'fetch the zip again, and compare its sha256 with the manifest'
}

# unpack: the package into $WORK/root, without installing it.
unpack() {
    mkdir "$WORK/root"
    case $KIND in
        deb) dpkg-deb --extract "$PACKAGE" "$WORK/root" ;;
        rpm)
            # rpm2cpio also fails where the header does not tell the archive's size, which rpm itself does not mind; cpio finds
            # what is torn.
            rpm2cpio "$PACKAGE" >"$WORK/cpio" || [ -s "$WORK/cpio" ] || return 1
            (cd "$WORK/root" && cpio --extract --make-directories --quiet <"$WORK/cpio")
            ;;
    esac
}

# try_program: the new program, before anything is changed.
try_program() {
    if [ "$KIND" = rpm ] && ! command -v cpio >/dev/null; then
        say 'no cpio here: the new program is tried only after it is installed'
        return
    fi
    unpack 2>"$WORK/said" || {
        indent <"$WORK/said" >&2
        fail "$EX_DAMAGED" "error: ${PACKAGE##*/} cannot be unpacked; nothing was changed" \
            'is the disk full (df /usr)? else fetch the zip again, and compare its sha256 with the manifest'
    }
    tried=$WORK/root$PROGRAM
    "$tried" --version >"$WORK/said" 2>&1 || {
        indent <"$WORK/said" >&2
        fail "$EX_NOT_HERE" "error: the program of ${PACKAGE##*/} does not run on this host ($(uname -m)); nothing was changed" \
            'another architecture, or a libc before 2.17: take the zip that the manifest names for this host'
    }
    if [ -n "$delivered" ]; then
        judged=$delivered whose='the config in SSM_VPCE_PROBE_CONFIG_B64'
    elif [ -f "$CONFIG" ]; then
        judged=$CONFIG whose=$CONFIG
    else
        return 0
    fi
    "$tried" check --config "$judged" >"$WORK/said" 2>&1 || {
        indent <"$WORK/said" >&2
        fail "$EX_CONFIG" "error: vpce-probe $version refuses $whose; nothing was changed" \
            'mend what is said above, and run this again'
    }
}

# save_earlier: copies of the earlier version's files; its package may be nowhere any more.
save_earlier() {
    installed_files >"$WORK/files"
    while IFS= read -r file; do
        if [ -d "$file" ] && [ ! -L "$file" ]; then
            continue
        fi
        if [ -e "$file" ] || [ -L "$file" ]; then
            mkdir -p "$WORK/earlier${file%/*}"
            cp -pP "$file" "$WORK/earlier$file"
        fi
    done <"$WORK/files"
}

# put_back: each file by rename, for the program may be running.
put_back() {
    (cd "$WORK/earlier" && find . ! -type d) | while IFS= read -r file; do
        file=${file#.}
        { mkdir -p "${file%/*}" && cp -pP "$WORK/earlier$file" "$file.put-back" && mv "$file.put-back" "$file"; } || exit 1
    done
}

replace_config() {
    [ -n "$delivered" ] || return 0
    if cmp -s "$delivered" "$CONFIG"; then
        say "$CONFIG is what was delivered already"
        return
    fi
    mkdir -p "${CONFIG%/*}"
    if [ -f "$CONFIG" ]; then
        # Owner and mode stay.
        for copy in "$WORK/config.before" "$CONFIG.earlier" "$CONFIG.new"; do
            cp -p "$CONFIG" "$copy"
        done
    fi
    cat "$delivered" >"$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
    config_replaced=yes
    say "$CONFIG is what was delivered"
}

restore_config() {
    [ -n "$config_replaced" ] || return 0
    if [ -f "$WORK/config.before" ]; then
        mv "$WORK/config.before" "$CONFIG"
        rm -f "$CONFIG.earlier"
    else
        rm -f "$CONFIG"
    fi
}

# start: waits for READY (the unit is Type=notify). The package may have started it already: then its process is another one.
start() {
    command -v systemctl >/dev/null || {
        say 'no systemctl here: the files are installed, nothing was enabled and nothing was started'
        return 0
    }
    if masked; then
        say "$UNIT is masked on this host: not started (systemctl unmask $UNIT, and run this again)"
        return 0
    fi
    systemctl --quiet enable "$UNIT" || return 1
    booted || {
        say 'systemd does not run here (a container, an image): enabled for the next boot, nothing was started'
        return 0
    }
    systemctl daemon-reload || return 1
    if [ "$(property ActiveState)" != active ] || [ "$(property MainPID)" = "$pid_before" ]; then
        systemctl reset-failed "$UNIT" 2>/dev/null || :
        timeout "$START_SECONDS" systemctl restart "$UNIT" || return 1
    fi
    [ "$(property ActiveState)" = active ] || return 1
    say "$UNIT is ready, and says: $(property StatusText)"
}

# undo CODE TEXT…: the host as it was, and then the failure. What was installed over nothing stays as it is, to be looked at,
# with its config: under another one it might start after all.
undo() {
    code=$1
    shift
    if [ -z "$earlier" ]; then
        [ "$code" != "$EX_PACKAGE" ] || restore_config
        fail "$code" "$@"
    fi
    restore_config
    # By the program: after another failure the books may say something else.
    was=$("$WORK/earlier$PROGRAM" --version 2>/dev/null) || was=$earlier
    put_back || fail "$EX_BACK" "$@" "the files of $was could not be put back: is the disk full (df /usr)?"
    if booted; then
        systemctl daemon-reload
        systemctl reset-failed "$UNIT" 2>/dev/null || :
        if [ "$active_before" = active ]; then
            timeout "$START_SECONDS" systemctl restart "$UNIT" || fail "$EX_BACK" "$@" \
                "the files of $was were put back, and do not become ready either: journalctl -u $UNIT"
        else
            systemctl stop "$UNIT"
        fi
    fi
    fail "$code" "$@" "the files of $was were put back$(now_running); $KIND's own books may say $version" \
        "install the package of $was again to mend the books (the agent's rollback does it)"
}

now_running() {
    if [ "$active_before" = active ]; then
        printf ', and it runs again'
    fi
}

delivered=
if [ -n "${SSM_VPCE_PROBE_CONFIG_B64:-}" ]; then
    delivered=$WORK/config.toml
    printf '%s' "$SSM_VPCE_PROBE_CONFIG_B64" | base64 -d >"$delivered" 2>"$WORK/said" || fail "$EX_CONFIG" \
        'error: SSM_VPCE_PROBE_CONFIG_B64 is not base64; nothing was changed' 'make it with: base64 -w 0 config.toml'
fi
config_replaced=
earlier=$(installed_version)
pid_before=0
active_before=
if booted; then
    pid_before=$(property MainPID)
    active_before=$(property ActiveState)
fi

try_program
[ -z "$earlier" ] || save_earlier
replace_config
say "${earlier:-nothing} is installed here; installing $version from ${PACKAGE##*/}"
refused=0
case $KIND in
    deb) manage --install "$PACKAGE" || refused=$? ;;
    # Over a later and over the same version, too.
    rpm) manage --upgrade --oldpackage --replacepkgs "$PACKAGE" || refused=$? ;;
esac
if [ "$refused" = 0 ] && [ "$(installed_version)" != "$version" ]; then
    echo "$KIND reports success, and says that '$(installed_version)' is installed" >>"$WORK/manager.log"
    refused=1
fi
if [ "$refused" = "$EX_LOCKED" ]; then
    restore_config
    held_up
fi
if [ "$refused" != 0 ]; then
    indent <"$WORK/manager.log" >&2
    # dpkg leaves a package that it could not configure half installed.
    if [ "$KIND" = deb ] && [ -z "$earlier" ] && dpkg-query --show vpce-probe >/dev/null 2>&1; then
        dpkg --remove vpce-probe </dev/null >"$WORK/removal.log" 2>&1 || indent <"$WORK/removal.log" >&2
    fi
    undo "$EX_PACKAGE" "error: $KIND did not install ${PACKAGE##*/}" 'what it says is above; mend that, and run this again'
fi
start || {
    systemctl status --no-pager --full --lines 20 "$UNIT" 2>&1 | indent >&2 || :
    undo "$EX_NOT_READY" "error: $UNIT of $version did not become ready" \
        "its last words are above; all of them: journalctl -u $UNIT"
}
say "vpce-probe $version is installed"
