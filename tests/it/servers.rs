//! How servers resolve a path, implemented from their documentation and source and not
//! from the gate's code. The tests use it to verify that paths which were allowed as
//! public are public.
//!
//! The fuzz target (`fuzz/`) includes this file too.

/// A server, as a function from the received path to the resolved path, or to `None` if
/// it answers 400.
pub(crate) type Server = fn(&[u8]) -> Option<Vec<u8>>;

/// The names are for messages.
pub(crate) const SERVERS: [(&str, Server); 24] = [
    ("nginx", nginx),
    ("nginx without merge_slashes", nginx_unmerged),
    ("nginx, proxy_pass with $uri", nginx_uri),
    ("Apache, AllowEncodedSlashes On", apache),
    ("Apache, AllowEncodedSlashes NoDecode", apache_no_decode),
    ("Tomcat", tomcat),
    ("Jetty 9.2", jetty_9_2),
    ("Jetty 9.4", jetty_9_4),
    ("Undertow", undertow),
    ("Spring", spring),
    ("new URL(request.url, base)", whatwg_url),
    ("Express", express),
    ("urllib.parse.urlsplit", urlsplit),
    ("Werkzeug", werkzeug),
    ("Starlette", starlette),
    ("Go's ServeMux", go_mux),
    ("Rails", rails),
    ("PHP's parse_url", php_parse_url),
    ("Kestrel", kestrel),
    ("HTTP.sys and IIS", iis),
    ("ASP.NET without cookies", asp_net),
    ("ASP.NET without cookies, in IIS", asp_net_in_iis),
    ("a file server on Windows", windows),
    ("a program in C", c_string),
];

// ---- Web servers ----

/// `ngx_http_parse_complex_uri`: decodes and resolves in one pass.
fn nginx(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |_| true);
    if decoded.contains(&0) {
        return None;
    }
    let mut kept = Vec::new();
    let last = pieces(&decoded).len() - 1;
    for (index, piece) in pieces(&decoded).into_iter().enumerate() {
        match piece {
            b"" | b"." if index < last => {}
            b"" | b"." => kept.push(&b""[..]),
            b".." => {
                // 400 for paths above the root.
                kept.pop()?;
                if index == last {
                    kept.push(b"");
                }
            }
            _ => kept.push(piece),
        }
    }
    Some(glued(&kept))
}

fn nginx_unmerged(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |_| true);
    (!decoded.contains(&0)).then(|| without_dots(&decoded))
}

/// `ap_unescape_url`, then `ap_normalize_path` with `MergeSlashes On`.
fn apache(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |_| true);
    (!decoded.contains(&0)).then(|| without_dots(&one_slash(&decoded)))
}

fn apache_no_decode(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |byte| byte != b'/');
    (!decoded.contains(&0)).then(|| without_dots(&one_slash(&decoded)))
}

/// `proxy_pass http://app$uri`: writes the decoded path into a request line.
fn nginx_uri(path: &[u8]) -> Option<Vec<u8>> {
    let path = nginx(path)?;
    let end = path.iter().position(|byte| matches!(byte, b'\r' | b'\n' | b'?' | b'#'));
    Some(path[..end.unwrap_or(path.len())].to_vec())
}

// ---- Java ----

/// `CoyoteAdapter`: removes path parameters, then decodes, then normalizes.
fn tomcat(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(&without_parameters(path), |_| true);
    let slashed: Vec<u8> = decoded.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    (!slashed.contains(&0)).then(|| without_dots(&one_slash(&slashed)))
}

/// `HttpURI` up to 9.2: the first `;` ends the path.
fn jetty_9_2(path: &[u8]) -> Option<Vec<u8>> {
    let path = path.split(|byte| *byte == b';').next().unwrap_or_default();
    Some(without_dots(&decode(path, |_| true)))
}

/// `URIUtil.decodePath` up to 9.4.42: decodes `%u002e`, and drops NUL.
fn jetty_9_4(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode_utf16(&decode(&without_parameters(path), |_| true));
    let visible: Vec<u8> = decoded.into_iter().filter(|byte| *byte != 0).collect();
    Some(without_dots(&visible))
}

/// Keeps encoded slashes, unless `ALLOW_ENCODED_SLASH` is set.
fn undertow(path: &[u8]) -> Option<Vec<u8>> {
    Some(without_dots(&one_slash(&decode(&without_parameters(path), |byte| byte != b'/'))))
}

