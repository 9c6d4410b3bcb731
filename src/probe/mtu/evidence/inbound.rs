//! The way in: whether the server's flight arrives.

use super::{AGREE, Arrival, Ending, Sight, Way};

/// Reads all handshakes together.
pub(super) fn look(arrivals: &[Arrival]) -> Way {
    let ok = arrivals.iter().filter_map(|arrival| arrival.seen).max();
    let floor = if ended_below_its_room(arrivals, ok) { u32::MAX } else { passed(arrivals).max(ok.unwrap_or(0)) };
    let (above, below): (Vec<_>, Vec<_>) =
        arrivals.iter().filter(|arrival| arrival.ending == Ending::StalledIn).partition(|stall| stall.allowed > floor);
    let mut way = Way {
        ok,
        fails: above.iter().map(|stall| stall.allowed).min(),
        failed: above.len(),
        contradicted: below.len(),
        sight: Sight::Fine,
    };
    let natural_stalled = above.iter().any(|stall| stall.natural);
    // Every completed handshake lies below `fails` here, so each of them is a control.
    let control = arrivals.iter().any(|arrival| arrival.ending == Ending::Done);
    let natural = |ending: &Ending| arrivals.iter().any(|arrival| arrival.natural && arrival.ending == *ending);
    let passes = (natural(&Ending::Done) || natural(&Ending::DoneLate)) && way.failed == 0;
    let witnesses = way.failed + usize::from(is_avoided(arrivals, way.fails));
    way.sight = if witnesses >= AGREE && natural_stalled && control && !is_mixed(&way) {
        Sight::Hole
    } else if passes && way.contradicted < AGREE {
        Sight::Fine
    } else {
        Sight::Unclear(reason(arrivals, &way, natural_stalled))
    };
    way
}

/// Whether later connections did not even let the peer try the size that failed: ICMP reaches this side alone, and what it
/// taught limits what is announced from then on. That is a second witness, and there is no other.
fn is_avoided(arrivals: &[Arrival], fails: Option<u32>) -> bool {
    let done = |arrival: &Arrival| arrival.natural && arrival.ending == Ending::Done;
    fails.is_some_and(|fails| arrivals.iter().any(|arrival| done(arrival) && arrival.allowed < fails))
}

/// Whether as many handshakes stalled at sizes that pass as at larger ones: what stalls then is some of the connections,
/// whatever their sizes (one of the targets behind a balancer is mute), and the largest size stalls with them.
pub(super) const fn is_mixed(way: &Way) -> bool {
    way.contradicted >= AGREE && way.contradicted >= way.failed
}

/// Whether any handshake was completed.
pub(super) fn answered(arrivals: &[Arrival]) -> bool {
    arrivals.iter().any(|arrival| matches!(arrival.ending, Ending::Done | Ending::DoneLate))
}

/// Whether a handshake with smaller packets than the natural ones showed that the server answers, or that it does not.
pub(super) fn controlled(arrivals: &[Arrival]) -> bool {
    arrivals.iter().any(|arrival| match arrival.ending {
        Ending::Done => true,
        Ending::StalledIn | Ending::StalledOut => !arrival.natural,
        Ending::DoneLate | Ending::Other(_) => false,
    })
}

/// Whether another natural handshake adds nothing: two stalled already, or the server is mute at every size.
pub(super) fn settled_by_control(arrivals: &[Arrival], way: &Way) -> bool {
    let mute = !answered(arrivals) && controlled(arrivals);
    let naturals = arrivals.iter().filter(|arrival| arrival.natural && arrival.ending == Ending::StalledIn);
    mute || (way.failed >= AGREE && naturals.count() > 0)
}

/// The largest size at which a handshake was completed in time. A late one does not count: the server's kernel may have
/// come to its rescue with smaller segments.
fn passed(arrivals: &[Arrival]) -> u32 {
    let done = arrivals.iter().filter(|arrival| arrival.ending == Ending::Done);
    done.map(|arrival| arrival.allowed).max().unwrap_or(0)
}

/// Whether a handshake was completed whose server had room for clearly larger packets than any that ever came: its flight
/// is so small, or clamped, that a greater allowance changes nothing about its packets. A stall is then not about size.
fn ended_below_its_room(arrivals: &[Arrival], largest: Option<u32>) -> bool {
    let Some(largest) = largest else { return false };
    // An eighth, because one rung's packet may have been missed where the next smaller rung's was seen.
    let room = largest.saturating_add(largest / 8);
    arrivals.iter().any(|arrival| arrival.ending == Ending::Done && arrival.seen.is_some() && arrival.allowed > room)
}

/// Why it cannot be told.
fn reason(arrivals: &[Arrival], way: &Way, natural_stalled: bool) -> String {
    let stalls = arrivals.iter().filter(|arrival| arrival.ending.is_stall()).count();
    if !answered(arrivals) && stalls > 0 {
        return mute(arrivals, stalls);
    }
    if way.contradicted >= AGREE {
        return mixed(arrivals, way.contradicted);
    }
    if way.failed >= AGREE && natural_stalled && !is_mixed(way) {
        return "the server is slow: even handshakes with small packets were late, so a stall proves nothing"
            .to_owned();
    }
    if let Some(fails) = way.fails {
        let count = way.failed;
        return if natural_stalled || count < AGREE {
            format!("{count} handshake stalled with packets of up to {fails} bytes, and none has confirmed it")
        } else {
            format!("{count} handshakes stalled with packets of up to {fails} bytes, but none of natural size did")
        };
    }
    let other = arrivals.iter().find_map(|arrival| match &arrival.ending {
        Ending::Other(why) => Some(why),
        Ending::Done | Ending::DoneLate | Ending::StalledIn | Ending::StalledOut => None,
    });
    match other {
        Some(why) if !answered(arrivals) => format!("no handshake got far enough: {why}"),
        Some(why) => format!("no handshake of natural size was completed: {why}"),
        None if arrivals.is_empty() => "no handshake was tried".to_owned(),
        None => "no handshake of natural size was completed, and too few stalled".to_owned(),
    }
}

/// Nothing was completed at any size.
fn mute(arrivals: &[Arrival], stalls: usize) -> String {
    let tried = arrivals.iter().filter(|arrival| !arrival.natural && arrival.ending.is_stall());
    match tried.map(|arrival| arrival.allowed).min() {
        Some(smallest) => {
            format!("the server is mute: {stalls} handshakes stalled, even with packets of at most {smallest} bytes")
        }
        None => format!("{stalls} of {} handshakes stalled, and none with small packets was completed", arrivals.len()),
    }
}

/// Failures at sizes that passed elsewhere.
fn mixed(arrivals: &[Arrival], contradicted: usize) -> String {
    let stalls = arrivals.iter().filter(|arrival| arrival.ending == Ending::StalledIn);
    let from = stalls.map(|stall| stall.allowed).min().unwrap_or(0);
    let passed = arrivals.iter().filter(|arrival| arrival.ending == Ending::Done && arrival.allowed >= from).count();
    let all = contradicted + passed;
    format!(
        "mixed: {contradicted} of {all} handshakes stalled whose packets could pass: loss, or a hole on one of several paths"
    )
}
