//! The host's small text formats: `%X%`, `TimeSpan`, command lines, timestamps as Newtonsoft prints them.

use jiff::Timestamp;
use std::time::Duration;

/// Replaces each `%name%`; `Err` names the first that has no value.
pub(super) fn expand<F>(text: &str, lookup: F) -> Result<String, String>
where
    F: Fn(&str) -> Option<String>,
{
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        let Some(end) = rest[start + 1..].find('%').map(|at| start + 1 + at) else { break };
        let name = &rest[start + 1..end];
        out.push_str(&rest[..start]);
        out.push_str(&lookup(name).ok_or_else(|| name.to_owned())?);
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// `[d.]hh:mm[:ss[.fff]]`, as .NET's `TimeSpan` reads it.
pub(super) fn time_span(text: &str) -> Option<Duration> {
    let (head, tail) = text.split_once(':')?;
    let (days, hours) = match head.split_once('.') {
        Some((days, hours)) => (days.parse::<u64>().ok()?, hours.parse::<u64>().ok()?),
        None => (0, head.parse::<u64>().ok()?),
    };
    let (minutes, seconds) = tail.split_once(':').unwrap_or((tail, "0"));
    let (minutes, seconds) = (minutes.parse::<u64>().ok()?, seconds.parse::<f64>().ok()?);
    if hours > 23 || minutes > 59 || !(0.0..60.0).contains(&seconds) {
        return None;
    }
    Some(
        Duration::from_secs(days * 86_400 + hours * 3_600 + minutes * 60)
            + Duration::try_from_secs_f64(seconds).ok()?,
    )
}

/// `hh:mm:ss`, for messages.
pub(super) fn print_span(span: Duration) -> String {
    let seconds = span.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Splits a command line as .NET does on Unix: spaces separate, double quotes group, a backslash escapes a quote.
pub(super) fn split_arguments(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'"') => word.extend(chars.next()),
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// At most seven digits after the second, without trailing zeros, then `zone` (`Z` or `+00:00`).
pub(super) fn stamp(at: Timestamp, zone: &str) -> String {
    let ticks = at.subsec_nanosecond() / 100;
    let fraction = if ticks == 0 { String::new() } else { format!(".{ticks:07}") };
    format!("{}{}{zone}", at.strftime("%Y-%m-%dT%H:%M:%S"), fraction.trim_end_matches('0'))
}

/// A `DateTimeOffset` that went through `ToString` and back: whole seconds.
pub(super) fn stamp_seconds(at: Timestamp) -> String {
    format!("{}+00:00", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_read_as_dot_net_reads_them() {
        assert_eq!(time_span("00:01:30"), Some(Duration::from_secs(90)));
        assert_eq!(time_span("1.02:00"), Some(Duration::from_hours(26)));
        assert_eq!(time_span("00:00:00.25"), Some(Duration::from_millis(250)));
        assert_eq!(time_span("00:60:00"), None);
        assert_eq!(time_span("90s"), None);
    }

    #[test]
    fn a_setting_without_a_value_is_named() {
        assert_eq!(expand("a%X%b", |_| Some("1".into())), Ok("a1b".into()));
        assert_eq!(expand("%X%", |_| None), Err("X".into()));
        assert_eq!(expand("100%", |_| None), Ok("100%".into()));
    }

    #[test]
    fn an_argument_with_a_blank_becomes_two_unless_quoted() {
        assert_eq!(split_arguments(r#"a "b c"  d\"e "" "#), ["a", "b c", "d\"e", ""]);
    }

    #[test]
    fn timestamps_lose_trailing_zeros() {
        let at: Timestamp = "2026-03-01T02:15:00.4623900Z".parse().unwrap();
        assert_eq!(stamp(at, "Z"), "2026-03-01T02:15:00.46239Z");
        assert_eq!(stamp("2026-03-01T02:15:00Z".parse().unwrap(), "+00:00"), "2026-03-01T02:15:00+00:00");
    }
}
