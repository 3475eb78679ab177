//! The content of a QPS request: criteria, page, data.

use serde_json::Value;

use crate::net::ask::Ask;
use crate::qualys::envelope::Refused;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Criterion {
    pub(super) field: String,
    pub(super) operator: String,
    pub(super) value: String,
}

impl Criterion {
    /// The value as a number. The text of the refusal was recorded in 2020 on US3.
    pub(super) fn long(&self) -> Result<i64, Refused> {
        self.value.trim().parse().map_err(|_| {
            Refused::invalid(
                format!("Criteria: Invalid value format for criteria '{}' ({}).", self.field, self.value),
                "Specify criteria value(s) as Long.",
            )
        })
    }

    pub(super) fn unknown_field(&self) -> Refused {
        Refused::invalid(format!("Criteria: Unknown field '{}'.", self.field), "Specify a documented field.")
    }

    pub(super) fn bad_operator(&self) -> Refused {
        Refused::invalid(
            format!("Criteria: Operator '{}' is not allowed for field '{}'.", self.operator, self.field),
            "Specify an operator that the field supports.",
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preferences {
    pub(super) limit: usize,
    /// Records to skip. `startFromOffset` counts from 1 (recorded in 2022 on US3).
    pub(super) skip: usize,
    pub(super) start_from_id: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) criteria: Vec<Criterion>,
    pub(super) preferences: Preferences,
    pub(super) body: Value,
}

impl Request {
    pub(super) fn parse(ask: &Ask) -> Result<Self, Refused> {
        let body = if ask.body.is_empty() {
            Value::Null
        } else {
            ask.json()
                .map_err(|error| Refused::invalid(format!("Invalid JSON: {error}"), "Send valid JSON."))?
        };
        Ok(Self { criteria: criteria_of(&body)?, preferences: preferences_of(&body)?, body })
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// The criteria, which are a list or a single object.
pub(super) fn criteria_of(body: &Value) -> Result<Vec<Criterion>, Refused> {
    let Some(criteria) = body.pointer("/ServiceRequest/filters/Criteria") else { return Ok(Vec::new()) };
    let rows = criteria.as_array().map_or_else(|| vec![criteria], |rows| rows.iter().collect());
    let one = |row: &Value| {
        let member = |key: &str| row.get(key).map(text);
        match (member("field"), member("operator"), member("value")) {
            (Some(field), Some(operator), Some(value)) => Ok(Criterion { field, operator, value }),
            _ => {
                Err(Refused::invalid("Criteria: field, operator and value are needed.", "Specify all three."))
            }
        }
    };
    rows.into_iter().map(one).collect()
}

fn preferences_of(body: &Value) -> Result<Preferences, Refused> {
    let number = |key: &str| {
        let value = body.pointer("/ServiceRequest/preferences").and_then(|all| all.get(key))?;
        Some(text(value).trim().parse::<i64>().map_err(|_| {
            Refused::invalid(format!("Preferences: Invalid value for '{key}'."), "Specify the value as Long.")
        }))
    };
    let limit = number("limitResults").transpose()?.unwrap_or(100);
    // Documented: 1 to 1,000, by default 100.
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=1_000).contains(limit)).ok_or_else(|| {
        Refused::invalid(format!("Preferences: limitResults {limit} is out of range."), "Specify 1 to 1000.")
    })?;
    let offset = number("startFromOffset").transpose()?.unwrap_or(1);
    let skip = usize::try_from(offset - 1).map_err(|_| {
        Refused::invalid(
            format!("Preferences: startFromOffset {offset} is out of range."),
            "Specify 1 or more.",
        )
    })?;
    Ok(Preferences { limit, skip, start_from_id: number("startFromId").transpose()? })
}
