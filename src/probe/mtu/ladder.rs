//! Which sizes to try. Pure; sizes are IP packets in bytes.
//!
//! The first sizes lie unevenly: close together where tunnels, `PPPoE`, Ethernet and AWS have their limits, far apart
//! elsewhere, yet never so far that two refinements of eight sizes do not end in a narrow bracket.

/// What every host must take (RFC 791), and so every path of IPv4; IPv6 asks for more.
pub(crate) const SMALLEST: u32 = 576;

/// Rungs on a link of more than 1,500 bytes: IPv6's minimum, what leads out of an Outpost or a Wavelength Zone, VPNs,
/// `PPPoE`, Ethernet, then steps that two refinements can fill, and the limit of a PrivateLink endpoint.
const WIDE_RUNGS: [u32; 8] = [1_280, 1_300, 1_400, 1_492, 1_500, 1_700, 3_000, 8_500];

/// Rungs on Ethernet: the steps over the VPNs' range (1,380 to 1,446) are narrow without any refinement.
const ETHERNET_RUNGS: [u32; 8] = [1_280, 1_300, 1_380, 1_402, 1_424, 1_446, 1_470, 1_492];

/// Segments of a comb before its widest: one that nothing drops first, then as the rungs. One less than those, so the
/// second step is missing: between 1,280 and 1,400 one refinement is enough, above 1,500 it would take three.
const WIDE_COMB: [u32; 8] = [SMALLEST, 1_280, 1_400, 1_492, 1_500, 1_700, 3_000, 8_500];

/// Segments of a comb on Ethernet.
const ETHERNET_COMB: [u32; 8] = [SMALLEST, 1_280, 1_300, 1_380, 1_402, 1_424, 1_446, 1_492];

/// The largest MTU that counts as Ethernet's.
const ETHERNET: u32 = 1_500;

/// The widest segment of a comb: with all smaller ones it must fit into the 65,535 bytes of an unscaled window.
const WIDEST_SEGMENT: u32 = 40_000;

/// Sizes for the first fan-out inwards, ascending, all below the natural size.
pub(crate) fn first_rungs(widest_in: u32) -> Vec<u32> {
    let rungs = if widest_in <= ETHERNET { ETHERNET_RUNGS } else { WIDE_RUNGS };
    rungs.into_iter().filter(|rung| *rung < widest_in).collect()
}

/// Sizes for one comb, ascending, the natural one last (at most 40,000 bytes of it). Nine segments and the tail are what
/// the initial congestion window lets out at once.
pub(crate) fn first_comb(widest_out: u32) -> Vec<u32> {
    let widest = widest_out.min(WIDEST_SEGMENT);
    let comb = if widest <= ETHERNET { ETHERNET_COMB } else { WIDE_COMB };
    comb.into_iter().filter(|size| *size < widest).chain([widest]).collect()
}

/// Sizes strictly between the largest that passed and the smallest that failed: evenly spread, ascending, at most `count`
/// and no more than a narrow bracket needs. Empty when it is narrow. To confirm `fails` too, a comb appends it.
pub(crate) fn refine(ok: u32, fails: u32, count: u32) -> Vec<u32> {
    if is_narrow(ok, fails) {
        return Vec::new();
    }
    let width = u64::from(fails.saturating_sub(ok));
    // Half of what counts as narrow, since a packet may turn out a few bytes smaller than its rung.
    let needed = width.div_ceil(u64::from(narrow(ok) / 2)).saturating_sub(1);
    let pieces = needed.min(u64::from(count)) + 1;
    let mut sizes: Vec<u32> =
        (1..pieces).filter_map(|piece| u32::try_from(width * piece / pieces).ok()).map(|step| ok + step).collect();
    sizes.dedup();
    sizes.retain(|size| *size > ok && *size < fails);
    sizes
}

/// Whether a bracket needs no refinement: 24 bytes up to 2,000, 2.5 % above; half of what users are promised.
pub(crate) fn is_narrow(ok: u32, fails: u32) -> bool {
    fails.saturating_sub(ok) <= narrow(ok)
}

/// How wide a narrow bracket may be that begins at `ok`.
fn narrow(ok: u32) -> u32 {
    if ok < 2_000 { 24 } else { ok / 40 }
}

#[cfg(test)]
mod tests {
    use super::{first_comb, first_rungs, is_narrow, refine};

