"""The unit as systemd 219 sees it: Amazon Linux 2 has that version, and no Debian that can be booted here.

219 warns of a key that it does not know and goes on, and likewise of a word that it does not know in the value of one
that it knows. What it knows was read in Red Hat's 219, from which Amazon's is made: keys in
src/core/load-fragment-gperf.gperf.m4, values in src/core/load-fragment.c, the environment in src/core/execute.c
(github.com/redhat-plumbers/systemd-rhel7, d2d5f303e906). AmbientCapabilities= and TasksMax= are Red Hat's additions.
"""

import re

KNOWN = {
    "Unit": {"Description", "Documentation", "Wants", "After"},
    "Service": {
        "Type", "NotifyAccess", "ExecStart", "ExecReload", "Environment", "Restart", "RestartSec", "RestartPreventExitStatus",
        "TimeoutStartSec", "TimeoutStopSec", "WatchdogSec", "User", "Group", "RuntimeDirectory", "RuntimeDirectoryMode",
        "UMask", "TasksMax", "Nice", "IOSchedulingClass", "LimitNOFILE", "LimitCORE", "CapabilityBoundingSet",
        "AmbientCapabilities", "NoNewPrivileges", "RestrictAddressFamilies", "ProtectSystem", "ProtectHome", "PrivateTmp",
        "PrivateDevices", "DevicePolicy", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber",
    },
    "Install": {"WantedBy"},
}  # fmt: skip
# Listed too, so that a new line of the unit is looked up in 219's sources before it goes out.
UNKNOWN = {
    "Unit": {"StartLimitIntervalSec"},
    "Service": {
        "RuntimeDirectoryPreserve", "StateDirectory", "StateDirectoryMode", "ConfigurationDirectory", "MemoryMax",
        "CPUWeight", "IOWeight", "OOMPolicy", "ReadOnlyPaths", "PrivateMounts", "PrivateUsers", "ProtectProc", "ProcSubset",
        "ProtectControlGroups", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectClock",
        "ProtectHostname", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality",
        "MemoryDenyWriteExecute", "RemoveIPC", "KeyringMode",
    },
    "Install": set(),
}  # fmt: skip
# config_parse_protect_system: a boolean or "full"; anything else is passed over and the line before stands.
PROTECT_SYSTEM = {"yes", "no", "full"}
# config_parse_syscall_filter: what a list of allowed groups would come to.
OF_AN_ALLOW_LIST = "execve exit exit_group rt_sigreturn sigreturn"
# build_environment: no JOURNAL_STREAM (231), INVOCATION_ID (232), and no folders (240).
LATER_VARIABLES = "JOURNAL_STREAM INVOCATION_ID RUNTIME_DIRECTORY STATE_DIRECTORY CONFIGURATION_DIRECTORY"


def seen(unit):
    """The unit's text with what 219 passes over left out, and the number of lines that are left out."""
    lines, dropped, section = [], 0, None
    for line in unit.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            lines.append(line)
            if section == "Service":
                lines.append(f"UnsetEnvironment={LATER_VARIABLES}")
            continue
        key, value = line.split("=", 1)
        if key in UNKNOWN[section] or (key == "ProtectSystem" and value not in PROTECT_SYSTEM):
            dropped += 1
        elif key not in KNOWN[section]:
            raise LookupError(f"whether systemd 219 knows {key}= in [{section}] is not written down")
        else:
            lines.append(f"{key}={_without_groups(value) if key == 'SystemCallFilter' else value}")
    return "\n".join(lines) + "\n", dropped


def _without_groups(value):
    """config_parse_syscall_filter: a list of what is denied stays one, with the names that are no groups. Of a list of
    what is allowed five calls would be left, and nothing could run: the unit has none."""
    if not value.startswith("~"):
        raise LookupError(f"SystemCallFilter={value}: systemd 219 would allow execve and exit only")
    return "~" + " ".join(re.findall(r"(?<![@\w-])[a-z]\w*", value))
