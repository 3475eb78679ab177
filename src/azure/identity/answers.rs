//! The answers of Entra and of the managed identity's endpoint to a request for a token.
//!
//! They are read before the SDK reads them: it loses Entra's code where the text has an escaped character, shows the text
//! three times where it has not, and takes an answer without a token for an empty token.

use crate::sdk::{Issuer, SignInError, shows};
use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;

/// Lets answers with a token pass, and turns all others into a [`SignInError`].
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) from: Issuer,
    /// What was sent. An answer that repeats it is not shown.
    pub(super) secret: Option<SecretString>,
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait is written; otherwise the two do not match")]
#[async_trait::async_trait]
impl Policy for Answers {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let answer = next[0].send(context, request, &next[1..]).await?;
        let (status, headers, body) = answer.deconstruct();
        let body = body.collect().await?;
        match read(self.from, u16::from(status), &body) {
            Ok(()) => Ok(AsyncRawResponse::from_bytes(status, headers, body)),
            Err(why) => Err(Error::new(ErrorKind::Credential, self.discreet(why, &body))),
        }
    }
}

impl Answers {
    /// Takes the text of an answer out that repeats the secret anywhere: what is shown of it may be cut out of the secret.
    fn discreet(&self, why: SignInError, body: &[u8]) -> SignInError {
        let body = String::from_utf8_lossy(body);
        let repeats = |secret: &SecretString| shows(&body, secret.expose_secret());
        if !self.secret.as_ref().is_some_and(repeats) {
            return why;
        }
        let said = "its text repeats the secret".to_owned();
        match why {
            SignInError::Refused { from, code, said: _ } => SignInError::Refused { from, code, said },
            SignInError::Unavailable { from, said: _ } => SignInError::Unavailable { from, said },
            why => why,
        }
    }
}

/// Every field that one of the two sends; all are optional, since a proxy may have answered in their place.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    access_token: String,
    error: String,
    error_description: String,
    error_codes: Vec<u32>,
    /// The endpoint's text.
    message: String,
}

/// Whether an answer has a token.
fn read(from: Issuer, status: u16, body: &[u8]) -> Result<(), SignInError> {
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    let is_readable = answer.is_some();
    let Answer { access_token, error, error_description, error_codes, message } = answer.unwrap_or_default();
    if (200..300).contains(&status) {
        if !access_token.is_empty() {
            return Ok(());
        }
        let what = if is_readable { "without a token" } else { "that cannot be read" };
        return Err(SignInError::Unavailable { from, said: format!("an answer {what}") });
    }
    let code = error_codes.first().copied();
    let said = match first_sentence(&error_description).or_else(|| first_sentence(&message)) {
        Some(sentence) if sentence.starts_with("AADSTS") => sentence,
        Some(sentence) => format!("HTTP {status}: {sentence}"),
        None => format!("HTTP {status}"),
    };
    let passes = match from {
        // <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling>
        Issuer::Endpoint => matches!(status, 404 | 408 | 410 | 429 | 500..),
        // 90033 and this error say: a fault that passes.
        _ => {
            matches!(status, 408 | 429 | 500..) || error == "temporarily_unavailable" || code == Some(90_033)
        }
    };
    Err(if passes {
        SignInError::Unavailable { from, said }
    } else {
        SignInError::Refused { from, code, said }
    })
}

/// The first sentence of a text, on one line: what follows in Entra's are instructions and ids. None if there is no text.
pub(super) fn first_sentence(text: &str) -> Option<String> {
    /// Entra's sentences have about a hundred characters, with the ids in them.
    const LONGEST: usize = 200;
    let line = text.trim().lines().next()?;
    let line = line.split(" Trace ID: ").next()?;
    let sentence = line.split(". ").next()?.trim().trim_end_matches('.');
    let shown: String = sentence.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entra(status: u16, body: &serde_json::Value) -> Result<(), SignInError> {
        read(Issuer::Entra, status, body.to_string().as_bytes())
    }

    #[test]
    fn a_refusal_is_told_by_its_code_and_its_first_sentence() {
        let body = json!({
            "error": "invalid_client",
            "error_description": "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is its value.\r\n\
                                  Trace ID: 1\r\nCorrelation ID: 2\r\nTimestamp: 3",
            "error_codes": [7_000_215],
        });
        let refused = entra(401, &body).unwrap_err();
        insta::assert_snapshot!(refused, @"Entra refused the sign-in (AADSTS7000215: Invalid client secret provided)");
        insta::assert_snapshot!(refused.advice(), @"put the value of a client secret, not its id, into AZURE_CLIENT_SECRET");
        assert!(!refused.may_pass());
    }

    #[test]
    fn only_what_another_attempt_may_cure_may_pass() {
        for (status, body, passes) in [
            (429, json!({}), true),
            (503, json!({ "error_description": "busy" }), true),
            (400, json!({ "error": "temporarily_unavailable" }), true),
            (400, json!({ "error_codes": [90_033] }), true),
            (200, json!({}), true),
            (400, json!({ "error": "unauthorized_client", "error_codes": [700_016] }), false),
            (400, json!({ "error": "invalid_request", "error_codes": [90_002] }), false),
            (401, json!({ "error": "invalid_client", "error_codes": [7_000_222] }), false),
            (403, json!("a page of a proxy"), false),
        ] {
            assert_eq!(entra(status, &body).unwrap_err().may_pass(), passes, "{status} {body}");
        }
        assert_eq!(entra(200, &json!({ "access_token": "t", "expires_in": 1 })), Ok(()));
    }

    #[test]
    fn the_endpoints_own_words_are_shown() {
        let body = json!({ "statusCode": 400, "message": "No managed identity was found for it. More." });
        let refused = read(Issuer::Endpoint, 400, body.to_string().as_bytes()).unwrap_err();
        insta::assert_snapshot!(refused, @"the endpoint of the managed identity refused the sign-in (HTTP 400: No managed identity was found for it)");
    }

    #[test]
    fn a_secret_that_an_answer_repeats_is_not_shown() {
        let answers = Answers { from: Issuer::Entra, secret: Some("hunter2. more".to_owned().into()) };
        for (status, said) in
            [(400, "AADSTS1: not hunter2. more"), (503, "busy: hunter2.%20more, hunter2.+more")]
        {
            let body = json!({ "error_description": said, "error_codes": [1] });
            let why = answers.discreet(entra(status, &body).unwrap_err(), body.to_string().as_bytes());
            assert!(!why.to_string().contains("hunter2"), "{why}");
            assert!(status != 400 || why.advice().contains("code=1"), "{why}");
        }
    }
}
