//! The checks of a host's run. Findings are sentences, so that a failing test explains itself.

use super::answer::is_json;
use super::lines::{Level, Stream};
use super::query::percent;
use super::record::Outcome;
use super::shared::{Phase, Shared};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::time::Duration;

/// A handler that takes longer to answer `GET /` delays the host's start and its health checks. Less than this may be due to a busy
/// machine; a handler that waits for a service before it answers takes longer.
const SLOW_PING: Duration = Duration::from_secs(5);

impl Shared {
    /// Everything that is wrong with the run so far.
    pub(super) fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        for line in self.record.lines() {
            if line.stream == Stream::Stderr {
                found.push(format!("a line on stderr: {}", line.text));
            } else if line.stream == Stream::Host && line.level == Level::Error {
                found.push(format!("the host says: {}", line.text));
            }
        }
        for invocation in self.record.invocations() {
            let name = format!("{} {}", invocation.function, invocation.id);
            if invocation.outcome == Outcome::Hung {
                found.push(format!("{name} was never completed"));
            }
            if let Some(answer) = invocation.answer.filter(|_| !invocation.forwarded) {
                if !is_json(&answer) {
                    found.push(format!("{name}: content type {:?}", answer.header("content-type")));
                }
                if !answer.json().is_some_and(|value| value.is_object()) {
                    found.push(format!("{name}: the answer is no JSON object: {}", answer.text()));
                }
            }
        }
        for (id, function) in self.record.open_invocations() {
            found.push(format!("{function} {id} is still open"));
        }
        if self.record.slowest_ping() > SLOW_PING {
            found.push(format!("GET / took {:?}", self.record.slowest_ping()));
        }
        match &*self.phase.borrow() {
            Phase::Ready { pid: Some(pid), .. } => found.extend(strange_listeners(*pid, self.port)),
            Phase::Stopped { .. } | Phase::Idle => {}
            Phase::Starting { .. } | Phase::Ready { pid: None, .. } => {
                found.push("no handler is running".to_owned());
            }
        }
        found
    }

    /// Where a secret of the list can be read in lines, reasons and answers, plain or encoded.
    pub(super) fn leaks(&self, secrets: &[String]) -> Vec<String> {
        let forms: Vec<(usize, BTreeSet<String>)> = secrets
            .iter()
            .enumerate()
            .filter(|(_, secret)| !secret.is_empty())
            .map(|(n, s)| (n, forms(s)))
            .collect();
        let mut found = Vec::new();
        let mut look = |place: String, text: &str| {
            for (number, forms) in &forms {
                if forms.iter().any(|form| text.contains(form)) {
                    found.push(format!("secret {number} of the list is in {place}"));
                }
            }
        };
        for line in self.record.lines() {
            look(format!("a line of {:?} at {}", line.stream, line.at), &line.text);
        }
        for invocation in self.record.invocations() {
            let Some(answer) = invocation.answer else { continue };
            let place = format!("the answer of {} {}", invocation.function, invocation.id);
            look(place.clone(), &answer.text());
            for (name, value) in &answer.headers {
                look(format!("{place}, header {name}"), value);
            }
        }
        found
    }
}

/// A secret as it may be written: plain, in JSON (once and twice), URL-encoded, and inside base64 at any offset.
pub(super) fn forms(secret: &str) -> BTreeSet<String> {
    let json = |text: &str| {
        let quoted = serde_json::Value::String(text.to_owned()).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let strict = percent(secret, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let loose = percent(secret, |byte| byte.is_ascii_alphanumeric() || b"!$()*,-.;@_~'".contains(&byte));
    let form =
        percent(secret, |byte| byte.is_ascii_alphanumeric() || b" *-._".contains(&byte)).replace(' ', "+");
    let mut all = BTreeSet::from([secret.to_owned(), json(secret), json(&json(secret))]);
    for text in [strict, loose, form] {
        all.insert(lower_escapes(&text));
        all.insert(text);
    }
    for shift in 0..3 {
        let mut bytes = vec![0; shift];
        bytes.extend(secret.bytes());
        // A character that also holds bits of a neighbouring byte does not depend on the secret alone.
        let first = (shift * 8).div_ceil(6);
        let last = bytes.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&bytes);
            // A piece that is too short would be found anywhere.
            all.extend(text.get(first..last).filter(|piece| piece.len() >= 6).map(str::to_owned));
        }
    }
    all
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut all, part| {
        let (hex, rest) = part.split_at(part.len().min(2));
        all.push('%');
        all.push_str(&hex.to_lowercase());
        all.push_str(rest);
        all
    })
}

/// Findings about the sockets that the process listens on: any but 127.0.0.1 and its port, or none at all.
fn strange_listeners(pid: u32, port: u16) -> Vec<String> {
    let inodes = socket_inodes(pid);
    let table = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
    let wanted = format!("0100007F:{port:04X}");
    let mut seen = false;
    let mut found = Vec::new();
    for line in table("tcp").lines().chain(table("tcp6").lines()).skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // local address 1, state 3 (0A is LISTEN), inode 9: proc(5).
        if let [_, local, _, "0A", _, _, _, _, _, inode, ..] = fields.as_slice()
            && inodes.contains(*inode)
        {
            if *local == wanted {
                seen = true;
            } else {
                found.push(format!("the handler listens on {local}, not only on 127.0.0.1:{port}"));
            }
        }
    }
    if !seen {
        found.push(format!("the handler does not listen on 127.0.0.1:{port}"));
    }
    found
}

fn socket_inodes(pid: u32) -> BTreeSet<String> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links
        .filter_map(|entry| {
            let link = std::fs::read_link(entry.path()).ok()?;
            Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_secret_is_found_in_every_usual_form() {
        let secret = "p\"ss/wörd+1";
        let forms = forms(secret);
        let has = |text: &str| forms.iter().any(|form| text.contains(form));
        for text in [
            format!("password={secret}!"),
            serde_json::json!({"p": secret}).to_string(),
            serde_json::Value::String(serde_json::json!({"p": secret}).to_string()).to_string(),
            "p%22ss%2fw%c3%b6rd%2b1".to_owned(),
            "p%22ss%2Fw%C3%B6rd%2B1".to_owned(),
        ] {
            assert!(has(&text), "{text}");
        }
        for user in ["", "u:", "us:", "use:"] {
            assert!(has(&STANDARD.encode(format!("{user}{secret}xyz"))), "{user}");
        }
        assert!(!has("password"));
    }
}
