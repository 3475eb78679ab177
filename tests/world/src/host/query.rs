//! Query strings as ASP.NET sees them: the values of a repeated key are joined with a comma, then encoded again.

/// The keys in order of first appearance; values of a repeated key are joined with a comma.
pub(super) fn parse(query: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")));
        match all.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&key)) {
            Some((_, known)) => *known = format!("{known},{value}"),
            None => all.push((key, value)),
        }
    }
    all
}

/// The query that a forwarded request carries: `a=1&a=2` becomes `a=1,2`.
pub(super) fn reencode(query: &str) -> String {
    let pairs = parse(query);
    pairs
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// .NET's `UrlEncoder` does not encode these, nor letters and digits.
fn encode(text: &str) -> String {
    percent(text, |byte| byte.is_ascii_alphanumeric() || b"!$()*,-.;@_~".contains(&byte))
}

pub(super) fn percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
    text.bytes()
        .map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_joined_with_a_comma() {
        assert_eq!(reencode("a=1&a=2"), "a=1,2");
        assert_eq!(reencode("tag=a&x=%2F+y&TAG=b&flag"), "tag=a,b&x=%2F%20y&flag=");
        assert_eq!(decode("%zz%4"), "%zz%4");
    }
}
