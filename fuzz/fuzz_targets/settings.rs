#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qualys_azure_inventory::fuzz::settings(bytes));
