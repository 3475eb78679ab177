//! Whether a text shows a secret.

/// Whether a text contains a secret, plain or encoded.
pub fn shows(text: &str, secret: &str) -> bool {
    use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD, Engine};
    if secret.is_empty() {
        return false;
    }
    let escaped = serde_json::to_string(secret).unwrap_or_default();
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let forms = [
        secret.to_owned(),
        escaped.trim_matches('"').to_owned(),
        encoded,
        BASE64_STANDARD_NO_PAD.encode(secret),
        BASE64_URL_SAFE_NO_PAD.encode(secret),
    ];
    forms.iter().any(|form| text.contains(form.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_seen_in_its_encoded_forms_too() {
        let secret = "p\"a/s s+";
        for text in ["x p\"a/s s+ y", r#"{"k":"p\"a/s s+"}"#, "k=p%22a%2Fs+s%2B", "cCJhL3Mgcys="] {
            assert!(shows(text, secret), "{text}");
        }
        assert!(!shows("nothing here", secret) && !shows("anything", ""));
    }
}
