//! The mark: how a connector says which deployment made it.

use super::{Name, SubscriptionId, TenantId};
use std::fmt;

const PREFIX: &str = "managed-by: qualys-azure-inventory ";

/// A line of a connector's description: `managed-by: qualys-azure-inventory <deployment>/<directory>/<subscription>`.
///
/// It names the subscription that the connector was made for, so that a copied description does not make a connector ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub deployment: Name,
    pub tenant: TenantId,
    pub subscription: SubscriptionId,
}

impl Mark {
    /// The mark in a description; none if it has no mark, or two that differ.
    pub fn find(description: &str) -> Option<Self> {
        let mut marks = description.lines().filter_map(Self::of_line);
        let first = marks.next()?;
        marks.all(|other| other == first).then_some(first)
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut parts = line.trim().strip_prefix(PREFIX)?.trim().split('/');
        let mark = Self {
            deployment: parts.next()?.parse().ok()?,
            tenant: parts.next()?.parse().ok()?,
            subscription: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(mark)
    }

    /// The description with this mark as its last line, and with no other: a subscription's name may look like a mark.
    pub fn sign(&self, description: &str) -> String {
        let description = description.replace(PREFIX, &PREFIX.replace(':', ""));
        if description.is_empty() { self.to_string() } else { format!("{description}\n{self}") }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}/{}", self.deployment, self.tenant, self.subscription)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn mark(subscription: u128) -> Mark {
        Mark {
            deployment: "default".parse().unwrap(),
            tenant: TenantId::new(Uuid::from_u128(7)),
            subscription: SubscriptionId::new(Uuid::from_u128(subscription)),
        }
    }

    proptest! {
        #[test]
        fn a_mark_that_is_printed_is_found_below_any_text(
            deployment in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}", tenant: u128, subscription: u128, text in "(?s).{0,80}",
        ) {
            let mark = Mark {
                deployment: deployment.parse().unwrap(),
                tenant: TenantId::new(Uuid::from_u128(tenant)),
                subscription: SubscriptionId::new(Uuid::from_u128(subscription)),
            };
            prop_assert_eq!(Mark::find(&mark.to_string()), Some(mark.clone()));
            prop_assert_eq!(Mark::find(&mark.sign(&text)), Some(mark));
        }
    }

    #[test]
    fn a_description_that_holds_a_mark_is_signed_by_ours_alone() {
        for forged in [mark(2).to_string(), format!("one\n{} \r\n", mark(2)), mark(1).to_string()] {
            assert_eq!(Mark::find(&mark(1).sign(&forged)), Some(mark(1)), "{forged}");
        }
    }

    #[test]
    fn two_marks_that_differ_are_none() {
        let both = format!("{}\n{}", mark(1), mark(2));
        assert_eq!(Mark::find(&both), None);
        assert_eq!(Mark::find(&format!("{}\r\n{}", mark(1), mark(1))), Some(mark(1)));
    }

    #[test]
    fn a_mark_with_a_part_too_many_or_too_few_is_none() {
        assert_eq!(Mark::find(&format!("{}/x", mark(1))), None);
        assert_eq!(Mark::find("managed-by: qualys-azure-inventory default"), None);
    }
}
