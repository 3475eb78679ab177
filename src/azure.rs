//! Azure's side: ARM, the identity that reads it, Key Vault, and the clients below the store, the queue and the lease.

pub mod arm;
pub mod identity;
pub mod vault;

/// An SDK error with its causes on one line. Its text hides the cause, and a transport's text may hold the whole address,
/// so query strings, where signatures stand, are cut off.
pub(crate) fn chain_of(error: &azure_core::Error) -> String {
    let text = crate::report::chain(error);
    let mut shown = String::with_capacity(text.len());
    let mut in_query = false;
    for c in text.chars() {
        match c {
            '?' => in_query = true,
            ')' | '"' | '\'' | ' ' | '\n' => in_query = false,
            _ => {}
        }
        if !in_query {
            shown.push(if c.is_control() { ' ' } else { c });
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_chain_shows_the_cause_and_no_query() {
        let cause = std::io::Error::other(
            "error sending request for url (https://a/b?sv=1&sig=s3cret): UnknownIssuer",
        );
        let error = azure_core::Error::with_error(
            azure_core::error::ErrorKind::Connection,
            cause,
            "retry policy expired",
        );
        let text = super::chain_of(&error);
        assert!(text.contains("UnknownIssuer") && !text.contains("s3cret"), "{text}");
    }
}
