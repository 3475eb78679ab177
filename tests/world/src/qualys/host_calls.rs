//! Search, count and get of host assets.
//!
//! Guarantees: the rows of a page are chosen under the lock; the page is written outside it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::net::ask::Ask;
use crate::qualys::criteria::{IdRange, page};
use crate::qualys::envelope::{Answered, Refused, Rows, success};
use crate::qualys::json::Mask;
use crate::qualys::request::{Criterion, Request};
use crate::qualys::{Host, Qualys, connector_calls, host_json};
use crate::state::Shared;

/// What a search of hosts can filter on besides ids.
enum Test {
    Provider(String),
    Tag(i64),
    TagName(String),
    Name(String),
    NameContains(String),
    Tracking(String),
    UpdatedAfter(Timestamp),
    UpdatedBefore(Timestamp),
    CreatedAfter(Timestamp),
    CreatedBefore(Timestamp),
}

impl Test {
    fn new(criterion: &Criterion) -> Result<Self, Refused> {
        let value = || criterion.value.clone();
        let time = || {
            criterion.value.trim().parse::<Timestamp>().map_err(|_| {
                Refused::invalid(
                    format!(
                        "Criteria: Invalid value format for criteria '{}' ({}).",
                        criterion.field, criterion.value
                    ),
                    "Specify criteria value(s) as UTC date.",
                )
            })
        };
        Ok(match (criterion.field.as_str(), criterion.operator.as_str()) {
            ("cloudProviderType", "EQUALS") => Self::Provider(value()),
            ("tagId", "EQUALS") => Self::Tag(criterion.long()?),
            ("tagName", "EQUALS") => Self::TagName(value()),
            ("name", "EQUALS") => Self::Name(value()),
            ("name", "CONTAINS") => Self::NameContains(value()),
            ("trackingMethod", "EQUALS") => Self::Tracking(value()),
            ("updated", "GREATER") => Self::UpdatedAfter(time()?),
            ("updated", "LESSER") => Self::UpdatedBefore(time()?),
            ("created", "GREATER") => Self::CreatedAfter(time()?),
            ("created", "LESSER") => Self::CreatedBefore(time()?),
            (
                "cloudProviderType" | "tagId" | "tagName" | "name" | "trackingMethod" | "updated" | "created",
                _,
            ) => {
                return Err(criterion.bad_operator());
            }
            _ => return Err(criterion.unknown_field()),
        })
    }

    fn holds(&self, host: &Host, qualys: &Qualys) -> bool {
        match self {
            Self::Provider(provider) => host.is_of(provider),
            Self::Tag(id) => host.tags.contains(id),
            Self::TagName(name) => host.tags.iter().any(|id| qualys.tags.get(id) == Some(name)),
            Self::Name(name) => host.name == *name,
            Self::NameContains(part) => host.name.contains(part),
            Self::Tracking(method) => host.tracking_method == *method,
            Self::UpdatedAfter(at) => host.modified > *at,
            Self::UpdatedBefore(at) => host.modified < *at,
            Self::CreatedAfter(at) => host.created > *at,
            Self::CreatedBefore(at) => host.created < *at,
        }
    }
}

/// The criteria, and whether none can match.
fn compile(qualys: &Qualys, request: &Request) -> Result<(IdRange, Vec<Test>), Refused> {
    let mut range = IdRange::new(&request.preferences, &qualys.manners);
    let mut tests = Vec::new();
    for criterion in &request.criteria {
        if criterion.field == "id" {
            range.narrow(criterion, true)?;
        } else {
            tests.push(Test::new(criterion)?);
        }
    }
    Ok((range, tests))
}

fn matching<'a>(
    qualys: &'a Qualys,
    range: &'a IdRange,
    tests: &'a [Test],
) -> impl Iterator<Item = &'a Arc<Host>> {
    let (from, to) = if range.is_empty() { (0, -1) } else { (range.from, range.to) };
    let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Included(to.max(from)));
    let none = range.is_empty();
    qualys
        .hosts
        .range(bounds)
        .map(|(_, host)| host)
        .filter(move |host| !none && range.lets(host.id) && tests.iter().all(|test| test.holds(host, qualys)))
}

pub(super) fn search(shared: &Shared, ask: &Ask) -> Answered {
    let request = Request::parse(ask)?;
    let mask = Mask::parse(ask.query("fields"));
    let (found, next, manners, tags) = shared.with(|state| {
        let (range, tests) = compile(&state.qualys, &request)?;
        let (found, next) = page(matching(&state.qualys, &range, &tests).cloned(), &request.preferences);
        Ok((found, next, state.qualys.manners.clone(), state.qualys.tags.clone()))
    })?;
    let mut rows = Rows { json: Vec::with_capacity(found.len() * 1_200), ..Rows::default() };
    for host in &found {
        host_json::full(&mut rows.json, host, &tags, manners.ids_as_strings, &mask);
    }
    rows.count = found.len();
    rows.more = Some(next.is_some());
    rows.last_id = manners.last_id.of(found.last().map(|host| host.id), next.map(|host| host.id));
    Ok(success(&manners, &rows))
}

pub(super) fn count(shared: &Shared, ask: &Ask) -> Answered {
    let request = Request::parse(ask)?;
    shared.with(|state| {
        let (range, tests) = compile(&state.qualys, &request)?;
        let count = matching(&state.qualys, &range, &tests).count();
        Ok(success(&state.qualys.manners, &Rows { count, ..Rows::default() }))
    })
}

pub(super) fn get(shared: &Shared, ask: &Ask) -> Answered {
    let id = connector_calls::path_id(ask)?;
    let mask = Mask::parse(ask.query("fields"));
    shared.with(|state| {
        let host = state.qualys.hosts.get(&id).ok_or_else(|| Refused::not_found(&id.to_string()))?;
        let mut rows = Rows { count: 1, ..Rows::default() };
        host_json::full(&mut rows.json, host, &state.qualys.tags, state.qualys.manners.ids_as_strings, &mask);
        Ok(success(&state.qualys.manners, &rows))
    })
}
