# Read by the scripts beside it, with `top` set to the project's folder. Bash.
# shellcheck shell=bash disable=SC2034,SC2154  # names for those scripts, and one of theirs

TARGETS=(x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu)
# Amazon Linux 2 has 2.26, RHEL 7 had 2.17. cargo-zigbuild links against this version's symbols.
GLIBC=2.17

packages=$top/target/packages
tools=$top/target/tools
venv=$top/target/venv-packages

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

architecture() { printf '%s\n' "${1%%-*}"; }

rustc_says() { rustc -vV | sed -n "s/^$1: //p"; }

# When the last commit was made: the only time that gets into what is shipped.
source_date() {
  printf '%s\n' "${SOURCE_DATE_EPOCH:-$(git -C "$top" log -1 --format=%ct)}"
}

# Files of Debian, fetched with this machine's own mirror but past its package lists: nothing is installed, no architecture added.
# debian_download FOLDER ARCHITECTURE SUITE PACKAGE [VERSION-PREFIX]: the newest version that starts so, as FOLDER/PACKAGE.deb
debian_download() {
  local folder=$1 architecture=$2 suite=$3 package=$4 prefix=${5:-} state mirror version
  state=$packages/apt/$suite-$architecture
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || fail "apt's sources on this machine name no Debian mirror, so $package of $suite cannot be fetched"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$folder"
  : >"$state/status"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" >"$state/sources.list"
  local apt=(
    -q -o APT::Architecture="$architecture" -o APT::Architectures::="$architecture" -o APT::Sandbox::User=root
    -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$state/lists" -o Dir::State::Status="$state/status" -o Dir::Cache="$state/cache"
  )
  apt-get "${apt[@]}" update >"$state/log" 2>&1 || { cat "$state/log" >&2; fail "Debian's $suite cannot be read"; }
  version=$(apt-cache "${apt[@]}" madison "$package" | awk -v prefix="$prefix" 'index($3, prefix) == 1 && !n++ { print $3 }')
  [ -n "$version" ] || return 1
  rm -f "$folder/${package}"_*.deb
  (cd "$folder" && apt-get "${apt[@]}" download "$package=$version") >>"$state/log" 2>&1 || {
    cat "$state/log" >&2
    fail "$package $version cannot be fetched"
  }
  mv "$folder/${package}"_*.deb "$folder/$package.deb"
  say "$package $version from Debian's $suite"
}

# The first archive of Debian itself (not its security archive) among apt's sources, which are read where no list is there yet.
debian_mirror() {
  apt_sources | grep . || {
    apt-get -o DPkg::Lock::Timeout=300 -q update >/dev/null
    apt_sources
  }
}

apt_sources() {
  # shellcheck disable=SC2016  # apt's own variables
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "Debian" && !n++ { print $3 }'
}
