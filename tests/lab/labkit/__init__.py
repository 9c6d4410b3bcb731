"""The network lab of vpce-probe: a private subnet played by network namespaces."""
