//! Search of tags, for clients that look up a tag's id by its name.

use crate::net::ask::Ask;
use crate::qualys::criteria::{IdRange, page};
use crate::qualys::envelope::{Answered, Rows, success};
use crate::qualys::json::{WHOLE, row};
use crate::qualys::request::Request;
use crate::state::Shared;

pub(super) fn search(shared: &Shared, ask: &Ask) -> Answered {
    let request = Request::parse(ask)?;
    shared.with(|state| {
        let qualys = &state.qualys;
        let mut range = IdRange::new(&request.preferences, &qualys.manners);
        let mut names = Vec::new();
        for criterion in &request.criteria {
            match (criterion.field.as_str(), criterion.operator.as_str()) {
                ("id", _) => range.narrow(criterion, true)?,
                ("name", "EQUALS") => names.push(&criterion.value),
                ("name", _) => return Err(criterion.bad_operator()),
                _ => return Err(criterion.unknown_field()),
            }
        }
        let matching = qualys.tags.iter().filter(|(id, name)| {
            (range.from..=range.to).contains(*id)
                && range.lets(**id)
                && names.iter().all(|wanted| wanted == name)
        });
        let (found, next) = page(matching, &request.preferences);
        let last_id = found.last().map(|(id, _)| **id);
        let mut rows = Rows { count: found.len(), more: Some(next.is_some()), last_id, ..Rows::default() };
        for (id, name) in found {
            row(&mut rows.json, "Tag", &WHOLE, |object| {
                object.id("id", *id, qualys.manners.ids_as_strings);
                object.put("name", name);
            });
        }
        Ok(success(&qualys.manners, &rows))
    })
}
