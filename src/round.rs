//! One round from the host's facts to the judged report: the path that `once`, the daemon and the tests share.
