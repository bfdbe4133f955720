#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| nodewright::fuzzing::body("ring")(input));
