//! The names of Qualys's platforms and of Azure's clouds.

use crate::azure::cloud::{CLOUDS, Cloud};
use url::Url;

/// Qualys's API servers, as its own scripts list them
/// (<https://www.qualys.com/platform-identification/>). Private platforms have other names: `QUALYS_API_URL`.
pub(super) const API_SERVERS: [(&str, &str); 14] = [
    ("US1", "https://qualysapi.qualys.com"),
    ("US2", "https://qualysapi.qg2.apps.qualys.com"),
    ("US3", "https://qualysapi.qg3.apps.qualys.com"),
    ("US4", "https://qualysapi.qg4.apps.qualys.com"),
    ("GOV1", "https://qualysapi.gov1.qualys.us"),
    ("EU1", "https://qualysapi.qualys.eu"),
    ("EU2", "https://qualysapi.qg2.apps.qualys.eu"),
    ("EU3", "https://qualysapi.qg3.apps.qualys.it"),
    ("IN1", "https://qualysapi.qg1.apps.qualys.in"),
    ("CA1", "https://qualysapi.qg1.apps.qualys.ca"),
    ("AE1", "https://qualysapi.qg1.apps.qualys.ae"),
    ("UK1", "https://qualysapi.qg1.apps.qualys.co.uk"),
    ("AU1", "https://qualysapi.qg1.apps.qualys.com.au"),
    ("KSA1", "https://qualysapi.qg1.apps.qualysksa.com"),
];

pub(super) fn api_server(name: &str) -> Result<Url, String> {
    let found = API_SERVERS.iter().find(|(platform, _)| platform.eq_ignore_ascii_case(name));
    found.and_then(|(_, address)| Url::parse(address).ok()).ok_or_else(|| {
        let names: Vec<_> = API_SERVERS.iter().map(|(platform, _)| *platform).collect();
        format!("is not one of {}; for a private platform set QUALYS_API_URL", names.join(", "))
    })
}

pub(super) fn cloud(name: &str) -> Result<Cloud, String> {
    let found = CLOUDS.into_iter().find(|cloud| cloud.name == name);
    found.ok_or_else(|| "is not one of public, us-government, china".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_can_be_read() {
        for (name, _) in API_SERVERS {
            assert_eq!(api_server(name).unwrap().scheme(), "https");
        }
    }
}
