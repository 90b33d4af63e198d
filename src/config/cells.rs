//! The cells of the table of settings: values as they are shown to people, without secrets.

/// A variable and the value that the server uses, as it is shown.
pub(super) type Row = (&'static str, String);

/// The value of a secret.
pub(super) const HIDDEN: &str = "set (hidden)";

/// A number with the same amount in a larger unit, if the variable's name says that it counts bytes or milliseconds.
pub(super) fn with_unit(variable: &str, value: String) -> String {
    const BYTES: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    const MS: [(u64, &str); 4] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1000, "s"),
    ];
    let units: &[(u64, &str)] = match variable {
        name if name.contains("_BYTES") => &BYTES,
        name if name.ends_with("_MS") => &MS,
        _ => &[],
    };
    let number: u64 = value.parse().unwrap_or_default();
    let whole = |&&(size, _): &&(u64, &str)| number >= size && number.is_multiple_of(size);
    match units.iter().find(whole) {
        Some((size, unit)) => format!("{value} ({} {unit})", number / size),
        None if variable == "MEMORY_BYTES_MAX" && number == 0 => {
            "0 (half of the machine's memory)".into()
        }
        None => value,
    }
}

/// A web address without user, password and query, which may be secret.
pub(super) fn without_user(address: &str) -> String {
    match address.parse::<http::Uri>() {
        Ok(uri) => {
            let port = uri.port_u16().map(|port| format!(":{port}"));
            format!(
                "{}://{}{}{}",
                uri.scheme_str().unwrap_or_default(),
                uri.host().unwrap_or_default(),
                port.unwrap_or_default(),
                uri.path(),
            )
        }
        Err(_) => HIDDEN.into(),
    }
}
