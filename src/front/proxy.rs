//! The addresses of clients behind trusted proxies: from the PROXY protocol, version 2, or from the
//! headers of requests.
//!
//! Only statements of a proxy in `TRUSTED_PROXIES` are read, so that a client cannot choose its
//! address. Sources: the PROXY protocol of HAProxy, and RFC 7239.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, header};
use ppp::v2::{Addresses, Command, Header};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::config::Proxies;

/// The first byte of the PROXY protocol, with which no HTTP request begins.
const SIGNATURE_START: u8 = b'\r';
/// The length of the part of the header that has the length of the rest.
const FIXED_BYTES: usize = 16;
/// The longest rest that is read: addresses and a few extensions.
const REST_BYTES_MAX: usize = 2048;
/// The most addresses that are looked at in the headers of one request.
const HOPS_MAX: usize = 32;

/// Reads the header of the PROXY protocol from the start of `tcp`, if there is one, and returns the
/// client's address. `None` if there is no header, or if the proxy itself is the client.
///
/// # Errors
/// The connection failed, or the header is malformed.
pub(super) async fn read_header(tcp: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut first = [0];
    if tcp.peek(&mut first).await? == 0 || first[0] != SIGNATURE_START {
        return Ok(None);
    }
    let mut bytes = vec![0; FIXED_BYTES];
    tcp.read_exact(&mut bytes).await?;
    let rest = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if rest > REST_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.resize(FIXED_BYTES + rest, 0);
    tcp.read_exact(&mut bytes[FIXED_BYTES..]).await?;
    let header = Header::try_from(bytes.as_slice());
    let header = header.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(match (header.command, header.addresses) {
        (Command::Proxy, Addresses::IPv4(it)) => Some(it.source_address.into()),
        (Command::Proxy, Addresses::IPv6(it)) => {
            Some(IpAddr::from(it.source_address).to_canonical())
        }
        // A check of the proxy's own, or a client without an address.
        _ => None,
    })
}

/// The address of the client that sent a request through the proxy at `proxy`: the last one in
/// the headers that is no trusted proxy. `X-Forwarded-For` is preferred to `Forwarded`.
///
/// Without a valid address it is that of the last proxy.
pub(super) fn client(headers: &HeaderMap, proxies: &Proxies, proxy: IpAddr) -> IpAddr {
    let mut client = proxy;
    for hop in hops(headers).take(HOPS_MAX) {
        let Some(address) = hop else { break };
        client = address;
        if !proxies.contains(address) {
            break;
        }
    }
    client
}

/// The addresses in the headers, from the last one; `None` for a hop that has none.
fn hops(headers: &HeaderMap) -> Box<dyn Iterator<Item = Option<IpAddr>> + '_> {
    let listed = |name| {
        let values = headers.get_all(name).into_iter();
        let texts = values.filter_map(|value| value.to_str().ok());
        texts.flat_map(|text| text.split(',')).collect::<Vec<_>>()
    };
    let for_addresses = listed(header::HeaderName::from_static("x-forwarded-for"));
    if !for_addresses.is_empty() {
        return Box::new(for_addresses.into_iter().rev().map(node));
    }
    Box::new(listed(header::FORWARDED).into_iter().rev().map(forwarded))
}

/// The address of one element of `Forwarded`, such as `for="[2001:db8::1]:4711";proto=https`.
fn forwarded(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    node(value.trim().trim_matches('"'))
}

/// An address with or without brackets and port.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client_of(lines: &[(&'static str, &'static str)]) -> String {
        let proxies = Proxies::parse("10.0.0.0/8, fd00::/8").expect("valid");
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let proxy = "10.0.0.1".parse().expect("an address");
        client(&headers, &proxies, proxy).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_clients() {
        let xff = "x-forwarded-for";
        assert_eq!(client_of(&[]), "10.0.0.1");
        assert_eq!(client_of(&[(xff, "192.0.2.7")]), "192.0.2.7");
        assert_eq!(
            client_of(&[(xff, "1.2.3.4, 192.0.2.7, 10.9.9.9")]),
            "192.0.2.7"
        );
        assert_eq!(
            client_of(&[(xff, "1.2.3.4"), (xff, "192.0.2.8")]),
            "192.0.2.8"
        );
        assert_eq!(client_of(&[(xff, "[2001:db8::1]:4711")]), "2001:db8::1");
        assert_eq!(client_of(&[(xff, "192.0.2.7:80")]), "192.0.2.7");
        assert_eq!(
            client_of(&[(xff, "1.2.3.4, unknown, 10.9.9.9")]),
            "10.9.9.9"
        );
    }

    #[test]
    fn the_header_of_the_standard_is_read_where_the_other_one_is_missing() {
        let standard = "forwarded";
        assert_eq!(
            client_of(&[(
                standard,
                "for=192.0.2.43, For=\"[2001:db8::17]\";proto=https"
            )]),
            "2001:db8::17"
        );
        assert_eq!(
            client_of(&[(standard, "for=192.0.2.43;by=10.0.0.2, for=10.1.1.1")]),
            "192.0.2.43"
        );
        assert_eq!(client_of(&[(standard, "for=_hidden")]), "10.0.0.1");
        let both = [(standard, "for=1.1.1.1"), ("x-forwarded-for", "2.2.2.2")];
        assert_eq!(client_of(&both), "2.2.2.2");
    }
}
