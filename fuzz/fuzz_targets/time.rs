#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| thrown::time::throw(bytes));
