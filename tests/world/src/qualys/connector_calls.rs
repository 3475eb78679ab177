//! Search, get and errors of connectors.
//!
//! Guarantees: only the documented `EQUALS` on id, name and subscription works, and the id cursor; anything else is
//! `INVALID_REQUEST`.

use jiff::Timestamp;

use crate::clock::{later, seconds};
use crate::net::ask::Ask;
use crate::qualys::connector_json as show;
use crate::qualys::criteria::{IdRange, page};
use crate::qualys::envelope::{Answered, Refused, Rows, success};
use crate::qualys::json::{Mask, WHOLE, row};
use crate::qualys::request::{Criterion, Request};
use crate::qualys::{Connector, Qualys, Shown};
use crate::state::{Shared, State};

/// What a search of connectors can filter on besides ids.
enum Test {
    Name(String),
    Subscription(String),
}

impl Test {
    fn new(criterion: &Criterion) -> Result<Self, Refused> {
        let test = match criterion.field.as_str() {
            "name" => Self::Name(criterion.value.clone()),
            // The first is in Qualys's scripts, the second in its documentation.
            "authRecord.subscriptionId" | "authrecord.subscriptionId" => {
                Self::Subscription(criterion.value.clone())
            }
            _ => return Err(criterion.unknown_field()),
        };
        if criterion.operator == "EQUALS" { Ok(test) } else { Err(criterion.bad_operator()) }
    }

    fn holds(&self, one: &Connector) -> bool {
        match self {
            Self::Name(name) => one.name == *name,
            Self::Subscription(id) => one.subscription_id.eq_ignore_ascii_case(id),
        }
    }
}

/// The subscription's name, which Qualys learns in the first sync.
pub(super) fn subscription_name<'a>(state: &'a State, one: &Connector) -> Option<&'a str> {
    one.last_sync?;
    state.azure.subscriptions.get(&one.subscription_id).map(|subscription| subscription.name.as_str())
}

fn is_listed(qualys: &Qualys, one: &Connector, now: Timestamp) -> bool {
    let manners = &qualys.manners;
    one.shown == Shown::Everywhere
        && (!one.deleted || manners.search_lists_deleted)
        && now >= later(one.created, manners.search_lag)
}

pub(super) fn search(shared: &Shared, ask: &Ask) -> Answered {
    let request = Request::parse(ask)?;
    let mask = Mask::parse(ask.query("fields"));
    shared.with(|state| {
        let (qualys, now) = (&state.qualys, state.now());
        let mut range = IdRange::new(&request.preferences, &qualys.manners);
        let mut tests = Vec::new();
        for criterion in &request.criteria {
            if criterion.field == "id" {
                range.narrow(criterion, false)?;
            } else {
                tests.push(Test::new(criterion)?);
            }
        }
        let mut rows = Rows { more: Some(false), ..Rows::default() };
        if !range.is_empty() {
            let matching = qualys
                .connectors
                .range(range.from..=range.to)
                .map(|(_, one)| one)
                .filter(|one| is_listed(qualys, one, now) && tests.iter().all(|test| test.holds(one)));
            let (found, next) = page(matching, &request.preferences);
            for one in &found {
                show::full(&mut rows.json, qualys, one, subscription_name(state, one), &mask, (false, now));
            }
            rows.count = found.len();
            rows.more = Some(next.is_some());
            let last = found.last().map(|one| one.id);
            rows.last_id = qualys.manners.last_id.of(last, next.map(|one| one.id));
        }
        Ok(success(&qualys.manners, &rows))
    })
}

/// The id at the end of the path.
pub(super) fn path_id(ask: &Ask) -> Result<i64, Refused> {
    let segments = ask.segments();
    let text = segments.last().copied().unwrap_or_default();
    text.parse().map_err(|_| Refused::not_found(text))
}

/// The connector, if it exists and was not deleted.
pub(super) fn existing(qualys: &Qualys, id: i64) -> Result<&Connector, Refused> {
    qualys.connectors.get(&id).filter(|one| !one.deleted).ok_or_else(|| Refused::not_found(&id.to_string()))
}

pub(super) fn get(shared: &Shared, ask: &Ask) -> Answered {
    let id = path_id(ask)?;
    let mask = Mask::parse(ask.query("fields"));
    shared.with(|state| {
        let one = existing(&state.qualys, id)?;
        if one.shown == Shown::Nowhere {
            return Err(Refused::not_found(&id.to_string()));
        }
        let mut rows = Rows { count: 1, ..Rows::default() };
        let at = (true, state.now());
        show::full(&mut rows.json, &state.qualys, one, subscription_name(state, one), &mask, at);
        Ok(success(&state.qualys.manners, &rows))
    })
}

/// The errors of one connector, newest last. It is unknown whether old rows stay; here they do.
pub(super) fn errors(shared: &Shared, ask: &Ask) -> Answered {
    let request = Request::parse(ask)?;
    let [criterion] = request.criteria.as_slice() else {
        return Err(Refused::invalid(
            "Criteria: exactly one, on id, is needed.",
            "Filter on the connector's id.",
        ));
    };
    if criterion.field != "id" {
        return Err(criterion.unknown_field());
    }
    if criterion.operator != "EQUALS" {
        return Err(criterion.bad_operator());
    }
    let id = criterion.long()?;
    shared.with(|state| {
        let all = state.qualys.connectors.get(&id).map(|one| one.errors.as_slice()).unwrap_or_default();
        let (found, next) = page(all.iter(), &request.preferences);
        let mut rows = Rows { count: found.len(), more: Some(next.is_some()), ..Rows::default() };
        for (at, text) in found {
            row(&mut rows.json, state.qualys.manners.error_row_name, &WHOLE, |object| {
                object.put("errorMessage", text);
                object.put("created", seconds(*at));
            });
        }
        Ok(success(&state.qualys.manners, &rows))
    })
}
