//! Any bytes as what a name server sends back: an answer to the question that was asked and no longer than is taken, or
//! a stray.
#![no_main]

use vpce_probe::probe::resolve::datagram::answer_to;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Half of the inputs would be lost to a wrong id: the request's own stands before them.
    let with_id = [&REQUEST[..2], bytes].concat();
    for received in [bytes, &with_id] {
        if let Ok(answer) = answer_to(REQUEST, received, MOST) {
            assert!(answer.len() <= MOST);
            assert_eq!(answer[..2], REQUEST[..2]);
            assert_eq!(u16::from_be_bytes([answer[4], answer[5]]), 1, "one question");
        }
    }
});

/// `x.test.`, type A, id 0x1234.
const REQUEST: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x04test\x00\x00\x01\x00\x01";
const MOST: usize = 512;