/// `UrlPathHelper`: decodes, then removes parameters and double slashes; the handler
/// compares the trimmed path.
fn spring(path: &[u8]) -> Option<Vec<u8>> {
    let path = one_slash(&without_parameters(&decode(path, |_| true)));
    Some(path.trim_ascii_end().to_vec())
}

// ---- JavaScript ----

/// The URL Standard's parser, with a special scheme and a base.
fn whatwg_url(path: &[u8]) -> Option<Vec<u8>> {
    let mut path: Vec<u8> =
        path.iter().copied().filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n')).collect();
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    path.truncate(end);
    for byte in &mut path {
        if *byte == b'\\' {
            *byte = b'/';
        }
    }
    if path.starts_with(b"//") {
        let host = path.iter().position(|byte| *byte != b'/')?;
        let end = path[host..].iter().position(|byte| *byte == b'/').map_or(path.len(), |end| host + end);
        path.drain(..end);
    }
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let list = pieces(&path);
    let last = list.len() - 1;
    for (index, piece) in list.into_iter().enumerate() {
        let dots = decode(piece, |byte| byte == b'.');
        let ends = index == last;
        match &dots[..] {
            b"." if ends => kept.push(Vec::new()),
            b"." => {}
            b".." => {
                kept.pop();
                if ends {
                    kept.push(Vec::new());
                }
            }
            _ => kept.push(piece.to_vec()),
        }
    }
    Some(glued(&kept))
}

/// `parseurl` and `url.parse`, which trims; the router compares the encoded path.
fn express(path: &[u8]) -> Option<Vec<u8>> {
    let mut path = path;
    while let [before @ .., b'\t' | b'\n' | 0x0c | b'\r' | b' '] = path {
        path = before;
    }
    Some(path.split(|byte| *byte == b'#').next().unwrap_or_default().to_vec())
}

// ---- Python ----

fn urlsplit(path: &[u8]) -> Option<Vec<u8>> {
    let mut path: Vec<u8> =
        path.iter().copied().filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n')).collect();
    let mut rest = path.split_off(0);
    if rest.starts_with(b"//") {
        let end = rest[2..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        rest.drain(..end.map_or(rest.len(), |end| end + 2));
    }
    let end = rest.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(rest.len());
    rest.truncate(end);
    Some(if rest.is_empty() { b"/".to_vec() } else { rest })
}

/// The `PATH_INFO` of WSGI; the URL map merges slashes.
fn werkzeug(path: &[u8]) -> Option<Vec<u8>> {
    let text = decode(path, |_| true);
    let mut text = &text[..];
    // `str.strip()` of the path decoded as Latin-1.
    while let [before @ .., b'\t'..=b'\r' | 0x1c..=b' '] = text {
        text = before;
    }
    Some(one_slash(text))
}

/// ASGI's `path`.
fn starlette(path: &[u8]) -> Option<Vec<u8>> {
    Some(decode(path, |_| true))
}

// ---- Go, Ruby, PHP ----

/// `url.ParseRequestURI`, then `path.Clean` with the trailing slash restored.
fn go_mux(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |_| true);
    Some(without_dots(&one_slash(&decoded)))
}

/// `Journey::Router::Utils.normalize_path`, then decoded.
fn rails(path: &[u8]) -> Option<Vec<u8>> {
    let path = one_slash(path);
    let path = path.strip_suffix(b"/").filter(|rest| !rest.is_empty()).unwrap_or(&path);
    Some(decode(path, |_| true))
}

fn php_parse_url(path: &[u8]) -> Option<Vec<u8>> {
    let mut path = path;
    if path.starts_with(b"//") {
        let end = path[2..].iter().position(|byte| *byte == b'/')?;
        path = &path[end + 2..];
    }
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    Some(decode(path, |_| true))
}

// ---- Microsoft ----

/// `UrlDecoder` keeps `%2F`; then `PathNormalizer.RemoveDotSegments`.
fn kestrel(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |byte| byte != b'/');
    (!decoded.contains(&0)).then(|| without_dots(&decoded))
}

fn iis(path: &[u8]) -> Option<Vec<u8>> {
    // In one pass, as HTTP.sys does.
    let decoded = decode(&decode_utf16(path), |_| true);
    let slashed: Vec<u8> = decoded.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    (!slashed.contains(&0)).then(|| without_dots(&one_slash(&slashed)))
}

/// `/(S(x))` contains a session and is not a folder.
fn asp_net(path: &[u8]) -> Option<Vec<u8>> {
    Some(without_sessions(path, b"/"))
}

