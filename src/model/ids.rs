//! Ids as types, so that two of them are never swapped.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct IdError {
    text: String,
    wanted: &'static str,
}

impl IdError {
    fn new(text: &str, wanted: &'static str) -> Self {
        // Only the start of what was sent is repeated: it may be long, and it may be a secret in the wrong place.
        let short: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
        Self { text: if short.len() < text.len() { format!("{short}…") } else { short }, wanted }
    }
}

macro_rules! guid {
    ($(#[$doc:meta])* $name:ident, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn new(value: Uuid) -> Self {
                Self(value)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let trimmed = text.trim();
                // Azure writes GUIDs with hyphens and nothing else; other forms are typing errors here.
                if trimmed.len() != 36 {
                    return Err(IdError::new(text, $wanted));
                }
                Uuid::try_parse(trimmed).map(Self).map_err(|_| IdError::new(text, $wanted))
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

guid!(
    /// A Microsoft Entra directory.
    TenantId,
    "a directory id (a GUID, for example 11111111-2222-3333-4444-555555555555)"
);
guid!(
    /// An Azure subscription.
    SubscriptionId,
    "a subscription id (a GUID, for example 11111111-2222-3333-4444-555555555555)"
);
guid!(
    /// An application (client) id of the service principal that Qualys uses.
    AppId,
    "an application id (a GUID, for example 11111111-2222-3333-4444-555555555555)"
);

/// A Qualys connector's number. No source says how large it can be, so it has 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ConnectorId(pub i64);

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! stamped {
    ($(#[$doc:meta])* $name:ident, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id of what begins at `at`; `chance` distinguishes two that begin in the same second. Ids sort by
            /// time.
            pub fn new(at: Timestamp, chance: u32) -> Self {
                Self(format!("{}-{chance:08x}", at.strftime("%Y%m%dT%H%M%SZ")))
            }
            /// The day on which it began, as in the names of the audit's folders: `2026-11-23`.
            pub fn date(&self) -> String {
                format!("{}-{}-{}", &self.0[..4], &self.0[4..6], &self.0[6..8])
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_stamp(text) { Ok(Self(text.to_owned())) } else { Err(IdError::new(text, $wanted)) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

stamped!(
    /// A cycle.
    CycleId,
    "a cycle id (for example 20261123T040500Z-1f2e3d4c)"
);
stamped!(
    /// A snapshot.
    SnapshotId,
    "a snapshot id (for example 20261123T040500Z-1f2e3d4c)"
);
stamped!(
    /// A request of a person or a pipeline.
    RequestId,
    "a request id (for example 20261123T040500Z-1f2e3d4c)"
);

/// `20261123T040500Z-1f2e3d4c`. An id becomes part of a path, so nothing else may pass.
fn is_stamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 25
        && bytes.iter().enumerate().all(|(i, b)| match i {
            8 => *b == b'T',
            15 => *b == b'Z',
            16 => *b == b'-',
            17.. => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            _ => b.is_ascii_digit(),
        })
}

/// The name of a deployment or an account. It becomes part of marks and paths, so only letters, digits, `.`, `_` and `-` may
/// be in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl FromStr for Name {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        // 64 leaves room for the customer's own description beside the mark.
        let fits = (1..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new(
                text,
                "a name of 1 to 64 letters, digits, `.`, `_` or `-` that starts with a letter or digit",
            ))
        }
    }
}
impl TryFrom<String> for Name {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}
impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_hyphenated_form_is_a_guid_and_it_prints_in_lower_case() {
        let id: SubscriptionId = "AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee".parse().unwrap();
        assert_eq!(id.to_string(), "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
        for bad in ["", "x", "{aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee}", "aaaaaaaabbbbccccddddeeeeeeeeeeee"] {
            assert!(bad.parse::<SubscriptionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_never_paths() {
        for bad in ["../../../etc/passwd-00000", "20261123T040500Z-1F2E3D4C", "20261123T040500Z/1f2e3d4c", ""]
        {
            assert!(bad.parse::<RequestId>().is_err(), "{bad}");
        }
        for bad in ["", "a/b", "..", ".hidden", "ü", &"a".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_repeats_only_the_start_of_what_was_sent() {
        let error = "s3cret".repeat(40).parse::<TenantId>().unwrap_err().to_string();
        assert!(error.len() < 150, "{error}");
    }

    /// An id that is printed, or stored as JSON, is read back as the same id.
    fn comes_back<T>(id: &T) -> Result<(), TestCaseError>
    where
        T: FromStr<Err = IdError>
            + fmt::Display
            + fmt::Debug
            + PartialEq
            + Serialize
            + serde::de::DeserializeOwned,
    {
        prop_assert_eq!(&id.to_string().parse::<T>().unwrap(), id);
        let stored = serde_json::to_string(id).unwrap();
        prop_assert_eq!(&serde_json::from_str::<T>(&stored).unwrap(), id);
        prop_assert_eq!(stored, format!("\"{id}\""));
        Ok(())
    }

    proptest! {
        #[test]
        fn parse_and_print_are_inverse(value: u128, at in 0i64..200_000_000_000, chance: u32) {
            let value = Uuid::from_u128(value);
            comes_back(&TenantId::new(value))?;
            comes_back(&SubscriptionId::new(value))?;
            comes_back(&AppId::new(value))?;
            // Years before 0 and after 9999 do not fit the format; no clock shows them.
            let at = Timestamp::from_second(at).unwrap();
            comes_back(&CycleId::new(at, chance))?;
            comes_back(&SnapshotId::new(at, chance))?;
            comes_back(&RequestId::new(at, chance))?;
        }

        #[test]
        fn a_name_and_a_number_come_back(name in "[A-Za-z0-9][A-Za-z0-9._-]{0,63}", number: i64) {
            comes_back(&name.parse::<Name>().unwrap())?;
            let stored = serde_json::to_string(&ConnectorId(number)).unwrap();
            prop_assert_eq!(serde_json::from_str::<ConnectorId>(&stored).unwrap(), ConnectorId(number));
            prop_assert_eq!(ConnectorId(number).to_string(), stored);
        }

        #[test]
        fn whatever_is_read_as_an_id_prints_the_same_but_for_case_and_spaces(text in "[ 0-9a-fA-FTZ.-]{20,40}|\\PC{0,40}") {
            if let Ok(id) = text.parse::<SubscriptionId>() {
                prop_assert_eq!(id.to_string(), text.trim().to_lowercase());
            }
            if let Ok(id) = text.parse::<RequestId>() {
                prop_assert_eq!(id.to_string(), text.clone());
            }
            if let Ok(name) = text.parse::<Name>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }

        #[test]
        fn ids_sort_by_time(a in 0i64..200_000_000_000, b in 0i64..200_000_000_000, chance: (u32, u32)) {
            let id = |at, chance| SnapshotId::new(Timestamp::from_second(at).unwrap(), chance);
            prop_assert!(a == b || (a < b) == (id(a, chance.0) < id(b, chance.1)));
        }
    }
}
