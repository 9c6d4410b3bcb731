//! The comb: one request cut into segments of growing size. How far TCP's acknowledgements come tells the largest that
//! passes (RFC 9293: bytes are acknowledged in order), and a selective one behind it (RFC 2018) that small ones do.

use super::evidence::{Comb, CombEnding};
use crate::{probe::line::Line, sys::TcpInfo};

/// Segments that were sent and are waited for.
pub(super) struct Sent {
    /// Their payloads, ascending, in the order in which they were sent.
    payloads: Vec<u32>,
    /// What was acknowledged before the first of them.
    base: u64,
    /// Whether only the connection's own agreement limited the largest.
    natural: bool,
}

/// What the kernel's figures mean for what was [`Sent`].
pub(super) enum Progress {
    /// It goes on.
    Going,
    /// It is decided.
    Ended {
        /// What was shown.
        comb: Comb,
        /// The path MTU that ICMP taught meanwhile.
        learnt: Option<u32>,
    },
}

impl Sent {
    /// Waits for segments of `payloads` that follow `base` acknowledged bytes.
    pub(super) const fn new(payloads: Vec<u32>, base: u64, natural: bool) -> Self {
        Self { payloads, base, natural }
    }

    /// Reads the kernel's figures.
    pub(super) fn progress(&self, line: &Line, info: &TcpInfo) -> Progress {
        self.read(line.acked(info), line.at_start(), info, |payload| line.packet(payload))
    }

    /// The comb as far as it came, when it can be waited for no longer.
    pub(super) fn broken(&self, line: &Line, info: Option<&TcpInfo>, why: String) -> Comb {
        let passed = info.and_then(|info| self.passed(line.acked(info), info));
        Comb {
            widest: self.payloads.last().map_or(0, |payload| line.packet(*payload)),
            natural: self.natural,
            passed: passed.map(|payload| line.packet(payload)),
            ending: CombEnding::Broken(why),
        }
    }

    fn read(&self, acked: u64, start: &TcpInfo, info: &TcpInfo, packet: impl Fn(u32) -> u32) -> Progress {
        let passed = self.passed(acked, info);
        let widest = self.payloads.last().copied().unwrap_or(0);
        let ended = |passed: Option<u32>, ending, learnt| Progress::Ended {
            comb: Comb { widest: packet(widest), natural: self.natural, passed: passed.map(&packet), ending },
            learnt,
        };
        let taught = (info.pmtu < start.pmtu).then_some(info.pmtu);
        if self.behind(acked).is_none() {
            if widest <= info.snd_mss {
                return ended(passed, CombEnding::Done, taught);
            }
            if taught.is_some() {
                // What was sent again in smaller pieces got through, and nothing larger is ever sent again.
                return match ended(passed, CombEnding::Done, taught) {
                    Progress::Ended { comb, learnt } => {
                        Progress::Ended { comb: Comb { widest: comb.passed.unwrap_or(comb.widest), ..comb }, learnt }
                    }
                    Progress::Going => Progress::Going,
                };
            }
            // Without a word from a router the kernel tried smaller segments of its own accord (RFC 4821).
            let at = self.payloads.iter().copied().find(|payload| *payload > info.snd_mss).unwrap_or(widest);
            return ended(passed, CombEnding::Stuck { at: packet(at), proof: true }, None);
        }
        if !info.may_send {
            return ended(
                passed,
                CombEnding::Broken("the connection ended before all was acknowledged".to_owned()),
                None,
            );
        }
        if info.retransmits > 0 {
            let at = self.behind(acked).unwrap_or(widest);
            let proof = info.sacked > 0 || (!info.sack && passed.is_some());
            return ended(passed, CombEnding::Stuck { at: packet(at), proof }, taught);
        }
        Progress::Going
    }

    /// The first payload that is not wholly acknowledged.
    fn behind(&self, acked: u64) -> Option<u32> {
        self.running().find(|(_, end)| *end > acked).map(|(payload, _)| payload)
    }

    /// The largest payload that was acknowledged in one piece.
    fn passed(&self, acked: u64, info: &TcpInfo) -> Option<u32> {
        let there = self.running().take_while(|(_, end)| *end <= acked).map(|(payload, _)| payload);
        // What is larger than the kernel's segments now was sent again in pieces of that size.
        there.map(|payload| payload.min(info.snd_mss)).max()
    }

