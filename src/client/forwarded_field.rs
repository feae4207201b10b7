//! The `Forwarded` field (RFC 7239).

use std::net::{IpAddr, Ipv6Addr};

use http::header::{FORWARDED, HeaderMap, HeaderValue};

/// One element: what one proxy says about the connection that it received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ForwardedElement {
    /// `None` also for `unknown` and obfuscated identifiers.
    pub(super) ip: Option<IpAddr>,
    pub(super) proto: Option<String>,
    pub(super) host: Option<String>,
}

/// The text does not follow the grammar.
struct Malformed;

/// The elements of all lines. Malformed text makes the rest of its line one element that
/// says nothing: the line's left part may be a client's, whose open quote must not end in
/// what a proxy has added.
pub(super) fn forwarded_elements(headers: &HeaderMap) -> Vec<ForwardedElement> {
    let mut elements = Vec::new();
    for line in headers.get_all(FORWARDED).iter().map(HeaderValue::as_bytes) {
        let mut rest = line.trim_ascii();
        while !rest.is_empty() {
            if let Ok((element, after)) = element(rest) {
                elements.extend(element);
                rest = after.trim_ascii_start();
            } else {
                elements.push(ForwardedElement::default());
                break;
            }
        }
    }
    elements
}

/// Parses up to the next comma outside of quotes; `None` if there is nothing before it.
fn element(text: &[u8]) -> Result<(Option<ForwardedElement>, &[u8]), Malformed> {
    let (mut read, mut rest, mut names) = (ForwardedElement::default(), text, Vec::new());
    loop {
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            None => break,
            Some((b',', after)) => {
                rest = after;
                break;
            }
            Some((b';', after)) => {
                rest = after;
                continue;
            }
            Some(_) => {}
        }
        let (name, value, after) = pair(rest)?;
        rest = after.trim_ascii_start();
        if !matches!(rest.first(), None | Some(b',' | b';')) || names.contains(&name) {
            return Err(Malformed);
        }
        match &*name {
            "for" => read.ip = node_address(&value),
            "proto" => read.proto = Some(value),
            "host" => read.host = Some(value),
            _ => {}
        }
        names.push(name);
    }
    Ok(((!names.is_empty()).then_some(read), rest))
}

/// Parses `name=value`, and returns the name in lower case, the value without its quotes,
/// and the rest.
fn pair(text: &[u8]) -> Result<(String, String, &[u8]), Malformed> {
    let equals = memchr::memchr(b'=', text).ok_or(Malformed)?;
    let (name, rest) = text.split_at_checked(equals).ok_or(Malformed)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(is_name) {
        return Err(Malformed);
    }
    let rest = rest.get(1..).unwrap_or_default();
    let (value, rest) = if rest.first() == Some(&b'"') { quoted(rest)? } else { unquoted(rest)? };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| Malformed);
    Ok((text(name.to_ascii_lowercase())?, text(value)?, rest))
}

/// A quoted string (RFC 9110, section 5.6.4).
fn quoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let mut value = Vec::new();
    let mut bytes = text.iter().copied().enumerate().skip(1);
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Ok((value, text.get(index + 1..).unwrap_or_default())),
            b'\\' => value.push(bytes.next().ok_or(Malformed)?.1),
            _ => value.push(byte),
        }
    }
    Err(Malformed)
}

/// A token. Many proxies send addresses with colons and brackets without the quotes that
/// they need, so everything passes that does not delimit.
fn unquoted(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Malformed> {
    let delimits = |byte: &u8| matches!(byte, b',' | b';' | b' ' | b'\t');
    let end = text.iter().position(delimits).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).ok_or(Malformed)?;
    if value.is_empty() || value.contains(&b'"') {
        return Err(Malformed);
    }
    Ok((value.to_vec(), rest))
}

/// The address of a node (RFC 7239, section 6), with or without a port.
pub(super) fn node_address(node: &str) -> Option<IpAddr> {
    let is_port = |port: &str| {
        let digits = !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
        digits || port.starts_with('_')
    };
    let ip = if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let port = port.strip_prefix(':');
        if port.is_some_and(|port| !is_port(port)) || (port.is_none() && !node.ends_with(']')) {
            return None;
        }
        IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)
    } else if let Ok(ip) = node.parse() {
        ip
    } else {
        let (address, port) = node.split_once(':')?;
        IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(lines: &[&str]) -> Vec<(Option<String>, Option<String>, Option<String>)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        forwarded_elements(&headers)
            .into_iter()
            .map(|element| (element.ip.map(|ip| ip.to_string()), element.proto, element.host))
            .collect()
    }

    fn element(ip: &str, proto: &str, host: &str) -> (Option<String>, Option<String>, Option<String>) {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (text(ip), text(proto), text(host))
    }

    #[test]
    fn delimiters_inside_quotes_delimit_nothing() {
        for (line, expected) in [
            (r#"for=192.0.2.1;proto=https;by="y;proto=http""#, vec![element("192.0.2.1", "https", "")]),
            (r#"for=192.0.2.1;by="a,for=192.0.2.9""#, vec![element("192.0.2.1", "", "")]),
            (r#"For="192.0.2.1";by="a\",for=192.0.2.9;\\""#, vec![element("192.0.2.1", "", "")]),
            (
                "for=192.0.2.1 ; PROTO=https;;, , host=a",
                vec![element("192.0.2.1", "https", ""), element("", "", "a")],
            ),
            (r#"for="_a,b;c", for=192.0.2.2"#, vec![element("", "", ""), element("192.0.2.2", "", "")]),
        ] {
            assert_eq!(elements(&[line]), expected, "{line}");
        }
        assert_eq!(elements(&["for=192.0.2.1", "for=192.0.2.2"]).len(), 2);
    }

    #[test]
    fn malformed_text_hides_the_rest_of_its_line() {
        for line in [
            r#"for=192.0.2.1, for="192.0.2.9, for=192.0.2.3;proto=https"#,
            r#"for=192.0.2.1, for=", for=192.0.2.3;by="x""#,
            r#"for=192.0.2.1, for="192.0.2.9"x, for=192.0.2.3"#,
            r#"for=192.0.2.1, for=192.0.2.9;for=192.0.2.3"#,
            r#"for=192.0.2.1, for=x"y", for=192.0.2.3"#,
            r"for=192.0.2.1, 192.0.2.9, for=192.0.2.3",
            r#"for=192.0.2.1, for="\"#,
            "for=192.0.2.1, for= x, for=192.0.2.3",
        ] {
            assert_eq!(elements(&[line]), [element("192.0.2.1", "", ""), element("", "", "")], "{line}");
            let mut lines = elements(&[line, "for=192.0.2.4"]);
            assert_eq!(lines.pop(), Some(element("192.0.2.4", "", "")), "{line}: the next line counts");
        }
    }

    #[test]
    fn a_node_is_an_address_with_or_without_a_port() {
        for (node, ip) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("192.0.2.1:_port", Some("192.0.2.1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[::ffff:192.0.2.1]", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("unknown:80", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:x", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1]x", None),
            ("[2001:db8::1]:", None),
            ("", None),
        ] {
            assert_eq!(node_address(node).map(|ip| ip.to_string()).as_deref(), ip, "{node}");
        }
    }
}
