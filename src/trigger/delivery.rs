//! What a delivery of events asks for: the inbox items to leave, and what was ignored, counted.

use super::body::BodyDigest;
use super::events::{self, Event, EventSubject};
use super::rejected::Rejected;
use crate::host::Invocation;
use crate::model::TenantId;
use crate::store::ItemName;
use std::collections::BTreeMap;
use std::fmt;
use tracing::{info, warn};

/// Kinds of ignored events that the log names. A delivery has one or two; a longer line would help nobody.
const MOST_KINDS: usize = 10;

/// Which events count, and what they are about.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) function: &'static str,
    pub(super) tenant: TenantId,
    /// Topics and sources whose events count.
    pub(super) sources: Vec<String>,
    pub(super) about: fn(&Event, TenantId) -> EventSubject,
}

/// What a delivery asks for.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// The items to leave, and which trigger and event ask for each.
    pub(super) items: BTreeMap<ItemName, String>,
    pub(super) ignored: Ignored,
}

/// The ignored events of a delivery, by type and reason.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    count: usize,
    kinds: BTreeMap<(String, &'static str), usize>,
    not_events: usize,
}

impl Delivery {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is not an envelope, or has too many events. Then nothing of it counts.
    pub(super) fn read(body: &[u8], wanted: &Wanted) -> Result<Self, Rejected> {
        let reject = |why| Rejected { why, body: Some(BodyDigest::of(body)) };
        let invocation = Invocation::parse(body).map_err(reject)?;
        let mut delivery = Self::default();
        let take = &mut |event: Option<Event>| delivery.take(event, wanted);
        events::read(&invocation.payload().unwrap_or("null".into()), take)
            .map_err(|too_many| reject(too_many.to_string()))?;
        Ok(delivery)
    }

    fn take(&mut self, event: Option<Event>, wanted: &Wanted) {
        let Some(event) = event else { return self.ignored.not_an_event() };
        let kind = event.kind_for_log();
        let subject = if event.is_from(&wanted.sources) {
            (wanted.about)(&event, wanted.tenant)
        } else {
            EventSubject::Ignored("EVENT_SOURCES does not name its source")
        };
        let name = match subject {
            EventSubject::Subscription(id) => ItemName::Subscription(id),
            EventSubject::Secret => ItemName::Secret,
            EventSubject::Ignored(why) => return self.ignored.event(kind, why),
        };
        self.items.entry(name).or_insert_with(|| format!("{}: {kind}", wanted.function));
    }
}

impl Ignored {
    fn event(&mut self, kind: String, why: &'static str) {
        self.count += 1;
        let named = self.kinds.len();
        if let Some(count) = self.kinds.get_mut(&(kind.clone(), why)) {
            *count += 1;
        } else if named < MOST_KINDS {
            self.kinds.insert((kind, why), 1);
        }
    }

    fn not_an_event(&mut self) {
        self.count += 1;
        self.not_events += 1;
    }

    /// One line for the whole delivery; none if nothing was ignored.
    pub(super) fn log(&self) {
        let Self { count, not_events, .. } = self;
        match (count, not_events) {
            (0, _) => {}
            (_, 0) => info!(ignored = count, "{self}"),
            _ => warn!(ignored = count, not_events, "{self}"),
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 1 {
            return match self.kinds.first_key_value() {
                Some(((kind, why), _)) => write!(f, "Ignored an event of type `{kind}`: {why}"),
                None => write!(f, "Ignored an input that is not an event"),
            };
        }
        write!(f, "Ignored {} events", self.count)?;
        for (number, ((kind, why), count)) in self.kinds.iter().enumerate() {
            write!(f, "{} {count} of type `{kind}`: {why}", if number == 0 { ":" } else { ";" })?;
        }
        if self.not_events > 0 {
            write!(f, "; {} are not events", self.not_events)?;
        }
        match self.count - self.not_events - self.kinds.values().sum::<usize>() {
            0 => Ok(()),
            others => write!(f, "; {others} of other types"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    fn read(events: &[Value]) -> Result<Delivery, Rejected> {
        let wanted = Wanted {
            function: "subscription-event",
            tenant: TenantId::new(Uuid::from_u128(1)),
            sources: vec!["/vending".to_owned()],
            about: events::about_subscriptions,
        };
        Delivery::read(json!({ "Data": { "event": events } }).to_string().as_bytes(), &wanted)
    }

    fn created(number: u128, source: &str) -> Value {
        json!({ "specversion": "1.0", "type": "com.x.subscription.created", "source": source,
            "data": { "subscriptionId": Uuid::from_u128(number).to_string() } })
    }

    #[test]
    fn what_is_ignored_is_counted_and_said_in_one_line() {
        let mut events = vec![created(7, "/vending"), created(7, "/vending"), json!(7)];
        events.extend((0..300).map(|number| created(number, "/elsewhere")));
        events.extend(
            (0..20).map(|number| json!({ "eventType": format!("t{number:02}"), "topic": "/vending" })),
        );
        let delivery = read(&events).unwrap_or_default();
        assert_eq!(delivery.items.len(), 1);
        let said = delivery.ignored.to_string();
        let begin = "Ignored 321 events: 300 of type `com.x.subscription.created`: EVENT_SOURCES does not name its source; \
            1 of type `t00`: its type is not about subscriptions; ";
        assert!(said.starts_with(begin) && said.ends_with("; 1 are not events; 11 of other types"), "{said}");
        assert!(said.len() < 1000 && !said.contains('\n'), "{said}");
        let one = read(&[json!(null)]).unwrap_or_default();
        assert_eq!(one.ignored.to_string(), "Ignored an input that is not an event");
    }

    #[test]
    fn of_a_delivery_with_too_many_events_nothing_counts() {
        let mut events = vec![created(7, "/vending")];
        events.extend(vec![json!({}); events::MOST_EVENTS]);
        let rejected = read(&events).map(|_| ()).map_err(|rejected| (rejected.why, rejected.body.is_some()));
        let why = "a delivery of more than 10000 events: send it in smaller batches".to_owned();
        assert_eq!(rejected, Err((why, true)));
    }
}
