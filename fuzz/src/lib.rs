//! Code that the fuzz targets have in common.

/// Ignores panics that are caught. libFuzzer's own hook aborts on every
/// panic, but the guard around yrs is tested here as well. With
/// `FUZZ_PANICS=show` they are printed, with `FUZZ_PANICS=abort` the hook stays
/// and finds the panics that the guard has to catch.
pub fn allow_caught_panics() {
    match std::env::var("FUZZ_PANICS").as_deref() {
        Ok("abort") => {}
        Ok("show") => std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
        _ => std::panic::set_hook(Box::new(|_| {})),
    }
}

/// The messages in an input, each with its length in two bytes in front; the last one may be
/// shorter. So messages can follow, repeat and depend on one another.
pub fn messages(mut input: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let [low, high, rest @ ..] = input {
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (message, rest) = rest.split_at(len.min(rest.len()));
        messages.push(message);
        input = rest;
    }
    messages
}