    /// Tries `sizes` on a path with a `limit` and draws the bracket closer, as the rungs and combs do.
    fn narrowed(sizes: &[u32], limit: u32, (mut ok, mut fails): (u32, u32)) -> (u32, u32) {
        for &size in sizes {
            if size <= limit {
                ok = ok.max(size);
            } else {
                fails = fails.min(size);
            }
        }
        (ok, fails)
    }

    /// Two refinements after the first sizes.
    fn ends(first: &[u32], limit: u32, start: (u32, u32)) -> (u32, u32) {
        let mut bracket = narrowed(first, limit, start);
        for _ in 0..2 {
            let sizes = refine(bracket.0, bracket.1, 8);
            assert!(sizes.len() <= 8 && sizes.is_sorted_by(|a, b| a < b), "{bracket:?} {sizes:?}");
            bracket = narrowed(&sizes, limit, bracket);
        }
        bracket
    }

    #[test]
    fn every_limit_ends_in_a_narrow_bracket() {
        // The control is a segment of 536 bytes: packets of 576 over IPv4, of 596 over IPv6.
        for (link, control) in [(9_001, 576), (1_500, 576), (9_001, 596), (1_500, 596), (8_500, 576), (1_420, 596)] {
            for limit in control..link {
                let check = |what: &str, first: &[u32]| {
                    let (ok, fails) = ends(first, limit, (control, link));
                    assert!(ok <= limit && limit < fails, "{what} {link} {limit}: [{ok}, {fails}]");
                    assert!(is_narrow(ok, fails), "{what} {link} {limit}: [{ok}, {fails}]");
                    let promised = if limit <= 2_000 { 50 } else { limit / 20 };
                    assert!(limit - ok <= promised && fails - limit <= promised, "{what} {link} {limit}");
                };
                check("rungs", &first_rungs(link));
                check("comb", &first_comb(link));
            }
        }
    }

    #[test]
    fn common_limits_need_little() {
        let refinements = |link: u32, limit: u32| {
            let mut bracket = narrowed(&first_rungs(link), limit, (576, link));
            let mut count = 0;
            while !is_narrow(bracket.0, bracket.1) {
                bracket = narrowed(&refine(bracket.0, bracket.1, 8), limit, bracket);
                count += 1;
            }
            count
        };
        for limit in [1_280, 1_380, 1_390, 1_400, 1_420, 1_436, 1_446, 1_492] {
            assert_eq!(refinements(1_500, limit), 0, "{limit}");
        }
        for limit in [1_280, 1_492] {
            assert_eq!(refinements(9_001, limit), 0, "{limit}");
        }
        for limit in [1_300, 1_380, 1_400, 1_420, 1_446, 1_500, 8_500] {
            assert_eq!(refinements(9_001, limit), 1, "{limit}");
        }
    }

    #[test]
    fn a_comb_fits_into_the_first_window() {
        for widest in [577, 1_280, 1_380, 1_500, 1_501, 8_500, 9_001, 32_820, 40_000, 65_535] {
            for headers in [40, 52, 60, 72] {
                let comb = first_comb(widest);
                assert!(comb.len() <= 9 && comb.is_sorted_by(|a, b| a < b), "{comb:?}");
                assert_eq!(comb.last(), Some(&widest.min(40_000)));
                assert!(comb.iter().map(|size| size - headers).sum::<u32>() < 60_000, "{comb:?}");
            }
        }
    }

    #[test]
    fn rungs_lie_below_the_natural_size() {
        for widest in 0..10_000 {
            let rungs = first_rungs(widest);
            assert!(rungs.len() <= 8 && rungs.is_sorted_by(|a, b| a < b));
            assert!(rungs.iter().all(|rung| *rung < widest), "{widest}: {rungs:?}");
        }
        assert_eq!(first_rungs(1_280), [0; 0]);
        assert_eq!(first_rungs(1_301), [1_280, 1_300]);
    }

    #[test]
    fn refinements_are_even_and_inside() {
        assert_eq!(refine(1_500, 1_700, 8), [1_522, 1_544, 1_566, 1_588, 1_611, 1_633, 1_655, 1_677]);
        assert_eq!(refine(1_400, 1_430, 8), [1_410, 1_420]);
        assert_eq!(refine(1_400, 1_424, 8), [0; 0]);
        assert_eq!(refine(1_400, 1_430, 0), [0; 0]);
        assert_eq!(refine(1_430, 1_400, 8), [0; 0]);
        assert_eq!(refine(0, u32::MAX, 1), [u32::MAX / 2]);
        assert!(is_narrow(8_500, 8_712) && !is_narrow(8_500, 8_713));
    }
}
