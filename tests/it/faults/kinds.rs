//! The rows of the table: how a request may fail.

use std::time::Duration;
use world::Kind;

pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What the report may call it. One of these must be there.
    pub(super) words: &'static [&'static str],
    /// The call succeeds all the same, so there may be nothing to name.
    pub(super) is_harmless: bool,
    /// From Qualys it means that the credentials are wrong, and only new ones help.
    pub(super) refuses_credentials: bool,
}

pub(super) fn rows() -> Vec<Row> {
    let row = |name, kind, words| Row { name, kind, words, is_harmless: false, refuses_credentials: false };
    let bad = &["cannot be used", "MALFORMED"][..];
    let mute = &["no answer", "NO_ANSWER"][..];
    vec![
        Row {
            refuses_credentials: true,
            ..row("401", Kind::Status(401), &["refused the user name", "does not accept"])
        },
        row("403", Kind::Status(403), &["forbids", "access-lost"]),
        row("404 HTML", Kind::Html404, &["HTTP 404", "does not find", "cannot find", "access-lost"]),
        row("409 with wait", Kind::Conflict409 { code: 1965, wait: Some(600) }, &["HTTP 409"]),
        row("409 without", Kind::Conflict409 { code: 1960, wait: None }, &["HTTP 409"]),
        row("odd 409", Kind::Conflict409 { code: 1920, wait: None }, &["HTTP 409"]),
        row(
            "429 with header",
            Kind::TooMany429 { retry_after: Some(600) },
            &["(HTTP 429); it asks to wait 600 s", "throttling requests, for 600 s"],
        ),
        row("429 without", Kind::TooMany429 { retry_after: None }, &["(HTTP 429)", "throttling requests"]),
        row("500", Kind::Status(500), &["HTTP 500"]),
        row("502 HTML", Kind::Html502, &["HTTP 502"]),
        row("truncated JSON", Kind::TruncatedJson, bad),
        row("empty 200", Kind::Empty200, bad),
        row(
            "error under 200",
            Kind::ErrorUnder200("INTERNAL_ERROR".into()),
            &["INTERNAL_ERROR", "cannot be used"],
        ),
        row(
            "unlisted code",
            Kind::ErrorUnder200("SOMETHING_NEW".into()),
            &["SOMETHING_NEW", "cannot be used"],
        ),
        // A connector without a subscription counts as covering any.
        Row { is_harmless: true, ..row("field missing", Kind::WithoutField("authRecord"), &[]) },
        Row { is_harmless: true, ..row("slow", Kind::Slow(Duration::from_millis(300)), &[]) },
        row("reset before", Kind::ResetBefore, mute),
        row("reset after", Kind::ResetAfter, mute),
        row("time-out after", Kind::TimeoutAfter, mute),
    ]
}
