//! A network driver's own counters (`ethtool -S`), by ioctl `SIOCETHTOOL` (linux/ethtool.h).

use std::{io, mem, os::fd::AsRawFd};

use socket2::{Domain, Socket, Type};

/// The counters of the driver behind `link`, in the driver's order, e.g. `("linklocal_allowance_exceeded", 0)`.
///
/// # Errors
/// `Unsupported` or what the kernel says where the driver has no counters, the link does not exist, or a sandbox forbids it.
pub fn driver_counters(link: &str) -> io::Result<Vec<(String, u64)>> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let count = count_of_counters(&socket, link)?;
    if count == 0 || count > MOST_COUNTERS {
        return Err(io::ErrorKind::Unsupported.into());
    }

    // The kernel fills in as many entries as the driver has at that moment, whatever was announced to it. Room for the
    // most that is ever accepted keeps a driver that gains queues between two calls from writing past the end.
    let mut names = vec![0_u64; words(STRINGS_HEADER + ROOM * NAME)];
    set_words(&mut names, [GET_STRINGS, STATISTICS_SET, u32_of(count), 0]);
    request(&socket, link, &mut names)?;
    let mut values = vec![0_u64; words(VALUES_HEADER) + ROOM];
    set_words(&mut values, [GET_VALUES, u32_of(count), 0, 0]);
    request(&socket, link, &mut values)?;

    // Not all of the room: it is a hundred times what most drivers have.
    let bytes = names.iter().flat_map(|word| word.to_ne_bytes()).skip(STRINGS_HEADER);
    let names: Vec<u8> = bytes.take(count * NAME).collect();
    Ok(names.chunks_exact(NAME).map(text).zip(values.into_iter().skip(words(VALUES_HEADER))).take(count).collect())
}

/// How many counters the driver has: the newer question first, then the older one, as ethtool(8) does.
fn count_of_counters(socket: &Socket, link: &str) -> io::Result<usize> {
    let mut sets = vec![0_u64; 4];
    set_words(&mut sets, [GET_SET_INFO, 0, 1 << STATISTICS_SET, 0]);
    let count = if request(socket, link, &mut sets).is_ok() {
        // struct ethtool_sset_info: cmd, reserved, mask (64 bits), then one count for each set of the mask.
        if word(&sets, 2) == 0 { 0 } else { word(&sets, 4) }
    } else {
        // struct ethtool_drvinfo: cmd, 5 × 32 and 12 bytes of text, n_priv_flags, n_stats, three lengths.
        let mut driver = vec![0_u64; words(DRIVER_INFO)];
        set_words(&mut driver, [GET_DRIVER_INFO, 0, 0, 0]);
        request(socket, link, &mut driver)?;
        word(&driver, DRIVER_STATISTICS)
    };
    Ok(count.try_into().unwrap_or(usize::MAX))
}

/// One `SIOCETHTOOL` with `buffer` as the driver's argument; the caller gives it the size that its command needs.
#[expect(unsafe_code, reason = "ethtool is reached by ioctl alone")]
fn request(socket: &Socket, link: &str, buffer: &mut [u64]) -> io::Result<()> {
    // SAFETY: ifreq is a plain C struct of numbers and pointers, for which all zeroes is a valid value.
    let mut interface: libc::ifreq = unsafe { mem::zeroed() };
    if link.len() >= interface.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in interface.ifr_name.iter_mut().zip(link.bytes()) {
        *place = byte.cast_signed() as libc::c_char;
    }
    interface.ifr_ifru.ifru_data = buffer.as_mut_ptr().cast();
    // SAFETY: `interface` lives through the call; its name ends with a zero byte (checked above); its data points to
    // `buffer`, which is alive, writable, aligned to 8 and larger than what any command sent here writes: the counts that
    // the kernel may write are bounded by `ROOM`, see `driver_counters`.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut interface) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A name of the driver's table: bytes up to the first zero.
fn text(name: &[u8]) -> String {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(name.get(..end).unwrap_or(name)).into_owned()
}

/// The first four 32-bit words of a command.
fn set_words(buffer: &mut [u64], words: [u32; 4]) {
    for (place, pair) in buffer.iter_mut().zip(words.chunks_exact(2)) {
        let bytes: Vec<u8> = pair.iter().flat_map(|word| word.to_ne_bytes()).collect();
        *place = bytes.try_into().map_or(0, u64::from_ne_bytes);
    }
}

/// The 32-bit word at `index`.
fn word(buffer: &[u64], index: usize) -> u32 {
    let bytes = buffer.iter().flat_map(|word| word.to_ne_bytes()).skip(index * 4).take(4).collect::<Vec<u8>>();
    bytes.try_into().map_or(0, u32::from_ne_bytes)
}

/// Bytes in 64-bit words, rounded up.
const fn words(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

/// A count that is at most [`MOST_COUNTERS`].
fn u32_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// linux/sockios.h.
const SIOCETHTOOL: libc::Ioctl = 0x8946;
/// linux/ethtool.h, `ETHTOOL_GDRVINFO`, `…_GSTRINGS`, `…_GSTATS`, `…_GSSET_INFO`.
const GET_DRIVER_INFO: u32 = 0x03;
const GET_STRINGS: u32 = 0x1b;
const GET_VALUES: u32 = 0x1d;
const GET_SET_INFO: u32 = 0x37;
/// `ETH_SS_STATS`.
const STATISTICS_SET: u32 = 1;
/// `ETH_GSTRING_LEN`.
const NAME: usize = 32;
/// `cmd`, `string_set`, `len`.
const STRINGS_HEADER: usize = 12;
/// `cmd`, `n_stats`.
const VALUES_HEADER: usize = 8;
/// `sizeof(struct ethtool_drvinfo)`, and the 32-bit word in it that holds `n_stats`.
const DRIVER_INFO: usize = 196;
const DRIVER_STATISTICS: usize = 45;
/// ENA has about 20 counters and 12 more for each of at most 32 queues in both directions.
const MOST_COUNTERS: usize = 2048;
/// Entries for which there is room in every buffer.
const ROOM: usize = 2 * MOST_COUNTERS;

#[cfg(test)]
mod tests {
    use super::{driver_counters, set_words, text, word};

    #[test]
    fn a_link_without_a_driver_has_no_counters() {
        for link in ["lo", "no-such-link", "a-name-longer-than-the-kernel-allows", ""] {
            assert!(driver_counters(link).is_err(), "{link}");
        }
    }

    #[test]
    fn words_lie_where_the_kernel_reads_them() {
        let mut buffer = vec![0; 4];
        set_words(&mut buffer, [1, 2, 3, 4]);
        let all: Vec<u32> = (0..8).map(|index| word(&buffer, index)).collect();
        assert_eq!(all, [1, 2, 3, 4, 0, 0, 0, 0]);
    }

    #[test]
    fn a_name_ends_at_the_first_zero() {
        assert_eq!(text(b"linklocal_allowance_exceeded\0\0\0\0"), "linklocal_allowance_exceeded");
        assert_eq!(text(&[b'x'; 32]).len(), 32);
    }
}