    /// Each payload with the count of acknowledged bytes that proves it.
    fn running(&self) -> impl Iterator<Item = (u32, u64)> {
        self.payloads.iter().scan(self.base, |end, payload| {
            *end += u64::from(*payload);
            Some((*payload, *end))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Progress, Sent};
    use crate::{
        probe::mtu::evidence::{Comb, CombEnding},
        sys::TcpInfo,
    };

    const fn info() -> TcpInfo {
        TcpInfo {
            may_send: true,
            retransmits: 0,
            timestamps: true,
            sack: true,
            snd_mss: 8949,
            rcv_mss: 536,
            advmss: 8949,
            unacked: 0,
            sacked: 0,
            pmtu: 9001,
            rtt: Duration::ZERO,
            bytes_acked: Some(0),
            bytes_received: Some(0),
            notsent_bytes: Some(0),
        }
    }

    /// Four segments of 500, 1300, 1400 and 8949 bytes after 100 others.
    fn read(acked: u64, info: &TcpInfo) -> Option<(Comb, Option<u32>)> {
        let sent = Sent::new(vec![500, 1300, 1400, 8949], 100, true);
        match sent.read(acked, &self::info(), info, |payload| payload + 52) {
            Progress::Going => None,
            Progress::Ended { comb, learnt } => Some((comb, learnt)),
        }
    }

    fn told(acked: u64, info: &TcpInfo) -> (Comb, Option<u32>) {
        read(acked, info).expect("it is decided")
    }

    fn comb(widest: u32, passed: Option<u32>, ending: CombEnding) -> (Comb, Option<u32>) {
        (Comb { widest, natural: true, passed, ending }, None)
    }

    #[test]
    fn acknowledgements_tell_the_largest_that_passes() {
        assert_eq!(read(100, &info()), None);
        assert_eq!(read(1_900, &info()), None, "nothing is stuck yet");
        assert_eq!(told(100 + 12_149, &info()), comb(9001, Some(9001), CombEnding::Done));
        let stuck = |sacked| TcpInfo { retransmits: 1, sacked, ..info() };
        let at = |at, proof| CombEnding::Stuck { at, proof };
        assert_eq!(told(1_900, &stuck(1)), comb(9001, Some(1352), at(1452, true)));
        assert_eq!(told(3_299, &stuck(1)), comb(9001, Some(1352), at(1452, true)), "one byte is missing");
        assert_eq!(told(3_300, &stuck(1)), comb(9001, Some(1452), at(9001, true)));
        assert_eq!(told(100, &stuck(1)), comb(9001, None, at(552, true)));
        assert_eq!(told(100, &stuck(0)), comb(9001, None, at(552, false)), "nothing passes at all");
        let silent = TcpInfo { sack: false, ..stuck(0) };
        assert_eq!(told(1_900, &silent), comb(9001, Some(1352), at(1452, true)), "a smaller one passed");
        assert_eq!(told(100, &silent), comb(9001, None, at(552, false)));
    }

    #[test]
    fn an_end_of_the_connection_is_no_hole() {
        let over = TcpInfo { may_send: false, retransmits: 9, sacked: 1, ..info() };
        let (comb, _) = read(1_900, &over).expect("an end");
        assert_eq!(comb.passed, Some(1352));
        assert!(matches!(comb.ending, CombEnding::Broken(_)));
        let late = read(100 + 12_149, &over).expect("an end").0;
        assert_eq!(late.ending, CombEnding::Done, "a reset after the last acknowledgement spoils nothing");
    }

    #[test]
    fn what_is_sent_again_in_pieces_proves_only_the_pieces() {
        let icmp = TcpInfo { snd_mss: 1348, pmtu: 1400, ..info() };
        let (seen, learnt) = read(100 + 12_149, &icmp).expect("an end");
        assert_eq!((seen.widest, seen.passed, seen.ending, learnt), (1400, Some(1400), CombEnding::Done, Some(1400)));
        // Linux's own MTU probing (net.ipv4.tcp_mtu_probing) leaves `tcpi_pmtu` alone.
        let probing = TcpInfo { snd_mss: 1024, ..info() };
        assert_eq!(
            told(100 + 12_149, &probing),
            comb(9001, Some(1076), CombEnding::Stuck { at: 1352, proof: true }),
            "the kernel's rescue is no proof that the path is whole"
        );
    }
}