/// The module before ASP.NET also removes the slash (CVE-2023-36899).
fn asp_net_in_iis(path: &[u8]) -> Option<Vec<u8>> {
    Some(without_sessions(path, b""))
}

fn without_sessions(path: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, piece) in pieces(path).into_iter().enumerate() {
        // `(`, then `S(x)` for each of its parts, then `)`.
        let end = piece.windows(2).position(|window| window == b"))").filter(|_| piece.starts_with(b"("));
        let session = end.map(|end| String::from_utf8_lossy(&piece[1..=end]).into_owned());
        let parts = session.as_deref().and_then(|session| session.strip_suffix(')'));
        let is_part = |part: &str| {
            let kind = part.split_once('(').filter(|(_, text)| !text.contains('(')).map(|(kind, _)| kind);
            kind.is_some_and(|kind| kind.len() == 1 && kind.bytes().all(|byte| byte.is_ascii_alphabetic()))
        };
        if let (Some(end), Some(true)) = (end, parts.map(|parts| parts.split(')').all(is_part))) {
            out.extend_from_slice(if index == 0 { b"/" } else { instead });
            out.extend_from_slice(&piece[end + 2..]);
        } else {
            out.push(b'/');
            out.extend_from_slice(piece);
        }
    }
    out
}

/// NTFS ignores dots and spaces at the end of a name, and `::$INDEX_ALLOCATION`.
fn windows(path: &[u8]) -> Option<Vec<u8>> {
    let slashed: Vec<u8> = path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    let kept: Vec<&[u8]> = pieces(&slashed)
        .into_iter()
        .map(|piece| {
            let mut name = piece;
            if let Some(at) = piece.windows(3).position(|window| window == b"::$") {
                name = &piece[..at];
            }
            while let [before @ .., b'.' | b' '] = name {
                if matches!(name, b"." | b"..") {
                    break;
                }
                name = before;
            }
            name
        })
        .collect();
    Some(without_dots(&glued(&kept)))
}

fn c_string(path: &[u8]) -> Option<Vec<u8>> {
    let decoded = decode(path, |_| true);
    Some(decoded.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
}

// ---- What they are made of ----

/// The segments, without the part before the first slash.
fn pieces(path: &[u8]) -> Vec<&[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/').collect()
}

fn glued<T: AsRef<[u8]>>(pieces: &[T]) -> Vec<u8> {
    if pieces.is_empty() {
        return b"/".to_vec();
    }
    pieces.iter().flat_map(|piece| [b"/", piece.as_ref()].concat()).collect()
}

/// Percent-decodes once, for the bytes that are `wanted`.
pub(crate) fn decode(path: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).filter(|_| path[at] == b'%');
        let text = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = text.map(|text| u8::from_str_radix(std::str::from_utf8(text).unwrap(), 16).unwrap());
        match value.filter(|value| wanted(*value)) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

/// Decodes `%u002f`, which JavaScript's `escape()` produces.
fn decode_utf16(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 2..at + 6).filter(|_| path[at..].starts_with(b"%u"));
        let text = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = text.map(|text| u32::from_str_radix(std::str::from_utf8(text).unwrap(), 16).unwrap());
        match value.and_then(char::from_u32) {
            Some(value) => {
                out.extend(value.to_string().bytes());
                at += 6;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

fn one_slash(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for byte in path {
        if !(*byte == b'/' && out.ends_with(b"/")) {
            out.push(*byte);
        }
    }
    out
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let kept: Vec<&[u8]> = pieces(path)
        .into_iter()
        .map(|piece| piece.iter().position(|byte| *byte == b';').map_or(piece, |end| &piece[..end]))
        .collect();
    glued(&kept)
}

/// RFC 3986, section 5.2.4, literally.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut input = path.to_vec();
    let mut output: Vec<u8> = Vec::new();
    while !input.is_empty() {
        if input.starts_with(b"/./") {
            input.drain(..2);
        } else if input == b"/." {
            input.truncate(1);
        } else if input.starts_with(b"/../") || input == b"/.." {
            input.drain(..3);
            if input.is_empty() {
                input.push(b'/');
            }
            output.truncate(output.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
        } else {
            let end = input[1..].iter().position(|byte| *byte == b'/').map_or(input.len(), |end| end + 1);
            output.extend(input.drain(..end));
        }
    }
    if output.is_empty() { b"/".to_vec() } else { output }
}
