//! Each name and path means one thing, and is where it should be.

use super::*;
use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

fn any_time() -> impl Strategy<Value = (Timestamp, u32)> {
    (0i64..4_000_000_000, any::<u32>()).prop_map(|(at, chance)| (Timestamp::from_second(at).unwrap(), chance))
}

fn any_item_name() -> impl Strategy<Value = ItemName> {
    prop_oneof![
        Just(ItemName::Timer),
        Just(ItemName::Secret),
        any::<u128>().prop_map(|id| ItemName::Subscription(SubscriptionId::new(Uuid::from_u128(id)))),
        any_time().prop_map(|(at, chance)| ItemName::Request(RequestId::new(at, chance))),
    ]
}

/// From small ranges, so that two keys often have the same tenant or time.
fn any_key() -> impl Strategy<Value = BlobKey> {
    let tenant = (0u128..2).prop_map(|id| TenantId::new(Uuid::from_u128(id)));
    let time = (0i64..2, 0u32..2).prop_map(|(at, chance)| (Timestamp::from_second(at).unwrap(), chance));
    let name = prop::sample::select(vec!["a", "b", "default", "a.b_c-d"]);
    (0usize..17, tenant, time, name, any_item_name(), 0u32..3).prop_map(
        |(kind, tenant, (at, chance), name, item, part)| {
            let (cycle, request) = (CycleId::new(at, chance), RequestId::new(at, chance));
            let snapshot = SnapshotId::new(at, chance);
            let account: Name = name.parse().unwrap();
            match kind {
                0 => BlobKey::Raw { tenant, snapshot, resource_type: "VIRTUAL_MACHINE".into(), part },
                1 => BlobKey::Manifest(tenant, snapshot),
                2 => BlobKey::Intent(tenant, cycle),
                3 => BlobKey::Audit(tenant, cycle),
                4 => BlobKey::Lease(account),
                5 => BlobKey::Account(account),
                6 => BlobKey::Waiting(account, tenant),
                7 => BlobKey::Latest(tenant),
                8 => BlobKey::Status(tenant),
                9 => BlobKey::State(tenant),
                10 => BlobKey::Plan(tenant),
                11 => BlobKey::WakeUp(tenant),
                12 => BlobKey::InboxItem(tenant, item),
                13 => BlobKey::Request(tenant, request),
                14 => BlobKey::Report(tenant, cycle),
                15 => BlobKey::Poison(tenant, request),
                _ => BlobKey::Doctor(tenant),
            }
        },
    )
}

proptest! {
    #[test]
    fn an_item_is_read_by_the_name_it_has(item in any_item_name()) {
        prop_assert_eq!(item.to_string().parse::<ItemName>(), Ok(item.clone()));
        let tenant = TenantId::new(Uuid::from_u128(1));
        let path = BlobKey::InboxItem(tenant, item.clone()).path();
        let name = path.strip_prefix(&format!("{}/", BlobKey::inbox(tenant))).unwrap();
        prop_assert_eq!(name.parse::<ItemName>(), Ok(item));
    }

    #[test]
    fn whatever_is_read_as_an_item_prints_the_same(text in "(subscription=|request=|timer|secret)[0-9a-fTZ=-]{0,36}") {
        if let Ok(item) = text.parse::<ItemName>() {
            prop_assert_eq!(item.to_string(), text);
        }
    }

    #[test]
    fn two_blobs_never_share_a_place(a in any_key(), b in any_key()) {
        let place = |key: &BlobKey| (key.container().as_str(), key.path());
        prop_assert_eq!(a == b, place(&a) == place(&b));
    }

    #[test]
    fn a_path_goes_down_from_its_tenant_or_account(key in any_key()) {
        let path = key.path();
        prop_assert!(path.starts_with("tenant=") || path.starts_with("account="));
        prop_assert!(path.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.')));
        prop_assert!(path.chars().all(|c| c.is_ascii_alphanumeric() || "/=._-".contains(c)));
    }

    #[test]
    fn a_waiting_tenant_is_read_by_its_name(id: u128) {
        let (tenant, account): (_, Name) = (TenantId::new(Uuid::from_u128(id)), "default".parse().unwrap());
        let path = BlobKey::Waiting(account.clone(), tenant).path();
        let name = path.strip_prefix(&format!("{}/", BlobKey::waiting(&account))).unwrap();
        prop_assert_eq!(name.strip_suffix(".json").unwrap().parse::<TenantId>().unwrap(), tenant);
    }
}
