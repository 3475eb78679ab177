//! The code in an error answer of ARM or Key Vault. Of their texts, which are long and repeat the request, nothing is kept.

use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    code: Option<String>,
    innererror: Option<Box<Detail>>,
}

/// `error.innererror.code`, where Key Vault distinguishes a missing role, a firewall and a disabled secret; else `error.code`.
pub(super) fn code_in(body: &[u8]) -> Option<String> {
    let Body { error } = serde_json::from_slice(body).ok()?;
    let inner = error.innererror.and_then(|inner| inner.code);
    inner.into_iter().chain(error.code).find(|code| is_name(code))
}

/// Whether a code may be shown: a plain name like `ForbiddenByRbac`, not just any text.
pub(super) fn is_name(code: &str) -> bool {
    /// The longest documented code has about thirty letters.
    const LONGEST: usize = 64;
    (1..=LONGEST).contains(&code.len()) && code.chars().all(|c| c.is_ascii_alphanumeric())
}
