//! Attribution: whose row is it? A Qualys account may have several tenants, and a snapshot keeps the rows of one.

use crate::model::SubscriptionId;
use std::collections::{BTreeMap, BTreeSet};

/// Whose a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// This tenant's, by a subscription of its own.
    Subscription(SubscriptionId),
    /// This tenant's, since the account has no other: the row has no subscription, or one that no tenant is known to
    /// own.
    Unattributed,
    OtherTenant,
}

impl Owner {
    /// The owner of a row of `subscription`, for the tenant that has the subscriptions `ours` and had `moved_away`.
    pub(super) fn of(
        subscription: Option<SubscriptionId>,
        ours: &BTreeSet<SubscriptionId>,
        moved_away: &BTreeSet<SubscriptionId>,
        sole_tenant: bool,
    ) -> Self {
        match subscription {
            Some(id) if ours.contains(&id) => Self::Subscription(id),
            Some(id) if moved_away.contains(&id) => Self::OtherTenant,
            _ if sole_tenant => Self::Unattributed,
            _ => Self::OtherTenant,
        }
    }

    pub(super) fn is_ours(self) -> bool {
        self != Self::OtherTenant
    }
}

/// How many rows each owner has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RowCounts {
    pub(super) by_subscription: BTreeMap<SubscriptionId, u64>,
    pub(super) unattributed: u64,
    /// Rows of other tenants.
    pub(super) dropped: u64,
}

impl RowCounts {
    pub(super) fn add(&mut self, owner: Owner) {
        match owner {
            Owner::Subscription(id) => *self.by_subscription.entry(id).or_default() += 1,
            Owner::Unattributed => self.unattributed += 1,
            Owner::OtherTenant => self.dropped += 1,
        }
    }

    pub(super) fn add_all(&mut self, more: Self) {
        let Self { by_subscription, unattributed, dropped } = more;
        for (id, rows) in by_subscription {
            *self.by_subscription.entry(id).or_default() += rows;
        }
        self.unattributed += unattributed;
        self.dropped += dropped;
    }

    pub(super) fn kept(&self) -> u64 {
        self.by_subscription.values().sum::<u64>() + self.unattributed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> SubscriptionId {
        SubscriptionId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_row_is_ours_by_its_subscription_and_any_other_only_where_the_account_has_one_tenant() {
        let (ours, moved_away) = ([id(1), id(2)].into(), [id(4)].into());
        for sole_tenant in [true, false] {
            let of = |subscription| Owner::of(subscription, &ours, &moved_away, sole_tenant);
            assert_eq!(of(Some(id(1))), Owner::Subscription(id(1)));
            let other = if sole_tenant { Owner::Unattributed } else { Owner::OtherTenant };
            assert_eq!((of(Some(id(3))), of(None)), (other, other));
            assert_eq!(of(Some(id(4))), Owner::OtherTenant, "another directory has it");
            assert_eq!(other.is_ours(), sole_tenant);
        }
    }

    #[test]
    fn every_row_is_counted_once_within_a_range_and_over_ranges() {
        let owners = [Owner::Subscription(id(1)), Owner::Subscription(id(1)), Owner::Unattributed];
        let count = |owners: &[Owner]| {
            let mut rows = RowCounts::default();
            for owner in owners {
                rows.add(*owner);
            }
            rows
        };
        let mut rows = count(&owners);
        assert_eq!((rows.kept(), rows.dropped), (3, 0));
        rows.add_all(count(&[Owner::Subscription(id(1)), Owner::Subscription(id(2)), Owner::OtherTenant]));
        assert_eq!((rows.kept(), rows.unattributed, rows.dropped), (5, 1, 1));
        assert_eq!(rows.by_subscription, BTreeMap::from([(id(1), 3), (id(2), 1)]));
    }
}
