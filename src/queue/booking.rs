//! A tenant's booking, `wake-up.json`, and what each event makes of it: pure.
//!
//! Messages only knock; the booking decides. A message starts a cycle when it was sent for the booked time, when it is the
//! one of the cycle that runs (or was killed), or when the booked time has come. Any other is dropped, and none is ever sent
//! on: so stray messages die out, and there are never more cycles than bookings.

use super::{LONGEST_POLL, REDELIVERY};
use crate::model::{Correction, Dated, after, elapsed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A wake-up this long past its time (2 minutes) counts as lost: by then the queue has shown the message of a killed handler
/// again, and the host has looked.
const LOST_AFTER: Duration = REDELIVERY.saturating_add(LONGEST_POLL);
/// The furthest that a wake-up is booked ahead: no pause of Qualys lasts longer. A booking further ahead was made by a clock
/// that was ahead, and is not pending.
const FURTHEST: Duration = Duration::from_hours(24);

/// `wake-up.json`: when a tenant's next cycle is due.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Booking {
    pub schema_version: u32,
    /// When the next cycle is due; none when no wake-up is pending.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub due: Option<Timestamp>,
    /// Whether the message for `due` may not have been sent: it is saved so before that. If a kill comes in between, whoever
    /// wants a cycle next sends it.
    #[serde(default)]
    pub unsent: bool,
    /// The message for `due` came while the account was held, and is gone. The end of that visit sends another.
    #[serde(default)]
    pub missed: bool,
    /// A later time that was booked before `due` was. Its message is still on its way, so whoever wants this time again
    /// sends none: a wait of many cycles (a pause, a gap) has one message and not one of each cycle.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub later: Option<Timestamp>,
    /// The time of the message whose cycle runs. It stays when the cycle is killed: then the queue delivers the message again,
    /// and it counts.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub running: Option<Timestamp>,
    /// When the tenant's last cycle started.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_start: Option<Timestamp>,
}

impl Dated for Booking {
    fn correct(&mut self, correction: &mut Correction) {
        // Wake-ups are in the future. Their times tell messages apart, and one more than a day ahead is not pending.
        let Self { schema_version: _, due: _, unsent: _, missed: _, later: _, running: _, last_start } = self;
        correction.past(last_start);
    }
}

/// What an event makes of a booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// It stays as it is.
    Keep,
    Save(Booking),
    /// It is saved as unsent; only then a message is sent for this moment, when it is due; then it is saved as sent.
    Send(Booking, Timestamp),
}

/// What became of the wish for a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booked {
    /// A message is on its way for this moment.
    Sent(Timestamp),
    /// A wake-up at this moment, early enough, is already pending.
    Pending(Timestamp),
}

/// What a message that arrives is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It may start a cycle. It was sent for this moment.
    Counts(Timestamp),
    /// Nothing: another wake-up took its place.
    Stray,
    /// There was no booking, or the message has no time: as by a trigger, a wake-up was booked for this moment.
    Booked(Timestamp),
}

/// Whether a cycle may start on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    /// The gap after the last start is not over: a wake-up is booked for this moment.
    Later(Timestamp),
    /// Another cycle has started in its place meanwhile.
    Stray,
}

/// When an event comes, and how far apart the starts of cycles are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) gap: Duration,
}

impl Booking {
    /// A cycle is wanted at `at`, or at the end of the gap after the last start, whichever is later.
    pub(super) fn wanted(self, at: Timestamp, moment: Moment) -> (Step, Booked) {
        let at = at.max(self.gap_end(moment).unwrap_or(moment.now)).min(after(moment.now, FURTHEST));
        match self.due.filter(|due| *due <= at && !self.is_lost(moment.now)) {
            Some(due) if self.unsent => (Step::Send(self, due), Booked::Sent(due)),
            Some(due) => (Step::Keep, Booked::Pending(due)),
            None => (self.book(at, moment.now), Booked::Sent(at)),
        }
    }

    /// The message for `due` was sent.
    pub(super) fn sent(stored: Option<Self>, due: Timestamp) -> Step {
        match stored {
            Some(booking) if booking.unsent && booking.due == Some(due) => {
                Step::Save(Self { unsent: false, ..booking })
            }
            _ => Step::Keep,
        }
    }

    /// A message arrived that was sent for the moment `message`.
    pub(super) fn arrives(
        stored: Option<Self>,
        message: Option<Timestamp>,
        moment: Moment,
    ) -> (Step, Arrival) {
        // An older program's message may be the one of its own booking.
        let passed = stored.as_ref().and_then(|booking| booking.due).filter(|due| *due <= moment.now);
        let (Some(booking), Some(message)) = (stored.clone(), message.or(passed)) else {
            let (step, booked) = stored.unwrap_or_default().wanted(moment.now, moment);
            let (Booked::Sent(at) | Booked::Pending(at)) = booked;
            return (step, Arrival::Booked(at));
        };
        if booking.counts(message, moment.now) {
            return (Step::Keep, Arrival::Counts(message));
        }
        // From now on, whoever wants that time again must send another.
        let is_later = booking.later == Some(message);
        let step = if is_later { Step::Save(Self { later: None, ..booking }) } else { Step::Keep };
        (step, Arrival::Stray)
    }

