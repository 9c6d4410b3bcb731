#!/bin/sh
# "In-place update". The agent runs this for a first installation as well, where the association asks for in-place updates;
# and install.sh replaces any earlier, later or equal version. So they are one.
set -eu
exec sh "$(dirname "$0")/install.sh"
