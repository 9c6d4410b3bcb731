# shellcheck shell=sh
# What install.sh, uninstall.sh and validate.sh share; they source it. POSIX sh: dash, busybox and bash run it. Nothing is
# fetched: the package in this folder is all there is. The agent's BWS_ variables are not needed.
# shellcheck disable=SC2034 # used by those that source it

# The scripts' exit codes. The agent takes 194 for a wish to reboot, and everything else but 0 for a failure.
EX_USAGE=64     # not root, a folder that is not the package's, a word that is not known; nothing was changed
EX_DAMAGED=65   # the package file cannot be read; nothing was changed
EX_MANAGER=69   # the package's manager (dpkg, rpm) is not on this host; nothing was changed
EX_NOT_HERE=70  # the new program does not run on this host; nothing was changed
EX_PACKAGE=71   # dpkg or rpm refused or failed; what was there before is back
EX_NOT_READY=72 # the service did not become ready; what was there before is back, or nothing was there
EX_BACK=73      # as 71 or 72, and what was there before could not be started again
EX_LOCKED=75    # another package manager held its lock for too long; nothing was changed
EX_CONFIG=78    # the config is refused by the new program; nothing was changed
# validate.sh
EX_VERSION=80   # what is installed is not what this folder holds
EX_INACTIVE=81  # the service does not run
EX_NO_ROUND=82  # the service runs, and has finished no round

CONFIG=/etc/vpce-probe/config.toml
STATE=/var/lib/vpce-probe
UNIT=vpce-probe.service
PROGRAM=/usr/bin/vpce-probe

LOCK_SECONDS=120  # for another package manager to end
START_SECONDS=60  # for the service to say READY; its unit allows 30

# The agent's own environment is neither a login's nor this language's: messages are matched below.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 022

say() {
    printf '%s: %s\n' "$SCRIPT" "$*"
}

# complain TEXT…: each text is a line.
complain() {
    for line in "$@"; do
        printf '%s: %s\n' "$SCRIPT" "$line" >&2
    done
}

# fail CODE TEXT…
fail() {
    code=$1
    shift
    complain "$@"
    exit "$code"
}

# indent: a program's own words, told from ours.
indent() {
    sed 's/^/    /'
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "$EX_USAGE" 'error: only root may do this; the SSM agent is root, by hand: sudo sh '"$SCRIPT"
}

# find_package: sets PACKAGE and KIND (deb or rpm), by what the folder holds.
find_package() {
    PACKAGE=
    for file in "$HERE"/*.deb "$HERE"/*.rpm; do
        [ -f "$file" ] || continue
        [ -z "$PACKAGE" ] || fail "$EX_USAGE" "error: $HERE holds two packages: ${PACKAGE##*/} and ${file##*/}" \
            'unpack one zip into an empty folder'
        PACKAGE=$file
    done
    [ -n "$PACKAGE" ] || fail "$EX_USAGE" "error: no .deb and no .rpm in $HERE" 'unpack the whole zip, and run the script there'
    KIND=${PACKAGE##*.}
    case $KIND in
        deb) manager=dpkg ;;
        rpm) manager=rpm ;;
    esac
    command -v "$manager" >/dev/null || fail "$EX_MANAGER" "error: ${PACKAGE##*/} is for hosts with $manager, and this has none" \
        'the manifest gave this host the wrong zip; see the table of platforms in docs/distributor.md'
}

# package_version: the version and revision of the package in this folder.
package_version() {
    case $KIND in
        deb) dpkg-deb --field "$PACKAGE" Version ;;
        rpm) rpm --query --package --queryformat '%{VERSION}-%{RELEASE}\n' "$PACKAGE" ;;
    esac
}

# installed_version: version and revision, or nothing.
installed_version() {
    case $KIND in
        deb)
            # The second letter: n not installed, c only its config is left.
            # shellcheck disable=SC2016 # dpkg's variables, not the shell's
            known=$(dpkg-query --show --showformat '${db:Status-Abbrev} ${Version}\n' vpce-probe 2>/dev/null) || return 0
            case $known in
                ?[nc]*) ;;
                *) printf '%s\n' "${known##* }" ;;
            esac
            ;;
        rpm) rpm --query --queryformat '%{VERSION}-%{RELEASE}\n' vpce-probe 2>/dev/null | grep -v 'not installed' | tail -n 1 || : ;;
    esac
}

# installed_files: every path the installed package owns.
installed_files() {
    case $KIND in
        deb) dpkg-query --listfiles vpce-probe ;;
        rpm) rpm --query --list vpce-probe ;;
    esac
}

# manage ARGUMENT…: dpkg or rpm, with what it prints in $WORK/manager.log; EX_LOCKED where its lock does not get free. dpkg
# does not wait for its lock, so this does; rpm waits for ever, so this looks whether somebody holds it first.
manage() {
    deadline=$(($(date +%s) + LOCK_SECONDS))
    told=
    while :; do
        code=0
        if [ "$KIND" = rpm ] && rpm_locked; then
            echo 'the rpm database is locked by another process' >"$WORK/manager.log"
            code=2
        elif [ "$KIND" = rpm ]; then
            rpm "$@" </dev/null >"$WORK/manager.log" 2>&1 || code=$?
        else
            # A config that was changed here stays; nobody is asked.
            DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold "$@" </dev/null >"$WORK/manager.log" 2>&1 || code=$?
        fi
        if [ "$code" = 0 ] || ! grep -q 'locked by another process' "$WORK/manager.log"; then
            return "$code"
        fi
        if [ "$(date +%s)" -ge "$deadline" ]; then
            return "$EX_LOCKED"
        fi
        [ -n "$told" ] || say "another package manager runs: waiting for its lock, at most $LOCK_SECONDS s"
        told=yes
        sleep 2
    done
}

# held_up: what to say of EX_LOCKED.
held_up() {
    indent <"$WORK/manager.log" >&2
    fail "$EX_LOCKED" "error: another package manager held its lock for $LOCK_SECONDS s; nothing was changed" \
        'run this again when it is done (apt, dnf, unattended upgrades: ps -e)'
}

# rpm_locked: whether somebody holds the lock of rpm's database.
rpm_locked() {
    lock=$(rpm --eval '%{_dbpath}')/.rpm.lock
    [ -e "$lock" ] && [ -r /proc/locks ] || return 1
    # 1: POSIX ADVISORY WRITE 4711 fe:00:INODE 0 EOF
    grep -q ":$(stat -c %i "$lock") " /proc/locks
}

# booted: whether systemd runs here. In a container or an image that is being built it does not.
booted() {
    [ -d /run/systemd/system ] && command -v systemctl >/dev/null
}

# property NAME: of the unit. AL2's systemctl does not know --value.
property() {
    systemctl show --property "$1" "$UNIT" | sed 's/^[^=]*=//'
}

masked() {
    [ "$(systemctl is-enabled "$UNIT" 2>/dev/null || :)" = masked ]
}
