//! The record of a path-MTU measurement, and what an ordinary connection shows beside its own work.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    model::{
        observation::{MtuOutcome, MtuRecord},
        units::Timestamp,
    },
    probe::{
        line::Line,
        mtu::{self, Arrival, Ending, Evidence, Facts, Site},
    },
    sys::{RouteMtu, Routes},
};

/// What is known of the path of `line`, which has just been opened, to `peer`.
pub(super) fn facts(line: &Line, peer: IpAddr, routes: &Mutex<Routes>) -> Facts {
    // Where netlink is forbidden, what ICMP taught can only be seen while it happens.
    let mut routes = routes.lock().unwrap_or_else(PoisonError::into_inner);
    let route = routes.of(peer, line.local(), line.at_start().pmtu).ok();
    drop(routes);
    let learnt = route.and_then(|route| match route.mtu {
        Some(RouteMtu::Learnt(bytes)) => Some(bytes),
        Some(RouteMtu::Set(_)) | None => None,
    });
    Facts {
        local: line.local(),
        widest_out: line.widest_out(),
        widest_in: line.widest_in(),
        link_mtu: route.and_then(|route| route.link_mtu),
        learnt,
    }
}

/// What the ordinary connection shows when its handshake ends like that.
pub(super) fn evidence(line: &Line, facts: &Facts, ending: Ending) -> Evidence {
    let shrunk = line.look().ok().map(|info| info.pmtu).filter(|pmtu| *pmtu < line.at_start().pmtu);
    Evidence {
        link_mtu: facts.link_mtu,
        learnt: facts.learnt.or(shrunk),
        arrivals: vec![arrival(line, ending)],
        combs: Vec::new(),
    }
}

/// The ordinary handshake as evidence.
pub(super) fn arrival(line: &Line, ending: Ending) -> Arrival {
    Arrival { allowed: line.widest_in(), natural: true, ending, seen: line.seen() }
}

/// The record of a measurement that is over now.
pub(super) fn measured(site: &Site, evidence: &Evidence, now: Timestamp) -> MtuRecord {
    let reading = mtu::read(evidence);
    MtuRecord {
        outcome: reading.outcome,
        out_ok: reading.out_ok,
        out_fails: reading.out_fails,
        in_seen: reading.in_seen,
        in_ok: reading.in_ok,
        in_fails: reading.in_fails,
        link_mtu: evidence.link_mtu,
        elapsed_ms: site.began().map_or(Duration::ZERO, |began| began.elapsed()).into(),
        connections: site.opened(),
        measured_at: now,
        detail: reading.detail,
    }
}

/// What an ordinary connection shows by itself.
pub(super) fn observed(line: &Line, facts: &Facts, now: Timestamp) -> MtuRecord {
    let Evidence { link_mtu, learnt, .. } = evidence(line, facts, Ending::Done);
    MtuRecord {
        outcome: if learnt.is_some() { MtuOutcome::ReliesOnIcmp } else { MtuOutcome::NotTried },
        in_seen: line.seen(),
        link_mtu,
        ..not_tried("only observed: mode = \"passive\"".to_owned(), now)
    }
}

/// Nothing was measured.
pub(super) fn not_tried(why: String, now: Timestamp) -> MtuRecord {
    MtuRecord {
        outcome: MtuOutcome::NotTried,
        out_ok: None,
        out_fails: None,
        in_seen: None,
        in_ok: None,
        in_fails: None,
        link_mtu: None,
        elapsed_ms: Duration::ZERO.into(),
        connections: 0,
        measured_at: now,
        detail: Some(why),
    }
}