    /// A message that counts would start a cycle, and the account is ours.
    pub(super) fn starts(stored: Option<Self>, message: Timestamp, moment: Moment) -> (Step, Start) {
        // A booking that was lost since the message arrived holds nothing against it.
        if stored.as_ref().is_some_and(|booking| !booking.counts(message, moment.now)) {
            return (Step::Keep, Start::Stray);
        }
        let booking = stored.unwrap_or_default();
        if let Some(end) = booking.gap_end(moment) {
            let (step, at) = booking.put_off(message, end, moment.now);
            return (step, Start::Later(at));
        }
        let rest = booking.without(message, moment.now);
        let started = Self { running: Some(message), last_start: Some(moment.now), ..rest };
        (Step::Save(started), Start::Now)
    }

    /// A message that counts is used up, and its cycle waits until `until`.
    pub(super) fn postponed(
        stored: Option<Self>,
        message: Timestamp,
        until: Timestamp,
        moment: Moment,
    ) -> Step {
        match stored {
            Some(booking) if !booking.counts(message, moment.now) => Step::Keep,
            stored => stored.unwrap_or_default().put_off(message, until, moment.now).0,
        }
    }

    /// A message that counts came while a visit of the same tenant, which began at `since`, holds the account. The message is
    /// gone; the end of that visit makes up for it.
    pub(super) fn missed(stored: Option<Self>, message: Timestamp, since: Timestamp, moment: Moment) -> Step {
        let now = moment.now;
        // Whoever holds the account alone writes the last start. So it was that visit which this message started already.
        let is_a_copy =
            |booking: &Self| booking.running == Some(message) && booking.last_start >= Some(since);
        match stored {
            Some(booking) if booking.missed || is_a_copy(&booking) || !booking.counts(message, now) => {
                Step::Keep
            }
            stored => {
                let booking = stored.unwrap_or_default();
                let others = [booking.due.filter(|_| !booking.unsent), booking.later].into_iter().flatten();
                let later = others.filter(|time| *time > now && *time != message).max();
                let due = booking.due.filter(|due| *due <= now).or(Some(now));
                Step::Save(Self { due, unsent: false, missed: true, later, ..booking })
            }
        }
    }

    /// A visit has ended. A wake-up that was dropped because of it, or is lost, is booked anew; items that the latest cycle did
    /// not list get one; and one that a kill kept from being sent is sent.
    pub(super) fn visit_ended(stored: Option<Self>, has_new_items: bool, moment: Moment) -> Step {
        let booking = stored.unwrap_or_default();
        if booking.missed || booking.is_lost(moment.now) {
            let at = booking.gap_end(moment).unwrap_or(moment.now);
            return booking.book(at, moment.now);
        }
        if has_new_items {
            return booking.wanted(moment.now, moment).0;
        }
        match booking.due.filter(|due| booking.unsent && *due <= after(moment.now, FURTHEST)) {
            Some(due) => Step::Send(booking, due),
            None => Step::Keep,
        }
    }

    /// The cycle that this message started has ended, and has written down what it did.
    pub(super) fn cycle_ended(stored: Option<Self>, message: Timestamp) -> Step {
        match stored {
            Some(booking) if booking.running == Some(message) => {
                Step::Save(Self { running: None, ..booking })
            }
            _ => Step::Keep,
        }
    }

    /// Whether a message that was sent for the moment `message` may start a cycle.
    fn counts(&self, message: Timestamp, now: Timestamp) -> bool {
        let is_ours = [self.due, self.running].contains(&Some(message));
        // A wake-up whose time has come may be the one that was saved and never sent. Then any other message will do.
        is_ours || self.due.is_some_and(|due| due <= now)
    }

    /// Whether the message for `due` should have arrived and has not.
    fn is_lost(&self, now: Timestamp) -> bool {
        self.due.is_some_and(|due| elapsed(now, due) >= LOST_AFTER)
    }

    /// The end of the gap after the last start, while it is not over.
    fn gap_end(&self, Moment { now, gap }: Moment) -> Option<Timestamp> {
        self.last_start.map(|start| after(start, gap)).filter(|end| *end > now)
    }

    /// What is left without this message, and without a booking whose time has come: the message serves that one, too.
    fn without(self, message: Timestamp, now: Timestamp) -> Self {
        let is_to_come = |time: &Timestamp| *time > now && *time != message;
        let running = self.running.filter(|running| *running != message);
        let (due, later) = (self.due.filter(is_to_come), self.later.filter(is_to_come));
        Self { due, later, running, unsent: self.unsent && due.is_some(), missed: false, ..self }
    }

    /// The message is used up: a wake-up at `until`, or an earlier one that is to come, takes its place.
    fn put_off(self, message: Timestamp, until: Timestamp, now: Timestamp) -> (Step, Timestamp) {
        let rest = self.without(message, now);
        match rest.due.filter(|due| *due <= until) {
            Some(due) => (Step::Save(rest), due),
            None => (rest.book(until, now), until),
        }
    }

    /// Books this time in place of what was booked.
    fn book(self, at: Timestamp, now: Timestamp) -> Step {
        let on_its_way = self.later == Some(at) && at > now;
        let others = [self.due.filter(|_| !self.unsent), self.later].into_iter().flatten();
        let later = others.filter(|time| *time > at.max(now) && *time <= after(now, FURTHEST)).max();
        let booked = Self { due: Some(at), unsent: !on_its_way, missed: false, later, ..self };
        if on_its_way { Step::Save(booked) } else { Step::Send(booked, at) }
    }
}

#[cfg(test)]
mod tests;
