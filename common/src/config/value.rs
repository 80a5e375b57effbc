//! Texts of single values: durations, sizes, networks, ports, labels. Pure; every error is the end of a sentence.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Longest name of a listener, pool, route or rule.
pub(super) const MAX_LABEL: usize = 64;

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// `250ms`, `5s`, `10m`, `1h` → milliseconds.
pub(super) fn duration_ms(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let example = "write a whole number and a unit: `250ms`, `5s`, `10m`, `1h`";
    if number.is_empty() {
        return Err(format!("`{text}` is not a duration; {example}"));
    }
    let Some((_, factor)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() {
            format!("`{text}` has no unit; {example}")
        } else {
            format!("`{unit}` is not a unit of time; {example}")
        });
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor)).ok_or_else(|| format!("`{text}` is out of reach"))
}

/// `64KiB`, `1MiB`, `512` → bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text);
    let example = "write bytes as a number, or a number and `KiB`, `MiB` or `GiB`";
    if number.is_empty() {
        return Err(format!("`{text}` is not a size; {example}"));
    }
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => 1,
        None => return Err(format!("`{unit}` is not a unit of size; {example}")),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(|| format!("`{text}` is out of reach"))
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start_matches(' '))
}

/// The duration in its largest whole unit.
pub(super) fn show_duration(ms: u64) -> String {
    let (name, factor) = largest(&DURATION_UNITS, ms);
    format!("{}{name}", ms / factor)
}

/// The size in its largest whole unit.
pub(super) fn show_size(bytes: u64) -> String {
    match largest(&SIZE_UNITS, bytes) {
        ("B", _) => bytes.to_string(),
        (name, factor) => format!("{}{name}", bytes / factor),
    }
}

fn largest(units: &[(&'static str, u64)], amount: u64) -> (&'static str, u64) {
    units.iter().rev().find(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor)).copied().unwrap_or(("", 1))
}

/// Milliseconds as a `Duration`.
pub(super) fn to_duration(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `192.0.2.0/24`, or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let network: IpNet = text
        .parse()
        .map_err(|_| format!("`{text}` is not a network; write `192.0.2.0/24`, `2001:db8::/32` or an address"))?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(format!("`{text}` has bits set behind its prefix; the network is `{}`", network.trunc()))
    }
}

/// A listening address.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        if text.parse::<IpAddr>().is_ok() {
            format!("`{text}` has no port; write `192.0.2.1:443` or `[2001:db8::1]:443`")
        } else {
            format!("`{text}` is not an address with a port; write `0.0.0.0:443` or `[::]:443` (names are not resolved here)")
        }
    })?;
    if address.port() == 0 {
        return Err("port 0 would be a different one at every start; write the port clients use".to_owned());
    }
    if let IpAddr::V6(v6) = address.ip()
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        return Err(format!("IPv6 listeners take IPv6 only; write `{v4}:{}`", address.port()));
    }
    Ok(address)
}

/// `25` or `8000-8999` → inclusive range.
pub(super) fn ports(text: &str) -> Result<(u16, u16), String> {
    let port = |part: &str| match part.trim().parse::<u16>() {
        Ok(0) | Err(_) => Err(format!("`{}` is not a port (1 to 65535)", part.trim())),
        Ok(port) => Ok(port),
    };
    match text.split_once('-') {
        None => port(text).map(|port| (port, port)),
        Some((first, last)) => match (port(first)?, port(last)?) {
            (first, last) if first <= last => Ok((first, last)),
            (first, last) => Err(format!("the range `{text}` is empty; write `{last}-{first}`")),
        },
    }
}

/// The name of a listener, pool, route or rule: it appears in logs, counters and descriptor names.
pub(super) fn label(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a name may not be empty".to_owned());
    }
    if text.len() > MAX_LABEL {
        return Err(format!("a name has at most {MAX_LABEL} bytes"));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))) {
        Some(bad) => Err(format!("{bad:?} may not stand in a name; letters, digits, `-`, `_` and `.` may")),
        None => Ok(()),
    }
}

/// A request method (RFC 9110 §9.1): a token, in practice in capitals.
pub(super) fn method(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 32 || !text.bytes().all(is_token_byte) {
        return Err(format!("`{text}` is not a method"));
    }
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(format!("methods are case-sensitive; write `{}`", text.to_ascii_uppercase()));
    }
    Ok(())
}

/// A byte of a token (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The name of an application protocol (RFC 7301 §3.1), as text.
pub(super) fn alpn(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 255 {
        return Err("a protocol name has 1 to 255 bytes".to_owned());
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("{text:?} has bytes that no protocol name has"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration_ms("250ms"), Ok(250));
        assert_eq!(duration_ms("5s"), Ok(5_000));
        assert_eq!(duration_ms("10 m"), Ok(600_000));
        assert_eq!(duration_ms("2h"), Ok(7_200_000));
        for bad in ["", "s", "5", "5 minutes", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
        assert_eq!(show_duration(90_000), "90s");
        assert_eq!(show_duration(3_600_000), "1h");
        assert_eq!(show_duration(1_500), "1500ms");
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("17"), Ok(17));
        for bad in ["", "KiB", "64KB", "64k", "17179869184GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(0), "0");
        assert_eq!(show_size(1_000), "1000");
    }

    #[test]
    fn networks() {
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        assert!(network("10.0.0.1/8").unwrap_err().contains("`10.0.0.0/8`"));
        assert!(network("ten").is_err());
    }

    #[test]
    fn listening_addresses() {
        assert!(listen_address("[::]:443").is_ok());
        assert!(listen_address("0.0.0.0:0").unwrap_err().contains("port 0"));
        assert!(listen_address("[::ffff:192.0.2.1]:443").unwrap_err().contains("`192.0.2.1:443`"));
        assert!(listen_address("192.0.2.1").unwrap_err().contains("no port"));
        assert!(listen_address("localhost:443").unwrap_err().contains("not resolved"));
    }

    #[test]
    fn port_ranges() {
        assert_eq!(ports("25"), Ok((25, 25)));
        assert_eq!(ports("8000-8999"), Ok((8000, 8999)));
        for bad in ["0", "65536", "9-1", "-", "http", "1-2-3"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn small_words() {
        assert!(label("office-only").is_ok());
        assert!(label("").is_err() && label("a b").is_err() && label("ü").is_err() && label(&"x".repeat(65)).is_err());
        assert!(method("CONNECT").is_ok());
        assert!(method("get").unwrap_err().contains("`GET`"));
        assert!(method("G T").is_err());
        assert!(alpn("acme-tls/1").is_ok() && alpn("").is_err() && alpn("a b").is_err());
    }
}
