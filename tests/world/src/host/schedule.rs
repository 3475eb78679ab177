//! Timer schedules: NCRONTAB with five or six fields, or a `TimeSpan`. All times are UTC, as on Linux plans.

use super::text::time_span;
use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, ToSpan, tz::Offset};
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum Schedule {
    Cron(Box<Cron>),
    Span(Duration),
}

#[derive(Clone, Debug)]
pub(super) struct Cron {
    seconds: BTreeSet<i8>,
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.contains(':') {
            return time_span(text).map(Self::Span);
        }
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [seconds, minutes, hours, days, months, weekdays] = fields.try_into().ok()?;
        Some(Self::Cron(Box::new(Cron {
            seconds: field(seconds, 0, 59, &[])?,
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &WEEKDAYS)?,
        })))
    }

    /// The first occurrence after `at`; `None` if the schedule never occurs.
    pub(super) fn after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Span(span) => at.checked_add(SignedDuration::try_from(*span).ok()?).ok(),
            Self::Cron(cron) => cron.after(at),
        }
    }

    /// `AdjustForDST`: true for cron expressions.
    pub(super) fn adjusts_for_dst(&self) -> bool {
        matches!(self, Self::Cron(_))
    }

    /// Whether it fires more often than once a minute. The host keeps no status for such a timer.
    pub(super) fn is_too_frequent(&self, now: Timestamp) -> bool {
        self.period(now).is_some_and(|period| period < SignedDuration::from_mins(1))
    }

    /// The time between the next two occurrences.
    pub(super) fn period(&self, now: Timestamp) -> Option<SignedDuration> {
        let first = self.after(now)?;
        Some(self.after(first)?.duration_since(first))
    }
}

impl Cron {
    fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let start = Offset::UTC.to_datetime(at);
        let mut date = start.date();
        // Five years contain every combination of weekday and leap day that people write.
        for day in 0..5 * 366 {
            let not_before = if day == 0 { Some(start.time()) } else { None };
            if self.on(date)
                && let Some(time) = self.times().find(|time| not_before.is_none_or(|after| *time > after))
            {
                return Offset::UTC.to_timestamp(date.to_datetime(time)).ok();
            }
            date = date.checked_add(1.day()).ok()?;
        }
        None
    }

    fn on(&self, date: Date) -> bool {
        self.months.contains(&date.month())
            && self.days.contains(&date.day())
            && self.weekdays.contains(&date.weekday().to_sunday_zero_offset())
    }

    fn times(&self) -> impl Iterator<Item = Time> + '_ {
        self.hours.iter().flat_map(move |hour| {
            self.minutes.iter().flat_map(move |minute| {
                self.seconds.iter().filter_map(move |second| Time::new(*hour, *minute, *second, 0).ok())
            })
        })
    }
}

fn field(text: &str, low: i8, high: i8, names: &[&str]) -> Option<BTreeSet<i8>> {
    let number = |text: &str| -> Option<i8> {
        let named = names.iter().position(|name| text.to_lowercase().starts_with(name));
        let value = match named {
            Some(at) => i8::try_from(at).ok()? + low,
            None => text.parse().ok()?,
        };
        (low..=high).contains(&value).then_some(value)
    };
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) => (number(first)?, number(last)?),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        all.extend((first..=last).step_by(step));
    }
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(schedule: &str, at: &str) -> String {
        Schedule::parse(schedule).unwrap().after(at.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_next_occurrence_is_strictly_later() {
        assert_eq!(after("0 */15 * * * *", "2026-03-01T02:15:00Z"), "2026-03-01T02:30:00Z");
        assert_eq!(after("0 0 2 * * 1-5", "2026-11-20T02:00:00Z"), "2026-11-23T02:00:00Z");
        assert_eq!(after("30 4 1 jan *", "2026-03-01T00:00:00Z"), "2027-01-01T04:30:00Z");
        assert_eq!(after("00:05:00", "2026-03-01T02:15:00Z"), "2026-03-01T02:20:00Z");
    }

    #[test]
    fn a_schedule_below_a_minute_keeps_no_status() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(Schedule::parse("*/10 * * * * *").unwrap().is_too_frequent(now));
        assert!(!Schedule::parse("0 * * * * *").unwrap().is_too_frequent(now));
        assert!(Schedule::parse("61 * * * * *").is_none());
        assert!(Schedule::parse("every day").is_none());
    }
}
